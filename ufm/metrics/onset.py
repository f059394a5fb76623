"""Onset of collapse along a training run, and how far a level of the feature norm announces it [rupa2026].

T_NC is the first epoch at which NC1 is below a threshold, fn* the feature norm at that epoch. A level learnt from some
runs is crossed in another one at T_level: the prediction of its onset is T_level plus the mean lead, T_NC - T_level, of
the runs that the level was learnt from.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np


def first_below(x: np.ndarray, threshold: float, epochs: np.ndarray | None = None) -> float:
    """First epoch (1, 2, ... if not given) at which x (one entry an epoch) is below the threshold; nan where never."""
    hit = np.flatnonzero(x < threshold)
    if not hit.size:
        return float("nan")
    return float(hit[0] + 1 if epochs is None else epochs[hit[0]])


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
        """First epoch from which on, up to the end of the run's fall, fn is below the level: after its last peak.

        fn may start low, rise, and then fall; the level is looked for after its largest value. nan where never.
        """
        start = int(np.argmax(self.fn))
        return start + first_below(self.fn[start:], level)


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
    """The onset of one run foretold from others, which must not include it: level = their mean fn*."""
    levels = np.array([other.fn_star(threshold) for other in others])
    onsets = np.array([other.onset(threshold) for other in others])
    known = [other for other, level in zip(others, levels, strict=True) if np.isfinite(level)]
    if not known:
        nan = float("nan")
        return Forecast(run.setting, run.seed, run.onset(threshold), nan, nan, nan, nan)
    level = float(np.nanmean(levels))
    leads = np.array([other.onset(threshold) - other.crossing(level) for other in known])
    lead = float(np.mean(leads[np.isfinite(leads)])) if np.isfinite(leads).any() else float("nan")
    crossed = run.crossing(level)
    onset = run.onset(threshold)
    return Forecast(run.setting, run.seed, onset, level, onset - crossed, crossed + lead, float(np.nanmean(onsets)))


def forecasts(runs: Sequence[Course], threshold: float, apart: Callable[[Course], object]) -> list[Forecast]:
    """Every run foretold from all others that `apart` gives another value: its seed, or its setting."""
    return [forecast(run, [other for other in runs if apart(other) != apart(run)], threshold) for run in runs]
