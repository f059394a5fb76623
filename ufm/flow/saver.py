"""States saved on the way: at given times, or at log-spaced ones of which there need be no last."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ufm.arrays import Array
from ufm.errors import ProblemError


@dataclass(eq=False)
class Saver:
    """Keeps flat states at `times`, or with a `capacity` at t = 0, at log-spaced times, and at the end.

    The latter are geometric from `first`: whenever there are too many, every other one is dropped and the ratio
    squared, so that at most `capacity` and the end remain, evenly spaced in log t.
    """

    times: list[float]
    capacity: int = 0
    first: float = 0.0
    ratio: float = 2.0**0.125
    t: list[float] = field(default_factory=list)
    y: list[Array] = field(default_factory=list)
    next_time: float = 0.0

    @property
    def pending(self) -> bool:
        """Whether some of `times` lie ahead."""
        return bool(self.times) and self.next_time < math.inf

    def take(self, t: float, y: Array) -> None:
        """Save the state of time t, and say when the next one is due."""
        if self.capacity or t in self.times:
            self.t.append(t)
            self.y.append(y)
        if self.capacity:
            if len(self.t) >= self.capacity:  # t = 0 stays, and from the last one on every other
                keep = [0, *range(len(self.t) - 1, 0, -2)[::-1]]
                self.t, self.y = [self.t[i] for i in keep], [self.y[i] for i in keep]
                self.ratio **= 2
            self.next_time = self.first if t == 0 else t * self.ratio
        else:
            self.next_time = next((s for s in self.times if s > t), math.inf)

    def forget(self, after: float) -> None:
        """Drop what was saved after that time."""
        kept = sum(t <= after for t in self.t)
        del self.t[kept:], self.y[kept:]

    def finish(self, t: float, y: Array) -> None:
        """Save the last state, if times are log-spaced."""
        if self.capacity and (not self.t or self.t[-1] < t):
            self.t.append(t)
            self.y.append(y)


def on_steps(saver: Saver, lr: float) -> Saver:
    """The same for a descent, whose times are multiples of lr: the nearest step of each, once."""
    if saver.capacity:
        return Saver([], saver.capacity, max(saver.first, lr), saver.ratio)
    steps = dict.fromkeys(round(t / lr) for t in saver.times)
    return Saver([k * lr for k in steps])


def saver_of(save: object, t1: float | None, unit: Callable[[], float]) -> Saver:
    """The saver that `save` asks for: None, a number of log-spaced times, or an array of times in (0, t1].

    unit: gives 1 / the fastest rate at the start; the first log-spaced time is a hundredth of it.
    """
    if save is None:
        return Saver([])
    if isinstance(save, int | np.integer) and not isinstance(save, bool):
        if save < 4:
            raise ProblemError("save", save, "give at least 4 log-spaced times, an array of times, or None.")
        if t1 is None:
            return Saver([], capacity=int(save) - 1, first=unit() / 100)
        return Saver([0.0, *np.geomspace(min(unit(), t1) / 100, t1, int(save) - 1).tolist()[:-1], t1])
    try:
        times = np.asarray(save, dtype=float)
    except (TypeError, ValueError):
        raise ProblemError("save", save, "give an array of times, a number of log-spaced ones, or None.") from None
    if times.ndim != 1 or times.size == 0 or not np.all(np.isfinite(times)) or np.any(np.diff(times) <= 0):
        raise ProblemError("save", save, "times are finite and increasing, at least one.")
    if times[0] < 0 or (t1 is not None and times[-1] > t1):
        raise ProblemError("save", save, f"times lie between 0 and t1 = {t1}.")
    return Saver(times.tolist())
