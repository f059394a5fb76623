"""Many weights, one set of targets: the squared loss at p = 2 on a grid, by stacked LAPACK calls.

Newton's method on the bias as in `newton.py`, for a stack of thresholds and bias weights at once: every problem keeps
its own step length, and leaves the stack when it is done. Only the biases are kept; a point of the grid is written
out, with the certificate of a single solve, when it is asked for.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ufm.optimum.certificate import closed
from ufm.optimum.optima import Optima
from ufm.optimum.optimum import Optimum
from ufm.optimum.squared.newton import ARMIJO, CLOSED, MAX_HALVINGS, MAX_STEPS, SETTLED
from ufm.optimum.squared.shrinkage import ShrinkageProblem, mean_is_singular_direction, solve_at
from ufm.optimum.squared.solve import solve_squared, solve_with
from ufm.optimum.squared.symmetry import find_groups, reduce_roles, within_value
from ufm.problem import Problem

_ENTRIES = 2**20  # of a stack of matrices at a time: 8 MiB
_EPS = float(np.finfo(float).eps)


def solve_batch(problem: Problem, axes: Mapping[str, np.ndarray]) -> Optima:
    """The optima on the product of the axes (arrays of lam_b, lam_W, lam_H)."""
    shape = tuple(a.size for a in axes.values())
    swept = dict(zip(axes, (g.ravel() for g in np.meshgrid(*axes.values(), indexing="ij")), strict=True))
    lam_W = swept.get("lam_W", np.full(math.prod(shape), float(problem.lam_W[0])))
    lam_H = swept.get("lam_H", np.full(math.prod(shape), float(problem.lam_H)))
    lam_b = swept.get("lam_b", np.full(math.prod(shape), float(problem.lam_b)))
    threshold = np.sqrt(lam_W) * np.sqrt(lam_H) * math.sqrt(problem.N)
    groups = find_groups(problem)
    groups = groups if groups is not None and groups.worthwhile else None
    reduced = ShrinkageProblem.of(problem, reduce_roles(problem)) if groups is None else groups.between(1.0, 1.0)
    solved = _solve_stack(reduced.A, reduced.u, threshold, lam_b)
    value, bound, rank = solved.value, solved.bound, solved.rank
    if groups is not None:
        inside = within_value(groups, threshold)
        value, bound = value + inside, bound + inside
        rank = rank + np.sum((groups.number - 1) * (groups.within > threshold[:, None]), axis=1)
    bound = np.array([closed(float(low), float(high)) for low, high in zip(bound, value, strict=True)])

    def problem_at(i: int) -> Problem:
        return problem.replace(**{field: float(values[i]) for field, values in swept.items()})

    def point(i: int) -> Optimum:
        if i in narrow:
            return narrow[i]
        engine = _settled(solved.b[i], int(solved.work[i]))
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
    """Per problem (B): the bias (B x m), value, bound, rank, and SVDs spent."""

    b: np.ndarray
    value: np.ndarray
    bound: np.ndarray
    rank: np.ndarray
    work: np.ndarray


def _solve_stack(A: np.ndarray, u: np.ndarray, threshold: np.ndarray, lam_b: np.ndarray) -> _Stack:
    """min over X, b for each (threshold, lam_b) (B); A: m x r, u: r."""
    B, m = threshold.size, A.shape[0]
    stack = _Stack(np.zeros((B, m)), np.zeros(B), np.zeros(B), np.zeros(B, dtype=int), np.zeros(B, dtype=int))
    size = max(1, _ENTRIES // A.size)
    for start in range(0, B, size):
        part = slice(start, start + size)
        _solve_part(A, u, threshold[part], lam_b[part], stack, start)
    return stack


def _solve_part(A: np.ndarray, u: np.ndarray, threshold: np.ndarray, lam_b: np.ndarray, stack: _Stack, at: int) -> None:
    b, exact = _start(A, u, threshold, lam_b)
    live = _Points(A, u, threshold, np.where(np.isinf(lam_b), 0.0, lam_b), b)
    _finish(live, np.isinf(lam_b), np.flatnonzero(exact), stack, at + np.arange(lam_b.size), 1)
    index = np.flatnonzero(~exact)
    if index.size == 0:
        return
    live = live.take(index)
    step, length = live.newton_step(), np.ones(index.size)
    noise = 8 * _EPS
    done = live.slope <= SETTLED * live.scale
    for svds in range(1, MAX_STEPS * MAX_HALVINGS):
        if done.any():
            _finish(live, np.zeros(index.size, dtype=bool), np.flatnonzero(done), stack, at + index, svds)
            keep = ~done
            if not keep.any():
                return
            index, live, step, length = index[keep], live.take(keep), step[keep], length[keep]
        trial = _Points(A, u, live.threshold, live.lam_b, live.b + length[:, None] * step)
        closed_gap = live.gap <= CLOSED * live.value
        descent = np.sum(live.gradient * step, axis=1)
        halved = trial.slope <= live.slope / 2
        accept = ~closed_gap & (trial.value <= live.value + ARMIJO * length * descent)
        accept |= halved & (closed_gap | (trial.value <= live.value + noise * live.value))
        done = ~accept & (closed_gap | (length < 0.5**MAX_HALVINGS))
        length = np.where(accept, 1.0, length / 2)
        live.accept(accept, trial)
        renewed = np.flatnonzero(accept)
        if renewed.size:
            step[renewed] = live.take(renewed).newton_step()
        done |= accept & (live.slope <= SETTLED * live.scale)
    _finish(live, np.zeros(index.size, dtype=bool), np.arange(index.size), stack, at + index, MAX_STEPS)


def _start(A: np.ndarray, u: np.ndarray, threshold: np.ndarray, lam_b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A first bias for each problem (B x m), and where it is the closed form's (B)."""
    mean = A @ u
    none, free = np.isinf(lam_b), lam_b == 0
    keeps = 1 / (1 + lam_b)
    share = np.where(none, 0.0, keeps)
    if not mean_is_singular_direction(ShrinkageProblem(A, u, 1.0, 1.0)):
        return share[:, None] * mean, none | free
    size = float(np.linalg.norm(mean))
    if size > 0:  # what the shrunk mean direction leaves to the bias
        rho = np.where(none | free, 1.0, np.where(none, 1.0, lam_b) * keeps)
        share = np.where(none | free, share, np.minimum(1.0, threshold / rho / size) * keeps)
    return share[:, None] * mean, np.ones(lam_b.size, dtype=bool)


class _Points:
    """f, its gradient and the parts of its Hessian at a stack of biases: one stacked SVD."""

    def __init__(self, A: np.ndarray, u: np.ndarray, threshold: np.ndarray, lam_b: np.ndarray, b: np.ndarray):
        self.A, self.u, self.threshold, self.lam_b, self.b = A, u, threshold, lam_b, b
        self.U, self.sigma, self.Vt = np.linalg.svd(A - b[:, :, None] * u, full_matrices=False)
        self.clipped = np.minimum(self.sigma, threshold[:, None])
        self.v = self.Vt @ u
        pull = np.einsum("bmk,bk->bm", self.U, self.clipped * self.v)
        self.gradient = lam_b[:, None] * b - pull
        self.slope = np.linalg.norm(self.gradient, axis=1)
        self.scale = lam_b * np.linalg.norm(b, axis=1) + np.linalg.norm(pull, axis=1)
        self.gap = np.divide(self.slope**2, 2 * lam_b, out=np.zeros_like(lam_b), where=lam_b > 0)
        self.value = np.sum(self.clipped * (self.sigma - self.clipped / 2), axis=1) + lam_b * np.sum(b**2, axis=1) / 2

    _PER_PROBLEM = ("threshold", "lam_b", "b", "U", "sigma", "Vt", "clipped", "v")
    _PER_PROBLEM += ("gradient", "slope", "scale", "gap", "value")

    def take(self, index: np.ndarray) -> "_Points":
        """Some of the problems."""
        part = object.__new__(_Points)
        part.A, part.u = self.A, self.u
        for name in self._PER_PROBLEM:
            setattr(part, name, getattr(self, name)[index])
        return part

    def accept(self, where: np.ndarray, trial: "_Points") -> None:
        """Move to the trial points where asked."""
        for name in self._PER_PROBLEM:
            getattr(self, name)[where] = getattr(trial, name)[where]

    def newton_step(self) -> np.ndarray:
        """-H^{-1} g for each problem (B x m); the divided differences of `newton.hessian`, stacked."""
        s, c, v = self.sigma, self.clipped, self.v
        saturated = s >= self.threshold[:, None]
        plus = s[:, :, None] + s[:, None]
        cross = np.divide(c[:, :, None] + c[:, None], plus, out=np.ones_like(plus), where=plus > 0)
        same = (~saturated[:, :, None] & ~saturated[:, None]).astype(float)
        mixed = saturated[:, :, None] != saturated[:, None]
        np.divide(c[:, :, None] - c[:, None], s[:, :, None] - s[:, None], out=same, where=mixed)
        ratio = np.divide(c, s, out=np.ones_like(s), where=s > 0)
        outside = np.maximum(0.0, 1.0 - np.sum(v**2, axis=1))
        H = v[:, :, None] * (same - cross) * v[:, None] / 2
        diagonal = np.einsum("bij,bj->bi", same + cross, v**2) / 2 + outside[:, None] * ratio + self.lam_b[:, None]
        each = np.arange(s.shape[1])
        H[:, each, each] += diagonal
        inside = np.einsum("bmk,bm->bk", self.U, self.gradient)
        step = np.einsum("bmk,bk->bm", self.U, np.linalg.solve(H, inside[:, :, None])[:, :, 0])
        if self.U.shape[2] < self.U.shape[1]:
            rest = self.gradient - np.einsum("bmk,bk->bm", self.U, inside)
            step += rest / (self.lam_b + np.sum(ratio * v**2, axis=1))[:, None]
        return -step


def _finish(
    points: _Points, unbiased: np.ndarray, index: np.ndarray, stack: _Stack, place: np.ndarray, svds: int
) -> None:
    """Value, bound and rank of finished problems; the bound is recomputed from the dual matrix E itself.

    E = U min(sigma, threshold) V' is feasible to the round-off of an orthogonal product, by which it is scaled down;
    E u = lam_b b is put in where that costs less than leaving it out (see `duality.best_dual_value`).
    """
    if index.size == 0:
        return
    at, unbiased = points.take(index), unbiased[index]
    E = (at.U * at.clipped[:, None]) @ at.Vt
    free = (at.lam_b == 0) & ~unbiased
    penalised = at.lam_b > 0
    E[free] -= (E[free] @ at.u)[:, :, None] * at.u
    bounds = [_dual_value(at, E, np.zeros(index.size), penalised)]
    correction = np.where(penalised[:, None], at.lam_b[:, None] * at.b - E @ at.u, 0.0)
    if penalised.any():
        bounds.append(_dual_value(at, E + correction[:, :, None] * at.u, np.linalg.norm(correction, axis=1), penalised))
    target = place[index]
    stack.b[target], stack.value[target] = at.b, at.value
    stack.bound[target] = np.max(bounds, axis=0)
    stack.rank[target] = np.sum(at.sigma > at.threshold[:, None], axis=1)
    stack.work[target] = svds


def _dual_value(at: _Points, E: np.ndarray, excess: np.ndarray, penalised: np.ndarray) -> np.ndarray:
    """The dual objective at E, scaled down by what may be above the threshold in its norm."""
    allowed = at.threshold * (1 + 8 * max(at.A.shape) * _EPS) + excess
    E = E * np.divide(at.threshold, allowed, out=np.zeros_like(allowed), where=allowed > 0)[:, None, None]
    value = np.einsum("bmk,mk->b", E, at.A) - np.sum(E**2, axis=(1, 2)) / 2
    pull = np.sum((E @ at.u) ** 2, axis=1)
    return value - np.divide(pull, 2 * at.lam_b, out=np.zeros_like(pull), where=penalised)
