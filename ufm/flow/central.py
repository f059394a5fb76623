"""The central path (tirer2023): the classifier follows the features, W = W*(H), b = b*(H), and only H flows.

Given H, L is least at b = (ybar - W hbar)/(1 + lam_b) and W*(H) = Y M H'(H M H' + N lam_W)^(-1), M = 1 - 11'/(N (1 +
lam_b)), or M = 1 without a bias. The flow is dH/dt = -dL/dH there: the time of tirer2023, dH/dt = -N dL/dH, is t/N.
"""

from dataclasses import dataclass, replace
from typing import cast

from ufm.arrays import Array, Namespace
from ufm.errors import ProblemError
from ufm.flow.coordinates import Coordinates
from ufm.flow.field import Field, Norms
from ufm.flow.within import Law, Scatter
from ufm.problem import Problem


@dataclass(frozen=True, eq=False)
class Central:
    """A field of H alone: asks the field of (b, W, H) at b*, W*, where the gradient by both is zero.

    It stands wherever a Field does.
    """

    inner: Field
    lam_W: float
    lam_b: float

    m = 0  # the bias is no part of the flat state
    bias_rate = held = cone = drive = None
    quadratic = False

    @property
    def xp(self) -> Namespace:
        """The namespace of its arrays."""
        return self.inner.xp

    @property
    def N(self) -> int:
        """Number of samples."""
        return self.inner.N

    @property
    def lam_H(self) -> float:
        """Weight of the features."""
        return self.inner.lam_H

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Of W and H'."""
        return self.inner.shapes

    @property
    def targets(self) -> tuple[Array, Array]:
        """A (m x r), q (r)."""
        return self.inner.targets

    @property
    def within(self) -> Law | Scatter | None:
        """How the features that see no target enter."""
        return self.inner.within

    @property
    def seen(self) -> int:
        """Length of H' in the flat state."""
        return self.inner.seen - self.inner.classifier.stop

    @property
    def size(self) -> int:
        """Length of the flat state."""
        return self.inner.size - self.inner.classifier.stop

    @property
    def classifier(self) -> slice:
        """No part of the flat state is the classifier's."""
        return slice(0, 0)

    @property
    def decay(self) -> Array:
        """Of what is in the flat state."""
        return self.inner.decay[self.inner.classifier.stop :]

    def slaved(self, y: Array) -> Array:
        """The flat state of (b, W, H) with b = b*(H) and W = W*(H)."""
        field, xp = self.inner, self.inner.xp
        (A, q), N = field.targets, field.N
        Ht = xp.reshape(y[: self.seen], field.shapes[-1])
        gram, cross, mean = Ht.T @ Ht, A @ Ht, q @ Ht
        if field.m:
            share = 1 / (N * (1 + self.lam_b))
            gram = gram - share * mean[:, None] * mean
            cross = cross - share * (A @ q)[:, None] * mean
        if isinstance(field.within, Scatter):
            gram = gram + field.within.matrix(y[self.seen :])
        eye = xp.eye(gram.shape[0], dtype=y.dtype, device=getattr(y, "device", None))
        W = xp.linalg.solve(gram + (N * self.lam_W) * eye, cross.T).T
        parts = [xp.reshape(W, (-1,)), y]
        if field.m:
            parts.insert(0, (A @ q - W @ mean) / (N * (1 + self.lam_b)))
        return xp.concat(parts)

    def __call__(self, y: Array, t: float = 0.0, settle: None = None, out: Array = None) -> Array:
        """dy/dt at time t, written to `out` if given; there is no bias to settle."""
        slope = self.inner(self.slaved(y), t)[self.inner.classifier.stop :]
        if out is None:
            return slope
        out[...] = slope
        return out

    def unpack(self, y: Array) -> tuple[Array, list[Array], Array]:
        """b*, [W*] and H' (r x d)."""
        return self.inner.unpack(self.slaved(y))

    def loss(self, y: Array, t: float = 0.0) -> float:
        """L at W*(H), b*(H)."""
        return self.inner.loss(self.slaved(y), t)

    def norms(self, y: Array, t: float) -> Norms:
        """Norms of W*(H) (with b*) and of the features of all samples."""
        return self.inner.norms(self.slaved(y), t)

    def error_norms(self, error: Array) -> Norms:
        """A difference of two states is one of features."""
        return self.inner.error_norms(self._padded(error))

    def gradient_norm(self, y: Array, slope: Array, t: float) -> float:
        """||dL/dH|| over all samples, which is the whole gradient here, given dy/dt."""
        return self.inner.gradient_norm(self.slaved(y), self._padded(slope), t)

    def smooth(self, y: Array, slope: Array) -> "Central":
        """Itself: it switches nowhere."""
        return self

    def feasible(self, y: Array) -> Array:
        """y: every point is."""
        return y

    def tangent(self, y: Array, slope: Array) -> Array:
        """The slope: every direction is free."""
        return slope

    def _padded(self, y: Array) -> Array:
        xp = self.inner.xp
        nothing = xp.zeros((self.inner.classifier.stop,), dtype=y.dtype, device=getattr(y, "device", None))
        return xp.concat([nothing, y])


def central_path(problem: Problem, at: Coordinates, y: Array) -> tuple[Coordinates, Array]:
    """The same coordinates with W and b slaved to H; ProblemError where there is no such flow."""
    if problem.p != 2 or problem.loss != "mse" or problem.constraint is not None:
        what = f"p = {problem.p}, loss = {problem.loss!r}, constraint = {problem.constraint!r}"
        raise ProblemError("path", "central", f"W*(H) is known for p = 2, 'mse' and no constraint, and here {what}.")
    if float(problem.lam_W[0]) == 0:
        raise ProblemError("lam_W", 0, "W*(H) jumps where H loses rank; give lam_W > 0, or take path='gradient'.")
    field = at.field
    slaved = Central(field, float(problem.lam_W[0]), float(problem.lam_b))
    return replace(at, field=cast(Field, slaved), first=None), y[field.classifier.stop :]
