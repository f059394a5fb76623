"""The right-hand side of the flow on one flat vector, d/dt (b, W_{p-1}, .., W_1, H') = -grad L.

L is written in r columns, each with a target column and the root of its multiplicity,
    L = 1/N sum_j q_j^2 loss(P H e_j / q_j + b, T e_j) + decay,    P = W_{p-1}..W_1,
with H scaled so that its squared norm is that of all N samples' features: the flow of H is then plain gradient flow
in these coordinates. For the squared loss T e_j q_j = A e_j, and q_j = 0 is allowed: such columns see no target.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

from ufm.arrays import Array, Namespace, array_namespace
from ufm.losses import loss as find_loss
from ufm.problem import Problem


@dataclass(frozen=True, eq=False)
class Field:
    """dy/dt and L of the flat state; `bias_rate` is 1 + lam_b where db/dt is linear in b (squared loss), else None.

    shapes: of W_{p-1}, .., W_1 and H' (r x d); m: length of b, 0 without one.
    """

    xp: Namespace
    m: int
    shapes: tuple[tuple[int, int], ...]
    decay: Array
    bias_rate: float | None
    residual: Callable[[Array, Array], Array]  # P H, b -> E = dL/d(P H), m x r
    bias_drift: Callable[[Array], Array]  # P H -> -db/dt at b = 0
    bias_slope: Callable[[Array], Array]  # E -> E q
    data_loss: Callable[[Array, Array], Array]

    @property
    def size(self) -> int:
        """Length of the flat state."""
        return self.m + sum(rows * columns for rows, columns in self.shapes)

    @property
    def classifier(self) -> slice:
        """Where b and the layers lie in the flat state; the rest is H'."""
        rows, columns = self.shapes[-1]
        return slice(0, self.size - rows * columns)

    def unpack(self, y: Array) -> tuple[Array, list[Array], Array]:
        """b, the layers (last first) and H' (r x d)."""
        xp, parts, at = self.xp, [], self.m
        for rows, columns in self.shapes:
            parts.append(xp.reshape(y[at : at + rows * columns], (rows, columns)))
            at += rows * columns
        return y[: self.m], parts[:-1], parts[-1]

    def pack(self, b: Array, W: list[Array], Ht: Array) -> Array:
        """The inverse of `unpack`."""
        flat = [self.xp.reshape(part, (-1,)) for part in (*W, Ht)]
        return self.xp.concat([b, *flat] if self.m else flat)

    def __call__(self, y: Array, implicit: float = 0.0) -> Array:
        """The right-hand side dy/dt.

        With implicit = h gamma > 0 the bias in y is first replaced, in place, by the b that solves
        b = (the bias in y) + h gamma db/dt(b): one scalar division, because db/dt is linear in b.
        """
        b, W, Ht = self.unpack(y)
        above = [W[0]]
        for layer in W[1:]:
            above.append(above[-1] @ layer)
        PH = above[-1] @ Ht.T
        if implicit and self.bias_rate is not None:
            b = (b - implicit * self.bias_drift(PH)) / (1 + implicit * self.bias_rate)
            y[: self.m] = b
        E = self.residual(PH, b)
        dW, below = [], Ht.T
        for l in range(len(W) - 1, -1, -1):
            upper = E if l == 0 else above[l - 1].T @ E
            dW.append(upper @ below.T)
            if l:
                below = W[l] @ below
        slope = self.pack(self.bias_slope(E) if self.m else b, dW[::-1], E.T @ above[-1])
        return -(slope + self.decay * y)

    def loss(self, y: Array) -> Array:
        """L, a 0-d array."""
        b, W, Ht = self.unpack(y)
        return self.data_loss(reduce(self.xp.matmul, W) @ Ht.T, b) + self.xp.sum(self.decay * y**2) / 2


def _squared(xp: Namespace, A: Array, q: Array, N: int, has_bias: bool) -> dict[str, Callable[..., Array]]:
    """Field's functions for 1/(2N) ||P H + b q' - A||^2."""
    scaled_q = q / N

    def residual(PH: Array, b: Array) -> Array:
        E = PH - A
        if has_bias:
            E = E + b[:, None] * q
        return E / N

    def data_loss(PH: Array, b: Array) -> Array:
        return xp.sum(residual(PH, b) ** 2) * (N / 2)

    return {
        "residual": residual,
        "bias_drift": lambda PH: (PH - A) @ scaled_q,
        "bias_slope": lambda E: E @ q,
        "data_loss": data_loss,
    }


def _general(xp: Namespace, problem: Problem, T: Array, q: Array) -> dict[str, Callable[..., Array]]:
    """Field's functions for any loss of a column, all q > 0."""
    loss, weight, has_bias = find_loss(problem.loss), q / problem.N, problem.has_bias

    def logits(PH: Array, b: Array) -> Array:
        return PH / q + b[:, None] if has_bias else PH / q

    def unavailable(PH: Array) -> Array:
        raise NotImplementedError("the bias of this loss is not linear")

    return {
        "residual": lambda PH, b: loss.slope(logits(PH, b), T) * weight,
        "bias_drift": unavailable,
        "bias_slope": lambda E: E @ q,
        "data_loss": lambda PH, b: xp.sum(loss.value(logits(PH, b), T) * (q * weight)),
    }


def field_of(problem: Problem, shapes: tuple[tuple[int, int], ...], A: Array, q: Array) -> Field:
    """The field of a problem on arrays of these shapes; A (m x r) is T diag(q), with q (r) as in the module's text."""
    xp = array_namespace(A, q)
    has_bias, place = problem.has_bias, {"dtype": A.dtype, "device": getattr(A, "device", None)}
    weights = [float(lam) for lam in (*problem.lam_W, problem.lam_H)]
    decay = [xp.full((r * c,), lam, **place) for (r, c), lam in zip(shapes, weights, strict=True)]
    if has_bias:
        decay = [xp.full((problem.m,), float(problem.lam_b), **place), *decay]
    linear = problem.loss == "mse"
    functions = _squared(xp, A, q, problem.N, has_bias) if linear else _general(xp, problem, A / q, q)
    return Field(
        xp,
        problem.m if has_bias else 0,
        shapes,
        xp.concat(decay),
        1 + float(problem.lam_b) if has_bias and linear else None,
        **functions,
    )
