"""Non-negative features are a convex problem once the width is free: a gauge takes the nuclear norm's place.

In mean-square units (r_k = sqrt(n_k/N), X = W H diag(r)) the penalties of all factors of X with H >= 0 are at least
t gamma(X), t = c sqrt(N), gamma(X) the least sum_j ||w_j|| ||g_j|| over X = sum_j w_j g_j' with g_j >= 0. Its polar is
the longest image of a non-negative unit vector (`cone`). Weak duality, loss* the conjugate of a column's loss: for any
E with ||E g|| <= t for all such g, and E r = 0 where lam_b = 0,

    value >= -sum_k r_k^2 loss*(-e_k/r_k) - ||E r||^2/(2 lam_b),

and a critical point whose E = -slope diag(r) obeys that is a global minimum, of every width. Where some g violates it,
a new atom along E g g' lowers the objective: local minima with room for one more feature are global (haeffele2015).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize

from ufm.losses import loss as find_loss
from ufm.optimum.constrained.cone import longest, longest_bound
from ufm.optimum.entropy.duality import dual_value as entropy_dual
from ufm.optimum.entropy.program import EntropyProgram
from ufm.problem import Problem

_ROUNDS = 8  # of quasi-Newton steps, then Newton's
_NEWTON = 12
_POLISHED = 300  # unknowns up to which a Hessian by differences is cheap
_SETTLED = 1e-12  # slope, relative to t, that is round-off
_REACHED = 1e-10  # relative excess of ||E g|| over t at which no feature is added any more: the gap is of that order

Objective = Callable[[np.ndarray], tuple[float, np.ndarray]]  # value and slope


@dataclass(frozen=True, eq=False)
class Atoms:
    """A point X = W G with G >= 0 (m x j and j x columns), both weighed alike, and the bias b (m)."""

    W: np.ndarray
    G: np.ndarray
    b: np.ndarray


@dataclass(frozen=True, eq=False)
class GaugeProgram:
    """min over X, b of sum_k r_k^2 loss(x_k/r_k + b, t_k) + t gamma(X) + lam_b/2 ||b||^2; T targets (m x columns)."""

    loss: str
    T: np.ndarray
    r: np.ndarray
    t: float
    lam_b: float

    @staticmethod
    def of(problem: Problem) -> "GaugeProgram":
        """The program of a problem with one linear layer."""
        root = np.sqrt(problem.targets.multiplicity / problem.N)
        t = math.sqrt(float(problem.lam_W[0])) * math.sqrt(float(problem.lam_H)) * math.sqrt(problem.N)
        return GaugeProgram(str(problem.loss), problem.targets.columns, root, t, float(problem.lam_b))

    @property
    def has_bias(self) -> bool:
        """False where lam_b is infinite."""
        return not math.isinf(self.lam_b)

    def residual(self, at: Atoms) -> np.ndarray:
        """E (m x columns), minus the slope of the fit by X."""
        return -find_loss(self.loss).slope(self._logits(at), self.T) * self.r

    def value(self, at: Atoms) -> float:
        """The objective of these factors."""
        fit = float(self.r**2 @ find_loss(self.loss).value(self._logits(at), self.T))
        penalty = self.t * float(np.sum(at.W**2) + np.sum(at.G**2))
        return fit + (penalty + (self.lam_b * float(at.b @ at.b) if self.has_bias else 0.0)) / 2

    def slopes(self, at: Atoms) -> Atoms:
        """The gradient by W, G and b."""
        E = self.residual(at)
        b = self.lam_b * at.b - E @ self.r if self.has_bias else np.zeros_like(at.b)
        return Atoms(self.t * at.W - E @ at.G.T, self.t * at.G - at.W.T @ E, b)

    def _logits(self, at: Atoms) -> np.ndarray:
        return (at.W @ at.G) / self.r + at.b[:, None]


def descend(program: GaugeProgram, start: Atoms) -> tuple[Atoms, int]:
    """Bounded quasi-Newton on the factors, then Newton on those that are not at zero; the end, and the iterations."""
    m, j, columns = *start.W.shape, start.G.shape[1]
    cut = np.cumsum((m * j, j * columns))

    def split(x: np.ndarray) -> Atoms:
        W, G, b = np.split(x, cut)
        return Atoms(W.reshape(m, j), G.reshape(j, columns), b)

    def flat(at: Atoms) -> np.ndarray:
        return np.concatenate([at.W.ravel(), at.G.ravel(), at.b])

    def fun(x: np.ndarray) -> tuple[float, np.ndarray]:
        at = split(x)
        return program.value(at), flat(program.slopes(at))

    bounds = [(None, None)] * (m * j) + [(0, None)] * (j * columns) + [(None, None)] * m
    held = np.array([low == 0 for low, _ in bounds])
    options = {"maxiter": 400, "maxfun": 1000, "ftol": 0, "gtol": 1e-13, "maxcor": 20}
    x, work = flat(start), 0
    for _ in range(_ROUNDS):
        before = fun(x)[0]
        end = minimize(fun, x, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        work += int(end.nit)
        x = _polish(fun, end.x, held)
        value, slope = fun(x)
        slope = np.where(held & (x == 0), np.minimum(slope, 0), slope)
        if float(np.max(np.abs(slope))) <= _SETTLED * program.t or before - value <= 1e-14 * abs(value):
            break
    return split(x), work


def _polish(fun: Objective, x: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Newton steps with a differenced Hessian on the variables away from their bound, while they shorten the slope.

    A step that meets bounds ends at the first, and that variable stays there.
    """
    zero = held & (x <= 1e-9 * float(np.max(x[held], initial=0.0)))
    x = np.where(zero, 0.0, x)
    value, slope = fun(x)
    for _ in range(_NEWTON):
        free = np.flatnonzero(~zero)
        if free.size > _POLISHED:
            return x
        step = _newton_step(fun, x, slope, free)
        length = np.divide(x, -step, out=np.full_like(x, np.inf), where=held & (step < 0))
        blocked = float(np.min(length, initial=np.inf)) < 1
        trial = np.maximum(x + min(1.0, float(np.min(length, initial=np.inf))) * step, np.where(held, 0.0, -np.inf))
        if blocked:
            trial[np.argmin(length)] = 0.0
        trial_value, trial_slope = fun(trial)
        zero = held & (trial == 0)
        shorter = blocked or np.linalg.norm(trial_slope[~zero]) < np.linalg.norm(slope[free])
        if not shorter or trial_value > value + 1e-12 * max(1.0, abs(value)):
            break
        x, value, slope = trial, trial_value, trial_slope
    return x


def _newton_step(fun: Objective, x: np.ndarray, slope: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Minus H^+ slope on the free variables, zero elsewhere; H by central differences, flat directions left alone."""
    size = 1e-6 * max(1.0, float(np.max(np.abs(x), initial=0.0)))
    shifts = np.zeros((free.size, x.size))
    shifts[np.arange(free.size), free] = size
    hessian = np.array([(fun(x + e)[1][free] - fun(x - e)[1][free]) / (2 * size) for e in shifts])
    curved, vectors = np.linalg.eigh((hessian + hessian.T) / 2)
    kept = np.abs(curved) > 1e-8 * np.max(np.abs(curved), initial=0.0)
    step = np.zeros_like(x)
    step[free] = -vectors[:, kept] @ ((vectors[:, kept].T @ slope[free]) / np.abs(curved[kept]))
    return step


def grow(program: GaugeProgram, at: Atoms, room: int) -> tuple[Atoms, int]:
    """Descend, and while some atom would still lower the objective add it, up to `room` of them; zero atoms go."""
    at, work = descend(program, at)
    for _ in range(2 * at.G.shape[1] + 10):
        at = pruned(at)
        enough = program.t * (1 + _REACHED)
        length, g = longest(program.residual(at), enough)
        if length <= enough or at.G.shape[1] >= room:
            break
        following, spent = descend(program, _with_atom(program, at, g))
        work += spent
        if program.value(following) >= program.value(at) * (1 - 1e-13):
            break
        at = following
    return at, work


def _with_atom(program: GaugeProgram, at: Atoms, g: np.ndarray) -> Atoms:
    """One more feature along E g g', of the best of a few sizes."""
    image = program.residual(at) @ g
    image = image / np.linalg.norm(image)
    tried = [
        Atoms(np.column_stack([at.W, size * image]), np.vstack([at.G, size * g]), at.b)
        for size in np.geomspace(1e-4, 1.0, 9)
    ]
    return min(tried, key=program.value)


def pruned(at: Atoms) -> Atoms:
    """Without features that are zero, and with parallel ones merged into one (their products add)."""
    weight = np.linalg.norm(at.W, axis=0) * np.linalg.norm(at.G, axis=1)
    alive = weight > 1e-9 * max(float(np.max(weight, initial=0.0)), 1e-6)
    W, G = at.W[:, alive], at.G[alive]
    unit = G / np.linalg.norm(G, axis=1, keepdims=True)
    kept_W, kept_G = [], []
    left = list(range(G.shape[0]))
    while left:
        i = left[0]
        same = [k for k in left if float(unit[i] @ unit[k]) > 1 - 1e-12]
        image = sum(W[:, k] * np.linalg.norm(G[k]) for k in same)
        size = math.sqrt(float(np.linalg.norm(image)))
        if size > 0:
            kept_W.append(image / size)
            kept_G.append(unit[i] * size)
        left = [k for k in left if k not in same]
    if not kept_W:
        return Atoms(np.zeros((W.shape[0], 0)), np.zeros((0, G.shape[1])), at.b)
    return replace(at, W=np.column_stack(kept_W), G=np.vstack(kept_G))


def lower_bound(program: GaugeProgram, at: Atoms) -> tuple[float, np.ndarray]:
    """The dual value at the residual of this point, made feasible, and that feasible E; valid for every width."""
    found = []
    for E in _duals(program, at):
        length = longest_bound(E, at.G.T, program.t * (1 + 1e-13))
        E = E * min(1.0, program.t / length) if length > 0 else E
        found.append((_dual_value(program, E), E))
    return max(found, key=lambda pair: pair[0])


def _duals(program: GaugeProgram, at: Atoms) -> list[np.ndarray]:
    """The residual, and the residual with E r = lam_b b put in exactly, which matters for a tiny lam_b."""
    E, r = program.residual(at), program.r
    if program.loss == "cross_entropy":
        wide = _entropy_program(program)
        b = at.b - at.b.mean()
        exact = E + np.outer(program.lam_b * b - E @ r, r) if 0 < program.lam_b < math.inf else E
        return [entropy_dual(wide, candidate)[1] for candidate in ([E] if exact is E else [E, exact])]
    if program.lam_b == 0:
        return [E - np.outer(E @ r, r)]
    return [E, E + np.outer(program.lam_b * at.b - E @ r, r)] if program.has_bias else [E]


def _dual_value(program: GaugeProgram, E: np.ndarray) -> float:
    if program.loss == "cross_entropy":
        return entropy_dual(_entropy_program(program), E)[0]
    value = float(np.sum(E * program.T * program.r) - np.sum(E**2) / 2)
    pull = E @ program.r
    return value - (float(pull @ pull) / (2 * program.lam_b) if 0 < program.lam_b < math.inf else 0.0)


def _entropy_program(program: GaugeProgram) -> EntropyProgram:
    """Cross-entropy's own constraints on a dual point (non-negative, of the targets' mass), with no norm to obey."""
    return EntropyProgram(program.T, program.r, math.inf, program.lam_b)
