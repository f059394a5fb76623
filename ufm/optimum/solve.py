"""`ufm.solve`: the global optimum of a problem with the evidence that it is one."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ufm.errors import ProblemError, UfmError
from ufm.metrics.state import labelled, observables
from ufm.optimum.certificate import Certificate, best_dual_value, primal_value
from ufm.optimum.narrow import solve_narrow
from ufm.optimum.newton import solve_newton
from ufm.optimum.referee import solve_cvxpy
from ufm.optimum.spectral import ShrinkageProblem, ShrinkageSolution, solve_closed_form
from ufm.optimum.status import OptimumStatus
from ufm.problem import Problem, Reduction, reduce_problem
from ufm.record import Record

METHODS = ("auto", "closed form", "newton", "cvxpy")


@dataclass(frozen=True, eq=False)
class Optimum:
    """A minimiser of a problem, and how sure that is.

    value, lower_bound: of the objective; method: what found it; W: tuple of one m x d array; H: class means (d x K),
    or samples (d x N) for regression; b (m). W and H are one of many: any rotation of the feature space serves as well.
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
    def value(self) -> float:
        """The objective at this point (the infimum where it is not attained)."""
        return self.certificate.value

    @property
    def lower_bound(self) -> float:
        """No point has a smaller objective than this."""
        return self.certificate.lower_bound

    @property
    def gap(self) -> float:
        """Value - lower_bound."""
        return self.certificate.gap

    @property
    def logits(self) -> np.ndarray:
        """W H + b at the class means (m x K), or at the samples (m x N)."""
        return self.W[0] @ self.H + self.b[:, None]

    @cached_property
    def gram(self) -> np.ndarray:
        """Inner products of the uncentred class means (K x K)."""
        return self.H.T @ self.H

    @cached_property
    def cosines(self) -> np.ndarray:
        """Cosines of the uncentred class means (K x K); 0 where a class mean is 0."""
        norm = np.sqrt(np.diag(self.gram))
        return np.divide(self.gram, np.outer(norm, norm), out=np.zeros_like(self.gram), where=np.outer(norm, norm) > 0)

    def record(self) -> Record:
        """The observables of this optimum, with its value, bound and certificate, as a Record."""
        targets, certificate = self.problem.targets, self.certificate
        weights = {"lam_H": float(self.problem.lam_H), "lam_b": float(self.problem.lam_b)}
        seen = observables(self.W[0], self.H, self.b, targets.multiplicity, targets.columns, **weights)
        extra = {"value": self.value, "lower_bound": self.lower_bound, "gap": self.gap, "rank": certificate.rank}
        provenance = {"method": self.method, "status": self.status.name, "svds": certificate.svds}
        return Record.of("optimum", {**labelled(seen), **extra}, problem=self.problem, provenance=provenance)

    def __repr__(self) -> str:
        return (
            f"Optimum(value={self.value:.12g}, gap={self.gap:.1e}, rank={self.certificate.rank}, "
            f"method={self.method!r}, {self.status.name}: {self.status.value})"
        )


def solve(problem: Problem, method: str = "auto") -> Optimum:
    """The global minimum of the objective, with a lower bound that proves it (squared loss, p = 2).

    method: "auto" takes the closed form where there is one and Newton's method on the bias where there is none;
    "closed form" and "newton" insist on theirs; "cvxpy" asks an independent solver (small problems, about 1e-8).
    Raises ProblemError for a problem that has no solver yet, or where the asked method does not apply.
    """
    if method not in METHODS:
        raise ProblemError("method", method, f"choose one of {', '.join(METHODS)}.")
    if problem.is_symbolic:
        raise ProblemError("problem", problem, "its weights hold free symbols; substitute numbers first.")
    if problem.loss != "mse":
        raise ProblemError("loss", problem.loss, "solve handles loss='mse'; simulate its flow instead.")
    if problem.p != 2:
        raise ProblemError("lam_W", problem.lam_W, "solve handles one linear layer (p = 2); simulate its flow instead.")
    reduction = reduce_problem(problem)
    reduced = ShrinkageProblem.of(problem, reduction)
    solution, found_by, svds = _solve_wide(reduced, method)
    bound, E = best_dual_value(reduced, solution)
    status = OptimumStatus.CERTIFIED
    width = problem.width if problem.width is not None else min(reduced.A.shape)
    rank = solution.rank if method != "cvxpy" else int(np.sum(solution.s > 1e-6 * max(1.0, float(solution.s.max()))))
    if width < rank:
        solution, proved = solve_narrow(reduced, width, solution)
        found_by, rank = f"{found_by}, then rank {width}", solution.rank
        if proved:
            status, bound = OptimumStatus.PROVED, primal_value(reduced, solution)
        else:
            status = OptimumStatus.BEST_KNOWN
    elif _unattained(problem) and rank > 0:
        status = OptimumStatus.NOT_ATTAINED
    certificate_parts = (bound, E, rank, svds)
    return _assemble(problem, reduction, reduced, solution, status, found_by, width, certificate_parts)


def _solve_wide(reduced: ShrinkageProblem, method: str) -> tuple[ShrinkageSolution, str, int]:
    """The convex optimum, what found it, and the SVDs it took."""
    if method == "cvxpy":
        return solve_cvxpy(reduced)[0], "cvxpy", 0
    if method != "newton" and (closed := solve_closed_form(reduced)) is not None:
        return closed, "closed form", 1
    if method == "closed form":
        raise ProblemError("method", method, "the target mean is not a singular direction here; use 'newton'.")
    if not 0 < reduced.lam_b < math.inf:
        raise ProblemError("method", method, "Newton's method works on a penalised bias; use 'closed form'.")
    solution, svds = solve_newton(reduced)
    return solution, "newton", svds


def _unattained(problem: Problem) -> bool:
    return (float(problem.lam_W[0]) == 0) != (float(problem.lam_H) == 0)


def _assemble(
    problem: Problem,
    reduction: Reduction,
    reduced: ShrinkageProblem,
    solution: ShrinkageSolution,
    status: OptimumStatus,
    method: str,
    width: int,
    certificate_parts: tuple[float, np.ndarray, int, int],
) -> Optimum:
    bound, E, rank, svds = certificate_parts
    W, reduced_H = balanced_factors(problem, solution, width)
    value = primal_value(reduced, solution)
    if not np.isfinite(value):
        raise UfmError("the objective overflows double precision; rescale the targets.")
    certificate = Certificate(
        E=E,
        value=value,
        lower_bound=min(bound, value) if value - bound > -1e-12 * max(1.0, value) else bound,
        stationarity=_stationarity(problem, reduced, solution, W, reduced_H),
        balance=_balance(problem, W, reduced_H),
        rank=rank,
        unique=True if status is OptimumStatus.CERTIFIED and reduced.threshold > 0 else None,
        svds=svds,
    )
    s = np.zeros(min(reduced.A.shape))
    s[: solution.s.size] = solution.s[: s.size]
    H = reduction.features(reduced_H)
    return Optimum(problem, status, method, (W,), H, solution.b, s * math.sqrt(problem.N), certificate)


def balanced_factors(problem: Problem, solution: ShrinkageSolution, width: int) -> tuple[np.ndarray, np.ndarray]:
    """W (m x d) and reduced H (d x r) with W H = X and lam_W W'W = lam_H HH', in the units of the data.

    Where a weight is zero no balance is asked for, and the two factors share the singular values evenly.
    """
    lam_W, lam_H = float(problem.lam_W[0]), float(problem.lam_H)
    tilt = (lam_W / lam_H) ** 0.25 if lam_W > 0 and lam_H > 0 else 1.0
    root = np.sqrt(solution.s[:width] * math.sqrt(problem.N))
    W, H = np.zeros((solution.U.shape[0], width)), np.zeros((width, solution.V.shape[0]))
    W[:, : root.size] = solution.U[:, : root.size] * (root / tilt)
    H[: root.size] = (solution.V[:, : root.size] * (root * tilt)).T
    return W, H


def _stationarity(
    problem: Problem, reduced: ShrinkageProblem, solution: ShrinkageSolution, W: np.ndarray, H: np.ndarray
) -> float:
    """Largest gradient norm by W, reduced H and b, each relative to the sum of the norms of its own terms."""
    E = (reduced.A - np.outer(solution.b, reduced.u)) * math.sqrt(problem.N) - W @ H
    parts = [(float(problem.lam_W[0]) * W, -E @ H.T / problem.N), (float(problem.lam_H) * H, -W.T @ E / problem.N)]
    if problem.has_bias:
        parts.append((reduced.lam_b * solution.b, -E @ reduced.u / math.sqrt(problem.N)))
    return max(_relative(a + b, a, b) for a, b in parts)


def _balance(problem: Problem, W: np.ndarray, H: np.ndarray) -> float:
    left, right = float(problem.lam_W[0]) * W.T @ W, float(problem.lam_H) * H @ H.T
    return _relative(left - right, left, right)


def _relative(difference: np.ndarray, *terms: np.ndarray) -> float:
    scale = sum(float(np.linalg.norm(term)) for term in terms)
    return float(np.linalg.norm(difference)) / scale if scale > 0 else 0.0
