"""The right-hand side of the flow on one flat vector, d/dt (b, W_{p-1}, .., W_1, H', ...) = -grad L.

L is written in r columns, each with a target column and the root of its multiplicity,
    L = 1/N sum_j q_j^2 loss(P H e_j / q_j + b, T e_j) + decay,    P = W_{p-1}..W_1,
with H scaled so that its squared norm is that of all N samples' features: the flow of H is then plain gradient flow
in these coordinates. For the squared loss T e_j q_j = A e_j, and q_j = 0 is allowed: such columns see no target.
Columns that see none may enter through B = N S, the sum of their squares, alone: carried along (`Scatter`) or known by
a law (`Law`), see `ufm.flow.within`.

The right-hand side takes one flat vector, or a stack of them (one row a flow) where the parameters are stacks too, see
`ufm.flow.stack`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import Any

import numpy as np

from ufm.arrays import Array, Namespace, array_namespace, to_numpy, transposed
from ufm.flow.kernel import Kernel, diagonal_and_mean, kernel_of
from ufm.flow.within import Law, Scatter, unseen_gradient
from ufm.losses import loss as find_loss
from ufm.problem import Problem

Norms = tuple[float, float]


def square(x: Array) -> float:
    """Sum of the squares of a flat array, as a number."""
    return float(x @ x)


def norm(x: Array) -> float:
    """Euclidean norm of a flat array, as a number."""
    return math.sqrt(square(x))


@dataclass(frozen=True, eq=False)
class Field:
    """dy/dt and L of the flat state; `bias_rate` is 1 + lam_b where db/dt is linear in b (squared loss), else None.

    In a stack of B flows decay is B x size, bias_rate B x 1, lam_H B, and what differs among N, A and q has the
    shapes B x 1 x 1, B x m x r and B x 1 x r.

    shapes: of W_{p-1}, .., W_1 and H' (r x d); m: length of b, 0 without one; within: how B is known, None for B = 0.
    With `held` or `cone` the flow is the projected one: see `ufm.flow.projected`.
    """

    xp: Namespace
    N: Any
    m: int
    shapes: tuple[tuple[int, int], ...]
    decay: Array
    lam_H: Any
    quadratic: bool  # whether the loss is the squared one
    bias_rate: Any
    residual: Callable[[Array, Array], Array]  # P H, b -> E = dL/d(P H), m x r
    bias_target: Callable[[Array], Array]  # P H -> b*, where db/dt = 0
    bias_slope: Callable[[Array], Array]  # E -> E q
    data_loss: Callable[[Array, Array], Array]
    pull: Callable[[Array, Array], Array]  # H', b -> (b q' - A) H'/N, m x d
    targets: tuple[Array, Array]  # A (m x r), q (r)
    within: Law | Scatter | None = None
    held: Array | None = None  # 0 where the flat state may not move, 1 elsewhere
    cone: slice | None = None  # what of the flat state stays >= 0
    drive: tuple[Array, float] | None = None  # a, c of a further term c - a'y of L

    @property
    def seen(self) -> int:
        """Length of (b, W, H') in the flat state; behind it lies what `within` carries."""
        return self.m + sum(rows * columns for rows, columns in self.shapes)

    @property
    def size(self) -> int:
        """Length of the flat state."""
        return self.seen + (self.within.size if self.within is not None else 0)

    @property
    def classifier(self) -> slice:
        """Where b and the layers lie in the flat state; the rest is H' and what belongs to it."""
        rows, columns = self.shapes[-1]
        return slice(0, self.seen - rows * columns)

    def unpack(self, y: Array) -> tuple[Array, list[Array], Array]:
        """b, the layers (last first) and H' (r x d)."""
        xp, lead, parts, at = self.xp, y.shape[:-1], [], self.m
        for rows, columns in self.shapes:
            parts.append(xp.reshape(y[..., at : at + rows * columns], (*lead, rows, columns)))
            at += rows * columns
        return y[..., : self.m], parts[:-1], parts[-1]

    def pack(self, b: Array, W: list[Array], Ht: Array, behind: Array | None = None) -> Array:
        """The inverse of `unpack`; `behind` is what `within` carries."""
        lead = Ht.shape[:-2]
        flat = [self.xp.reshape(part, (*lead, -1)) for part in (*W, Ht)]
        flat = [b, *flat] if self.m else flat
        return self.xp.concat(flat if behind is None else [*flat, behind], axis=-1)

    @cached_property
    def kernel(self) -> Kernel | None:
        """The same right-hand side in few calls, where there is one."""
        return kernel_of(self)

    def __call__(
        self, y: Array, t: Any = 0.0, settle: Callable[[Array], Array] | None = None, out: Array | None = None
    ) -> Array:
        """The right-hand side dy/dt at time t.

        With `settle` the bias in y is first replaced, in place, by settle(b*), where b* is the bias at which db/dt = 0
        for this W and H: db/dt = -bias_rate (b - b*), so an implicit or an exponential step of it is a scalar formula.
        With `out` the slope is written there.
        """
        if self.kernel is not None:
            return self.kernel(y, t, settle, out)
        slope = self.slope(y, t, settle)
        if out is None:
            return slope
        out[...] = slope
        return out

    def slope(self, y: Array, t: Any, settle: Callable[[Array], Array] | None = None) -> Array:
        """The right-hand side of any field on any backend."""
        b, W, Ht = self.unpack(y)
        above = [W[0]]
        for layer in W[1:]:
            above.append(above[-1] @ layer)
        P = above[-1]
        PH = P @ transposed(Ht)
        if settle is not None:
            b = settle(self.bias_target(PH))
            y[..., : self.m] = b
        E, behind = self.residual(PH, b), None
        if self.within is None:
            by_P = E @ Ht
        elif isinstance(self.within, Law):
            by_P = self.within.gram_pull(P, t, self.N)
            by_P += self.pull(Ht, b)
        else:
            pulled, behind = self.within.slope(y[..., self.seen :], P, self.N)
            by_P = E @ Ht + pulled
        dW, below = [by_P], None
        for l in range(len(W) - 1, 0, -1):  # dL/dW_l = (layers above)' dL/dP (layers below)'
            below = W[l] if below is None else W[l] @ below
            dW.append(by_P @ transposed(below))
        dW = [dw if l == 0 else transposed(above[l - 1]) @ dw for l, dw in enumerate(dW[::-1])]
        slope = self.pack(self.bias_slope(E) if self.m else b, dW, transposed(E) @ P, behind)
        slope += self.decay * y
        slope *= -1
        if self.drive is not None:
            slope += self.drive[0]
        if self.held is not None:
            slope *= self.held
        return slope if self.cone is None else self.tangent(y, slope)

    def tangent(self, y: Array, slope: Array) -> Array:
        """The slope without what would lead out of the cone: where y is zero there, only upwards."""
        at = self.cone
        slope[at] = self.xp.where(y[at] > 0, slope[at], self.xp.clip(slope[at], 0.0, None))
        return slope

    def smooth(self, y: Array, slope: Array) -> "Field":
        """The field that the flow obeys from y on until an entry reaches zero, or leaves it; slope is dy/dt at y."""
        if self.cone is None:
            return self
        xp, at = self.xp, self.cone
        held = xp.ones_like(y) if self.held is None else xp.asarray(self.held, copy=True)
        held[at] *= xp.astype((y[at] > 0) | (slope[at] > 0), y.dtype)
        return replace(self, cone=None, held=held)

    def feasible(self, y: Array) -> Array:
        """y, or the nearest point in the cone."""
        if self.cone is None or not bool(self.xp.any(y[self.cone] < 0)):
            return y
        inside = self.xp.asarray(y, copy=True)
        inside[self.cone] = self.xp.clip(y[self.cone], 0.0, None)
        return inside

    def bias_at_rest(self, y: Array) -> Array:
        """b* for the W and H in y."""
        _, W, Ht = self.unpack(y)
        return self.bias_target(reduce(self.xp.matmul, W) @ transposed(Ht))

    def loss(self, y: Array, t: float = 0.0) -> float:
        """L at time t."""
        b, W, Ht = self.unpack(y)
        P, seen = reduce(self.xp.matmul, W), self.seen
        PH = P @ Ht.T
        value = float(self.data_loss(PH, b) + self.xp.sum(self.decay[:seen] * y[:seen] ** 2) / 2)
        if self.drive is not None:
            value += self.drive[1] - float(self.drive[0] @ y)
        if self.within is None:
            return value
        pulled, trace = self._unseen(P, P @ P.T @ P, Ht, y, t)
        return value + float(self.xp.sum(P * pulled)) / (2 * self.N) + self.lam_H * trace / 2

    def _unseen(self, P: Array, gram_P: Array, Ht: Array, y: Array, t: float) -> tuple[Array, float]:
        """P B (m x d) and tr B, where `within` knows B; gram_P is P P'P."""
        cut = self.classifier.stop
        if isinstance(self.within, Law):
            trace = self.within.trace(square(y[self.m : cut]), square(y[cut : self.seen]), t)
            pulled = self.within.less(gram_P, P, t)
            pulled -= P @ Ht.T @ Ht
            return pulled, trace
        carried = y[self.seen :]
        return P @ self.within.matrix(carried), self.within.trace(carried)  # pyright: ignore[reportOptionalMemberAccess]

    def norms(self, y: Array, t: float) -> Norms:
        """Norms of the classifier (with b) and of the features of all samples."""
        cut = self.classifier.stop
        first, second = norm(y[:cut]), norm(y[cut : self.seen])
        if self.within is None:
            return first, second
        if isinstance(self.within, Law):
            trace = self.within.trace(square(y[self.m : cut]), square(y[cut : self.seen]), t)
        else:
            trace = self.within.trace(y[self.seen :])
        return first, math.hypot(second, math.sqrt(trace)) if math.isfinite(trace) else math.inf

    def error_norms(self, error: Array) -> Norms:
        """The same of a difference of two states; what `within` carries is scaled to count as features."""
        cut = self.classifier.stop
        return norm(error[:cut]), norm(error[cut:])

    def gradient_norm(self, y: Array, slope: Array, t: float) -> float:
        """||grad L|| over W, b and all samples, given dy/dt; with a `Law` a bound where cancellation would show."""
        if self.within is None:
            return norm(slope)
        _, W, Ht = self.unpack(y)
        P = reduce(self.xp.matmul, W)
        gram = P @ P.T
        gram_P = gram @ P
        pulled, trace = self._unseen(P, gram_P, Ht, y, t)
        rest = unseen_gradient(P, gram_P, pulled, trace, self.N, self.lam_H)
        if isinstance(self.within, Law):
            largest = norm(self.xp.reshape(gram, (-1,)))  # or more: of the eigenvalues of P'P
            rest = min(rest, (largest / self.N + self.lam_H) * math.sqrt(self.within.trace_bound(t)))
        return math.hypot(norm(slope[: self.seen]), rest)


def squared_loss(xp: Namespace, A: Array, q: Array, N: Array | int, bias_rate: Any) -> dict[str, Callable[..., Array]]:
    """Field's functions for 1/(2N) ||P H + b q' - A||^2."""
    has_bias = bias_rate is not None
    rate = 1.0 if bias_rate is None else bias_rate if isinstance(bias_rate, float) else bias_rate[..., None]
    scaled_q = q / (N * rate)

    def residual(PH: Array, b: Array) -> Array:
        E = PH - A
        if has_bias:
            E += b[..., None] * q
        E /= N
        return E

    def data_loss(PH: Array, b: Array) -> Array:
        return xp.sum(residual(PH, b) ** 2) * (N / 2)

    return {
        "residual": residual,
        "bias_target": lambda PH: _times(A - PH, scaled_q),
        "bias_slope": lambda E: _times(E, q),
        "data_loss": data_loss,
        "pull": _later(lambda: _pull(A, q, N, has_bias)),
    }


def _later(make: Callable[[], Callable[..., Array]]) -> Callable[..., Array]:
    """The function that `make` gives, made when it is first called: most fields never ask for it."""
    made: list[Callable[..., Array]] = []

    def call(*arguments: Array) -> Array:
        if not made:
            made.append(make())
        return made[0](*arguments)

    return call


def _times(E: Array, q: Array) -> Array:
    """E q, for q a vector or a stack of rows."""
    return E @ q if q.ndim == 1 else (E @ transposed(q))[..., 0]


def _pull(A: Array, q: Array, N: Array | int, has_bias: bool) -> Callable[[Array, Array], Array]:
    """(H', b) -> (b q' - A) H'/N, without a matrix product where A = diag(a) + u q' (one-hot, simplex)."""
    parts = diagonal_and_mean(to_numpy(A), to_numpy(q)) if A.ndim == 2 else None
    if parts is None:
        return lambda Ht, b: ((b[..., None] * q - A) / N if has_bias else A / -N) @ Ht
    xp, place = array_namespace(A), {"dtype": A.dtype, "device": getattr(A, "device", None)}
    a, u = (xp.asarray(part.tolist(), **place) for part in parts)
    if not has_bias and not np.any(parts[1]):
        return lambda Ht, b: (a / -N)[:, None] * Ht

    def pull(Ht: Array, b: Array) -> Array:
        shift = (b - u if has_bias else -u) / N
        moved = (a / -N)[:, None] * Ht
        moved += shift[..., None] * (q @ Ht)[..., None, :]
        return moved

    return pull


def _general(xp: Namespace, problem: Problem, T: Array, q: Array) -> dict[str, Callable[..., Array]]:
    """Field's functions for any loss of a column, all q > 0."""
    loss, weight, has_bias = find_loss(problem.loss), q / problem.N, problem.has_bias

    def logits(PH: Array, b: Array) -> Array:
        return PH / q + b[..., None] if has_bias else PH / q

    def unavailable(*_: Array) -> Array:
        raise NotImplementedError("this loss is not quadratic")

    return {
        "residual": lambda PH, b: loss.slope(logits(PH, b), T) * weight,
        "bias_target": unavailable,
        "bias_slope": lambda E: E @ q,
        "data_loss": lambda PH, b: xp.sum(loss.value(logits(PH, b), T) * (q * weight)),
        "pull": unavailable,
    }


def field_of(
    problem: Problem, shapes: tuple[tuple[int, int], ...], A: Array, q: Array, within: Law | Scatter | None = None
) -> Field:
    """The field of a problem on arrays of these shapes; A (m x r) is T diag(q), with q (r) as in the module's text."""
    xp = array_namespace(A, q)
    has_bias, place = problem.has_bias, {"dtype": A.dtype, "device": getattr(A, "device", None)}
    weights = [float(lam) for lam in (*problem.lam_W, problem.lam_H)]
    decay = [xp.full((r * c,), lam, **place) for (r, c), lam in zip(shapes, weights, strict=True)]
    if has_bias:
        decay = [xp.full((problem.m,), float(problem.lam_b), **place), *decay]
    if isinstance(within, Scatter):
        decay += [xp.full((size,), rate * weights[-1], **place) for size, rate in within.decays]
    linear = problem.loss == "mse"
    bias_rate = 1 + float(problem.lam_b) if has_bias and linear else None
    functions = squared_loss(xp, A, q, problem.N, bias_rate) if linear else _general(xp, problem, A / q, q)
    return Field(
        xp,
        problem.N,
        problem.m if has_bias else 0,
        shapes,
        xp.concat(decay),
        weights[-1],
        linear,
        bias_rate,
        **functions,
        targets=(A, q),
        within=within,
        held=None,
        cone=None,
        drive=None,
    )
