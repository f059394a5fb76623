"""Onset of collapse: exact on made-up courses, and out of sample by construction."""

import math

import numpy as np
import pytest

from ufm.metrics.onset import Course, courses, first_below, forecast, forecasts, variation
from ufm.record import Record

EPOCHS = np.arange(1, 101)


def made(seed: int, rate: float, *, late: int = 0, setting: str = "a") -> Course:
    """fn = 1 + 4 exp(-rate e), below 1.5 from ln(8)/rate on; NC1 falls below 0.01 `late` epochs after that."""
    fn = 1 + 4 * np.exp(-rate * EPOCHS)
    onset = first_below(fn, 1.5) + late
    return Course(fn, np.where(onset <= EPOCHS, 0.005, 0.5), setting, seed)


def test_the_first_epoch_below_a_threshold() -> None:
    assert first_below(np.array([3.0, 2.0, 1.0, 2.0, 0.5]), 1.5) == 3
    assert math.isnan(first_below(np.array([3.0, 2.0]), 1.5))


def test_onset_and_norm_there() -> None:
    run = made(0, 0.1, late=4)
    assert run.onset(0.01) == math.ceil(math.log(8) / 0.1) + 4
    assert run.fn_star(0.01) == run.fn[int(run.onset(0.01)) - 1]
    assert math.isnan(Course(run.fn, np.ones(100)).fn_star(0.01))


def test_a_level_is_crossed_after_the_largest_norm() -> None:
    """A norm that starts low and rises crosses a level from above only after its peak."""
    run = Course(np.array([0.5, 3.0, 2.0, 1.0]), np.ones(4))
    assert run.crossing(1.5) == 4
    assert math.isnan(run.crossing(0.1))


def test_a_level_foretells_what_the_mean_onset_cannot() -> None:
    """Runs of many speeds whose collapse always begins just under one norm: the level tells it, the mean does not."""
    runs = [made(seed, rate) for seed, rate in enumerate((0.05, 0.07, 0.1, 0.15, 0.2))]
    told = forecasts(runs, 0.01, lambda run: run.seed)
    assert max(abs(f.predicted - f.onset) for f in told) <= 3
    assert min(abs(f.baseline - f.onset) for f in told) > 3


def test_no_run_sees_itself() -> None:
    runs = [made(0, 0.1), made(1, 0.1), Course(np.full(100, 77.0), made(2, 0.1).nc1, "a", 2)]
    odd = forecasts(runs, 0.01, lambda run: run.seed)[2]
    assert odd.level == runs[0].fn_star(0.01)  # not 77, its own
    assert math.isnan(odd.predicted)  # it never falls below that level
    apart = forecasts([made(0, 0.1), made(1, 0.1, setting="b")], 0.01, lambda run: run.setting)
    assert [f.level for f in apart] == [runs[0].fn_star(0.01)] * 2


def test_nothing_known_foretells_nothing() -> None:
    never = Course(made(0, 0.1).fn, np.ones(100))
    assert math.isnan(forecast(made(1, 0.1), [never], 0.01).predicted)


def test_variation_leaves_out_what_never_began() -> None:
    assert variation(np.array([1.0, 3.0, math.nan])) == pytest.approx(math.sqrt(2) / 2)
    assert math.isnan(variation(np.array([1.0, math.nan])))


def test_a_record_gives_a_course_a_seed() -> None:
    fn = np.array([[3.0, 2.0], [5.0, 4.0]])
    values = {"history_fn": (("seed", "epoch"), fn), "history_nc1_ratio": (("seed", "epoch"), fn / 100)}
    found = courses(Record.of("measured", values, coords={"seed": [4, 9], "epoch": [1, 2]}), "base")
    assert [(run.setting, run.seed) for run in found] == [("base", 4), ("base", 9)]
    np.testing.assert_array_equal(found[1].fn, [5.0, 4.0])
    assert found[0].onset(0.025) == 2
