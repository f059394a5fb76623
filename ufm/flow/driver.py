"""The one loop that runs every tableau: adaptive steps, saving, and when to stop."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ufm.arrays import Array
from ufm.flow.field import Field
from ufm.flow.saver import Saver
from ufm.flow.spectrum import fastest_rate
from ufm.flow.status import Status
from ufm.flow.steady import Decay, Rest, at_rest
from ufm.flow.step import Stepper

SAFETY, SHRINK, GROW = 0.9, 0.2, 5.0
LOOK_EVERY = 8  # accepted steps between looks at the fastest rate and at rest
LONG = 1000.0  # in units of 1 / least weight: when a decay that is still not exponential is called algebraic


class Progress(NamedTuple):
    """What the callback hears after accepted steps; fraction in [0, 1], by time or by decades of the gradient."""

    fraction: float
    t: float
    steps: int
    gradient_norm: float


@dataclass(frozen=True, eq=False)
class Run:
    """Where the loop ended, and what it cost."""

    t: float
    y: Array
    status: Status
    decay: Decay
    steps: int
    rejected: int
    evaluations: int
    rate: float | None


def integrate(
    stepper: Stepper,
    y: Array,
    *,
    t1: float | None,
    rtol: float,
    atol: float,
    rest: Rest,
    max_steps: int,
    saver: Saver,
    progress: Callable[[Progress], None] | None,
) -> Run:
    """From y at t = 0 to t1, or to rest.

    A step is accepted when, for the classifier (b and the layers) and for the features alike, the Euclidean norm of
    the estimated error is at most atol + rtol * norm: a choice that no rotation changes, so that reduced and full flows
    take the same steps. Steps are also kept where the tableau damps the fastest mode (see Tableau.damps).
    """
    with np.errstate(over="ignore", invalid="ignore"):  # a step too long overflows, is rejected, and is no news
        return _integrate(stepper, y, t1, rtol, atol, rest, max_steps, saver, progress)


def _integrate(
    stepper: Stepper,
    y: Array,
    t1: float | None,
    rtol: float,
    atol: float,
    rest: Rest,
    max_steps: int,
    saver: Saver,
    progress: Callable[[Progress], None] | None,
) -> Run:
    field, tableau, decay = stepper.field, stepper.tableau, Decay()
    slope, norms = field(y), _norms(field, y)
    gradient, evaluations, steps, rejected, t = _norm(slope), 1, 0, 0, 0.0
    decay.add(t, gradient)
    saver.take(t, y)

    def run(status: Status) -> Run:
        saver.finish(t, y)
        return Run(t, y, status, decay, steps, rejected, evaluations, decay.rate())

    def status_at(final: bool) -> Status | None:
        norm = math.hypot(*norms)
        bias_rate = (field.bias_rate or 0.0) * _norm(y[: field.m])
        return at_rest(rest, decay, norm, cap_rate * max(norm, rest.scale) + bias_rate, final=final)

    if not math.isfinite(gradient):
        return run(Status.DIVERGED)
    implicit = stepper.implicit is not None
    cap_rate = fastest_rate(field, y, slope, slope, implicit_bias=implicit, iterations=4)
    evaluations += 4
    if t1 is None and (found := status_at(final=False)) is not None:
        return run(found)
    h = first = 0.01 * max(math.hypot(*norms), rest.scale) / gradient if gradient > 0 else t1 or 1.0
    order, previous, next_look, look_algebraic = tableau.embedded_order + 1, 1.0, LOOK_EVERY, _long(rest, cap_rate)
    while steps < max_steps:
        if cap_rate > 0:
            h = min(h, tableau.damps / (1.1 * cap_rate))
        stop = min(saver.next_time, math.inf if t1 is None else t1)
        hits = t + h >= stop * (1 - 4 * rest.eps)
        trial = stop - t if hits else h if t + 2 * h < stop else (stop - t) / 2
        new, error, new_slope = stepper(y, slope, trial)
        evaluations += stepper.evaluations
        new_norms = _norms(field, new)
        size = _relative_error(field, error, norms, new_norms, rtol, atol)
        if not size <= 1:  # NaN too
            rejected += 1
            h = trial * (max(SHRINK, SAFETY * size ** (-1 / order)) if math.isfinite(size) else SHRINK)
            if h <= 4 * rest.eps * max(t, first * 1e-6):
                return run(Status.DIVERGED)
            continue
        t, y, norms, steps = stop if hits else t + trial, new, new_norms, steps + 1
        if new_slope is None:
            new_slope, evaluations = field(y), evaluations + 1
        slope, gradient = new_slope, _norm(new_slope)
        factor = SAFETY * max(size, 1e-10) ** (-0.7 / order) * previous ** (0.4 / order)
        grown = trial * min(GROW, max(SHRINK, factor))
        h, previous = max(grown, h) if trial < h else grown, max(size, 1e-4)
        decay.add(t, gradient)
        if t >= saver.next_time:
            saver.take(t, y)
        if t1 is not None and t >= t1:
            return run(status_at(final=True) or Status.UNSETTLED)
        if steps >= next_look:
            next_look = steps + LOOK_EVERY
            cap_rate = fastest_rate(field, y, slope, error, implicit_bias=implicit, iterations=2)
            evaluations += 2
            if t1 is None and (found := status_at(final=False)) is not None:
                return run(found)
            if t1 is None and t >= look_algebraic:
                look_algebraic = 2 * t
                if decay.looks_algebraic():
                    return run(Status.ALGEBRAIC)
            if progress is not None:
                progress(Progress(_fraction(t, t1, rest, decay, math.hypot(*norms)), t, steps, gradient))
    return run(Status.MAX_STEPS)


def _norm(x: Array) -> float:
    return math.sqrt(float(x @ x))


def _norms(field: Field, y: Array) -> tuple[float, float]:
    """Norms of the classifier (with b) and of the features."""
    cut = field.classifier.stop
    return _norm(y[:cut]), _norm(y[cut:])


def _relative_error(
    field: Field, error: Array, old: tuple[float, float], new: tuple[float, float], rtol: float, atol: float
) -> float:
    return max(
        e / (atol + rtol * max(a, b)) if math.isfinite(e) and math.isfinite(b) else math.inf
        for e, a, b in zip(_norms(field, error), old, new, strict=True)
    )


def _long(rest: Rest, cap_rate: float) -> float:
    return LONG / (rest.least_weight or cap_rate / 10 or math.inf)


def _fraction(t: float, t1: float | None, rest: Rest, decay: Decay, norm: float) -> float:
    if t1 is not None:
        return t / t1
    first, now = decay.gradient[0], decay.gradient[-1]
    target = rest.target(norm) or rest.gtol * first
    if not 0 < target < first or now <= 0:
        return 1.0
    return min(1.0, max(0.0, math.log(first / now) / math.log(first / target)))
