"""Discrete descents: the steps of `ufm.flow.integrators.descent` on the flat state, to t1 or to rest.

What a rotation of the samples, or of the features, does to a gradient it does to a step of gradient descent with or
without momentum, so these run in the same exact coordinates as the flow. Columns known by B = N S alone move by
B <- (1 - lr G) B (1 - lr G), G = P'P/N + lam_H; with momentum each has a past of its own, and B says too little. Adam
scales every entry by itself, and commutes with no rotation: it moves all samples in the axes they are given in.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from functools import reduce
from typing import Any

import numpy as np

from ufm.arrays import Array
from ufm.errors import ProblemError
from ufm.flow.coordinates import Coordinates
from ufm.flow.driver import LONG, LOOK_EVERY, Progress, Run
from ufm.flow.field import Field, norm
from ufm.flow.integrators import Adam, Descent
from ufm.flow.integrators import integrator as find_integrator
from ufm.flow.saver import Saver
from ufm.flow.spectrum import fastest_rate
from ufm.flow.status import Status
from ufm.flow.steady import Decay, Rest, at_rest
from ufm.flow.within import Scatter
from ufm.problem.targets import is_number

Steps = Descent | Adam


def descent_of(integrator: object, lr: Any, momentum: Any) -> Steps | None:
    """The descent that the arguments name, or None for an integrator of the flow; ProblemError if they do not fit."""
    method = find_integrator(integrator) if isinstance(integrator, str) and integrator != "auto" else integrator
    if not isinstance(method, Descent | Adam):
        for name, value in (("lr", lr), ("momentum", momentum)):
            if value is not None:
                raise ProblemError(name, value, "the flow has none; name a descent, such as 'gradient_descent'.")
        return None
    if momentum is not None:
        if isinstance(method, Adam):
            raise ProblemError("momentum", momentum, f"{method.name} has betas; give replace(method, betas=...).")
        if not is_number(momentum) or not 0 <= momentum < 1:
            raise ProblemError("momentum", momentum, "give a number in [0, 1).")
        method = replace(method, momentum=float(momentum))
    if lr is not None:
        method = replace(method, lr=lr)
    if method.lr is not None and not (is_number(method.lr) and 0 < method.lr < math.inf):
        raise ProblemError("lr", method.lr, "give a finite number > 0.")
    return method


def check_descends(method: Steps, at: Coordinates, y: Array) -> float:
    """The length lr of a step; ProblemError where there is none, or the coordinates do not commute with the steps."""
    if isinstance(at.field.within, Scatter) and not (isinstance(method, Descent) and method.momentum == 0):
        raise ProblemError("mode", at.mode, "with momentum each sample has a past of its own; use 'samples' or 'full'.")
    if method.lr is None:
        limit = _limit(method)
        rate = _fastest(at.field, y)
        advice = f"below {limit / rate:.3g} = {limit:g} / the fastest rate at the start" if rate and limit else "> 0"
        raise ProblemError("lr", None, f"give the length of a step, {advice}.")
    return float(method.lr)


def descend(
    at: Coordinates,
    method: Steps,
    y: Array,
    *,
    decay: Array,
    last: int | None,
    rest: Rest,
    max_steps: int,
    saver: Saver,
    progress: Callable[[Progress], None] | None,
) -> Run:
    """From y, so many steps as `last` says, or without it to rest; decay: the weights of the flat state."""
    with np.errstate(over="ignore", invalid="ignore"):  # steps too long overflow: that is seen at the next look
        loop = _Loop(at.field, method, float(method.lr or 0.0), decay, rest, saver, y)
        status = loop.look(last)
        while status is None:
            if loop.k >= max_steps:
                status = loop.out_of_steps(Status.MAX_STEPS)
            else:
                loop.step()
                ended = last is not None and loop.k >= last
                if ended or loop.k % LOOK_EVERY == 0 or loop.k < LOOK_EVERY:  # steps too long go wrong at once
                    status = loop.look(last) or (loop.out_of_steps(Status.UNSETTLED) if ended else None)
                    if progress is not None:
                        progress(loop.report(last))
    saver.finish(loop.t, loop.y)
    return Run(loop.t, loop.y, status, loop.decays.gradient[-1], loop.decays.rate(), loop.k, 0, loop.evaluations, False)


@dataclass(eq=False)
class _Loop:
    """What changes from step to step."""

    field: Field
    method: Steps
    lr: float
    decay: Array
    rest: Rest
    saver: Saver
    y: Array
    k: int = 0
    evaluations: int = 0
    decays: Decay = dataclass_field(default_factory=Decay)
    slope: Array = None
    moving: Array = None  # the running mean of the gradient, or minus the velocity
    spread: Array = None  # the running mean of its square
    finite: tuple[int, Array] | None = None  # the last step known to be finite
    next_algebraic: float = 0.0

    def __post_init__(self) -> None:
        self.slope, self.evaluations = self.field(self.y, 0.0), 1
        self.next_algebraic = LONG / (self.rest.least_weight or 1.0)
        self.saver.take(0.0, self.y)

    @property
    def t(self) -> float:
        """lr times the steps so far."""
        return self.k * self.lr

    def step(self) -> None:
        """One step, and the slope behind it."""
        self.y = self.field.feasible(self._moved())
        self.k += 1
        self.slope, self.evaluations = self.field(self.y, self.t), self.evaluations + 1
        while self.saver.next_time <= self.t:
            self.saver.take(self.t, self.y)

    def _moved(self) -> Array:
        if isinstance(self.method, Adam):
            return self._by_adam(self.method)
        if self.method.momentum == 0:
            y = self.y + self.lr * self.slope
            if isinstance(self.field.within, Scatter):
                _, W, _ = self.field.unpack(self.y)
                P, first = reduce(self.field.xp.matmul, W), self.field.seen
                twice = self.field.within.twice(self.y[first:], P, self.field.N, self.field.lam_H)
                y[first : first + twice.shape[0]] += self.lr**2 * twice
            return y
        mu = self.method.momentum
        self.moving = self.slope if self.moving is None else mu * self.moving + self.slope
        return self.y + self.lr * (mu * self.moving + self.slope if self.method.nesterov else self.moving)

    def _by_adam(self, method: Adam) -> Array:
        xp, (first, second), k = self.field.xp, method.betas, self.k + 1
        y, slope = self.y, self.slope
        if method.decoupled:
            shrinks = self.decay if self.field.held is None else self.decay * self.field.held
            slope = slope + shrinks * y
            y = y - self.lr * (shrinks * y)
        if self.moving is None:
            self.moving, self.spread = xp.zeros_like(y), xp.zeros_like(y)
        self.moving = first * self.moving + (1 - first) * slope
        self.spread = second * self.spread + (1 - second) * slope**2
        size = xp.sqrt(self.spread / (1 - second**k)) + method.eps
        return y + (self.lr / (1 - first**k)) * (self.moving / size)

    def look(self, last: int | None) -> Status | None:
        """Whether the state is still finite; without a last step whether it is at rest, or never will be."""
        gradient = self.field.gradient_norm(self.y, self.slope, self.t)
        if not math.isfinite(gradient) or not math.isfinite(sum(self.field.norms(self.y, self.t))):
            if self.finite is not None:
                self.k, self.y = self.finite
                self.saver.forget(self.t)
            else:
                self.decays.add(self.t, gradient)
            return Status.OVERSHOT if self.k or self.finite else Status.DIVERGED
        self.finite = (self.k, self.y)
        self.decays.add(self.t, gradient)
        ended = last is not None and self.k >= last
        if (last is not None and not ended) or self.saver.pending:
            return None
        if last is None and self.t >= self.next_algebraic:
            self.next_algebraic = 2 * self.t
            if self.decays.looks_algebraic():
                return Status.ALGEBRAIC
        state, rate = math.hypot(*self.field.norms(self.y, self.t)), self.field.bias_rate or 0.0
        largest = max(state, self.rest.scale) / self.lr + rate * norm(self.y[: self.field.m])
        return at_rest(self.rest, self.decays, state, largest, final=ended)

    def out_of_steps(self, status: Status) -> Status:
        """The status, or OVERSHOT where steps are too long to settle at all."""
        limit = _limit(self.method)
        return Status.OVERSHOT if limit and self.lr * _fastest(self.field, self.y) > 1.01 * limit else status

    def report(self, last: int | None) -> Progress:
        """For the callback."""
        first, now = self.decays.gradient[0], self.decays.gradient[-1]
        if last is not None:
            fraction = self.k / last
        else:
            target = self.rest.target(math.hypot(*self.field.norms(self.y, self.t))) or self.rest.gtol * first
            fraction = math.log(first / now) / math.log(first / target) if now > 0 and 0 < target < first else 1.0
        return Progress(min(1.0, max(0.0, fraction)), self.t, self.k, now)


def _limit(method: Steps) -> float:
    """lr times the fastest rate up to which steps settle at a minimum; 0 where it is not known."""
    if isinstance(method, Adam):
        return 0.0
    mu = method.momentum
    return 2 * (1 + mu) / (1 + 2 * mu) if method.nesterov else 2 * (1 + mu)


def _fastest(field: Field, y: Array) -> float:
    slope = field(y, 0.0)
    v = slope if norm(slope) > 0 else field.xp.ones_like(y)
    return fastest_rate(field, 0.0, y, slope, v, implicit_bias=False, iterations=12).rate
