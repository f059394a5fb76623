"""Step-size control: when a step is accepted, and how long the next one is."""

import math
import operator
from dataclasses import dataclass
from functools import reduce

from ufm.arrays import Array, array_namespace
from ufm.flow.field import Norms
from ufm.flow.integrators import Chebyshev, Library, Method
from ufm.flow.stack import ArrayNorms

SAFETY, SHRINK, GROW = 0.9, 0.2, 5.0
SUMS_UP = 1e-5  # the tolerance at which the errors of a second-order method's steps add up to about itself
MARGIN = 1.05  # power iteration underestimates the fastest rate by a little


@dataclass(frozen=True)
class Control:
    """PI control of the error of a step, relative to the norms of the classifier and of the features.

    No rotation changes these norms: full flows and those reduced to columns take the same steps.
    """

    embedded_order: int
    damps: float
    rtol: float
    atol: float

    @property
    def _exponent(self) -> float:
        return 1 / (self.embedded_order + 1)

    def size(self, error: Norms, old: Norms, new: Norms) -> float:
        """The error in units of what is allowed: accepted up to 1; inf where anything is not finite."""
        ratios = [e / (self.atol + self.rtol * max(a, b)) for e, a, b in zip(error, old, new, strict=True)]
        return max(ratios) if all(map(math.isfinite, (*ratios, *new))) else math.inf

    def grown(self, h: float, size: float, previous: float) -> float:
        """The step after an accepted one of length h, given its size and that of the accepted one before."""
        factor = SAFETY * max(size, 1e-10) ** (-0.7 * self._exponent) * max(previous, 1e-4) ** (0.4 * self._exponent)
        return h * min(GROW, max(SHRINK, factor))

    def shrunk(self, h: float, size: float) -> float:
        """The step after a rejected one."""
        return h * (max(SHRINK, SAFETY * size**-self._exponent) if math.isfinite(size) else SHRINK)

    def longest(self, fastest: float) -> float:
        """The longest step that damps a mode of rate `fastest`."""
        return self.damps / (MARGIN * fastest) if fastest > 0 else math.inf

    # The same four, of every flow in a stack.

    def size_of(self, error: ArrayNorms, old: ArrayNorms, new: ArrayNorms, atol: Array) -> Array:
        """`size` of every flow; each has its own atol."""
        xp = array_namespace(error[0])
        ratios = [e / (atol + self.rtol * xp.maximum(a, b)) for e, a, b in zip(error, old, new, strict=True)]
        finite = reduce(operator.and_, map(xp.isfinite, (*ratios, *new)))
        return xp.where(finite, xp.maximum(*ratios), math.inf + 0 * new[0])

    def grown_of(self, h: Array, size: Array, previous: Array) -> Array:
        """`grown` of every flow."""
        xp, exponent = array_namespace(h), self._exponent
        error, before = xp.maximum(size, 1e-10), xp.maximum(previous, 1e-4)
        factor = SAFETY * error ** (-0.7 * exponent) * before ** (0.4 * exponent)
        return h * xp.minimum(xp.maximum(factor, SHRINK), GROW)

    def shrunk_of(self, h: Array, size: Array) -> Array:
        """`shrunk` of every flow."""
        return h * array_namespace(h).maximum(SAFETY * size**-self._exponent, SHRINK)

    def capped(self, h: Array, fastest: Array) -> Array:
        """The step h of every flow, or `longest` where that is less."""
        xp = array_namespace(fastest)
        positive = fastest > 0
        length = self.damps / (MARGIN * xp.where(positive, fastest, 1.0 + 0 * fastest))
        return xp.where(positive, xp.minimum(h, length), h)


def control_of(method: Method, rtol: float, atol: float) -> Control:
    """The control of a method's steps; one of a library controls its own, to these tolerances."""
    if isinstance(method, Library):
        return Control(1, math.inf, rtol, atol)
    if isinstance(method, Chebyshev):
        # N ~ tol^(-1/(p+1)) steps add up to tol^(p/(p+1)): at low order p that is far above tol, unless tol makes up.
        share = min(1.0, (rtol / SUMS_UP) ** (1 / method.order))
        return Control(method.embedded_order, method.damps, share * rtol, share * atol)
    return Control(method.embedded_order, method.damps, rtol, atol)
