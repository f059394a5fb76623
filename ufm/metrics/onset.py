"""Onset of collapse along a training run, and how far a level of the feature norm announces it [rupa2026].

T_NC is the first epoch at which NC1 is below a threshold, fn* the feature norm at that epoch. A level learnt from some
runs is crossed in another one at T_level: the prediction of its onset is T_level plus the mean lead, T_NC - T_level, of
the runs that the level was learnt from.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ufm.record import Record


def first_below(x: np.ndarray, threshold: float) -> float:
    """First epoch, counted from 1, at which x (one entry an epoch) is below the threshold; nan where never."""
    hit = np.flatnonzero(x < threshold)
    return float(hit[0] + 1) if hit.size else float("nan")


def variation(x: np.ndarray) -> float:
    """Coefficient of variation, sample standard deviation over mean, of the finite entries; nan of fewer than two."""
    kept = x[np.isfinite(x)]
    return float(np.std(kept, ddof=1) / np.mean(kept)) if kept.size > 1 else float("nan")


@dataclass(frozen=True, eq=False)
class Course:
    """A training run: feature norm and NC1, one entry an epoch from epoch 1 on, and what it has in common with others.

    setting: the name of its run in the campaign; seed: of the network.
    """

    fn: np.ndarray
    nc1: np.ndarray
    setting: str = ""
    seed: int = 0

    def onset(self, threshold: float) -> float:
        """T_NC: first epoch with NC1 below the threshold; nan where never."""
        return first_below(self.nc1, threshold)

    def fn_star(self, threshold: float) -> float:
        """fn*: the feature norm at T_NC; nan where there is none."""
        at = self.onset(threshold)
        return float(self.fn[int(at) - 1]) if np.isfinite(at) else float("nan")

    def crossing(self, level: float) -> float:
        """First epoch after the largest fn at which fn is below the level: it may start low and rise first.

        nan where it never is.
        """
        start = int(np.argmax(self.fn))
        return start + first_below(self.fn[start:], level)


def courses(record: Record, setting: str) -> list[Course]:
    """The runs of a record of `ufm train` with `history_fn` and `history_nc1_ratio` (seed, epoch), seed by seed."""
    fn, nc1 = (record[name].transpose("seed", "epoch").values for name in ("history_fn", "history_nc1_ratio"))
    seeds = record.values["seed"].values
    return [Course(fn[s], nc1[s], setting, int(seed)) for s, seed in enumerate(seeds)]


@dataclass(frozen=True)
class Forecast:
    """A run's onset against what others foretold: by a level of fn, and by their mean onset alone (the baseline).

    lead: onset minus the epoch at which fn crossed the level; nan where it never did.
    """

    setting: str
    seed: int
    onset: float
    level: float
    lead: float
    predicted: float
    baseline: float


def forecast(run: Course, others: Sequence[Course], threshold: float) -> Forecast:
    """The onset of one run foretold from others, which must not include it: level = the mean of their fn*."""
    known = [other for other in others if np.isfinite(other.onset(threshold))]
    level = _mean([other.fn_star(threshold) for other in known])
    onset, crossed = run.onset(threshold), run.crossing(level)
    lead = _mean([other.onset(threshold) - other.crossing(level) for other in known])
    baseline = _mean([other.onset(threshold) for other in known])
    return Forecast(run.setting, run.seed, onset, level, onset - crossed, crossed + lead, baseline)


def forecasts(runs: Sequence[Course], threshold: float, apart: Callable[[Course], object]) -> list[Forecast]:
    """Every run foretold from all others to which `apart` gives another value: its seed, say, or its setting."""
    return [forecast(run, [other for other in runs if apart(other) != apart(run)], threshold) for run in runs]


def _mean(x: Sequence[float]) -> float:
    """Mean of the finite entries; nan where there is none."""
    kept = [value for value in x if np.isfinite(value)]
    return float(np.mean(kept)) if kept else float("nan")
