"""Statements about recorded networks: what is fitted comes from other seeds, and the interval decides."""

import math
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from ufm.catalogue import Observed, Run, catalogue
from ufm.record import Record
from ufm.referee import Verdict, check, records
from ufm.referee.records import gather_records, judge_runs, missing, recorded, runs_of
from ufm.referee.report import quiet
from ufm.theorems import rupa2026

STATED = catalogue()["class_encoding:networks"]


def networks(values, setting="base", **regimen):
    """One network a value of x, seeds 0, 1, ..."""
    return [
        Run(setting, seed, xr.Dataset({"x": float(value)}), {"regimen": regimen}) for seed, value in enumerate(values)
    ]


def mean_of_x(runs):
    return float(np.mean([float(run["x"]) for run in runs]))


NEAR_OTHERS = Observed(
    "distance", lambda run, level: abs(float(run["x"]) - level), most=0.1, fields=("x",), fit=mean_of_x
)


def test_a_network_is_judged_by_what_other_seeds_taught():
    (judged,) = judge_runs(NEAR_OTHERS, networks([1.0, 2.0, 4.0]))
    np.testing.assert_allclose(judged.effects, [abs(1 - 3), abs(2 - 2.5), abs(4 - 1.5)])
    # by hand: mean 5/3, sample deviation sqrt(13/12), Student's quantile for two degrees of freedom 4.302653
    assert judged.half_width() == pytest.approx(4.302653 * math.sqrt(13 / 12) / math.sqrt(3), rel=1e-6)
    assert judged.again == pytest.approx((abs(2 - 1) + abs(4 - 1)) / 2)


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ([1.0, 1.01, 1.02, 0.99], Verdict.VERIFIED),
        ([1.0, 9.0, 1.2, 8.8, 1.1, 9.1, 0.9, 9.2], Verdict.REFUTED),
        ([1.0, 1.3, 1.0, 1.0], Verdict.INCONCLUSIVE),  # the interval reaches over the bound
        ([1.0, 1.0], Verdict.INCONCLUSIVE),  # two networks have no interval
    ],
)
def test_the_interval_decides(monkeypatch, values, verdict):
    monkeypatch.setattr(records, "recorded", lambda campaign: tuple(networks(values)))
    report = check(replace(STATED, observed=(NEAR_OTHERS,), trained="somewhere"))
    assert report.verdict is verdict, str(report)
    assert bool(report.needs) is (verdict is Verdict.INCONCLUSIVE)
    (evidence,) = report.evidence
    said = {Verdict.VERIFIED: "agrees", Verdict.REFUTED: "DISAGREES", Verdict.INCONCLUSIVE: "undecided"}[verdict]
    assert f"records: {said} on {len(values)} networks" in str(report)
    if verdict is Verdict.INCONCLUSIVE:  # what is missing: of what, and how far it is from a decision
        assert f"mean of distance <= 0.1 is open for {len(values)} networks, mean" in report.needs
        assert ("95% interval" in report.needs) is (len(values) > 2)
    assert evidence.checked == len(values)
    assert "would refute it" in evidence.note
    if verdict is Verdict.REFUTED:
        found = report.counterexample
        assert found is not None
        assert found.independent is not None
        assert abs(found.independent - found.found) < abs(found.independent - found.claimed)
        assert "seeds 0, 1" in found.sentence()
        assert "networks" in report.to_dict()["counterexample"]["problem"]


def test_a_claim_must_stand_in_every_group():
    runs = [*networks([1.0, 1.01, 1.02], "a"), *networks([1.0, 9.0, 1.2, 8.8, 1.1, 9.1], "b")]
    apart = replace(NEAR_OTHERS, apart=lambda run: run.setting)
    assert [each.falls for each in judge_runs(apart, runs)] == [False, True]
    evidence, fallen = gather_records(replace(STATED, observed=(apart,)), quiet, runs)
    assert fallen is not None
    assert [group["group"] for group in evidence[0].groups] == ["a", "b"]
    assert not any(group["open"] for group in evidence[0].groups)


def test_what_is_missing_names_the_groups_that_decide_nothing():
    runs = [*networks([1.0, 1.01, 1.02], "enough"), *networks([1.0, 1.2, 1.1], "wide"), *networks([1.0, 1.0], "few")]
    apart = replace(NEAR_OTHERS, apart=lambda run: run.setting)
    statement = replace(STATED, observed=(apart,), trained="somewhere")
    needs = records.still_open(statement, gather_records(statement, quiet, runs)[0])
    assert needs.startswith("more networks of `ufm train somewhere --out numerics/records` (more seeds in its file")
    assert "mean of distance <= 0.1 is open for" in needs
    assert "wide: 3 networks, mean" in needs
    assert "few: 2 networks, mean 0, too few" in needs  # both are what the other taught, but two are no sample
    assert "enough" not in needs


def test_how_many_networks_would_decide_is_said():
    """By hand: distances 0.2, 0.15, 0.05 have the mean 0.1333 and the deviation 0.0764, 0.0333 beyond the bound."""
    (judged,) = judge_runs(replace(NEAR_OTHERS, fit=lambda runs: 0.0), networks([0.2, 0.15, 0.05]))
    assert judged.open
    found = judged.enough
    assert found is not None

    def half(n):
        return float(stats.t.ppf(0.9995, n - 1)) * np.std([0.2, 0.15, 0.05], ddof=1) / math.sqrt(n)

    assert half(found) <= 0.1 / 3 < half(found - 1)
    assert judge_runs(NEAR_OTHERS, networks([1.0]))[0].enough is None


def test_an_open_statement_names_the_campaign_of_its_networks():
    assert records._campaign_of("feature_norms", "paper_mlp5") == "feature_norms_paper"
    assert records._campaign_of("feature_norms", "base") == "feature_norms"
    assert records._campaign_of("no_such_campaign", "base") == "no_such_campaign"


def test_what_is_fitted_may_come_from_other_networks():
    base, varied = networks([1.0, 1.02, 0.98]), networks([2.0, 2.01, 2.03], "wide")
    claim = replace(NEAR_OTHERS, chosen=lambda run: run.setting == "wide", fitted_on=lambda run: run.setting == "base")
    (judged,) = judge_runs(claim, [*base, *varied])
    np.testing.assert_allclose(judged.effects, [1.0, 2.01 - 0.99, 2.03 - 1.01])
    assert judged.falls


def test_networks_without_the_effect_are_counted():
    never = replace(NEAR_OTHERS, effect=lambda run, _: math.nan if run.seed < 3 else 0.0)
    (judged,) = judge_runs(never, networks([1.0] * 5))
    assert (judged.effects.size, judged.asked) == (2, 5)
    assert "2 of 5 networks" in judged.words()
    assert judged.ratio == math.inf
    assert not judged.falls


def test_a_number_is_claimed_by_equal_bounds():
    exact = Observed("x", lambda run, _: float(run["x"]), least=1.0, most=1.0, fields=("x",))
    assert exact.text() == "mean of x = 1"
    assert judge_runs(exact, networks([0.9, 1.1, 1.05, 0.96]))[0].ratio <= 1
    (off,) = judge_runs(exact, networks([1.2, 1.201, 1.199, 1.2]))
    assert off.falls


def test_a_missing_record_names_its_command():
    waiting = replace(STATED, trained="no_such_campaign", needs="large networks")
    assert missing(waiting) == "`ufm train no_such_campaign`: records with cosine of large networks"
    report = check(waiting)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "needs `ufm train no_such_campaign`" in report.headline()


def test_records_are_read_network_by_network(tmp_path):
    values = {"x": (("lam_b", "seed"), np.arange(6.0).reshape(2, 3))}
    record = Record.of(
        "measured", values, coords={"lam_b": [0.5, 1.0], "seed": [0, 4, 7]}, provenance={"recipe": {"d": 3}}
    )
    runs = runs_of(record.save(tmp_path / "mine_wide.nc"), "mine")
    assert [(run.setting, run.seed) for run in runs] == [("wide", 0), ("wide", 4), ("wide", 7)]
    np.testing.assert_array_equal(runs[1]["x"], [1, 4])
    assert runs[0].regimen == {"d": 3}
    assert not runs[0].holds(("x", "y"))
    flow = Record.of("flow", values, coords={"lam_b": [0.5, 1.0], "seed": [0, 4, 7]})
    assert runs_of(flow.save(tmp_path / "mine_flow.nc"), "mine") == []


def test_the_recorded_transition_would_fall_with_another_curve():
    """Planted: the curve of eleven classes, put to the networks of ten."""
    wrong = replace(
        STATED.observed[0],
        effect=lambda run, critical: float(
            np.max(np.abs(run["cosine"] + 1 / 10) * (run.values["lam_b"].values <= critical))
        ),
    )
    assert {run.setting for run in recorded("class_encoding")} == {"fashion", "mnist5k"}
    assert all(each.falls for each in judge_runs(wrong, recorded("class_encoding")))


def course_of(onset, seed, setting="base", size=1.0, **regimen):
    """Feature norms that fall linearly and an NC1 that falls below 1% at the onset."""
    epochs = np.arange(1, 61)
    values = {
        "history_fn": ("epoch", size * (3.0 - epochs / 40)),
        "history_nc1_ratio": ("epoch", np.where(epochs < onset, 1.0, 1e-3)),
    }
    return Run(setting, seed, xr.Dataset(values), {"regimen": regimen})


def test_feature_norms_by_hand():
    runs = [course_of(40, 0), course_of(42, 1), course_of(44, 2)]
    concentrated, lead = (catalogue()[f"rupa2026:{name}"].observed[0] for name in ("concentration", "lead"))
    (judged,) = judge_runs(concentrated, runs)
    stars = np.array([3 - 40 / 40, 3 - 42 / 40, 3 - 44 / 40])
    others = np.array([stars[[1, 2]].mean(), stars[[0, 2]].mean(), stars[[0, 1]].mean()])
    np.testing.assert_allclose(judged.effects, np.abs(stars / others - 1))
    # the level of seeds 1 and 2 is 1.925, first undercut at epoch 44 (fn = 1.9): four epochs after the onset of seed 0
    assert judge_runs(lead, runs)[0].effects[0] == 40 - 44
    rescaled = [course_of(40, seed, "rescaled_3", 3.0, rescale=3.0) for seed in range(3)]
    (back,) = judge_runs(catalogue()["rupa2026:rescaling"].observed[0], [*runs, *rescaled])
    assert back.falls  # three times the norm is not the same
    assert rupa2026.course(runs[0]).onset(0.01) == 40


def layers(seed, weight_decay, noise, rank=2):
    """Three layers: the first never collapses, the others lack `noise` of every condition."""
    nrc1 = np.array([[0.5, 0.5, 0.5], [0.4, noise, noise]])
    values = {
        "deep_nrc1": (("epoch", "layer"), nrc1 / 2),
        "deep_nrc1_rank": (("epoch", "layer"), nrc1),
        "deep_nrc2": (("epoch", "layer"), 1 - nrc1),
        "deep_nrc3_rank": (("epoch", "layer"), 1 - nrc1 / 2),
        "deep_nrc4": (("epoch", "layer"), nrc1 / 10),
        "stable_rank_features": (("epoch", "layer"), np.array([[9.0, 9.0, 9.0], [9.0, 1.5, 1.5]])),
        "train_error": ("epoch", [1.0, 0.0]),
        "target_variance": 2.0,
        "target_rank": rank,
        "target_dimension": 10,
    }
    setting = f"rank{rank}_{'none' if weight_decay == 0 else 'medium'}"
    return Run(setting, seed, xr.Dataset(values), {"data": "digits", "regimen": {"weight_decay": weight_decay}})


def test_deep_regression_by_hand():
    runs = [layers(seed, 1e-3, 0.01 + 0.001 * seed) for seed in range(3)]
    runs += [layers(seed, 0.0, 0.3 + seed / 100) for seed in range(3)]
    collapse, rank, rounded, decay = (
        catalogue()[f"rangamani2026:{name}"].observed
        for name in ("collapse", "intrinsic_rank", "intrinsic_rank_rounded", "weight_decay")
    )
    for claim, expected in zip(collapse, (1, 1, 0.5, 0.05), strict=True):
        (judged,) = judge_runs(claim, runs)
        np.testing.assert_allclose(judged.effects, expected * np.array([0.010, 0.011, 0.012]))
        assert judged.ratio <= 1
    (stable,), (near,) = judge_runs(rank[0], runs), judge_runs(rounded[0], runs)
    np.testing.assert_allclose(stable.effects, 0.75)
    np.testing.assert_allclose(near.effects, 0.5)
    assert stable.falls
    (without,) = judge_runs(decay[0], runs)
    np.testing.assert_allclose(without.effects, [0.30, 0.31, 0.32])
    assert without.ratio <= 1


def test_settings_without_the_effect_do_not_count():
    quiet_ones = [layers(seed, 1e-3, 0.3) for seed in range(3)]
    runs = [*quiet_ones, *(layers(seed, 1e-3, 0.01, rank=3) for seed in range(3))]
    evidence, fallen = gather_records(catalogue()["rangamani2026:collapse"], quiet, runs)
    assert fallen is None
    assert all(line.agrees and line.checked == 3 for line in evidence)
    assert "no network of rank2_medium has the effect" in evidence[0].note
    assert not gather_records(catalogue()["rangamani2026:collapse"], quiet, quiet_ones)[0][0].agrees
