"""Semismooth Newton on the augmented Lagrangian: cross-entropy for any targets, sizes and bias weight.

Split X = Y with multiplier L: minimising over X leaves, for fixed L, the smooth convex function
fit(Y, b) + lam_b/2 ||b||^2 + (1/sigma) sum_i huber(a_i), a the singular values of sigma Y + L, with gradient
-E + Pi by Y, Pi the projection of sigma Y + L on {||.||_op <= threshold}; then L <- Pi, which keeps the norm that the
dual allows. Newton's equations are solved by preconditioned conjugate gradients, the bias eliminated exactly: in the
singular basis, where the projection's derivative is diagonal up to pairs, or, where every class has an output of its
own, in the basis of outputs and classes (see `pairs`). Four matrix products a step. As sigma grows this becomes
Newton's method on the matrices of the rank that the projection has identified.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotrs  # pyright: ignore[reportAttributeAccessIssue]: made by f2py

from ufm.optimum.entropy.closed_form import bias_alone
from ufm.optimum.entropy.duality import best_dual_value
from ufm.optimum.entropy.pairs import Pairs
from ufm.optimum.entropy.program import EntropyProgram, Point
from ufm.optimum.entropy.spectral import Ball
from ufm.optimum.factored import Factored

_MAX_OUTER = 60
_MAX_INNER = 60
_MAX_HALVINGS = 30
_SHORT = 6  # a step of so many halvings, ...
_MAX_TRIED = 60  # ... after so many tries, ends a round
_MAX_CG = 200
_MAX_PAIRED = 40  # steps of conjugate gradients on pairs, before the singular basis is tried
_NEAR_IDENTITY = 0.9  # least mean of the projection's diagonal, relative to its radius, that makes the pairs worth it
# Rows or columns up to which ..., relative duality gap, and residual of the optimality conditions relative to the
# threshold, at which the method stops. The last digits are free in a small problem and half the time of a large one.
_ENOUGH = ((100, 1e-12, 1e-10), (300, 3e-10, 2e-10), (math.inf, 1e-7, 2e-8))
_GROWTH = 5.0
_SHARPEST = 1e6  # largest sigma relative to the first
_PATIENCE = 8  # rounds without a smaller gap ...
_PATIENCE_CLOSED, _CLOSED = 4, 1e-10  # ... and without one once the relative gap is as small as this
_LEAST_PIVOT = 1e-5  # of a Cholesky factor whose inverse keeps six digits of sixteen
_CERTAIN = (1e-9, 1e-7)  # relative gap, and residual as above, beyond which another start is tried
_ROUND_OFF = 1e-13  # singular values below this share of the largest are zero
_EPS = float(np.finfo(float).eps)


def solve_newton(program: EntropyProgram) -> Factored:
    """The optimum of a program with threshold > 0.

    The multiplier starts at the residual of the first logits, which is near the end of most programs; where Newton's
    steps make nothing of it, as they may with a bias that is nearly free, at that of zero logits, which is safe.
    """
    Y, b, L, safe = _start(program)
    gap, slope = next((gap, slope) for size, gap, slope in _ENOUGH if max(Y.shape) <= size)
    found, merit = _from(program, Y, b, L)
    if merit[0] <= max(gap, _CERTAIN[0]) and merit[1] <= max(slope, _CERTAIN[1]):
        return found
    again, other = _from(program, Y, b, safe)
    return again if other < merit else found


def _from(program: EntropyProgram, Y: np.ndarray, b: np.ndarray, L: np.ndarray) -> tuple[Factored, tuple[float, float]]:
    """The best that rounds of Newton's method and multipliers find from a start, its relative gap and its residual.

    A gap that is closed as far as it need be counts as that far: the residual then tells which is better.
    """
    root = math.sqrt(min(Y.shape))
    sigma = program.threshold * root / (float(np.linalg.norm(Y)) or 1.0)
    gap, slope = next((gap, slope) for size, gap, slope in _ENOUGH if max(Y.shape) <= size)
    goal = slope * program.threshold * root
    state, work, idle = _State.at(program, Y, b, L, sigma), 1, 0
    steepest = state.slope
    (best, _), merit, growth, sharpest = _candidate(state, work), (math.inf, math.inf), _GROWTH, _SHARPEST * sigma
    for _ in range(_MAX_OUTER):
        state, used, reached = _minimise(state, goal / (2 if best.relative_gap <= gap else 20))
        work += used
        candidate, residual = _candidate(state, work)
        now = (max(candidate.relative_gap, gap), residual / (program.threshold * root))
        idle = 0 if now[0] < 0.9 * merit[0] or (now[0] <= merit[0] and now[1] < 0.9 * merit[1]) else idle + 1
        if now < merit:
            best, merit = candidate, now
        if candidate.relative_gap <= gap and residual <= goal:
            return candidate, now
        if not reached and state.slope > steepest and merit[0] > _CERTAIN[0]:
            break  # the start was no good
        if idle >= (_PATIENCE_CLOSED if best.relative_gap <= _CLOSED else _PATIENCE):
            break  # round-off has the last word
        L, point = state.L, state.point
        if reached:
            L, sigma = state.ball.projection, min(growth * sigma, sharpest)
        else:  # too sharp a kink for Newton's steps: the same multiplier once more, with a blunter one
            sigma, growth = sigma / growth, max(2.0, growth / 2)
        state = _State.at(program, point.X, point.b, L, sigma)
        work += 1
    return best, merit


def _minimise(state: "_State", goal: float) -> tuple["_State", int, bool]:
    """Newton's method on the Lagrangian until its slope is small beside the change of the multiplier.

    The state, the steps tried, and whether it got there.
    """
    work = 0
    for _ in range(_MAX_INNER):
        if state.slope <= max(0.1 * state.moved, goal, state.noise):
            return state, work, True
        better, used = _descend(state)
        work += used
        if better is None:
            return state, work, state.slope <= goal * 100
        state = better
        if used > _SHORT and work > _MAX_TRIED:
            break
    return state, work, False


@dataclass(frozen=True, eq=False)
class _State:
    """The augmented Lagrangian, its gradient and its curvature at one (Y, b)."""

    point: Point
    L: np.ndarray
    sigma: float
    ball: Ball
    value: float
    by_Y: np.ndarray
    by_b: np.ndarray

    @staticmethod
    def at(program: EntropyProgram, Y: np.ndarray, b: np.ndarray, L: np.ndarray, sigma: float) -> "_State":
        point, ball = Point.at(program, Y, b), Ball(sigma * Y + L, program.threshold)
        value = point.fit + point.bias_penalty() + ball.envelope() / sigma
        by_b = program.lam_b * b - point.pull if program.has_bias else np.zeros_like(b)
        return _State(point, L, sigma, ball, value, ball.projection - point.E, by_b)

    @cached_property
    def slope(self) -> float:
        """Norm of the gradient."""
        return math.hypot(float(np.linalg.norm(self.by_Y)), float(np.linalg.norm(self.by_b)))

    @property
    def noise(self) -> float:
        """Round-off in the slope: that of the singular values of sigma Y + L, and of probabilities."""
        a, program = self.ball.a, self.point.program
        return _EPS * (8 * float(a[0]) * math.sqrt(a.size) + 4 * float(np.linalg.norm(program.r * program.mass)))

    @cached_property
    def moved(self) -> float:
        """sigma ||Y - X||: how far the multiplier is about to move."""
        return self.sigma * float(np.linalg.norm(self.point.X - self.shrunk_product()))

    @property
    def paired(self) -> bool:
        """Whether the projection is close to the identity between classes and their own outputs (see `pairs`)."""
        own = self.point.program.own_output
        if own is None:
            return False
        diagonal = self.ball.projection[own, np.arange(own.size)]
        return float(diagonal.mean()) >= _NEAR_IDENTITY * self.ball.radius

    def shrunk_product(self) -> np.ndarray:
        """The X that minimises the Lagrangian at this Y (m x K)."""
        U, s, V = self.ball.shrunk(self.sigma)
        return (U * s) @ V.T

    def newton_step(self) -> tuple[np.ndarray, np.ndarray]:
        """Minus the Hessian's inverse times the gradient, by conjugate gradients on what is left without the bias."""
        program, point, ball = self.point.program, self.point, self.ball
        bias = _BiasSolver.of(point) if program.has_bias else None
        r = program.r

        def curve(D: np.ndarray) -> np.ndarray:
            """The fit's curvature with the bias eliminated."""
            curved = point.curve(D)
            if bias is not None:
                curved -= point.curve(bias.solve(curved @ r)[:, None] * r)
            return curved

        target = -self.by_Y
        if bias is not None:
            target = target + point.curve(np.outer(bias.solve(self.by_b), r))
        relative = self.slope / (program.threshold * math.sqrt(min(target.shape)))
        tolerance = min(0.1, max(math.sqrt(relative), 1e-3))
        D, solved = target, False
        if self.paired:
            pairs = Pairs.of(ball, point, self.sigma)
            D, solved = _conjugate_gradients(
                lambda D: curve(D) + self.sigma * ball.rotate_back(ball.derivative(ball.rotate(D))),
                pairs.solve,
                target,
                tolerance,
                _MAX_PAIRED,
            )
        if not solved:
            h = ball.diagonal(program.mass, point.P)
            h = np.maximum(h, _EPS * float(h.max(initial=0.0)) + np.finfo(float).tiny)
            C, _ = _conjugate_gradients(
                lambda C: ball.rotate(curve(ball.rotate_back(C))) + self.sigma * ball.derivative(C),
                lambda C: ball.solve_diagonal(h, self.sigma, C),
                ball.rotate(target),
                tolerance,
            )
            D = ball.rotate_back(C)
        if bias is None:
            return D, np.zeros_like(self.by_b)
        return D, -bias.solve(self.by_b + point.curve(D) @ r)


@dataclass(frozen=True, eq=False)
class _BiasSolver:
    """The curvature by the bias, factored: scaled to a unit diagonal, with the constant direction filled in."""

    scale: np.ndarray
    factor: np.ndarray
    cholesky: bool

    @staticmethod
    def of(point: Point) -> "_BiasSolver":
        H = point.bias_curvature()
        diagonal = np.maximum(np.diag(H), np.finfo(float).tiny)
        scale = 1 / np.sqrt(diagonal)
        H *= scale
        H *= scale[:, None]
        constant = 1 / scale / np.linalg.norm(1 / scale)
        H += constant[:, None] * constant
        factor, failed = dpotrf(H)
        if not failed and factor.diagonal().min() >= _LEAST_PIVOT:
            return _BiasSolver(scale, factor, True)
        values, vectors = np.linalg.eigh(H)
        kept = values > _EPS * values.size
        return _BiasSolver(scale, (vectors[:, kept] / values[kept]) @ vectors[:, kept].T, False)

    def solve(self, v: np.ndarray) -> np.ndarray:
        """H^{-1} v for a centred v (m), centred."""
        v = self.scale * v
        x = self.scale * (dpotrs(self.factor, v)[0] if self.cholesky else self.factor @ v)
        return x - x.mean()


def _conjugate_gradients(
    apply: Callable[[np.ndarray], np.ndarray],
    precondition: Callable[[np.ndarray], np.ndarray],
    target: np.ndarray,
    tolerance: float,
    most: int = _MAX_CG,
) -> tuple[np.ndarray, bool]:
    """Preconditioned conjugate gradients; whether the residual came down to `tolerance` relative to the target."""
    x, residual = np.zeros_like(target), target
    z = precondition(residual)
    direction, rho = z, float(np.sum(residual * z))
    goal = tolerance * float(np.linalg.norm(target))
    for _ in range(most):
        curved = apply(direction)
        curvature = float(np.sum(direction * curved))
        if curvature <= 0 or rho <= 0:
            break
        length = rho / curvature
        x = x + length * direction
        residual = residual - length * curved
        if float(np.linalg.norm(residual)) <= goal:
            return x, True
        z = precondition(residual)
        rho, before = float(np.sum(residual * z)), rho
        direction = z + (rho / before) * direction
    return x, False


def _descend(state: _State) -> tuple[_State | None, int]:
    """The first of the Newton steps 1, 1/2, ... that lowers the Lagrangian or, in its round-off, halves the slope."""
    D, d = state.newton_step()
    descent = float(np.sum(D * state.by_Y)) + float(d @ state.by_b)
    noise = 16 * _EPS * max(abs(state.value), np.finfo(float).tiny)
    length = 1.0
    program, point = state.point.program, state.point
    for tried in range(1, _MAX_HALVINGS + 1):
        candidate = _State.at(program, point.X + length * D, point.b + length * d, state.L, state.sigma)
        if descent < 0 and candidate.value <= state.value + 1e-4 * length * descent:
            return candidate, tried
        if candidate.value <= state.value + noise and candidate.slope <= state.slope / 2:
            return candidate, tried
        length /= 2
    return None, _MAX_HALVINGS


def _candidate(state: _State, work: int) -> tuple[Factored, float]:
    """The shrunk product of a state with its best bias, value and bound, and the residual of its optimality conditions.

    These are E V = threshold U and U'E = threshold V', by which the factors' gradients vanish.
    """
    program = state.point.program
    U, s, V = state.ball.shrunk(state.sigma)
    kept = s > _ROUND_OFF * np.max(s, initial=0.0)
    U, s, V = U[:, kept], s[kept], V[:, kept]
    X = (U * s) @ V.T
    point = _best_bias(Point.at(program, X, state.point.b))
    bound, dual = best_dual_value(program, point)
    value = point.fit + program.threshold * float(np.sum(s)) + point.bias_penalty()
    residual = max(
        float(np.linalg.norm(point.E @ V - program.threshold * U)),
        float(np.linalg.norm(point.E.T @ U - program.threshold * V)),
    )
    return Factored(U, s, V, point.b, value, bound, dual, work), residual


def _best_bias(point: Point) -> Point:
    """Newton steps on the bias alone as long as each halves its slope."""
    program = point.program
    if not program.has_bias:
        return point
    for _ in range(5):
        slope = program.lam_b * point.b - point.pull
        better = Point.at(program, point.X, point.b - _BiasSolver.of(point).solve(slope))
        if np.linalg.norm(program.lam_b * better.b - better.pull) > np.linalg.norm(slope) / 2:
            break
        point = better
    return point


def _start(program: EntropyProgram) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Y, b, L and a safe L.

    The logits are those whose residual is that of equal logits, shrunk to what the dual's ball leaves a column.
    Too large a margin is worse than too small a one: there the curvature is nearly zero, and Newton's steps overshoot.
    """
    b = bias_alone(program)
    zero = Point.at(program, np.zeros_like(program.T), b)
    size = np.linalg.norm(zero.E, axis=0)
    norm = float(np.linalg.norm(zero.E, 2))
    if norm == 0:
        return np.zeros_like(zero.E), b, zero.E, zero.E
    reach = program.threshold / norm * float(np.max(size))
    share = np.minimum(1.0, np.divide(reach, size, out=np.ones_like(size), where=size > 0))
    mass = np.where(program.mass > 0, program.mass, 1.0)
    Z = np.log((1 - share) * program.T / mass + share * zero.P) - b[:, None]
    Y = np.where(program.mass > 0, Z - Z.mean(axis=0), 0.0) * program.r
    if program.lam_b == 0:  # the bias takes the whole mean, here and in every step from here
        pull = Y @ program.r
        Y, b = Y - np.outer(pull, program.r), b + pull
    L = Ball(Point.at(program, Y, b).E, program.threshold).projection
    return Y, b, L, min(1.0, program.threshold / norm) * zero.E
