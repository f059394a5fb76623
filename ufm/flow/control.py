"""Step-size control: when a step is accepted, and how long the next one is."""

import math
from dataclasses import dataclass

from ufm.flow.field import Norms
from ufm.flow.integrators import Tableau

SAFETY, SHRINK, GROW = 0.9, 0.2, 5.0
MARGIN = 1.1  # power iteration underestimates the fastest rate by a little


@dataclass(frozen=True)
class Control:
    """PI control of the error of a step, relative to the norms of the classifier and of the features.

    No rotation changes these norms: full flows and those reduced to columns take the same steps.
    """

    tableau: Tableau
    rtol: float
    atol: float

    @property
    def _exponent(self) -> float:
        return 1 / (self.tableau.embedded_order + 1)

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
        return self.tableau.damps / (MARGIN * fastest) if fastest > 0 else math.inf
