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
from dataclasses import dataclass, replace

import numpy as np

from ufm.losses import RescaledMSE
from ufm.losses import loss as find_loss
from ufm.optimum.bounded import descend_above_zero
from ufm.optimum.constrained.cone import longest, longest_bound
from ufm.optimum.entropy.duality import dual_value as entropy_dual
from ufm.optimum.entropy.program import EntropyProgram
from ufm.problem import Problem

_SETTLED = 1e-12  # slope, relative to t, that is round-off
_REACHED = 1e-10  # relative excess of ||E g|| over t at which no feature is added any more: the gap is of that order


@dataclass(frozen=True, eq=False)
class Atoms:
    """A point X = W G with G >= 0 (m x j and j x columns), both weighed alike, and the bias b (m)."""

    W: np.ndarray
    G: np.ndarray
    b: np.ndarray


@dataclass(frozen=True, eq=False)
class GaugeProgram:
    """min over X, b of sum_k r_k^2 loss(x_k/r_k + b, t_k) + t gamma(X) + lam_b/2 ||b||^2; T targets (m x columns)."""

    loss: str | RescaledMSE
    T: np.ndarray
    r: np.ndarray
    t: float
    lam_b: float

    @staticmethod
    def of(problem: Problem) -> "GaugeProgram":
        """The program of a problem with one linear layer."""
        root = np.sqrt(problem.targets.multiplicity / problem.N)
        t = math.sqrt(float(problem.lam_W[0])) * math.sqrt(float(problem.lam_H)) * math.sqrt(problem.N)
        return GaugeProgram(problem.loss, problem.targets.columns, root, t, float(problem.lam_b))

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

    held = np.repeat((False, True, False), (m * j, j * columns, m))
    x, work = descend_above_zero(fun, flat(start), held, settled=_SETTLED * program.t)
    return split(x), work


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
    loss, w, M = program.loss, 1.0, 1.0
    if isinstance(loss, RescaledMSE):
        w, M = loss.weights(program.T), loss.M
    value = M * float(np.sum(E * program.T * program.r)) - float(np.sum(E**2 / w)) / 2
    pull = E @ program.r
    return value - (float(pull @ pull) / (2 * program.lam_b) if 0 < program.lam_b < math.inf else 0.0)


def _entropy_program(program: GaugeProgram) -> EntropyProgram:
    """Cross-entropy's own constraints on a dual point (non-negative, of the targets' mass), with no norm to obey."""
    return EntropyProgram(program.T, program.r, math.inf, program.lam_b)
