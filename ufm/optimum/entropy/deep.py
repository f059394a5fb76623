"""Cross-entropy with several linear layers (p >= 3): not convex; descents from structured starts, bounded from below.

The factors minimised out, the penalty of the product X (over all samples) is (p/2) Lam sum_i s_i^(2/p), concave in each
singular value, so low rank is rewarded: the simplex of deep neural collapse need not win [garrod2024]. Starts are the
centred targets themselves, blocks of few classes each, points on a circle, low-rank random patterns, and noise.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from ufm.errors import ProblemError
from ufm.optimum.descent import settle
from ufm.optimum.entropy.solve import solve_entropy
from ufm.optimum.optimum import Optimum, finish
from ufm.optimum.status import OptimumStatus
from ufm.problem import Problem, objective

_RANDOM_STARTS = 6


@dataclass(frozen=True, eq=False)
class Candidate:
    """Where a descent from a named start ended: the objective there, and the factors (W last first, H d x K, b)."""

    name: str
    value: float
    W: tuple[np.ndarray, ...]
    H: np.ndarray
    b: np.ndarray


def solve_deep_entropy(problem: Problem, method: str) -> Optimum:
    """The best point of all descents, with a lower bound from a convex problem below this one; status SEARCHED.

    Where some weight is zero the infimum is that of the unpenalised product, taken from p = 2 and padded with layers.
    """
    if method not in ("auto", "search"):
        raise ProblemError("method", method, "for cross-entropy with several layers choose 'auto' or 'search'.")
    if problem.Lam == 0:
        return _unpenalised(problem)
    found = candidates(problem)
    best = min(found, key=lambda candidate: candidate.value)
    if found[-1].value <= best.value + 1e-12 * max(1.0, best.value):
        best = found[-1]  # zero itself, not a point that is still on its way there
    bound = lower_bound(problem, best.value)
    X = _product(best.W) @ best.H * np.sqrt(problem.targets.multiplicity)
    s = np.linalg.svd(X, compute_uv=False)
    rank = int(np.sum(s > 1e-6 * max(float(s[0]), 1e-300)))
    closed = best.value - bound <= 1e-9 * max(1.0, best.value)
    return finish(
        problem,
        best.W,
        best.H,
        best.b,
        status=OptimumStatus.CERTIFIED if closed else OptimumStatus.SEARCHED,
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
    d = problem.width if problem.width is not None else min(problem.targets.columns.shape)
    ends = []
    for name, X in _patterns(problem, np.random.default_rng(seed)):
        W, H = _balanced(problem, _best_scale(problem, X), d)
        ends.append(_descend(problem, name, W, H))
    return ends


def lower_bound(problem: Problem, value: float) -> float:
    """A bound on the global minimum from any objective `value` that is attained.

    At a minimum (p/2) Lam s^(2/p) <= value - floor for every singular value, with floor the entropy of the targets: s
    is at most S. On [0, S] the concave s^(2/p) lies above its chord S^(2/p - 1) s, and what is left is convex: p = 2.
    """
    p, T = problem.p, problem.targets.columns
    mass = T.sum(axis=0)
    entropy = -np.sum(np.where(T > 0, T * np.log(np.where(T > 0, T / np.where(mass > 0, mass, 1), 1)), 0), axis=0)
    floor = float(entropy @ problem.targets.multiplicity) / problem.N
    largest = (2 * max(value - floor, 0.0) / (p * problem.Lam)) ** (p / 2)
    if largest == 0:
        return floor
    c = p / 2 * problem.Lam * largest ** (2 / p - 1)
    return solve_entropy(problem.replace(lam_W=c, lam_H=c, width=None), "auto").lower_bound


def _patterns(problem: Problem, rng: np.random.Generator) -> Iterator[tuple[str, np.ndarray]]:
    """Logit patterns (m x K) to start from, at any scale."""
    T = problem.targets.columns
    m, K = T.shape
    yield "deep neural collapse", T - T.mean(axis=0)
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


def _descend(problem: Problem, name: str, W: tuple[np.ndarray, ...], H: np.ndarray) -> Candidate:
    end = settle(problem, W, H, np.zeros(problem.m))
    return Candidate(name, end.value, end.W, end.H, end.b)


def _unpenalised(problem: Problem) -> Optimum:
    """Some weight is zero: the product costs nothing in the infimum, which p = 2 without weights has as well."""
    flat = solve_entropy(problem.replace(lam_W=0.0, lam_H=0.0), "auto")
    d = flat.W[0].shape[1]
    between = np.eye(d) if flat.certificate.rank > 0 else np.zeros((d, d))
    status, weights = flat.status, [float(lam) for lam in (*problem.lam_W, problem.lam_H)]
    if flat.certificate.rank > 0 and status is OptimumStatus.CERTIFIED and max(weights) > 0:
        status = OptimumStatus.NOT_ATTAINED
    return finish(
        problem,
        (flat.W[0], *(between for _ in problem.lam_W[1:])),
        flat.H,
        flat.b,
        status=status,
        method=flat.method,
        value=flat.value,
        lower_bound=flat.lower_bound,
        singular_values=flat.singular_values,
        rank=flat.certificate.rank,
    )


def _product(W: tuple[np.ndarray, ...]) -> np.ndarray:
    result = W[0]
    for layer in W[1:]:
        result = result @ layer
    return result
