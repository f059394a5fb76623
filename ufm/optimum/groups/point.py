"""From a point told by groups to norms, cosines, logits of each class, and residuals; any loss and depth."""

import math
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from ufm.errors import ProblemError
from ufm.optimum.certificate import Certificate, closed
from ufm.optimum.deep.factors import balanced_factors
from ufm.optimum.deep.spectral import DeepSolution
from ufm.optimum.groups.grouped import GroupedOptimum
from ufm.optimum.status import OptimumStatus
from ufm.optimum.symmetry import Groups
from ufm.problem import Problem
from ufm.tolerance import roundoff


@dataclass(frozen=True, eq=False)
class GroupPoint:
    """X and b of a symmetric point, in mean-square units and in the basis of the normalised group indicators.

    means: U (G x r), s > 0 (r), V (G x r) of X on the group means; inside: X's factor on each of the K_g - 1 directions
    inside a group, of either sign (G); b (G); slope (G x G), slope_inside (G): the fit's derivative by both parts of X.
    """

    U: np.ndarray
    s: np.ndarray
    V: np.ndarray
    inside: np.ndarray
    b: np.ndarray
    slope: np.ndarray
    slope_inside: np.ndarray

    @property
    def X(self) -> np.ndarray:
        """The product on the group means (G x G)."""
        return (self.U * self.s) @ self.V.T

    @property
    def is_zero(self) -> bool:
        """Nothing of the product is left."""
        return self.s.size == 0 and not np.any(self.inside)


def told(
    problem: Problem,
    groups: Groups,
    point: GroupPoint,
    *,
    status: OptimumStatus,
    method: str,
    value: float,
    lower_bound: float,
    unique: bool | None,
    dual: np.ndarray | None = None,
    work: int = 0,
) -> GroupedOptimum:
    """The optimum with its certificate. ProblemError where the width is below the rank, which splits a group."""
    rank = point.s.size + int(np.sum(groups.number[point.inside != 0] - 1))
    if problem.width is not None and problem.width < rank:
        raise ProblemError("width", problem.width, f"groups need at least the rank, {rank}; raise it or leave None.")
    certificate = Certificate(
        value=value,
        lower_bound=closed(lower_bound, value),
        **_residuals(problem, groups, point),
        rank=rank,
        unique=unique,
        dual=dual,
        second_order="not looked at: an optimum told by groups has no factors; method='auto' has",
        work=work,
    )
    geometry = _geometry(problem, groups, point)
    found_by = f"groups, {method}"
    return GroupedOptimum(
        problem, status, found_by, groups.member, groups.number, groups.size, **geometry, certificate=certificate
    )


def entries(M: np.ndarray, f: np.ndarray, number: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Own (G), within (G), between (G x G) entries of the K x K matrix that is f inside the groups, M on their means.

    They are f_g (1 - 1/K_g) + M_gg/K_g, (M_gg - f_g)/K_g and M_gh/sqrt(K_g K_h).
    """
    diagonal = np.diag(M)
    return f * (1 - 1 / number) + diagonal / number, (diagonal - f) / number, M / np.sqrt(np.outer(number, number))


def _geometry(problem: Problem, groups: Groups, point: GroupPoint) -> dict[str, np.ndarray]:
    """Norms, cosines, logits, biases and singular values, in the units of the data."""
    number, root = groups.number, math.sqrt(groups.N)
    power = 2 / problem.p  # H'H is the product's singular values to this power, balanced factors given
    lam_H = float(problem.lam_H)
    tilt = problem.Lam / lam_H if problem.Lam > 0 else 1.0
    features = (point.V * point.s**power) @ point.V.T, np.abs(point.inside) ** power
    own, within, across = entries(*features, number)
    norm = np.sqrt(np.maximum(own, 0) * root**power * tilt / groups.size)
    alive = own > 4 * np.finfo(float).eps * float(own.max())
    length = np.sqrt(np.where(alive, own, 1.0))
    cosine = np.where(np.outer(alive, alive), across / np.outer(length, length), 0.0)
    pairs = np.where(number > 1, np.where(alive, within / length**2, 0.0), np.nan)
    cosine[np.diag_indices_from(cosine)] = pairs
    bias = point.b / np.sqrt(number)
    logits = entries(point.X, point.inside, number)
    scale = np.sqrt(groups.N / groups.size)  # of a column: from X's units to one sample of class k
    logit = logits[2] * scale + bias[:, None]
    logit_within = np.where(number > 1, logits[1] * scale + bias, np.nan)
    logit[np.diag_indices_from(logit)] = logit_within
    values = np.concatenate([point.s, np.abs(point.inside)]) * root
    counted = np.concatenate([np.ones(point.s.size, dtype=int), number - 1])
    kept = np.flatnonzero((values > 0) & (counted > 0))
    order = kept[np.argsort(-values[kept], kind="stable")]
    distinct, multiplicities = _distinct(values[order], counted[order])
    return {
        "norm": np.where(alive, norm, 0.0),
        "cosine_within": pairs,
        "cosine_between": cosine,
        "logit_own": logits[0] * scale + bias,
        "logit_within": logit_within,
        "logit_between": logit,
        "bias": bias,
        "singular_values": distinct,
        "multiplicities": multiplicities,
    }


def _distinct(values: np.ndarray, counted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Descending values with those that agree up to round-off told once, and how often each is one in all."""
    if not values.size:
        return values, counted
    first = np.concatenate([[True], values[:-1] - values[1:] > roundoff(values[0])])
    return values[first], np.add.reduceat(counted, np.flatnonzero(first))


def _residuals(problem: Problem, groups: Groups, point: GroupPoint) -> dict[str, Any]:
    """Stationarity and balance of the whole point: those of the group means and K_g - 1 equal scalars each."""
    weights, root = [*map(float, problem.lam_W), float(problem.lam_H)], math.sqrt(groups.N)
    W, H = balanced_factors(problem, DeepSolution(point.U, point.s, point.V, point.b, 0.0, False), groups.G)
    share = (np.abs(point.inside) * root) ** (1 / problem.p)
    scalars = [share * math.sqrt(problem.Lam / lam) if problem.Lam > 0 else share for lam in weights]
    scalars[0] = scalars[0] * np.sign(point.inside)
    factors, times = [*W, H], np.sqrt(groups.number - 1)
    E, e = point.slope / root, point.slope_inside / root

    def relative(*terms: tuple[np.ndarray, np.ndarray]) -> float:
        parts = [np.concatenate([block.ravel(), times * inside]) for block, inside in terms]
        scale = sum(float(np.linalg.norm(part)) for part in parts)
        return float(np.linalg.norm(sum(parts))) / scale if scale > 0 else 0.0

    slopes, balance = [], 0.0
    for l, lam in enumerate(weights):
        pulled, pulled_inside = E, e
        if above := factors[:l]:
            pulled, pulled_inside = reduce(np.matmul, above).T @ pulled, pulled_inside * math.prod(scalars[:l])
        if below := factors[l + 1 :]:
            pulled, pulled_inside = pulled @ reduce(np.matmul, below).T, pulled_inside * math.prod(scalars[l + 1 :])
        slopes.append(relative((pulled, pulled_inside), (lam * factors[l], lam * scalars[l])))
        if below:
            ours, theirs = factors[l].T @ factors[l], factors[l + 1] @ factors[l + 1].T
            term = (
                (lam * ours, lam * scalars[l] ** 2),
                (-weights[l + 1] * theirs, -weights[l + 1] * scalars[l + 1] ** 2),
            )
            balance = max(balance, relative(*term))
    if problem.has_bias:
        A, u = groups.means
        slope, penalty = point.slope @ u, float(problem.lam_b) * point.b
        scale = float(np.linalg.norm(slope) + np.linalg.norm(penalty) + np.linalg.norm(A @ u))
        slopes.append(float(np.linalg.norm(slope + penalty)) / scale if scale > 0 else 0.0)
    return {"stationarity": max(slopes), "balance": balance}
