"""Starts of flows that statements speak of, and the conditions on them: aligned, balanced, small, near the optimum."""

import math
from functools import reduce
from itertools import pairwise

import numpy as np

from ufm.catalogue.motion import Motion, StartAssumption
from ufm.problem import Problem

_CLOSE = 1e-9  # relative; a condition on a start holds in floating point


def target_axes(problem: Problem) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """U (m x r), sigma (r), V' (r x K) of the codes times sqrt(n_k): the singular directions of the targets."""
    return np.linalg.svd(problem.classes.codes * np.sqrt(problem.classes.counts), full_matrices=False)


def over_samples(problem: Problem, means: np.ndarray) -> np.ndarray:
    """Class means times sqrt(n_k) (d x K) as features of all samples (d x N)."""
    return np.repeat(means / np.sqrt(problem.classes.counts), problem.classes.counts, axis=1)


def collapsed_means(problem: Problem, H: np.ndarray) -> np.ndarray:
    """Class means times sqrt(n_k) (d x K) of features of all samples, sorted by class."""
    ends = np.cumsum(problem.classes.counts)
    sums = np.stack([part.sum(axis=1) for part in np.split(H, ends[:-1], axis=1)], axis=1)
    return sums / np.sqrt(problem.classes.counts)


def semi_orthogonal(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """A random matrix with orthonormal columns."""
    return np.linalg.qr(rng.standard_normal((rows, columns)))[0]


def aligned_layers(
    problem: Problem, rng: np.random.Generator, *strengths: np.ndarray
) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """Layers (last first) and features (d x N) along the axes of the targets: one vector of strengths (r) a factor."""
    U, _, Vt = target_axes(problem)
    d = problem.width or U.shape[1]
    frames = [U, *(semi_orthogonal(rng, d, U.shape[1]) for _ in strengths[1:]), Vt.T]
    factors = [(left * s) @ right.T for s, left, right in zip(strengths, frames, frames[1:], strict=False)]
    return tuple(factors[:-1]), over_samples(problem, factors[-1])


def mode_strengths(problem: Problem, W: np.ndarray, H: np.ndarray) -> np.ndarray:
    """u_i' W H v_i (r) along the axes of the targets, for the product W of all layers."""
    U, _, Vt = target_axes(problem)
    return np.einsum("mi,mk,ik->i", U, W @ collapsed_means(problem, H), Vt)


def _product(motion: Motion) -> np.ndarray:
    return reduce(np.matmul, (*motion.W, motion.H))


def _is_balanced(motion: Motion) -> bool:
    factors = (*motion.W, motion.H)
    gaps = [float(np.abs(U.T @ U - V @ V.T).max()) for U, V in pairwise(factors)]
    return max(gaps) <= _CLOSE * max(float(np.abs(V @ V.T).max()) for V in factors)


def _is_aligned(motion: Motion) -> bool:
    U, _, Vt = target_axes(motion.problem)
    inner = U.T @ collapsed_means(motion.problem, _product(motion)) @ Vt.T
    return bool(np.abs(inner - np.diag(np.diag(inner))).max() <= _CLOSE * np.abs(inner).max())


def _is_collapsed(motion: Motion) -> bool:
    means = over_samples(motion.problem, collapsed_means(motion.problem, motion.H))
    return bool(np.abs(motion.H - means).max() <= _CLOSE * np.abs(motion.H).max())


ALIGNED = StartAssumption("the start is aligned: U'W H V is diagonal, Y = U Sigma V'", _is_aligned)
BALANCED_START = StartAssumption(
    "the start is balanced: neighbouring factors have equal Gram matrices, W'W = HH'", _is_balanced
)
COLLAPSED_START = StartAssumption("the features of a class coincide at the start", _is_collapsed)


def lambda_of(motion: Motion) -> float:
    """The least-squares lambda of W'W - HH' = lambda I."""
    return float(np.trace(motion.W[0].T @ motion.W[0] - motion.H @ motion.H.T)) / motion.H.shape[0]


def _is_lambda_balanced(motion: Motion) -> bool:
    gap = motion.W[0].T @ motion.W[0] - motion.H @ motion.H.T
    return bool(np.abs(gap - lambda_of(motion) * np.eye(gap.shape[0])).max() <= _CLOSE * np.abs(motion.H).max() ** 2)


LAMBDA_BALANCED = StartAssumption("the start is lambda-balanced: W'W - HH' = lambda I", _is_lambda_balanced)


def stacked_factors(problem: Problem, W: np.ndarray, H: np.ndarray) -> np.ndarray:
    """Q = [W; sqrt(n_k) hbar_k'] ((m + K) x d)."""
    return np.vstack([W, collapsed_means(problem, H).T])


def stacked_targets(problem: Problem) -> np.ndarray:
    """[[0, A], [A', 0]]/N for the codes times sqrt(n_k) A ((m + K) square)."""
    A = problem.classes.codes * np.sqrt(problem.classes.counts) / problem.N
    m, K = A.shape
    return np.block([[np.zeros((m, m)), A], [A.T, np.zeros((K, K))]])


def time_unit(problem: Problem) -> float:
    """N/sigma_1: the time in which the fastest direction grows by a factor of e."""
    return problem.N / float(target_axes(problem)[1][0])


def geometric(first: float, last: float, count: int) -> np.ndarray:
    """0, then `count` times from first to last in equal ratios."""
    return np.array([0.0, *np.exp(np.linspace(math.log(first), math.log(last), count))])
