"""When is a flow at rest? Its remaining distance to the limit is ||grad L|| / (slowest rate that is still visible).

The weights alone do not bound that rate: near lam_b* the mean mode relaxes arbitrarily slowly. So it is measured, as
the mean rate over the last decade of the decay of the gradient, and the smaller of it and the smallest weight counts.
A sum of exponentials is log-convex: its slope now is the smallest so far; what is slow shows before all else is gone.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from ufm.flow.status import Status


@dataclass(frozen=True)
class Rest:
    """The stopping rule: ||grad|| <= gtol * rate * scale, rate the smaller of `least_weight` and the measured one.

    least_weight: smallest positive weight, 0 where there is none. scale: norm below which the state counts as zero.
    """

    gtol: float
    least_weight: float
    scale: float
    eps: float

    def target(self, norm: float) -> float:
        """The gradient norm that the weights alone ask for."""
        return self.gtol * self.least_weight * max(norm, self.scale)


@dataclass(frozen=True)
class Decay:
    """Times and gradient norms of the accepted steps so far."""

    t: list[float] = field(default_factory=list)
    gradient: list[float] = field(default_factory=list)

    def add(self, t: float, gradient: float) -> None:
        """One more accepted step."""
        self.t.append(t)
        self.gradient.append(gradient)

    def rate(self) -> float | None:
        """Mean rate of the decay over its last decade, or since its maximum if that is smaller; None before one decade.

        For a log-convex decay the last decade is the smaller; a ripple from step control does not fool both.
        """
        norms, now = np.asarray(self.gradient), self.gradient[-1]
        above = np.flatnonzero(norms >= 10 * now)
        if not 0 < now < math.inf or above.size == 0:
            return None
        spans = [int(above[-1]), int(np.argmax(norms))]
        return min(math.log(self.gradient[i] / now) / (self.t[-1] - self.t[i]) for i in spans)

    def exponents(self) -> tuple[float, float]:
        """Exponents of ||grad|| ~ t^-exponent over [t/4, t/2] and [t/2, t].

        Equal for a power of t, doubling for an exponential.
        """
        t = self.t[-1]
        with np.errstate(divide="ignore"):
            log = np.interp(np.log2([t / 4, t / 2, t]), np.log2(self.t[1:]), np.log2(self.gradient[1:]))
        return float(log[0] - log[1]), float(log[1] - log[2])

    def looks_algebraic(self) -> bool:
        """Whether the decay has been a power of t over the last factor of four."""
        earlier, later = self.exponents()
        return 0.3 < later < 1.1 * earlier


def at_rest(rest: Rest, decay: Decay, norm: float, fastest: float, *, final: bool) -> Status | None:
    """STEADY, ROUNDOFF, or None for neither yet.

    norm: of the state; fastest: rate times size of the largest terms of the gradient, so that eps * fastest is
    round-off. `final` accepts a run that has not lasted long enough to measure a rate.
    """
    gradient, scale = decay.gradient[-1], max(norm, rest.scale)
    if gradient == 0:
        return Status.STEADY
    floor = 16 * rest.eps * fastest
    if gradient > floor and rest.least_weight > 0 and gradient > rest.target(norm):
        return None
    rate = decay.rate()
    if rate is None:  # started at rest, or nearly: believe the weights
        rate = rest.least_weight if final or gradient <= floor else None
    if rate is None:
        return None
    slowest = min(rate, rest.least_weight) if rest.least_weight > 0 else rate
    if gradient <= rest.gtol * slowest * scale:
        return Status.STEADY
    return Status.ROUNDOFF if gradient <= floor else None
