"""Steps of exponential methods: phi functions of the Jacobian, in Krylov spaces that the right-hand side spans.

phi_0(z) = e^z, phi_k(z) = (phi_(k-1)(z) - 1/(k-1)!)/z. Applied to a vector v they are taken in the space of v, J v,
J^2 v, ..., by Arnoldi's process: as many products as sqrt(h times the fastest rate) or so, and fewer where v has few
rates in it; a bias's own rate, however fast, costs one or two. Where the right-hand side knows the time (A-mode's law),
time is one more unknown. Products with J are differences of the right-hand side.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ufm.arrays import Array, to_numpy
from ufm.flow.control import Control
from ufm.flow.field import Field, norm
from ufm.flow.integrators.exponential import Exponential, Phis
from ufm.flow.step import Step
from ufm.flow.within import Law

SHARE = 0.1  # of the allowed error that a Krylov space may leave
FIRST_CHECK, CHECK_EVERY = 4, 4  # vectors before the first look at the error of a space, and between looks


@dataclass(frozen=True, eq=False)
class ExponentialStepper:
    """Steps of an exponential method; `control` says how far a Krylov space may be off."""

    field: Field
    method: Exponential
    control: Control

    @property
    def holds_bias(self) -> bool:
        """Whether the bias bounds no step."""
        return True

    def __call__(self, t: float, y: Array, slope: Array, h: float, fastest: float) -> Step:
        """One step of length h from (t, y), where dy/dt is slope."""
        linear = Linear(self.field, t, y, slope)
        allowed = self._allowed(y, t) / h
        F, method = linear.start, self.method
        space = linear.space(F, h, allowed, method.most_vectors)
        moved = [c * space.of({1: 1.0}, c) for c in (*method.nodes, 1.0)]
        spaces: list[Space] = []
        for i, c in enumerate(method.nodes):
            U = moved[i]
            for phis, other in zip(method.inner[i], spaces, strict=True):
                U = U + other.of(phis, 1.0)
            defect = linear.slope(h * U, c * h) - F - linear.times(h * U)
            spaces.append(linear.space(defect, h, allowed, method.most_vectors))
        end, error = moved[-1], 0.0 * F
        for b, e, other in zip(method.weights, method.error, spaces, strict=True):
            end = end + other.of(b, 1.0)
            error = error + other.of(e, 1.0)
        size = y.shape[0]
        short = sum(other.left for other in (space, *spaces))  # what a space cut off at most_vectors may leave
        lost = short / math.sqrt(size) if short > allowed else 0.0
        return Step(y + h * end[:size], h * (abs(error[:size]) + lost), None, linear.evaluations)

    def _allowed(self, y: Array, t: float) -> float:
        first, second = self.field.norms(y, t)
        return SHARE * (self.control.atol + self.control.rtol * min(first or second, second or first))


class Linear:
    """The right-hand side and its Jacobian at a point (t, y); with A-mode's law time is the last unknown."""

    def __init__(self, field: Field, t: float, y: Array, slope: Array) -> None:
        self.field, self.t, self.y, self.plain, self.evaluations = field, t, y, slope, 0
        self.timed = isinstance(field.within, Law)
        one = field.xp.ones_like(y[:1])
        self.start = field.xp.concat([slope, one]) if self.timed else slope
        self.unit = math.sqrt(float(field.xp.finfo(y.dtype).eps)) * (norm(y) or 1.0)
        self.tick = math.sqrt(float(field.xp.finfo(y.dtype).eps)) / (field.within.l or 1.0) if self.timed else 1.0  # pyright: ignore

    def slope(self, move: Array, later: float) -> Array:
        """(F, 1) at y + move, t + later."""
        size = self.y.shape[0]
        self.evaluations += 1
        found = self.field(self.y + move[:size], self.t + later)
        return self.field.xp.concat([found, self.start[size:]]) if self.timed else found

    def times(self, v: Array) -> Array:
        """J v."""
        size = self.y.shape[0]
        length = norm(v[:size])
        step = self.unit / length if length > 0 else 0.0
        found = 0.0 * self.y
        if step > 0:
            self.evaluations += 1
            found = (self.field(self.y + step * v[:size], self.t) - self.plain) / step
        if not self.timed:
            return found
        if self._by_time is None:
            self.evaluations += 1
            self._by_time = (self.field(self.y, self.t + self.tick) - self.plain) / self.tick
        return self.field.xp.concat([found + float(v[size]) * self._by_time, 0.0 * v[size:]])

    _by_time: Array = None

    def space(self, v: Array, h: float, allowed: float, most: int) -> "Space":
        """The Krylov space of v, as large as h and what is allowed ask for."""
        xp, length = self.field.xp, norm(v)
        if not length > 0 or not math.isfinite(length):
            return Space([v], np.zeros((1, 1)), length, h, 0.0 if length == 0 else math.inf)
        basis, H = [v / length], np.zeros((most + 1, most))
        for j in range(most):
            w = self.times(basis[j])
            B = xp.stack(basis)
            for _ in range(2):  # twice is enough
                parts = B @ w
                w = w - parts @ B
                H[: j + 1, j] += to_numpy(parts)
            H[j + 1, j] = norm(w)
            done = not H[j + 1, j] > 1e-12 * max(float(np.abs(H[: j + 1, j]).max()), 1e-300)
            if done or j + 1 == most or (j + 1 >= FIRST_CHECK and (j + 1 - FIRST_CHECK) % CHECK_EVERY == 0):
                square = H[: j + 1, : j + 1]
                left = 0.0 if done else float(length * H[j + 1, j] * h * abs(phi(h * square, 2)[1][-1]))
                if done or left <= allowed or j + 1 == most:
                    return Space(basis[: j + 1], square, length, h, left)
            basis.append(w / float(H[j + 1, j]))
        raise RuntimeError("a Krylov space ends at its largest size")


@dataclass(frozen=True, eq=False)
class Space:
    """An orthonormal basis, J in it, the length of v, h, and the estimated error of what is taken in it."""

    basis: list[Array]
    matrix: np.ndarray
    length: float
    h: float
    left: float

    def of(self, phis: Phis, c: float) -> Array:
        """sum_k coefficient_k phi_k(c h J) v."""
        if self.length == 0:
            return self.basis[0]
        found = phi(c * self.h * self.matrix, max(phis))
        weights = sum((coefficient * found[k - 1] for k, coefficient in phis.items()), np.zeros(len(self.basis)))
        return _combined(self.basis, self.length * weights)


def _combined(basis: Sequence[Array], weights: np.ndarray) -> Array:
    total = float(weights[0]) * basis[0]
    for weight, vector in zip(weights[1:], basis[1:], strict=True):
        total = total + float(weight) * vector
    return total


def phi(A: np.ndarray, highest: int) -> list[np.ndarray]:
    """phi_1(A) e_1, .., phi_highest(A) e_1, from one exponential of A with a chain of ones behind it."""
    from scipy.linalg import expm

    m = A.shape[0]
    big = np.zeros((m + highest, m + highest))
    big[:m, :m] = A
    big[0, m] = 1.0
    big[range(m, m + highest - 1), range(m + 1, m + highest)] = 1.0
    found = expm(big)
    return [found[:m, m + k] for k in range(highest)]
