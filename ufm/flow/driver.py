"""The one loop that runs every tableau: adaptive steps, saving, and when to stop."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from ufm.arrays import Array
from ufm.flow.control import Control
from ufm.flow.dense import Node, between
from ufm.flow.field import Norms, norm
from ufm.flow.library import LibraryStepper, Started
from ufm.flow.saver import Saver
from ufm.flow.spectrum import fastest_rate
from ufm.flow.status import Status
from ufm.flow.steady import Decay, Rest, at_rest
from ufm.flow.step import ChebyshevStepper, Stepper

LOOK_EVERY = 8  # steps tried between looks at the fastest rate and at rest
LONG = 1000.0  # in units of 1 / least weight: when a decay that is still not exponential is called algebraic


class Progress(NamedTuple):
    """What the callback hears after accepted steps; fraction in [0, 1], by time or by decades of the gradient."""

    fraction: float
    t: float
    steps: int
    gradient_norm: float


@dataclass(frozen=True, eq=False)
class Run:
    """Where the loop ended, and what it cost; fell_back: whether a library's method gave up, and rkc2 went on."""

    t: float
    y: Array
    status: Status
    gradient_norm: float
    rate: float | None
    steps: int
    rejected: int
    evaluations: int
    fell_back: bool


@np.errstate(over="ignore", invalid="ignore")  # a step too long overflows, is rejected, and is no news
def integrate(
    stepper: Stepper | LibraryStepper,
    y: Array,
    *,
    t1: float | None,
    control: Control,
    rest: Rest,
    max_steps: int,
    saver: Saver,
    progress: Callable[[Progress], None] | None,
) -> Run:
    """From y at t = 0 to t1, or without t1 to rest."""
    loop = _Loop(stepper, control, rest, saver, t1, y)
    status = loop.begin()
    while status is None:
        if loop.steps >= max_steps:
            status = Status.MAX_STEPS
        elif not loop.step() and loop.too_short():
            status = Status.DIVERGED
        elif t1 is not None and loop.t >= t1:
            status = loop.rested(final=True) or Status.UNSETTLED
        elif (loop.steps + loop.rejected) % LOOK_EVERY == 0:
            status = loop.look()
            if progress is not None:
                progress(loop.report())
    saver.finish(loop.t, loop.y)
    gradient, rate = loop.decay.gradient[-1], loop.decay.rate()
    evaluations = loop.evaluations + (loop.started.evaluations if loop.started is not None else 0)
    return Run(loop.t, loop.y, status, gradient, rate, loop.steps, loop.rejected, evaluations, loop.fell_back)


@dataclass(eq=False)
class _Loop:
    """What changes from step to step."""

    stepper: Stepper | LibraryStepper
    control: Control
    rest: Rest
    saver: Saver
    t1: float | None
    y: Array
    t: float = 0.0
    steps: int = 0
    rejected: int = 0
    evaluations: int = 0
    decay: Decay = field(default_factory=Decay)
    slope: Array = None
    norms: Norms = (0.0, 0.0)
    h: float = 0.0
    first_h: float = 0.0
    size: float = 1.0  # of the last accepted step's error
    error: Array = None
    fastest: float = 0.0
    mode: Array = None  # the direction of that rate
    next_algebraic: float = 0.0
    started: Started | None = None
    fell_back: bool = False
    nodes: list[Node] = field(default_factory=list)  # the last three points

    def begin(self) -> Status | None:
        """Slope, first step length and fastest rate at t = 0; a status if there is nothing to do."""
        right_hand_side = self.stepper.field
        self.slope, self.norms = right_hand_side(self.y, 0.0), right_hand_side.norms(self.y, 0.0)
        self.error, self.evaluations = self.slope, 1
        gradient = right_hand_side.gradient_norm(self.y, self.slope, 0.0)
        self.decay.add(0.0, gradient)
        self.saver.take(0.0, self.y)
        if not math.isfinite(gradient):
            return Status.DIVERGED
        self._measure_fastest(iterations=4)
        self.h = 0.01 * max(math.hypot(*self.norms), self.rest.scale) / gradient if gradient > 0 else self.t1 or 1.0
        self.first_h = self.h
        self.next_algebraic = LONG / (self.rest.least_weight or self.fastest / 10 or 1.0)
        self.nodes = [Node(0.0, self.y, self.slope)]
        if isinstance(self.stepper, LibraryStepper):
            self.started = self.stepper.started(self.y, self.t1, self.control)
        return self.rested(final=False) if self.t1 is None and not self.saver.pending else None

    def step(self) -> bool:
        """Try one step; whether it was accepted."""
        moved = self._try_step() if self.started is None else self._library_step(self.started)
        if moved:
            self.steps += 1
            wanted = self.started is not None or self.saver.next_time < math.inf  # else nothing asks for points behind
            self.nodes = [*self.nodes[-2:], Node(self.t, self.y, self.slope)] if wanted else []
            self.decay.add(self.t, self.stepper.field.gradient_norm(self.y, self.slope, self.t))
            self._save()
        return moved

    def _try_step(self) -> bool:
        h = min(self.h, self.control.longest(self.fastest))
        stop = math.inf if self.t1 is None else self.t1
        hits = self.t + h >= stop * (1 - 4 * self.rest.eps)
        trial = stop - self.t if hits else h if self.t + 2 * h < stop else (stop - self.t) / 2
        right_hand_side = self.stepper.field
        y, error, slope, cost = self.stepper(self.t, self.y, self.slope, trial, self.fastest)  # pyright: ignore
        self.evaluations += cost
        t = stop if hits else self.t + trial
        new_norms = right_hand_side.norms(y, t)
        size = self.control.size(right_hand_side.error_norms(error), self.norms, new_norms)
        if size > 1:
            self.rejected, self.h = self.rejected + 1, self.control.shrunk(trial, size)
            if isinstance(self.stepper, ChebyshevStepper):  # its stages rely on the rate, which may have grown
                self._measure_fastest(iterations=2)
            return False
        if slope is None:
            slope, self.evaluations = right_hand_side(y, t), self.evaluations + 1
        grown = self.control.grown(trial, size, self.size)
        self.h = max(grown, h) if trial < h else grown  # a step cut short to hit t1 says little about the next
        self.t, self.y, self.slope, self.norms = t, y, slope, new_norms
        self.size, self.error = size, error
        return True

    def _library_step(self, started: Started) -> bool:
        reached = started.step()
        if reached is None:
            self._go_on(started)
            return False
        self.t, self.y = reached
        self.slope, self.norms = self.stepper.field(self.y, self.t), self.stepper.field.norms(self.y, self.t)
        self.error, self.evaluations = self.slope, self.evaluations + 1
        return True

    def _go_on(self, started: Started) -> None:
        """The library's method has given up: its fallback goes on from the last point."""
        given_up = self.stepper
        if isinstance(given_up, LibraryStepper):
            self.stepper, self.control = given_up.fallback, given_up.fallback_control
        self.evaluations, self.started, self.fell_back = self.evaluations + started.evaluations, None, True
        self.rejected, self.error = self.rejected + 1, self.slope
        self.h = self.nodes[-1].t - self.nodes[-2].t if len(self.nodes) > 1 else self.first_h
        self._measure_fastest(iterations=4)

    def _save(self) -> None:
        """Save the states of the times passed."""
        inside = None
        while self.saver.next_time <= self.t:
            t, y = self.saver.next_time, self.y
            if t < self.t and self.started is not None:
                inside = inside or self.started.interpolant()
                y = np.asarray(inside(t))
            elif t < self.t:
                y = between(self.stepper.field, self.control, self.nodes, t)
                if y is None:
                    start = self.nodes[-2]
                    part = self.stepper(start.t, start.y, start.slope, t - start.t, self.fastest)  # pyright: ignore
                    y, self.evaluations = part.y, self.evaluations + part.evaluations
            self.saver.take(t, y)

    def too_short(self) -> bool:
        """Whether the step has fallen below what t can resolve."""
        return self.h <= 4 * self.rest.eps * max(self.t, 1e-6 * self.first_h)

    def look(self) -> Status | None:
        """Measure the fastest rate again; without t1 see whether the flow is at rest, or never will be."""
        self._measure_fastest(iterations=2)
        if self.t1 is not None or self.saver.pending:
            return None
        status = self.rested(final=False)  # first: steps may be longer than all that an algebraic decay is given
        if status is None and self.t >= self.next_algebraic:
            self.next_algebraic = 2 * self.t
            if self.decay.looks_algebraic():
                return Status.ALGEBRAIC
        return status

    def rested(self, *, final: bool) -> Status | None:
        """STEADY or ROUNDOFF, or None; see `at_rest`."""
        state, rate = math.hypot(*self.norms), self.stepper.field.bias_rate or 0.0
        largest = self.fastest * max(state, self.rest.scale) + rate * norm(self.y[: self.stepper.field.m])
        return at_rest(self.rest, self.decay, state, largest, final=final)

    def report(self) -> Progress:
        """For the callback."""
        first, now = self.decay.gradient[0], self.decay.gradient[-1]
        if self.t1 is not None:
            fraction = self.t / self.t1
        else:
            target = self.rest.target(math.hypot(*self.norms)) or self.rest.gtol * first
            fraction = math.log(first / now) / math.log(first / target) if now > 0 and 0 < target < first else 1.0
        return Progress(min(1.0, max(0.0, fraction)), self.t, self.steps, now)

    def _measure_fastest(self, iterations: int) -> None:
        holds_bias = self.stepper.holds_bias
        self.fastest, self.mode = fastest_rate(
            self.stepper.field,
            self.t,
            self.y,
            self.slope,
            self.error,
            implicit_bias=holds_bias,
            iterations=iterations,
            mode=self.mode,
        )
        self.evaluations += iterations
