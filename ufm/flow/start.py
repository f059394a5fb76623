"""Starts of a flow: random ones, with all samples or by their covariance alone, collapsed ones, and balanced ones."""

from typing import Any

import numpy as np

from ufm.constraints import FixedClassifier, Near, NonNegative
from ufm.errors import ProblemError
from ufm.flow.state import State, seen_columns
from ufm.problem import Problem
from ufm.problem.targets import ClassTargets

Seed = int | np.random.Generator

LARGE = 2**22  # numbers in H (32 MiB) above which a start of the squared loss is drawn as class means and S


def random_start(
    problem: Problem, seed: Seed, *, scale: float = 1.0, collapsed: bool = False, samples: bool | None = None
) -> State:
    """W_l and H with independent entries N(0, scale^2/d), b = 0, drawn in that order from the seed's generator.

    samples: True draws all N columns of H; False draws what the squared loss sees of them and S, of the very law they
    would have, in memory and time independent of N; None (default) is True up to d N = LARGE numbers, 2^22, and beyond
    it for losses that need them. collapsed: d x K class means with the same law as a sample, shared by all samples of a
    class. d is the problem's width, or the classifier's rows and the means' columns together, which no start can
    outgrow. A constraint holds from the start: NonNegative takes max(H, 0), FixedClassifier its own W. ProblemError for
    a scale or a seed that is none, and for samples=False where every sample moves by itself.
    """
    if not np.isfinite(scale) or scale < 0:
        raise ProblemError("scale", scale, "give a finite number >= 0.")
    rng, d, N = _generator(seed), _width(problem), problem.N
    rows = [problem.m, *[d] * (problem.p - 2)]
    W = tuple(scale * rng.standard_normal((r, d)) / np.sqrt(d) for r in rows)
    b, unit = np.zeros(problem.m), scale / np.sqrt(d)
    if isinstance(problem.constraint, FixedClassifier):
        W = (np.array(problem.constraint.W),)
    by_covariance = problem.loss == "mse" and isinstance(problem.constraint, FixedClassifier | None)
    if samples is None:
        samples = d * N <= LARGE or not by_covariance
    if samples or collapsed:
        H = unit * rng.standard_normal((d, problem.targets.columns.shape[1] if collapsed else N))
        return State(W, np.maximum(H, 0) if isinstance(problem.constraint, NonNegative) else H, b)
    if not by_covariance:
        raise ProblemError("samples", False, "it moves every sample by itself; leave it out, or take collapsed.")
    root = np.sqrt(problem.targets.counts) if isinstance(problem.targets, ClassTargets) else 1.0
    H = rng.standard_normal((d, seen_columns(problem))) / root
    if H.shape[1] == N:
        return State(W, unit * H, b)
    L = wishart_factor(rng, d, N - H.shape[1])
    return State(W, unit * H, b, unit**2 * (L @ L.T) / N)


def wishart_factor(rng: np.random.Generator, d: int, freedom: int) -> np.ndarray:
    """L with L L' ~ Wishart_d(1, freedom), the law of G G' for a standard normal G (d x freedom).

    Bartlett's decomposition: independent normals below the diagonal, chi with freedom - i degrees on it (i = 0, 1, ..).
    Fewer columns than rows are drawn as they are.
    """
    if freedom < d:
        return rng.standard_normal((d, freedom))
    L = np.tril(rng.standard_normal((d, d)), -1)
    L[np.diag_indices(d)] = np.sqrt(rng.chisquare(freedom - np.arange(d)))
    return L


def balanced_start(problem: Problem, seed: Seed, *, scale: float = 1.0) -> State:
    """A collapsed random start with W'W = HH' (lam_W = lam_H keeps it so), p = 2, and W along the targets' own axes.

    W = scale R' and Hbar = scale R' V' diag(n_k)^(-1/2) with R semi-orthogonal: W Hbar overlaps positively with the
    targets, so that no mode has to pass a saddle. ProblemError for p > 2, a width below min(m, K), or a seed that is
    none.
    """
    if problem.p != 2:
        raise ProblemError("p", problem.p, "a balanced start is defined for p = 2; use random_start.")
    root = np.sqrt(problem.targets.multiplicity)
    U, _, Vt = np.linalg.svd(problem.targets.columns * root, full_matrices=False)
    d, r = _width(problem), U.shape[1]
    if d < r:
        raise ProblemError("width", d, f"a balanced start needs at least min(m, K) = {r}.")
    R = np.linalg.qr(_generator(seed).standard_normal((d, r)))[0]
    return State((scale * U @ R.T,), scale * (R @ Vt) / root, np.zeros(problem.m))


def _width(problem: Problem) -> int:
    if isinstance(problem.constraint, FixedClassifier):
        return problem.constraint.W.shape[1]
    if isinstance(problem.constraint, Near):
        return problem.constraint.H0.shape[0]
    return problem.m + problem.targets.columns.shape[1] if problem.width is None else int(problem.width)


def _generator(seed: Any) -> np.random.Generator:
    if isinstance(seed, np.random.Generator):
        return seed
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ProblemError("start", seed, "give a State, a non-negative integer seed or a NumPy Generator.")
    return np.random.default_rng(int(seed))
