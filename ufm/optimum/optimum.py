"""The answer of `solve`: a point, how sure it is the global optimum, and the evidence."""

from dataclasses import dataclass
from functools import cached_property, partial, reduce
from typing import Any

import numpy as np

from ufm.constraints import FeatureMetric
from ufm.errors import UfmError
from ufm.metrics.state import labelled, observables
from ufm.optimum.answer import Answer
from ufm.optimum.certificate import Certificate, balance, closed, stationarity
from ufm.optimum.curvature import NO_POINT, second_order
from ufm.optimum.status import OptimumStatus
from ufm.problem import ClassTargets, Problem
from ufm.record import Record


@dataclass(frozen=True, eq=False, repr=False)
class Optimum(Answer):
    """A minimiser of a problem, and how sure that is.

    value, lower_bound: of the objective; method: what found it; W: tuple of layers, last first (m x d for one); H:
    class means (d x K), or samples (d x N) for regression; b (m); singular_values: of W H over all N samples. W and H
    are one of many: any rotation of the feature space serves as well.
    """

    problem: Problem
    status: OptimumStatus
    method: str
    W: tuple[np.ndarray, ...]
    H: np.ndarray
    b: np.ndarray
    singular_values: np.ndarray
    certificate: Certificate

    @property
    def product(self) -> np.ndarray:
        """W_{p-1}..W_1 (m x d)."""
        return reduce(np.matmul, self.W)

    @property
    def logits(self) -> np.ndarray:
        """W H + b at the class means (m x K), or at the samples (m x N)."""
        return self.product @ self.H + self.b[:, None]

    @cached_property
    def gram(self) -> np.ndarray:
        """Inner products of the uncentred class means (K x K)."""
        return self.H.T @ self.H

    @cached_property
    def cosines(self) -> np.ndarray:
        """Cosines of the uncentred class means (K x K); 0 where a class mean is 0."""
        norm = np.sqrt(np.diag(self.gram))
        return np.divide(self.gram, np.outer(norm, norm), out=np.zeros_like(self.gram), where=np.outer(norm, norm) > 0)

    def observed(self) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
        """Observables, value, bound and rank: arrays with the names of their dimensions."""
        targets = self.problem.targets
        weights = {"lam_H": float(self.problem.lam_H), "lam_b": float(self.problem.lam_b)}
        counts, codes = targets.multiplicity, targets.columns
        if self.H.shape[1] != codes.shape[1]:  # features near given ones may differ within a class
            counts, codes = np.ones(targets.N), targets.matrix()
        seen = observables(self.product, self.H, self.b, counts, codes, **weights)
        extra = self._certified() | {"balance": self.certificate.balance, "penalty_gap": self._penalty_gap()}
        return labelled({**seen, **extra})

    def _penalty_gap(self) -> float:
        """The penalties of all factors less (p/2) Lam sum_i s_i^(2/p), the least that any factors of W H can have.

        NaN where the features are weighed in another metric.
        """
        problem, H = self.problem, self.H
        if isinstance(problem.constraint, FeatureMetric):
            return float("nan")
        weights = problem.targets.multiplicity if H.shape[1] != problem.N else 1.0
        spent = float(problem.lam_H) * float(np.sum(weights * H**2))
        spent += sum(float(lam) * float(np.sum(W**2)) for lam, W in zip(problem.lam_W, self.W, strict=True))
        return spent / 2 - problem.p / 2 * problem.Lam * float(np.sum(self.singular_values ** (2 / problem.p)))

    def record(self) -> Record:
        """The observables of this optimum, with its value, bound and certificate, as a Record."""
        return Record.of("optimum", self.observed(), problem=self.problem, provenance=self._provenance())

    def _rows(self) -> dict[str, Any]:
        of_classes = isinstance(self.problem.targets, ClassTargets)
        return {
            "second order": self.certificate.second_order,
            "singular values of W H": _few(self.singular_values),
            "norms of class means" if of_classes else "norms of features": _few(np.linalg.norm(self.H, axis=0)),
            "bias": _few(self.b) if self.problem.has_bias else "none",
        }


def _few(values: np.ndarray, most: int = 8) -> str:
    """The first numbers of an array, to four digits."""
    shown = ", ".join(f"{value:.4g}" for value in np.ravel(values)[:most])
    return shown + (f", ... ({values.size} in all)" if values.size > most else "")


def finish(
    problem: Problem,
    W: tuple[np.ndarray, ...],
    H: np.ndarray,
    b: np.ndarray,
    *,
    status: OptimumStatus,
    method: str,
    value: float,
    lower_bound: float,
    singular_values: np.ndarray,
    rank: int,
    unique: bool | None = None,
    dual: np.ndarray | None = None,
    work: int = 0,
) -> Optimum:
    """Assemble an answer; the residuals of a critical point come from the point itself, for every engine, when asked.

    W: layers, last first; H: class means (d x K) or samples (d x N); b (m). Raises UfmError where the value overflows.
    """
    if not np.isfinite(value):
        raise UfmError("the objective overflows double precision; rescale the targets.")
    certificate = Certificate(
        value=value,
        lower_bound=closed(lower_bound, value),
        stationarity=partial(stationarity, problem, W, H, b),
        balance=partial(balance, problem, W, H),
        rank=rank,
        unique=unique,
        dual=dual,
        second_order=partial(second_order, problem, W, H, b) if status.is_attained else NO_POINT,
        work=work,
    )
    return Optimum(problem, status, method, W, H, b, singular_values, certificate)
