"""Several linear layers (p >= 3) where the squared loss's formulae do not reach: descents from structured starts.

Cross-entropy, the rescaled squared loss, and non-negative features under any loss are not convex there: the best of the
descents is the answer, bounded by a convex problem below this one, or by the same one without the sign. The factors
minimised out, the penalty of the product X (over all samples) is (p/2) Lam sum_i s_i^(2/p), concave in each singular
value, so low rank is rewarded: the simplex of deep neural collapse need not win [garrod2024]. Starts are the centred
targets themselves, blocks of few classes each, points on a circle, low-rank random patterns, and noise.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from ufm.constraints import NonNegative
from ufm.errors import ProblemError
from ufm.losses import RescaledMSE
from ufm.optimum.deep.solve import meets, solve_deep
from ufm.optimum.descent import settle
from ufm.optimum.entropy.solve import solve_entropy
from ufm.optimum.optimum import Optimum, finish
from ufm.optimum.squared.solve import solve_squared
from ufm.optimum.status import OptimumStatus
from ufm.optimum.weighted.solve import solve_weighted
from ufm.problem import ClassTargets, Problem, SampleTargets, classes, objective, samples

METHODS = ("auto", "search")
_RANDOM_STARTS = 6


@dataclass(frozen=True, eq=False)
class Candidate:
    """Where a descent from a named start ended: the objective there, and the factors (W last first, H d x K, b)."""

    name: str
    value: float
    W: tuple[np.ndarray, ...]
    H: np.ndarray
    b: np.ndarray


def solve_descents(problem: Problem, method: str) -> Optimum:
    """The best point of all descents, with a lower bound from a problem below this one; certified where they meet.

    Where some weight is zero the infimum is that of the unpenalised product, taken from p = 2 and padded with layers.
    """
    if method not in METHODS:
        raise ProblemError("method", method, f"for this problem choose one of {', '.join(METHODS)}.")
    if problem.Lam == 0:
        return _unpenalised(problem)
    found = candidates(problem)
    best = min(found, key=lambda candidate: candidate.value)
    if found[-1].value <= best.value * (1 + 1e-12):
        best = found[-1]  # zero itself, not a point that is still on its way there
    bound = lower_bound(problem, best.value)
    X = reduce(np.matmul, (*best.W, best.H)) * np.sqrt(problem.targets.multiplicity)
    s = np.linalg.svd(X, compute_uv=False)
    rank = int(np.sum(s > 1e-6 * max(float(s[0]), 1e-300)))
    return finish(
        problem,
        best.W,
        best.H,
        best.b,
        status=OptimumStatus.CERTIFIED if meets(best.value, bound) else OptimumStatus.SEARCHED,
        method=f"search, {len(found)} starts, best from {best.name}",
        value=best.value,
        lower_bound=bound,
        singular_values=s[: min(problem.targets.columns.shape)],
        rank=rank,
        work=len(found),
    )


def candidates(problem: Problem, seed: int = 0) -> list[Candidate]:
    """The end of the descent from every start; the first is the deep-NC point (centred targets, at their best scale).

    Compare `candidates(problem)[0].value` with the least of them: a smaller one competes with deep neural collapse.
    """
    signed = isinstance(problem.constraint, NonNegative)
    shape = problem.targets.columns.shape
    d = problem.width if problem.width is not None else shape[1] if signed else min(shape)
    rng, ends = np.random.default_rng(seed), []
    for name, X in _patterns(problem, rng):
        W, H = _balanced(problem, _best_scale(problem, X), d)
        if signed:
            W, H = _turned(W, H) if name != "zero" else (W, H)
        ends.append(_descend(problem, name, W, H))
    return ends


def lower_bound(problem: Problem, value: float) -> float:
    """A bound on the global minimum from any objective `value` that is attained: the best of those that apply.

    A sign of the features only takes points away. The rescaled loss is at least min(k, 1) times the squared loss of the
    targets M y, and the bound of that one knows all layers.
    """
    free = problem.replace(constraint=None)
    if problem.loss == "mse":
        return solve_deep(free).lower_bound
    bound = _chord_bound(free, value)
    if isinstance(problem.loss, RescaledMSE):
        share = min(problem.loss.k, 1.0)
        below = free.replace(
            targets=_larger(problem, problem.loss.M),
            loss="mse",
            lam_W=tuple(float(lam) / share for lam in problem.lam_W),
            lam_H=float(problem.lam_H) / share,
            lam_b=float(problem.lam_b) / share,
        )
        bound = max(bound, share * solve_deep(below).lower_bound)
    return bound


def _chord_bound(problem: Problem, value: float) -> float:
    """At a minimum (p/2) Lam s^(2/p) <= value - floor for every singular value, floor the least loss: s is at most S.

    On [0, S] the concave s^(2/p) lies above its chord S^(2/p - 1) s, and what is left is convex: p = 2.
    """
    p, floor = problem.p, 0.0
    if problem.loss == "cross_entropy":  # the entropy of the targets
        T = problem.targets.columns
        mass = T.sum(axis=0)
        share = np.where(T > 0, T / np.where(mass > 0, mass, 1), 1)
        floor = float(-np.sum(np.where(T > 0, T * np.log(share), 0), axis=0) @ problem.targets.multiplicity) / problem.N
    largest = (2 * max(value - floor, 0.0) / (p * problem.Lam)) ** (p / 2)
    if largest == 0:
        return floor
    c = p / 2 * problem.Lam * largest ** (2 / p - 1)
    return _one_layer(problem.replace(lam_W=c, lam_H=c, width=None)).lower_bound


def _larger(problem: Problem, M: float) -> ClassTargets | SampleTargets:
    """The targets times M."""
    targets = problem.targets
    if isinstance(targets, ClassTargets):
        return classes(M * targets.codes, targets.counts)
    return samples(M * targets.matrix())


def _one_layer(problem: Problem) -> Optimum:
    """The same loss with one linear layer: convex."""
    if problem.loss == "mse":
        return solve_squared(problem, "auto")
    return solve_entropy(problem, "auto") if problem.loss == "cross_entropy" else solve_weighted(problem, "auto")


def _patterns(problem: Problem, rng: np.random.Generator) -> Iterator[tuple[str, np.ndarray]]:
    """Logit patterns (m x K) to start from, at any scale."""
    T = problem.targets.columns
    m, K = T.shape
    yield "deep neural collapse", T - T.mean(axis=0)
    if problem.loss != "cross_entropy" or isinstance(problem.constraint, NonNegative):
        yield "the targets", T  # cross-entropy without a sign does not see their mean
    if m == K:
        for size in range(2, min(K, 5)):
            yield f"blocks of {size} classes", _blocks(K, size)
        angles = 2 * np.pi * np.arange(K) / K
        yield "a circle", np.cos(angles[:, None] - angles)
    for i in range(_RANDOM_STARTS):
        basis = rng.standard_normal((m, 1 + i % max(1, m - 1)))
        yield f"random pattern {i}", basis @ np.linalg.pinv(basis) @ (T - T.mean(axis=0))
    yield "zero", np.zeros_like(T)


def _blocks(K: int, size: int) -> np.ndarray:
    """Centred blocks of `size` classes each, the last one larger where K is no multiple: low rank [garrod2024]."""
    pattern = np.zeros((K, K))
    starts = list(range(0, K - size + 1, size))
    for start, end in zip(starts, [*starts[1:], K], strict=True):
        pattern[start:end, start:end] = np.eye(end - start) - 1 / (end - start)
    return pattern


def _best_scale(problem: Problem, X: np.ndarray) -> np.ndarray:
    """The pattern at the scale that minimises the objective of its logits, as a product over all samples (m x K)."""
    root = np.sqrt(problem.targets.multiplicity)
    s = np.linalg.svd(X * root, compute_uv=False)
    if s[0] == 0:
        return X * root
    bare = problem.replace(lam_W=0.0, lam_H=0.0, lam_b=math.inf, width=None)
    identity = np.eye(problem.m)

    def total(log_scale: float) -> float:
        scale = math.exp(log_scale)
        fit = float(objective(bare, identity, scale * X))
        return fit + problem.p / 2 * problem.Lam * float(np.sum((scale * s) ** (2 / problem.p)))

    found: Any = minimize_scalar(total, bounds=(-5.0, 6.0), method="bounded")
    return math.exp(found.x) * X * root


def _balanced(problem: Problem, X: np.ndarray, d: int) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """Factors of least penalty with W_{p-1}..W_1 H diag(sqrt n_k) = X, cut to width d (theory: section 2)."""
    U, s, Vt = np.linalg.svd(X, full_matrices=False)
    k = min(d, s.size)
    weights = [*map(float, problem.lam_W), float(problem.lam_H)]
    sizes = [s[:k] ** (1 / problem.p) * math.sqrt(problem.Lam / lam) for lam in weights]
    W = [np.zeros((X.shape[0], d)), *(np.zeros((d, d)) for _ in weights[2:])]
    W[0][:, :k] = U[:, :k] * sizes[0]
    for layer, size in zip(W[1:], sizes[1:-1], strict=True):
        layer[np.arange(k), np.arange(k)] = size
    H = np.zeros((d, X.shape[1]))
    H[:k] = sizes[-1][:, None] * Vt[:k] / np.sqrt(problem.targets.multiplicity)
    return tuple(W), H


def _turned(W: tuple[np.ndarray, ...], H: np.ndarray) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """The same product with the features turned to (H'H)^(1/2), a feature a column, and cut at zero."""
    d, columns = H.shape
    if d < columns:
        return W, np.abs(H)
    U, s, Vt = np.linalg.svd(H)
    turn = np.eye(d)
    turn[:columns, :columns] = Vt.T
    root = np.zeros_like(H)
    root[:columns] = (Vt.T * s) @ Vt
    return (*W[:-1], W[-1] @ U @ turn.T), np.maximum(root, 0.0)


def _descend(problem: Problem, name: str, W: tuple[np.ndarray, ...], H: np.ndarray) -> Candidate:
    end = settle(problem, W, H, np.zeros(problem.m))
    return Candidate(name, end.value, end.W, end.H, end.b)


def _unpenalised(problem: Problem) -> Optimum:
    """Some weight is zero: the product costs nothing in the infimum, which p = 2 without weights has as well."""
    flat = _one_layer(problem.replace(lam_W=0.0, lam_H=0.0, constraint=None))
    W, H = flat.W[0], flat.H
    if isinstance(problem.constraint, NonNegative):  # one feature a column makes any product
        d, columns = problem.width or H.shape[1], H.shape[1]
        if d < columns:
            fix = f"with a zero weight non-negative features are solved for width >= {columns}; raise it."
            raise ProblemError("width", problem.width, fix)
        W, H = W @ H @ np.eye(columns, d), np.eye(d, columns)
    d = W.shape[1]
    between = np.eye(d) if flat.certificate.rank > 0 else np.zeros((d, d))
    status, weights = flat.status, [float(lam) for lam in (*problem.lam_W, problem.lam_H)]
    if flat.certificate.rank > 0 and status is OptimumStatus.CERTIFIED and max(weights) > 0:
        status = OptimumStatus.NOT_ATTAINED
    return finish(
        problem,
        (W, *(between for _ in problem.lam_W[1:])),
        H,
        flat.b,
        status=status,
        method=flat.method,
        value=flat.value,
        lower_bound=flat.lower_bound,
        singular_values=flat.singular_values,
        rank=flat.certificate.rank,
    )
