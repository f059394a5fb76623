"""The projected gradient flow of features that stay non-negative: dH/dt = -dL/dH, but never below zero.

Where h_ij > 0 it is the gradient flow; where h_ij = 0 the entry stays for as long as dL/dh_ij >= 0, and leaves when
that turns negative: the projection of -grad L on the tangent cone, whose rest points are the Karush-Kuhn-Tucker points.
Between two such switches the flow is smooth. A step takes the entries that are held at its start as held throughout,
and those that end below zero are put on it. What that gets wrong is of second order in the step, and measured:
half a step times the change that the overshoot made to the slope, and half a step times the speed at which a held
entry would by now have been leaving. Step control sees it beside the method's own error.
"""

from dataclasses import dataclass, replace

from ufm.arrays import Array
from ufm.flow.control import Control
from ufm.flow.field import Field
from ufm.flow.step import ChebyshevStepper, Step, TableauStepper

SWITCH_ORDER = 2  # of the error that a switch inside a step makes


@dataclass(frozen=True, eq=False)
class ProjectedStepper:
    """Steps of a method between switches; `control` says how far a switch may be missed."""

    field: Field
    method: TableauStepper | ChebyshevStepper
    control: Control

    @property
    def holds_bias(self) -> bool:
        """Whether the bias bounds no step."""
        return self.method.holds_bias

    def __call__(self, t: float, y: Array, slope: Array, h: float, fastest: float) -> Step:
        """One step of length h from (t, y), where dy/dt is slope; its end lies in the cone."""
        field, smooth = self.field, self.field.smooth(y, slope)
        step = replace(self.method, field=smooth)(t, y, slope, h, fastest)
        end, evaluations = field.feasible(step.y), step.evaluations + 1
        missed = replace(field, cone=None)(end, t + h)
        arrived = field.tangent(end, field.xp.asarray(missed, copy=True))
        moving: Array = smooth.held
        switched = (h / 2) * (1 - moving) * arrived
        if end is not step.y:
            beyond, evaluations = smooth(step.y, t + h), evaluations + 1
            switched += (h / 2) * moving * (beyond - missed)
        return Step(end, step.error + self._amplified(y, end, switched, t + h), arrived, evaluations)

    def _amplified(self, y: Array, end: Array, switched: Array, t: float) -> Array:
        """The error of switches, so scaled that the controller, made for the method's order, shrinks as for its own."""
        field = self.field
        size = self.control.size(field.error_norms(switched), field.norms(y, t), field.norms(end, t))
        order = self.control.embedded_order + 1
        return switched * min(1e12, size ** (order / SWITCH_ORDER - 1))
