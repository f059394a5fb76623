"""Runge-Kutta-Chebyshev steps of a stack of flows, each of as many stages as its own stiffness asks for.

How many is settled on the host every few steps, and bounds the steps in between; within a step nothing is asked of the
device. Flows that have fewer stages than others repeat their last one, to the bit, while those go on.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ufm.arrays import Array
from ufm.flow.field import Field
from ufm.flow.integrators import Chebyshev
from ufm.flow.state import device_array
from ufm.flow.step import CHEBYSHEV_MARGIN, Step

HEADROOM = 1.5  # on the step that a flow wishes for now, until the next look


@dataclass(eq=False)
class StackedChebyshev:
    """Steps of a stack; `settle` comes before the first of them, and whenever flows have left the stack."""

    field: Field
    method: Chebyshev
    most: int = 0  # stages of the flow that has most
    stages: Array = None  # of every flow (B)
    longest: Array = None  # step of every flow with these stages
    constant: Array = None  # B x (most + 1) x 5: rows of `Chebyshev.rows`, those to be multiplied by h apart
    by_step: Array = None
    shares: Array = None  # B x (most + 1): of the step that has passed since the stage before
    goes_on: Array = None  # B x (most + 1): whether the flow has this stage

    @property
    def holds_bias(self) -> bool:
        """Whether the bias bounds no step."""
        return self.field.bias_rate is not None

    def settle(self, h: np.ndarray, fastest: np.ndarray, like: Array) -> None:
        """The stages of every flow, from the step that it wishes for and its fastest rate."""
        rate = CHEBYSHEV_MARGIN * fastest
        found = [self.method.stages(HEADROOM * float(wish)) for wish in h * rate]
        self.most = most = max(found)
        reach = np.array([self.method.reach(s) for s in found])
        rows, shares = np.zeros((len(found), most + 1, 2, 5)), np.zeros((len(found), most + 1))
        rows[:, 0::2, 0, 4] = rows[:, 1::2, 0, 3] = 1.0  # the stage before, once more
        for i, s in enumerate(found):
            rows[i, : s + 1], shares[i, 1 : s + 1] = self.method.rows(s), np.diff(self.method.recursion(s).c)
        with np.errstate(divide="ignore"):
            longest = np.where(rate > 0, reach / rate, np.inf)

        def give(x: Any) -> Array:
            return device_array(self.field.xp, np.asarray(x, dtype=float), like)

        self.longest, self.shares = give(longest), give(shares)
        self.constant, self.by_step = give(rows[:, :, 0]), give(rows[:, :, 1])
        self.goes_on = give(shares > 0) > 0
        self.stages = self.field.xp.astype(give(found), self.field.xp.int64)

    def __call__(self, t: Array, y: Array, slope: Array, h: Array, fastest: Array) -> Step:
        """One step of every flow from (t, y), where dy/dt is slope; h at most `longest`."""
        field, xp, m, rate = self.field, self.field.xp, self.field.m, self.field.bias_rate
        weights = self.constant + h[:, None, None] * self.by_step
        K = xp.stack([y, slope, slope, y, y], axis=1)
        b, rest = y[:, :m], y[:, :m] + slope[:, :m] / rate if rate is not None else y[:, :m]
        stage, passed = y, 0 * h
        for j in range(1, self.most + 1):
            stage, passed = (weights[:, j : j + 1, :] @ K)[:, 0, :], passed + self.shares[:, j]
            relax = None if rate is None else self._relaxation(j, b, rest, h)
            slope_there = field(stage, t + passed * h, relax, K[:, 2, :])
            K[:, 3 + j % 2, :] = stage
            if rate is not None:
                b, rest = stage[:, :m], stage[:, :m] + slope_there[:, :m] / rate
        moving = xp.asarray(K[:, 2, :], copy=True)
        error = 0.8 * (y - stage) + (0.4 * h)[:, None] * (slope + moving)
        return Step(stage, error, moving, self.stages)  # pyright: ignore[reportArgumentType]: one number a flow

    def _relaxation(self, j: int, b: Array, before: Array, h: Array) -> Any:
        """`ufm.flow.step`'s relaxation of every flow; the bias of one at its last stage stays as it is."""
        xp = self.field.xp
        z = self.field.bias_rate * (self.shares[:, j] * h)[:, None]
        positive = z > 0
        mean = xp.where(positive, -xp.expm1(-z) / xp.where(positive, z, 1.0 + 0 * z), 1.0 + 0 * z)
        moves = self.goes_on[:, j][:, None]
        return lambda rest: xp.where(moves, rest + xp.exp(-z) * (b - before) - mean * (rest - before), b)
