"""The squared loss at p = 2 told by groups of exchangeable classes: K = 10^6 classes in three sizes are 3 x 3."""

import math

import numpy as np

from ufm.errors import ProblemError
from ufm.optimum.certificate import Certificate, closed
from ufm.optimum.groups.grouped import GroupedOptimum
from ufm.optimum.squared.duality import best_dual_value, primal_value
from ufm.optimum.squared.expand import between, within_value
from ufm.optimum.squared.shrinkage import ShrinkageProblem, ShrinkageSolution, mean_square_threshold
from ufm.optimum.squared.solve import balanced_factors, solve_wide
from ufm.optimum.status import OptimumStatus
from ufm.optimum.symmetry import Groups, find_groups
from ufm.problem import Problem


def solve_groups(problem: Problem) -> GroupedOptimum:
    """The global minimum by groups (theory: section 3); ProblemError where the classes are not exchangeable."""
    groups = find_groups(problem, turned=True)
    if groups is None:
        raise ProblemError("method", "groups", "the codes are no rotation of alpha I + beta 11'; use 'auto'.")
    threshold = mean_square_threshold(problem)
    reduced = between(groups, threshold, float(problem.lam_b))
    means, found_by, svds = solve_wide(reduced, "auto")
    inside = np.maximum(groups.within - threshold, 0)  # shrunk singular value of the directions within each group
    rank = means.rank + int(np.sum(groups.number[inside > 0] - 1))
    if problem.width is not None and problem.width < rank:
        raise ProblemError("width", problem.width, f"groups need at least the rank, {rank}; raise it or leave None.")
    one_zero = (float(problem.lam_W[0]) == 0) != (float(problem.lam_H) == 0)
    bound, E = best_dual_value(reduced, means)
    shared = float(within_value(groups, threshold))
    value = primal_value(reduced, means) + shared
    certificate = Certificate(
        value=value,
        lower_bound=closed(bound + shared, value),
        **_residuals(problem, groups, reduced, means, inside),
        rank=rank,
        unique=True if threshold > 0 else None,
        dual=E,
        second_order="not looked at: an optimum told by groups has no factors; method='auto' has",
        work=svds,
    )
    return GroupedOptimum(
        problem,
        OptimumStatus.NOT_ATTAINED if one_zero and rank > 0 else OptimumStatus.CERTIFIED,
        f"groups, {found_by}",
        groups.member,
        groups.number,
        groups.size,
        **_geometry(problem, groups, means, inside),
        certificate=certificate,
    )


def _geometry(
    problem: Problem, groups: Groups, between: ShrinkageSolution, inside: np.ndarray
) -> dict[str, np.ndarray]:
    """Norms, cosines, logits, biases and singular values, in the units of the data.

    A K x K matrix that is f_g on the directions inside group g and M on the group means has the entries
    f_g (1 - 1/K_g) + M_gg/K_g (own), (M_gg - f_g)/K_g (within) and M_gh/sqrt(K_g K_h) (between).
    """
    number, root = groups.number, math.sqrt(groups.N)
    lam_W, lam_H = float(problem.lam_W[0]), float(problem.lam_H)
    tilt = math.sqrt(lam_W / lam_H) if lam_W > 0 and lam_H > 0 else 1.0
    own, within, across = _entries((between.V * between.s) @ between.V.T, inside, number)
    norm = np.sqrt(np.maximum(own, 0) * root * tilt / groups.size)
    alive = own > 4 * np.finfo(float).eps * float(own.max())
    length = np.sqrt(np.where(alive, own, 1.0))
    cosine = np.where(np.outer(alive, alive), across / np.outer(length, length), 0.0)
    pairs = np.where(number > 1, np.where(alive, within / length**2, 0.0), np.nan)
    cosine[np.diag_indices_from(cosine)] = pairs
    bias = between.b / np.sqrt(number)
    logits = _entries(between.X, math.copysign(1.0, groups.alpha) * inside, number)
    scale = np.sqrt(groups.N / groups.size)  # of a column: from A's units to one sample of class k
    logit = logits[2] * scale + bias[:, None]
    logit_within = np.where(number > 1, logits[1] * scale + bias, np.nan)
    logit[np.diag_indices_from(logit)] = logit_within
    values = np.concatenate([between.s, inside]) * root
    counted = np.concatenate([np.ones(between.s.size, dtype=int), number - 1])
    kept = np.flatnonzero((values > 0) & (counted > 0))
    order = kept[np.argsort(-values[kept], kind="stable")]
    return {
        "norm": np.where(alive, norm, 0.0),
        "cosine_within": pairs,
        "cosine_between": cosine,
        "logit_own": logits[0] * scale + bias,
        "logit_within": logit_within,
        "logit_between": logit,
        "bias": bias,
        "singular_values": values[order],
        "multiplicities": counted[order],
    }


def _entries(M: np.ndarray, f: np.ndarray, number: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Own, within and between entries of the K x K matrix with f inside the groups and M on their means."""
    diagonal = np.diag(M)
    return f * (1 - 1 / number) + diagonal / number, (diagonal - f) / number, M / np.sqrt(np.outer(number, number))


def _residuals(
    problem: Problem, groups: Groups, reduced: ShrinkageProblem, between: ShrinkageSolution, inside: np.ndarray
) -> dict[str, float]:
    """Stationarity and balance of the whole point: those of the group means and K_g - 1 equal scalars each."""
    lam_W, lam_H, root = float(problem.lam_W[0]), float(problem.lam_H), math.sqrt(groups.N)
    W, H = balanced_factors(problem, between, groups.G)
    tilt = (lam_W / lam_H) ** 0.25 if lam_W > 0 and lam_H > 0 else 1.0
    w, h = np.sqrt(inside * root) / tilt, np.sqrt(inside * root) * tilt
    E = (W @ H + np.outer(between.b, reduced.u * root) - reduced.A * root) / groups.N
    e = (w * h - groups.within * root) / groups.N
    times = np.sqrt(groups.number - 1)

    def relative(*terms: tuple[np.ndarray, np.ndarray]) -> float:
        parts = [np.concatenate([block.ravel(), times * scalars]) for block, scalars in terms]
        scale = sum(float(np.linalg.norm(part)) for part in parts)
        return float(np.linalg.norm(sum(parts))) / scale if scale > 0 else 0.0

    slopes = [
        relative((E @ H.T, e * h), (lam_W * W, lam_W * w)),
        relative((W.T @ E, e * w), (lam_H * H, lam_H * h)),
    ]
    if problem.has_bias:
        slope, penalty = E @ reduced.u * root, reduced.lam_b * between.b
        scale = float(np.linalg.norm(slope) + np.linalg.norm(penalty) + np.linalg.norm(reduced.mean))
        slopes.append(float(np.linalg.norm(slope + penalty)) / scale if scale > 0 else 0.0)
    balance = relative((lam_W * W.T @ W, lam_W * w**2), (-lam_H * H @ H.T, -lam_H * h**2))
    return {"stationarity": max(slopes), "balance": balance}
