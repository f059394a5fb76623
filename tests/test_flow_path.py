"""Along the path: the metrics of all samples in every mode, the modes, the laws and their drift, and the onset."""

import math
from typing import Any

import numpy as np
import pytest

from ufm import encodings
from ufm.constraints import FixedClassifier
from ufm.errors import ProblemError, UfmError
from ufm.flow import Flow, State, balanced_start, random_start, simulate
from ufm.flow.coordinates import Mode
from ufm.measure import measure
from ufm.problem import Problem, classes, samples
from ufm.record import load

ONE_HOT = classes(encodings.one_hot(3), 9)
FREE = Problem(ONE_HOT, lam_W=0.03, lam_H=0.03, lam_b=0.3, width=5)
MODES: tuple[Mode, ...] = ("full", "samples", "A", "S", "propagator")
KEPT: tuple[Mode, ...] = ("full", "samples", "propagator")


def run(problem: Problem, mode: Mode = "auto", start: Any = 0, **options: Any) -> Flow:
    return simulate(problem, start, **{"mode": mode, "t1": 30.0, "rtol": 1e-11, "save": [0.0, 3.0, 30.0], **options})


def path_of(flow: Flow) -> Any:
    assert flow.path is not None
    return flow.path


@pytest.mark.parametrize("mode", KEPT)
def test_all_metrics_are_those_of_measure(mode: Mode) -> None:
    """Where the samples are kept, `metrics="all"` says of them what `ufm.measure` does."""
    path = path_of(run(FREE, mode))
    record = path.record("all")
    for i, t in enumerate(path.t):
        state = path.state(i)
        said = measure(state.H, FREE, state.W[0], state.b, problem=FREE)
        for name in said.values.data_vars:
            np.testing.assert_allclose(
                record[str(name)].values[i], said[str(name)].values, rtol=1e-9, atol=1e-12, err_msg=f"{name} at t = {t}"
            )


@pytest.mark.parametrize("mode", ["A", "S"])
def test_what_a_covariance_determines_is_that_of_the_samples(mode: Mode) -> None:
    kept, known = path_of(run(FREE, "full")).record("all"), path_of(run(FREE, mode)).record("all")
    assert {"vci", "nc1", "nc3", "nc2_etf", "singular_values", "modes"} <= set(known.values)
    assert "cdnv" not in known
    for name in set(known.values.data_vars) & set(kept.values.data_vars) - {"balance_drift"}:
        np.testing.assert_allclose(known[name].values, kept[name].values, rtol=1e-7, atol=1e-9, err_msg=name)


def test_class_means_and_regression_have_metrics_too(tmp_path: Any) -> None:
    collapsed = path_of(run(FREE, start=random_start(FREE, 0, collapsed=True))).record("all")
    np.testing.assert_allclose(collapsed["nc1"].values, 0.0, atol=1e-12)
    Y = np.random.default_rng(0).standard_normal((2, 40))
    problem = Problem(samples(Y), lam_W=0.05, lam_H=0.05, lam_b=0.1, width=3)
    record = path_of(run(problem)).record("all")
    assert {"nrc1", "nrc2", "nrc3", "modes", "balance_drift"} <= set(record.values)
    again = load(record.save(tmp_path / "path.nc"))
    np.testing.assert_array_equal(again["modes"], record["modes"])
    by_covariance = path_of(run(problem, "S")).record("all")
    np.testing.assert_allclose(by_covariance["modes"].values, record["modes"].values, atol=1e-8)


# Modes


def test_aligned_balanced_modes_are_logistic() -> None:
    """s(t) = s_inf/(1 + (s_inf/s(0) - 1)e^(-at)), s_inf = sigma - N l, a = 2 s_inf/N (theory: section 6)."""
    problem = Problem(classes(encodings.one_hot(3), [9, 4, 6]), lam_W=0.02, lam_H=0.02, width=5)
    start = balanced_start(problem, 0, scale=0.3)
    times = np.linspace(0, 60, 13)
    for mode in ("collapsed", "auto"):
        record = path_of(simulate(problem, start, t1=60.0, rtol=1e-11, save=times, mode=mode)).record()
        end = np.sqrt(np.sort([9.0, 4.0, 6.0])[::-1]) - 19 * 0.02
        s_0 = 0.3**2
        expected = end / (1 + (end / s_0 - 1) * np.exp(-2 * end / 19 * times[:, None]))
        np.testing.assert_allclose(record["modes"].values, expected, rtol=1e-8)


def test_modes_are_the_same_in_every_mode() -> None:
    codes = np.random.default_rng(1).standard_normal((2, 6))
    for problem in (FREE, Problem(classes(codes, 7), lam_W=0.03, lam_H=0.03, lam_b=0.3, width=5)):
        found = [path_of(run(problem, mode)).record()["modes"].values for mode in MODES]
        for other in found[1:]:
            np.testing.assert_allclose(other, found[0], atol=1e-8)


# Laws and their drift


@pytest.mark.parametrize("mode", ["full", "samples", "S", "propagator"])
def test_drift_is_small_where_the_law_holds(mode: Mode) -> None:
    drift = path_of(run(FREE, mode)).record()["balance_drift"].values
    assert drift[0] == 0.0
    assert np.all(drift < 1e-9)
    loose = path_of(run(FREE, mode, rtol=1e-4, atol=1e-7)).record()["balance_drift"].values
    assert loose[-1] > 1e-8  # else it would estimate nothing
    exact = run(FREE, "full", rtol=1e-12).state
    rough = run(FREE, "full", rtol=1e-4, atol=1e-7)
    error = np.abs(rough.state.H - exact.H).max() / np.linalg.norm(exact.H)
    assert 1e-3 * error < path_of(rough).record()["balance_drift"].values[-1] < 1e3 * error


def test_drift_is_left_out_where_there_is_no_law() -> None:
    assert "balance_drift" not in path_of(run(FREE, "A")).record()
    assert "balance_drift" not in path_of(run(FREE.replace(lam_H=0.02))).record()
    assert "balance_drift" not in path_of(run(FREE, path="central")).record()
    fixed = FREE.replace(constraint=FixedClassifier(np.eye(3, 5)))
    assert "balance_drift" not in path_of(run(fixed)).record()


def test_the_law_holds_for_depth_and_entropy() -> None:
    """Each pair of factors with equal weights; the loss does not matter."""
    deep = FREE.replace(lam_W=(0.03, 0.03), lam_H=0.03)
    uneven = FREE.replace(lam_W=(0.02, 0.03), lam_H=0.03)
    for problem in (deep, uneven, FREE.replace(loss="cross_entropy")):
        drift = path_of(run(problem)).record()["balance_drift"].values
        assert np.all(drift < 1e-9)
    assert "balance_drift" not in path_of(run(FREE.replace(lam_W=(0.03, 0.02), lam_H=0.03))).record()


def test_a_descent_drifts_by_its_step() -> None:
    drifts = [
        path_of(simulate(FREE, 0, t1=6.0, integrator="gradient_descent", lr=lr, save=[6.0])).record()["balance_drift"]
        for lr in (0.02, 0.01)
    ]
    assert 1.7 < float(drifts[0][0] / drifts[1][0]) < 2.3


# Onset


@pytest.mark.parametrize("mode", ["full", "samples", "A", "S"])
def test_onset_lies_where_the_metric_crosses(mode: Mode) -> None:
    """To the tolerance of the flow, wherever the saved times lie; in A-mode the law knows what time it is."""
    coarse = path_of(simulate(FREE, 0, t1=120.0, rtol=1e-11, mode=mode, save=12))
    onset = coarse.onset("nc1", 0.1)
    assert onset is not None
    assert onset not in coarse.t
    there = simulate(FREE, 0, t1=onset, rtol=1e-12, mode="full").record()
    assert float(there["nc1"]) == pytest.approx(0.1, rel=1e-7)


def test_onset_of_a_logistic_mode() -> None:
    problem = Problem(ONE_HOT, lam_W=0.02, lam_H=0.02, width=5)
    start = balanced_start(problem, 0, scale=0.3)
    path = path_of(simulate(problem, start, t1=200.0, rtol=1e-11, save=8))
    end, s_0 = 3 - 27 * 0.02, 0.09
    half = math.log(end / s_0 - 1) / (2 * end / 27)
    level = float(end / 2)
    assert path.onset("singular_value_mean", level) == pytest.approx(half, rel=1e-8)  # all modes are alike here
    assert path.onset("singular_value_mean", 2 * end) is None
    assert path.onset("nc2_of", 10.0) is None  # of the metrics that only "all" has
    assert path.onset("singular_value_mean", float(path.record()["singular_value_mean"][0])) == 0.0


def test_onset_of_a_descent_is_a_step() -> None:
    path = path_of(simulate(FREE, 0, integrator="gradient_descent", lr=0.5, save=40))
    onset = path.onset("nc1", 0.1)
    assert onset in path.t


def test_what_has_no_onset_says_why() -> None:
    path = path_of(run(FREE))
    with pytest.raises(ProblemError, match="give one number"):
        path.onset("gram", 0.1)
    with pytest.raises(UfmError, match="has no 'nc9'"):
        path.onset("nc9", 0.1)
    with pytest.raises(ProblemError, match="level"):
        path.onset("nc1", float("nan"))
    with pytest.raises(ProblemError, match="metrics = 'some'"):
        path.record("some")


def test_single_class_has_no_class_metrics() -> None:
    problem = Problem(classes(np.ones((2, 1)), 6), lam_W=0.05, lam_H=0.05, width=3)
    record = path_of(run(problem)).record("all")
    assert "value" in record
    assert "nc1" not in record


def test_states_of_the_path_are_those_of_the_flow() -> None:
    flow = run(FREE, "samples", start=State(random_start(FREE, 3).W, random_start(FREE, 3).H))
    np.testing.assert_array_equal(path_of(flow).state(2).H, flow.state.H)
