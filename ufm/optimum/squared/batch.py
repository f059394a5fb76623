"""Many weights, one set of targets: the squared loss at p = 2 on a grid, after one singular value decomposition.

Newton's method on the bias as in `newton.py`, for a stack of thresholds and bias weights at once, in the coordinates of
`spectra.ArrowSpectra`: there A is [diag(d) | ybar] and u the last unit vector. Every problem keeps its own step length,
and leaves the stack when it is done. The stack is the last axis of every array. Only the biases are kept; a point of
the grid is written out, with the certificate of a single solve, when it is asked for.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ufm.optimum.certificate import closed
from ufm.optimum.optima import Optima
from ufm.optimum.optimum import Optimum
from ufm.optimum.squared.expand import between, within_value
from ufm.optimum.squared.newton import ARMIJO, CLOSED, MAX_HALVINGS, MAX_STEPS, SETTLED
from ufm.optimum.squared.shrinkage import ShrinkageProblem, mean_is_singular_direction, solve_at
from ufm.optimum.squared.solve import solve_squared, solve_with
from ufm.optimum.squared.spectra import ArrowSpectra
from ufm.optimum.symmetry import LEAST_SAVED, find_groups, reduce_roles
from ufm.problem import Problem

_ENTRIES = 2**15  # of a stack of matrices at a time: 256 KiB, and the temporaries stay in the cache
_ELIMINATED = 32  # unknowns up to which elimination over the stack is faster than one LAPACK call each
_EPS = float(np.finfo(float).eps)


def solve_batch(problem: Problem, axes: Mapping[str, np.ndarray]) -> Optima:
    """The optima on the product of the axes (arrays of lam_b, lam_W, lam_H)."""
    shape = tuple(a.size for a in axes.values())
    swept = dict(zip(axes, (g.ravel() for g in np.meshgrid(*axes.values(), indexing="ij")), strict=True))
    lam_W = swept.get("lam_W", np.full(math.prod(shape), float(problem.lam_W[0])))
    lam_H = swept.get("lam_H", np.full(math.prod(shape), float(problem.lam_H)))
    lam_b = swept.get("lam_b", np.full(math.prod(shape), float(problem.lam_b)))
    threshold = np.sqrt(lam_W) * np.sqrt(lam_H) * math.sqrt(problem.N)
    groups = find_groups(problem, least_saved=LEAST_SAVED)
    reduced = ShrinkageProblem.of(problem, reduce_roles(problem)) if groups is None else between(groups, 1.0, 1.0)
    solved = _solve_stack(reduced, threshold, lam_b)
    value, bound, rank = solved.value, solved.bound, solved.rank
    if groups is not None:
        inside = within_value(groups, threshold)
        value, bound = value + inside, bound + inside
        rank = rank + np.sum((groups.number - 1) * (groups.within > threshold[:, None]), axis=1)
    bound = closed(bound, value)

    def problem_at(i: int) -> Problem:
        return problem.replace(**{field: float(values[i]) for field, values in swept.items()})

    def point(i: int) -> Optimum:
        if i in narrow:
            return narrow[i]
        engine = _settled(solved.b[:, i], int(solved.work[i]))
        return solve_with(problem_at(i), engine)

    too_wide = np.flatnonzero(rank > problem.width) if problem.width is not None else []
    narrow = {int(i): solve_squared(problem_at(int(i)), "auto") for i in too_wide}
    for i, optimum in narrow.items():
        value[i], bound[i], rank[i] = optimum.value, optimum.lower_bound, optimum.certificate.rank
    return Optima(problem, axes, value.reshape(shape), bound.reshape(shape), rank.reshape(shape), point)


def _settled(b: np.ndarray, work: int) -> Callable:
    """An engine that knows the bias: what is left is one SVD."""
    return lambda reduced: (solve_at(reduced, b), "batch", work)


@dataclass(eq=False)
class _Stack:
    """Per problem (B): the bias (m x B), value, bound, rank, and biases tried."""

    b: np.ndarray
    value: np.ndarray
    bound: np.ndarray
    rank: np.ndarray
    work: np.ndarray


def _solve_stack(reduced: ShrinkageProblem, threshold: np.ndarray, lam_b: np.ndarray) -> _Stack:
    """min over X, b for each (threshold, lam_b) (B); the weights of `reduced` itself are not read."""
    space = ArrowSpectra(reduced)
    B, n = threshold.size, space.mean.size
    symmetric = mean_is_singular_direction(reduced)
    stack = _Stack(np.zeros((n, B)), np.zeros(B), np.zeros(B), np.zeros(B, dtype=int), np.zeros(B, dtype=int))
    size = max(1, _ENTRIES // max(1, n * n))
    for start in range(0, B, size):
        part = np.arange(start, min(B, start + size))
        _solve_part(space, symmetric, threshold[part], lam_b[part], stack, part)
    stack.b = space.bias(stack.b)
    return stack


def _solve_part(
    space: ArrowSpectra, symmetric: bool, threshold: np.ndarray, lam_b: np.ndarray, stack: _Stack, place: np.ndarray
) -> None:
    b, exact = _start(space.mean, symmetric, threshold, lam_b)
    none = np.isinf(lam_b)
    live = _Points(space, threshold, np.where(none, 0.0, lam_b), b)
    _finish(live, none, exact, stack, place, 1)
    if exact.all():
        return
    place, live = place[~exact], live.take(~exact)
    step, length = live.newton_step(), np.ones(place.size)
    done = live.slope <= SETTLED * live.scale
    for tried in range(1, MAX_STEPS * MAX_HALVINGS):
        if done.any():
            _finish(live, np.zeros(place.size, dtype=bool), done, stack, place, tried)
            if done.all():
                return
            keep = ~done
            place, live, step, length = place[keep], live.take(keep), step[:, keep], length[keep]
        trial = _Points(space, live.threshold, live.lam_b, live.b + length * step)
        closed_gap = live.gap <= CLOSED * live.value
        descent = np.sum(live.gradient * step, axis=0)
        halved = trial.slope <= live.slope / 2
        accept = ~closed_gap & (trial.value <= live.value + ARMIJO * length * descent)
        accept |= halved & (closed_gap | (trial.value <= live.value + 8 * _EPS * live.value))
        done = ~accept & (closed_gap | (length < 0.5**MAX_HALVINGS))
        length = np.where(accept, 1.0, length / 2)
        live = live.moved(accept, trial)
        done |= accept & (live.slope <= SETTLED * live.scale)
        renewed = accept & ~done
        if renewed.all():
            step = live.newton_step()
        elif renewed.any():
            step[:, renewed] = live.take(renewed).newton_step()
    _finish(live, np.zeros(place.size, dtype=bool), np.ones(place.size, dtype=bool), stack, place, MAX_STEPS)


def _start(
    mean: np.ndarray, symmetric: bool, threshold: np.ndarray, lam_b: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """A first bias for each problem (n x B), and where it is the closed form's (B)."""
    none, free = np.isinf(lam_b), lam_b == 0
    keeps = 1 / (1 + lam_b)
    share = np.where(none, 0.0, keeps)
    if not symmetric:
        return share * mean[:, None], none | free
    size = float(np.linalg.norm(mean))
    if size > 0:  # what the shrunk mean direction leaves to the bias
        rho = np.where(none | free, 1.0, np.where(none, 1.0, lam_b) * keeps)
        share = np.where(none | free, share, np.minimum(1.0, threshold / rho / size) * keeps)
    return share * mean[:, None], np.ones(lam_b.size, dtype=bool)


class _Points:
    """f, its gradient and the parts of its Hessian at a stack of biases (n x B)."""

    def __init__(self, space: ArrowSpectra, threshold: np.ndarray, lam_b: np.ndarray, b: np.ndarray):
        self.space, self.threshold, self.lam_b, self.b = space, threshold, lam_b, b
        self.U, self.sigma, self.v, _ = space.at(b)
        self.clipped = np.minimum(self.sigma, threshold)
        pull = np.sum(self.U * (self.clipped * self.v), axis=1)
        self.gradient = lam_b * b - pull
        size = np.sum(b**2, axis=0)
        self.slope = np.sqrt(np.sum(self.gradient**2, axis=0))
        self.scale = lam_b * np.sqrt(size) + np.sqrt(np.sum(pull**2, axis=0))
        self.gap = np.divide(self.slope**2, 2 * lam_b, out=np.zeros_like(lam_b), where=lam_b > 0)
        self.value = np.sum(self.clipped * (self.sigma - self.clipped / 2), axis=0) + lam_b * size / 2

    _PER_PROBLEM = ("threshold", "lam_b", "b", "U", "sigma", "v", "clipped")
    _PER_PROBLEM += ("gradient", "slope", "scale", "gap", "value")

    def take(self, index: np.ndarray) -> "_Points":
        """Some of the problems (a mask)."""
        if index.all():
            return self
        part = object.__new__(_Points)
        part.space = self.space
        for name in self._PER_PROBLEM:
            setattr(part, name, np.compress(index, getattr(self, name), axis=-1))
        return part

    def moved(self, where: np.ndarray, trial: "_Points") -> "_Points":
        """The trial points where asked, these elsewhere."""
        if where.all():
            return trial
        part = object.__new__(_Points)
        part.space = self.space
        for name in self._PER_PROBLEM:
            setattr(part, name, np.where(where, getattr(trial, name), getattr(self, name)))
        return part

    def newton_step(self) -> np.ndarray:
        """-H^{-1} g for each problem (n x B); the divided differences of `newton.hessian`, stacked."""
        s, c, v = self.sigma, self.clipped, self.v
        saturated = s >= self.threshold
        cross = (c[:, None] + c) / (s[:, None] + s)  # sigma > 0: an arrow's always are
        same = (~saturated[:, None] & ~saturated).astype(float)
        mixed = saturated[:, None] != saturated
        np.divide(c[:, None] - c, s[:, None] - s, out=same, where=mixed)
        outside = np.maximum(0.0, 1.0 - np.sum(v**2, axis=0))
        diagonal = np.sum((same + cross) * v**2, axis=1) / 2 + outside * (c / s) + self.lam_b
        H = np.subtract(same, cross, out=same)
        H *= v[:, None] * (v / 2)
        each = np.arange(s.shape[0])
        H[each, each] += diagonal
        inside = np.sum(self.U * self.gradient[:, None], axis=0)
        return -np.sum(self.U * _solve_positive(H, inside), axis=1)


def _solve_positive(H: np.ndarray, g: np.ndarray) -> np.ndarray:
    """H^{-1} g for a stack of positive definite H (n x n x B, overwritten) and g (n x B)."""
    n = g.shape[0]
    if n > _ELIMINATED:
        return np.linalg.solve(np.moveaxis(H, 2, 0), np.moveaxis(g, 1, 0)[:, :, None])[:, :, 0].T
    x = g.copy()
    for k in range(n - 1):  # no pivots: H is positive definite
        ratio = H[k + 1 :, k] / H[k, k]
        H[k + 1 :, k + 1 :] -= ratio[:, None] * H[k, k + 1 :]
        x[k + 1 :] -= ratio * x[k]
    for k in range(n - 1, -1, -1):
        x[k] = (x[k] - np.sum(H[k, k + 1 :] * x[k + 1 :], axis=0)) / H[k, k]
    return x


def _finish(
    points: _Points, unbiased: np.ndarray, done: np.ndarray, stack: _Stack, place: np.ndarray, tried: int
) -> None:
    """Value, bound and rank of finished problems; the bound is recomputed from the dual matrix E itself.

    E = U min(sigma, threshold) V' is scaled down by what U and V are off orthonormality, which bounds its norm;
    E u = lam_b b is put in where that costs less than leaving it out (see `duality.best_dual_value`).
    """
    if not done.any():
        return
    at, unbiased, target = points.take(done), unbiased[done], place[done]
    U = np.ascontiguousarray(np.moveaxis(at.U, 2, 0))
    V = at.space.right(at.U, at.sigma, at.v)  # B x n+1 x n
    E = (U * at.clipped.T[:, None]) @ np.swapaxes(V, 1, 2)
    stretch = np.sqrt((1 + _defect(U)) * (1 + _defect(V)))
    E[(at.lam_b == 0) & ~unbiased, :, -1] = 0.0  # a free bias leaves E u = 0
    bounds = _dual_value(at, E, at.threshold * stretch)
    penalised = at.lam_b > 0
    correction = np.where(penalised, at.lam_b * at.b - E[:, :, -1].T, 0.0)
    if penalised.any():
        E[:, :, -1] += correction.T
        size = np.sqrt(np.sum(correction**2, axis=0))
        bounds = np.maximum(bounds, _dual_value(at, E, at.threshold * stretch + size))
    stack.b[:, target], stack.value[target], stack.bound[target] = at.b, at.value, bounds
    zero = 4 * max(V.shape[1:]) * _EPS * at.sigma[0] if at.sigma.shape[0] else 0.0
    stack.rank[target] = np.sum(at.sigma > np.maximum(at.threshold, zero), axis=0)
    stack.work[target] = tried


def _defect(Q: np.ndarray) -> np.ndarray:
    """||Q'Q - I|| for a stack of matrices (B x n x k)."""
    return np.linalg.norm(np.swapaxes(Q, 1, 2) @ Q - np.eye(Q.shape[2]), axis=(1, 2))


def _dual_value(at: _Points, E: np.ndarray, norm: np.ndarray) -> np.ndarray:
    """The dual objective at each E (B x n x n+1) of at most this norm, scaled down to the threshold."""
    scale = np.divide(at.threshold, norm, out=np.zeros_like(norm), where=norm > 0)
    d, pull = at.space.d, E[:, :, -1]
    linear = np.diagonal(E, axis1=1, axis2=2) @ d + pull @ at.space.mean
    length = np.sum(E**2, axis=(1, 2))
    length += np.divide(np.sum(pull**2, axis=1), at.lam_b, out=np.zeros_like(norm), where=at.lam_b > 0)
    return scale * linear - scale**2 * length / 2
