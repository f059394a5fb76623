"""Cross-entropy at p = 2 told by groups: semismooth Newton on the augmented Lagrangian of a problem of (G + 1)^2 size.

The method of `entropy.newton`, with what the symmetry leaves: one nuclear norm of G x G and G absolute values. Newton's
equations are small enough to be written out.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ufm.errors import ProblemError
from ufm.optimum.entropy.spectral import Ball
from ufm.optimum.groups.entropy_duality import best_dual_value, dual_value, operator_norm
from ufm.optimum.groups.entropy_program import GroupLogits, GroupProgram
from ufm.optimum.groups.grouped import GroupedOptimum
from ufm.optimum.groups.point import GroupPoint, told
from ufm.optimum.squared.shrinkage import mean_square_threshold
from ufm.optimum.status import OptimumStatus
from ufm.optimum.symmetry import Groups
from ufm.problem import Problem

_MOST_GROUPS = 40  # with Newton's matrix written out: (G^2 + 2 G)^2 numbers
_CLOSED = 1e-9  # relative gap of a certified optimum
_ENOUGH = (1e-13, 1e-10)  # relative gap, and residual relative to the threshold, at which the method stops
_OUTER, _INNER, _HALVINGS, _PATIENCE = 80, 60, 40, 8
_GROWTH, _SHARPEST = 5.0, 1e7
_CERTAIN, _CERTAIN_RESIDUAL = 1e-10, 1e-7  # gap and residual beyond which the safe start is tried as well
_LEAST_SHARE = 1e-17  # stands for a probability of zero: the value is the infimum to round-off
_EPS = float(np.finfo(float).eps)


def solve_entropy_groups(problem: Problem, groups: Groups) -> GroupedOptimum:
    """The global minimum, certified by a dual point of all classes; the targets are nonnegative."""
    lowest = groups.beta + min(0.0, groups.alpha)
    if lowest < 0 or groups.alpha == groups.beta == 0:
        raise ProblemError("targets", lowest, "loss='cross_entropy' needs targets >= 0, and not all of them 0.")
    if groups.G > _MOST_GROUPS:
        fix = f"for cross-entropy at most {_MOST_GROUPS} sizes are told by groups; use 'auto', or round the sizes."
        raise ProblemError("counts", f"{groups.G} different sizes", fix)
    program = GroupProgram(groups, mean_square_threshold(problem), float(problem.lam_b))
    if program.threshold == 0:
        return _unregularised(problem, program)
    found = _solve(program)
    return told(
        problem,
        groups,
        found.point,
        status=OptimumStatus.CERTIFIED if found.relative_gap <= _CLOSED else OptimumStatus.OPEN_GAP,
        method="newton",
        value=found.value,
        lower_bound=found.bound,
        unique=True if found.relative_gap <= _CLOSED else None,
        dual=found.dual,
        work=found.work,
    )


@dataclass(frozen=True, eq=False)
class _Found:
    """A point with its value, its bound, the residual of its optimality conditions and the steps it took."""

    point: GroupPoint
    value: float
    bound: float
    dual: np.ndarray
    residual: float
    work: int

    @property
    def relative_gap(self) -> float:
        """(value - bound) / max(1, |value|)."""
        return (self.value - self.bound) / max(1.0, abs(self.value))

    @property
    def merit(self) -> tuple[float, float]:
        """Less is better: the gap, as far as it matters, then the residual."""
        return max(self.relative_gap, _ENOUGH[0]), self.residual


@dataclass(frozen=True, eq=False)
class _State:
    """The augmented Lagrangian and its gradient at one v, for the multipliers L (G x G) and l (G) and their scale."""

    at: GroupLogits
    L: np.ndarray
    l: np.ndarray
    sigma: float

    @cached_property
    def ball(self) -> Ball:
        """The clipped singular values of sigma X + L."""
        return Ball(self.sigma * self.at.program.split(self.at.v)[0] + self.L, self.at.program.threshold)

    @cached_property
    def inside(self) -> np.ndarray:
        """sigma y + l (G)."""
        return self.sigma * self.at.program.split(self.at.v)[1] + self.l

    @cached_property
    def clipped(self) -> np.ndarray:
        """What of it the dual allows (G)."""
        radius = self.at.program.radius
        return np.clip(self.inside, -radius, radius)

    @cached_property
    def value(self) -> float:
        """Fit and bias penalty, and the Huber functions of both parts."""
        saved = self.ball.envelope() + float(np.sum(self.clipped * (self.inside - self.clipped / 2)))
        b = self.at.program.split(self.at.v)[2]
        return self.at.fit + self.at.program.penalty(b) + saved / self.sigma

    @cached_property
    def gradient(self) -> np.ndarray:
        """By v, flat."""
        program = self.at.program
        b = program.lam_b * program.split(self.at.v)[2] if program.has_bias else np.zeros(program.groups.G)
        return self.at.gradient + np.concatenate([self.ball.projection.ravel(), self.clipped, b])

    @cached_property
    def slope(self) -> float:
        """Norm of the gradient."""
        return float(np.linalg.norm(self.gradient))

    @property
    def shrunk(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """U, s, V and y that minimise the Lagrangian at this v."""
        return *self.ball.shrunk(self.sigma), (self.inside - self.clipped) / self.sigma

    @cached_property
    def moved(self) -> float:
        """How far the multipliers are about to move."""
        X, y, _ = self.at.program.split(self.at.v)
        U, s, V, shrunk = self.shrunk
        return self.sigma * math.hypot(float(np.linalg.norm(X - (U * s) @ V.T)), float(np.linalg.norm(y - shrunk)))

    def moved_to(self, v: np.ndarray) -> "_State":
        """The same Lagrangian elsewhere."""
        return _State(GroupLogits.at(self.at.program, v), self.L, self.l, self.sigma)

    def newton_step(self) -> np.ndarray:
        """Minus the Hessian's inverse times the gradient, directions without curvature left out."""
        program, ball, G = self.at.program, self.ball, self.at.program.groups.G
        H = self.at.hessian()
        units = np.eye(G * G).reshape(G * G, G, G)
        turned = [ball.rotate_back(ball.derivative(ball.rotate(unit))).ravel() for unit in units]
        H[: G * G, : G * G] += self.sigma * np.array(turned)
        free = np.abs(self.inside) < program.radius
        at = np.arange(G * G, G * G + G)
        H[at, at] += self.sigma * np.where(free | (program.groups.number == 1), 1.0, 0.0)
        at = at + G
        H[at, at] += program.lam_b if program.has_bias else 1.0
        diagonal = np.diag(H)
        scale = 1 / np.sqrt(np.maximum(diagonal, _EPS**2 * float(diagonal.max())))
        # A shift of all logits changes nothing: that direction gets a curvature and, but for round-off, no step.
        shift = np.append(np.zeros(G * G + G), np.sqrt(program.groups.number / program.groups.member.size))
        constant = shift / scale / np.linalg.norm(shift / scale)
        values, vectors = np.linalg.eigh(H * np.outer(scale, scale) + np.outer(constant, constant))
        kept = values > _EPS * values.size
        vectors = vectors[:, kept]
        step = -scale * (vectors @ ((vectors.T @ (scale * self.gradient)) / values[kept]))
        return step - shift * float(shift @ step)


def _solve(program: GroupProgram) -> _Found:
    """The better of two starts: one near the end of most programs, and where that leaves a gap the safe one."""
    quick, safe = _starts(program)
    found = _from(quick)
    if found.relative_gap <= _CERTAIN and found.residual <= _CERTAIN_RESIDUAL:
        return found
    return min(found, _from(safe), key=lambda found: found.merit)


def _starts(program: GroupProgram) -> tuple[_State, _State]:
    """Logits whose residual is that of equal logits, shrunk to what the dual leaves a column; and equal logits.

    The multiplier is the residual there, projected on the dual's ball. See `entropy.newton`.
    """
    number, mass = program.groups.number, program.mass
    G, K = number.size, int(number.sum())
    b = _bias_alone(program)
    zero = GroupLogits.at(program, program.join(np.zeros((G, G)), np.zeros(G), b))
    norm = operator_norm(program, zero.E)
    size = np.sqrt(np.sum(program.count * zero.E**2, axis=0)) * program.r
    reach = program.threshold / norm * float(size.max()) if norm > 0 else 0.0
    share = np.minimum(1.0, np.divide(reach, size, out=np.ones(G), where=size > 0))
    rows = b / np.sqrt(number)
    Z = np.log((1 - share) * program.target / mass + share * zero.P) - np.vstack([np.outer(rows, np.ones(G)), rows])
    X, inside = program.parts(Z - np.sum(program.count * Z, axis=0) / K)
    if program.lam_b == 0:  # the bias takes the whole mean
        u = np.sqrt(program.share)
        X, b = X - np.outer(X @ u, u), b + X @ u
    near = GroupLogits.at(program, program.join(X, inside, b))
    starts = []
    for at in (near, zero):
        E, e = program.parts(at.E)
        L = Ball(E, program.threshold).projection
        l = np.clip(e, -program.threshold, program.threshold) * np.sqrt(number - 1)
        scale = float(np.linalg.norm(near.v[: G * G + G])) or 1.0
        starts.append(_State(at, L, l, program.threshold * math.sqrt(K) / scale))
    return starts[0], starts[1]


def _from(state: _State) -> _Found:
    """The best that rounds of Newton's method and of multipliers find from a start."""
    threshold, work, idle, growth, sharpest = state.at.program.threshold, 0, 0, _GROWTH, _SHARPEST * state.sigma
    best = _candidate(state, work)
    for _ in range(_OUTER):
        if best.relative_gap <= _ENOUGH[0] and best.residual <= _ENOUGH[1]:
            return best
        state, used, reached = _minimise(state, threshold * _ENOUGH[1] / 100)
        work += used
        found = _candidate(state, work)
        idle = 0 if found.merit < best.merit else idle + 1
        best = min(best, found, key=lambda found: found.merit)
        if idle >= _PATIENCE:
            break  # round-off has the last word
        if reached:
            sigma = min(growth * state.sigma, sharpest)
            state = _State(state.at, state.ball.projection, state.clipped, sigma)
        else:  # too sharp a kink for Newton's steps
            growth = max(2.0, growth / 2)
            state = _State(state.at, state.L, state.l, state.sigma / growth)
    return best


def _minimise(state: _State, goal: float) -> tuple[_State, int, bool]:
    """Newton's method until the slope is small beside the multipliers' change; steps, and whether it got there."""
    for step in range(_INNER):
        noise = 64 * _EPS * (float(state.ball.a[0]) + float(np.linalg.norm(state.inside)))
        if state.slope <= max(0.1 * state.moved, goal, noise):
            return state, step, True
        better = _descend(state)
        if better is None:
            return state, step, state.slope <= 100 * goal
        state = better
    return state, _INNER, False


def _descend(state: _State) -> _State | None:
    """The first of the Newton steps 1, 1/2, ... that lowers the Lagrangian or, in its round-off, halves the slope."""
    direction = state.newton_step()
    descent = float(direction @ state.gradient)
    noise = 16 * _EPS * max(abs(state.value), np.finfo(float).tiny)
    length = 1.0
    for _ in range(_HALVINGS):
        trial = state.moved_to(state.at.v + length * direction)
        if descent < 0 and trial.value <= state.value + 1e-4 * length * descent:
            return trial
        if trial.value <= state.value + noise and trial.slope <= state.slope / 2:
            return trial
        length /= 2
    return None


def _candidate(state: _State, work: int) -> _Found:
    """The shrunk product of a state with its best bias, its value and bound."""
    program = state.at.program
    U, s, V, y = state.shrunk
    kept = s > 1e-13 * np.max(s, initial=0.0)
    U, s, V = U[:, kept], s[kept], V[:, kept]
    number = program.groups.number
    inside = np.where(number > 1, y / np.sqrt(np.maximum(number - 1, 1)), 0.0)
    at = _best_bias(GroupLogits.at(program, program.join((U * s) @ V.T, inside, program.split(state.at.v)[2])))
    b = program.split(at.v)[2]
    norm = float(np.sum(s)) + float((number - 1) @ np.abs(inside))
    value = at.fit + program.threshold * norm + program.penalty(b)
    bound, dual = best_dual_value(at)
    E, e = program.parts(at.E)
    off = np.where(inside != 0, e - np.sign(inside) * program.threshold, 0.0) * np.sqrt(number - 1)
    misfit = [E @ V - program.threshold * U, E.T @ U - program.threshold * V, off]
    residual = max(float(np.linalg.norm(part)) for part in misfit) / program.threshold
    return _Found(GroupPoint(U, s, V, inside, b, -E, -e), value, bound, dual, residual, work)


def _bias_alone(program: GroupProgram) -> np.ndarray:
    """The best bias without features (G)."""
    G, number = program.groups.G, program.groups.number
    if not program.has_bias:
        return np.zeros(G)
    log_mean = np.log(np.maximum(program.groups.alpha * program.r**2 + program.groups.beta, np.finfo(float).tiny))
    b = (log_mean - number @ log_mean / number.sum()) * np.sqrt(number)
    b = b / (1 + program.lam_b * program.groups.member.size)  # near enough for Newton's method
    at = _best_bias(GroupLogits.at(program, program.join(np.zeros((G, G)), np.zeros(G), b)), most=100)
    return program.split(at.v)[2]


def _best_bias(at: GroupLogits, most: int = 5) -> GroupLogits:
    """Newton steps on the bias alone, as long as each shortens its slope."""
    program = at.program
    if not program.has_bias:
        return at
    G = program.groups.G
    bias = slice(G * G + G, None)
    ones = np.sqrt(program.groups.number / program.groups.member.size)

    def slope(at: GroupLogits) -> np.ndarray:
        return at.gradient[bias] + program.lam_b * at.v[bias]

    for _ in range(most):
        H = at.hessian()[bias, bias] + program.lam_b * np.eye(G)
        H = H + float(np.trace(H)) * np.outer(ones, ones)  # a shift of all logits changes nothing
        step = np.linalg.lstsq(H, slope(at), rcond=None)[0]
        step -= ones * float(ones @ step)
        before, length = float(np.linalg.norm(slope(at))), 1.0
        while length > 1e-3:
            v = at.v.copy()
            v[bias] -= length * step
            trial = GroupLogits.at(program, v)
            if float(np.linalg.norm(slope(trial))) < before * (1 - length / 2):
                break
            length /= 2
        else:
            return at
        at = trial
    return at


def _unregularised(problem: Problem, program: GroupProgram) -> GroupedOptimum:
    """A weight is zero: logits that reach the mean entropy of the targets, or come within round-off; no bias."""
    groups, G = program.groups, program.groups.G
    odds = np.maximum(np.array([groups.alpha + groups.beta, groups.beta]) / program.mass, _LEAST_SHARE)
    height = float(np.log(odds[0]) - np.log(odds[1]))
    u = np.sqrt(groups.number / groups.member.size)
    inside = height * program.r
    U, s, Vt = np.linalg.svd((np.eye(G) - np.outer(u, u)) * inside)
    kept = s > 1e-14 * max(1.0, float(np.max(s, initial=0.0)))
    X = (U * s) @ Vt
    number = groups.number
    inside = np.where(number > 1, inside, 0.0)
    at = GroupLogits.at(program, program.join(X, inside, np.zeros(G)))
    floor, _ = dual_value(program, np.zeros_like(at.E))
    infinite = bool(np.any(odds <= _LEAST_SHARE))
    one_sided = (float(problem.lam_W[0]) == 0) != (float(problem.lam_H) == 0)
    status = OptimumStatus.NOT_ATTAINED if one_sided and height != 0 else OptimumStatus.CERTIFIED
    E, e = program.parts(at.E)
    return told(
        problem,
        groups,
        GroupPoint(U[:, kept], s[kept], Vt[kept].T, inside, np.zeros(G), -E, -e),
        status=OptimumStatus.AT_INFINITY if infinite else status,
        method="closed form",
        value=floor if infinite else at.fit,
        lower_bound=floor,
        unique=None,
    )
