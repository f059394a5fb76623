"""A user's own arrays: read from files without running anything, and held against the certified optimum."""

import json
import math
import pickle
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import ufm
from ufm import encodings
from ufm.cli.app import app
from ufm.errors import UfmError
from ufm.expected import held
from ufm.metrics.weight_balance import direction_balance, effective_lam_H, two_weights
from ufm.predict import excess_loss, predict
from ufm.share import locate
from ufm.tensors import read_tensors
from ufm.tolerance import roundoff

WEIGHTS: dict[str, Any] = {"lam_W": 0.02, "lam_H": 0.001, "lam_b": 0.5}


def at_optimum(counts: list[int], codes: Any = None, **changes: float) -> dict:
    """Features, labels, classifier and bias of the certified optimum, in 7 dimensions more than it needs."""
    codes = encodings.one_hot(len(counts)) if codes is None else codes
    optimum = ufm.solve(ufm.Problem(ufm.classes(codes, counts), **{**WEIGHTS, **changes}))  # pyright: ignore
    R = np.linalg.qr(np.random.default_rng(0).standard_normal((optimum.H.shape[0] + 7, optimum.H.shape[0])))[0]
    H = np.repeat(R @ optimum.H, counts, axis=1)
    return {"H": H, "labels": np.repeat(np.arange(len(counts)), counts), "W": optimum.product @ R.T, "b": optimum.b}


@pytest.mark.parametrize("counts", [[30] * 4, [50, 20, 10, 5]])
@pytest.mark.parametrize("lam_b", [0.0, 0.02, 0.5, math.inf])
def test_the_optimum_agrees_with_itself(counts: list[int], lam_b: float) -> None:
    state = at_optimum(counts, lam_b=lam_b)
    found = predict(**state, lam_W=0.02, lam_H=0.001, lam_b=lam_b)
    assert found.agrees, found
    assert isinstance(found, ufm.Comparison)
    measured = found.records[1]
    assert 0 <= float(measured["excess_loss"]) < 1e-10
    assert float(measured["lam_H_anisotropy"]) == pytest.approx(1, abs=1e-6)
    inferred = predict(**state, lam_W=0.02, lam_b=lam_b)
    assert inferred.agrees
    assert "inferred" in inferred.notes[0]
    assert float(inferred.records[0]["lam_H_effective"]) == pytest.approx(0.001, rel=1e-8)


@pytest.mark.parametrize("counts", [[30] * 4, [60, 30, 20, 10]])
def test_two_weights_are_read_off_features_that_have_them(counts: list[int]) -> None:
    mean, centred = 1e-4, 1e-3
    metric = ufm.constraints.FeatureMetric.mean_apart(counts, mean / centred)
    optimum = ufm.solve(
        ufm.Problem(ufm.classes(encodings.one_hot(4), counts), lam_W=0.02, lam_H=centred, constraint=metric)
    )
    state = {"H": np.repeat(optimum.H, counts, axis=1), "labels": np.repeat(range(4), counts), "W": optimum.product}
    found = predict(**state, lam_W=0.02)
    measured = found.records[1]
    assert float(measured["lam_H_mean"]) == pytest.approx(mean, rel=1e-4)
    assert float(measured["lam_H_centred"]) == pytest.approx(centred, rel=1e-4)
    assert not found.agrees, "one weight does not describe them"
    assert "FeatureMetric.mean_apart(counts, 0.1)" in found.notes[-1]
    entropy = predict(**state, lam_W=0.02, loss="cross_entropy").notes[-1]
    assert "centred features" in entropy
    assert "FeatureMetric" not in entropy, "which is solved for the squared loss only"
    assert "mean_apart" not in predict(**at_optimum(counts), lam_W=0.02, lam_b=0.5).notes[-1]


def test_two_weights_are_read_off_where_singular_values_coincide() -> None:
    """Weak weights leave s_0 = s to a thousandth: noise mixes the mean with what is centred in the SVD of W H."""
    counts, mean, centred = [50] * 4, 1e-8, 4e-8
    metric = ufm.constraints.FeatureMetric.mean_apart(counts, mean / centred)
    targets = ufm.classes(encodings.one_hot(4), counts)
    optimum = ufm.solve(ufm.Problem(targets, lam_W=0.02, lam_H=centred, constraint=metric))
    rng = np.random.default_rng(0)
    means = optimum.H * (1 + 0.02 * rng.standard_normal(4))
    found = predict(np.repeat(means, counts, axis=1), np.repeat(range(4), counts), optimum.product, lam_W=0.02)
    measured = found.records[1]
    assert float(measured["lam_H_mean"]) == pytest.approx(mean, rel=0.1)
    assert float(measured["lam_H_centred"]) == pytest.approx(centred, rel=0.1)
    mixed = measured["lam_H_by_direction"].values
    assert mixed.min() > 1.5 * mean, "by singular direction of W H it cannot be read"
    assert "Two do better" in found.notes[-1]


# Several networks, and weights from other runs


def seeds(count: int, noise: float = 1e-3, **changes: float) -> dict[str, Any]:
    """Networks about one optimum, with string labels in an order of their own."""
    given: dict[str, list] = {"H": [], "labels": [], "W": [], "b": []}
    for seed in range(count):
        state, rng = at_optimum([12, 9, 6], **changes), np.random.default_rng(seed)
        order = rng.permutation(27)
        given["H"].append(state["H"][:, order] + noise * rng.standard_normal((state["H"].shape[0], 27)))
        given["labels"].append(np.array(["ant", "bee", "cat"])[state["labels"][order]])
        given["W"].append(state["W"] + noise * rng.standard_normal(state["W"].shape))
        given["b"].append(state["b"])
    return given


def test_several_networks_are_held_in_units_of_their_spread() -> None:
    given = seeds(4)
    found = predict(**given, **WEIGHTS)
    one = [predict(*(given[part][s] for part in ("H", "labels", "W", "b")), **WEIGHTS) for s in range(4)]
    excess = np.array([float(each.records[1]["excess_loss"]) for each in one])
    np.testing.assert_allclose(found.records[1]["excess_loss"], excess, rtol=1e-12)
    rows = {row.observable: row for row in found.rows}
    in_spreads = rows["excess_loss"].in_spreads
    assert in_spreads is not None
    assert in_spreads == pytest.approx(np.mean(excess) / np.std(excess, ddof=1), rel=1e-12)
    wanted = {"cosines", "singular_values", "class_mean_norm", "classifier_norm", "nc2_predicted", "nc3", "bias"}
    assert wanted <= rows.keys()
    assert "in spreads" in str(found)
    assert "class=" in str(found), "the place of the worst entry is printed for labels of any kind"
    assert any("no seed-to-seed spread" in note for note in one[0].notes)
    assert not any("no seed-to-seed spread" in note for note in found.notes)
    shared = predict(
        **{
            **given,
            "H": [
                H[:, np.argsort(labels, kind="stable")] for H, labels in zip(given["H"], given["labels"], strict=True)
            ],
            "labels": np.repeat(["ant", "bee", "cat"], [12, 9, 6]),
        },
        **WEIGHTS,
    )
    np.testing.assert_allclose(shared.records[1]["excess_loss"], excess, rtol=1e-9)
    inferred = predict(**given, lam_W=0.02, lam_b=0.5)
    pooled = 0.02 * sum(np.sum(W**2) for W in given["W"]) / sum(np.sum(H**2) for H in given["H"])
    assert float(inferred.records[0]["lam_H_effective"]) == pytest.approx(pooled, rel=1e-12)
    with pytest.raises(UfmError, match="one width"):
        predict([given["H"][0], given["H"][1][:-1]], given["labels"][:2], **WEIGHTS)
    state, Y = regressed()
    with pytest.raises(UfmError, match="differ from those of the problem"):
        predict([state["H"]] * 2, [Y, 2 * Y], [state["W"]] * 2, lam_W=0.1, lam_H=0.01)
    with pytest.raises(UfmError, match="list of 4 networks, W has no list"):
        predict(given["H"], given["labels"], given["W"][0], None, **WEIGHTS)
    with pytest.raises(UfmError, match="class sizes"):
        predict(given["H"][:2], [given["labels"][0], np.repeat(["ant", "bee", "cat"], 9)], given["W"][:2], **WEIGHTS)


def test_a_record_of_one_seed_says_that_there_is_no_spread() -> None:
    record = ufm.load(locate("numerics", "records", "decay_longer.nc"))
    assert record.values.sizes["seed"] == 1
    few = replace(record, values=record.values.isel(lam_b=[-1]))
    assert "no seed-to-seed spread" in held(few).notes[-1]
    assert "no seed-to-seed spread" not in str(predict(**seeds(2), **WEIGHTS))


def with_two(lam_b: float, pair: tuple[float, float] = (1e-4, 1e-3)) -> dict[str, Any]:
    counts = [30, 20, 10]
    metric = ufm.constraints.FeatureMetric.mean_apart(counts, pair[0] / pair[1])
    targets = ufm.classes(encodings.one_hot(3), counts)
    optimum = ufm.solve(ufm.Problem(targets, lam_W=0.02, lam_H=pair[1], lam_b=lam_b, constraint=metric))
    H = np.repeat(optimum.H, counts, axis=1)
    return {"H": H, "labels": np.repeat(range(3), counts), "W": optimum.product, "b": optimum.b}


def test_two_weights_of_one_run_predict_another_out_of_sample() -> None:
    fitted, other = with_two(math.inf), with_two(0.2)
    pair = ufm.effective_weights(fitted["H"], fitted["W"], lam_W=0.02)
    assert pair == pytest.approx((1e-4, 1e-3), rel=1e-4)
    found = predict(**other, lam_W=0.02, lam_H=pair, lam_b=0.2)
    assert found.agrees, str(found)
    assert 0 <= float(found.records[1]["excess_loss"]) < 1e-8, "the value has two weights, too"
    assert float(found.records[0]["lam_H_mean"]) == pytest.approx(pair[0], rel=1e-10)
    assert float(found.records[0]["lam_H_centred"]) == pytest.approx(pair[1], rel=1e-10)
    noisy = {**other, "H": other["H"] + 0.05 * np.random.default_rng(0).standard_normal(other["H"].shape)}
    assert float(predict(**noisy, lam_W=0.02, lam_H=pair, lam_b=0.2).records[1]["excess_loss"]) > 0
    assert not predict(**other, lam_W=0.02, lam_H=pair[1], lam_b=0.2).agrees, "one weight does not predict it"
    assert not predict(**other, lam_W=0.02, lam_H=pair[::-1], lam_b=0.2).agrees, "nor do the two exchanged"
    twice = ufm.effective_weights([fitted["H"]] * 2, [fitted["W"]] * 2, lam_W=0.02)
    assert twice == pytest.approx(pair, rel=1e-12)
    centred = fitted["H"] - fitted["H"].mean(axis=1, keepdims=True)
    with pytest.raises(UfmError, match="no mean of these features"):
        ufm.effective_weights(centred, fitted["W"], lam_W=0.02)
    refused: list[tuple[dict[str, Any], str]] = [
        ({"lam_H": (1.0, 2.0, 3.0)}, "give one weight, or two"),
        ({"lam_H": (0.0, 2.0)}, "give one weight, or two"),
        ({"lam_H": pair, "loss": "cross_entropy"}, "the squared loss"),
    ]
    for change, message in refused:
        with pytest.raises(UfmError, match=message):
            predict(**other, lam_W=0.02, **change)


def test_classes_that_theory_has_at_zero_have_no_cosines() -> None:
    """Minority collapse: the smallest class has no mean, so its angles are not compared."""
    counts = [200, 100, 2]
    optimum = ufm.solve(ufm.Problem(ufm.classes(encodings.one_hot(3), counts), lam_W=0.05, lam_H=0.003))
    assert np.linalg.norm(optimum.H[:, 2]) == pytest.approx(0, abs=1e-9)
    H = np.repeat(optimum.H, counts, axis=1) + 1e-5 * np.random.default_rng(0).standard_normal(
        (optimum.H.shape[0], 302)
    )
    found = predict(H, np.repeat(range(3), counts), optimum.product, lam_W=0.05, lam_H=0.003)
    assert next(row for row in found.rows if row.observable == "cosines").agrees


def test_a_mean_that_theory_has_at_zero_has_no_weight() -> None:
    state = at_optimum([30] * 4, encodings.simplex(4))
    W = state["W"]
    alone, rest = two_weights(W @ W.T, np.full(W.shape[0], 1e-9), W @ state["H"], 120, 0.02)
    assert math.isnan(alone)
    assert rest == pytest.approx(0.001, rel=1e-6)


def deep(t: float, method: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Three factors at an optimum of one kind, at the weights of `t_rel` for layers of norm 1; and those weights."""
    weights: dict[str, Any] = {"lam_W": (t / 4, t / 4), "lam_H": t / 80, "lam_b": 0.0}
    optimum = ufm.solve(ufm.Problem(ufm.classes(encodings.one_hot(4), 20), **weights), method=method)
    R = np.linalg.qr(np.random.default_rng(0).standard_normal((8, optimum.H.shape[0])))[0]
    *top, first = optimum.W
    state = {"H": np.repeat(R @ optimum.H, 20, axis=1), "labels": np.repeat(range(4), 20), "b": optimum.b}
    return {**state, "W": [*top, first @ R.T]}, weights


def test_deep_heads_are_held_against_the_minimum_they_are_in() -> None:
    state, weights = deep(0.2, "auto")
    found = predict(**state, **weights)
    assert found.agrees, str(found)
    assert not any("optimum:" in note or "metastable" in note for note in found.notes), "it is proved"
    assert float(found.records[1]["excess_loss"]) < 1e-10
    one_weight = predict(**state, lam_W=0.05, lam_b=0.0)  # one for all layers, and lam_H from the balance
    assert float(one_weight.records[0]["lam_H_effective"]) == pytest.approx(0.2 / 80, rel=1e-8)
    assert not predict(**state, **{**weights, "lam_W": (0.05, 0.06)}).agrees
    beyond, weights = deep(0.45, "metastable")
    stuck = predict(**beyond, **weights)
    assert stuck.agrees, str(stuck)
    assert any("metastable" in note for note in stuck.notes)
    gone = ufm.solve(ufm.Problem(ufm.classes(encodings.one_hot(4), 20), **weights))
    assert not np.any(gone.singular_values), "the global minimum is zero there"
    with pytest.raises(UfmError, match="give one number, or 2"):
        predict(**state, lam_W=(0.05, 0.05, 0.05), lam_H=0.1)


def regressed(lam_b: float = math.inf) -> tuple[dict[str, Any], np.ndarray]:
    """H, W, b at the optimum of a regression with three targets and 60 samples, and the targets."""
    rng = np.random.default_rng(3)
    Y = np.diag([3.0, 1.0, 0.5]) @ rng.standard_normal((3, 60)) + 0.4
    optimum = ufm.solve(ufm.Problem(ufm.samples(Y), lam_W=0.1, lam_H=0.01, lam_b=lam_b))
    R = np.linalg.qr(rng.standard_normal((9, optimum.H.shape[0])))[0]
    return {"H": R @ optimum.H, "W": optimum.product @ R.T, "b": optimum.b}, Y


@pytest.mark.parametrize("lam_b", [0.0, 0.3, math.inf])
def test_a_regression_is_held_against_its_optimum(lam_b: float) -> None:
    state, Y = regressed(lam_b)
    found = predict(**state, labels=Y, lam_W=0.1, lam_H=0.01, lam_b=lam_b)
    assert found.agrees, str(found)
    rows = {row.observable for row in found.rows}
    assert {"excess_loss", "singular_values", "classifier_norm", "bias", "nrc1", "nrc2", "nrc3"} <= rows
    same = predict(**state, labels=ufm.samples(Y), lam_W=0.1, lam_b=lam_b)
    assert float(same.records[0]["lam_H_effective"]) == pytest.approx(0.01, rel=1e-6), "from balance"
    moved = {**state, "H": state["H"] + 0.2 * np.random.default_rng(0).standard_normal((9, 60))}
    assert not predict(**moved, labels=Y, lam_W=0.1, lam_H=0.01, lam_b=lam_b).agrees
    assert not predict(**state, labels=Y, lam_W=0.12, lam_H=0.01, lam_b=lam_b).agrees


def test_a_regression_from_the_shell(tmp_path: Path) -> None:
    state, Y = regressed()
    file = tmp_path / "run.npz"
    np.savez(file, H=state["H"].T, y=Y.T, W=state["W"])  # one row a sample
    weights = ["--lam-W", "0.1", "--lam-H", "0.01"]
    result = CliRunner().invoke(app, ["predict", str(file), "--rows", "--name", "labels=y", *weights])
    assert result.exit_code == 0, result.output
    assert "nrc3" in result.output
    picture = tmp_path / "mine.png"
    flags = ["--rows", "--name", "labels=y", *weights, "--plot", str(picture)]
    drawn = CliRunner().invoke(app, ["predict", str(file), *flags])
    assert drawn.exit_code == 0, drawn.output
    assert picture.stat().st_size > 1000
    turned = CliRunner().invoke(app, ["predict", str(file), "--name", "labels=y", *weights])
    assert turned.exit_code != 0
    measured = CliRunner().invoke(app, ["measure", str(file), "--rows", "--name", "labels=y", "--json"])
    assert json.loads(measured.output)["nrc1"] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", ["simplex", "one_vs_rest", "binary"])
def test_other_codes(name: str) -> None:
    codes = encodings.available()[name](4)
    state = at_optimum([20, 10, 10, 5], codes)
    assert predict(**state, **WEIGHTS, codes=codes).agrees
    other = np.random.default_rng(0).standard_normal(codes.shape)
    assert not predict(**state, **WEIGHTS, codes=other).agrees


@pytest.mark.parametrize("change", [{"lam_b": 0.1}, {"lam_H": 0.01}, {"lam_W": 0.04}])
def test_wrong_weights_are_noticed(change: dict) -> None:
    found = predict(**at_optimum([30] * 4), **{**WEIGHTS, **change})
    assert not found.agrees
    assert float(found.records[1]["excess_loss"]) > 1e-4


def test_the_gram_matrix_is_held_against_the_predicted_one() -> None:
    state = at_optimum([50, 20, 10, 5])
    turned = {**state, "H": state["H"] @ np.diag(np.where(state["labels"] == 2, 1.5, 1.0))}
    right, wrong = (predict(**given, **WEIGHTS) for given in (state, turned))
    assert float(right.records[1]["nc2_predicted"]) < 1e-7 < 0.05 < float(right.records[1]["nc2_etf"])
    G, T = (np.asarray(r["gram"].values) for r in wrong.records[::-1])
    wanted = np.linalg.norm(G / np.linalg.norm(G) - T / np.linalg.norm(T))
    assert float(wrong.records[1]["nc2_predicted"]) == pytest.approx(wanted, rel=1e-12)
    assert not next(row for row in wrong.rows if row.observable == "nc2_predicted").agrees


def test_excess_loss_is_never_negative_at_any_point_near_the_optimum() -> None:
    state, rng = at_optimum([9, 6, 4, 3]), np.random.default_rng(1)
    for size in (1e-12, 1e-9, 1e-6, 1e-3, 1e-1, 10):
        moved = {**state, "H": state["H"] + size * rng.standard_normal(state["H"].shape)}
        assert float(predict(**moved, **WEIGHTS).records[1]["excess_loss"]) >= 0
    with pytest.raises(UfmError, match="below the certified minimum"):
        excess_loss(0.9, 1.0)
    assert excess_loss(1.0 - 1e-16, 1.0) == 0
    assert excess_loss(1.0, 0.0) == math.inf


def test_classes_in_any_order_and_labels_of_any_kind() -> None:
    state = at_optimum([9, 6, 4, 3])
    order = np.random.default_rng(1).permutation(22)
    names = np.array(["ant", "bee", "cat", "dog"])[state["labels"]]
    mixed = {**state, "H": state["H"][:, order], "labels": names[order]}
    assert predict(**mixed, **WEIGHTS).agrees


def test_features_alone() -> None:
    state = at_optimum([30] * 4)
    found = predict(state["H"], state["labels"], **WEIGHTS)
    assert found.agrees
    assert "W is not given" in str(found)
    assert {"cosine", "class_mean_norm"} <= {row.observable for row in found.rows}
    with pytest.raises(UfmError, match="without W"):
        predict(state["H"], state["labels"], lam_W=0.02)
    with pytest.raises(UfmError, match="H is zero"):
        predict(0 * state["H"], state["labels"], state["W"], lam_W=0.02)


def test_a_bias_without_a_weight_is_pointed_out() -> None:
    state = at_optimum([30] * 4)
    assert any("give its weight" in note for note in predict(**state, lam_W=0.02, lam_H=0.001).notes)
    assert not any("give its weight" in note for note in predict(**state, **WEIGHTS).notes)
    assert not any("give its weight" in note for note in predict(**{**state, "b": np.zeros(4)}, lam_W=0.02).notes)
    with pytest.raises(UfmError, match="of a regression as m x N"):
        predict(state["H"], np.linspace(0, 1, 120), state["W"][:1], lam_W=0.02)


@pytest.mark.parametrize("change", [{"lam_W": 0.0}, {"lam_H": 0.0}, {"lam_W": 0.0, "lam_H": 0.0}])
def test_weights_of_zero_have_no_balance(change: dict) -> None:
    found = predict(**at_optimum([30] * 4), **{**WEIGHTS, **change})
    assert str(found)
    if "lam_W" in change:
        assert math.isnan(float(found.records[1]["lam_H_anisotropy"]))


def test_cross_entropy() -> None:
    problem = ufm.Problem(ufm.classes(encodings.one_hot(3), 10), lam_W=0.02, lam_H=0.001, loss="cross_entropy")
    optimum = ufm.solve(problem)
    H, labels = np.repeat(optimum.H, 10, axis=1), np.repeat(range(3), 10)
    assert predict(H, labels, optimum.product, lam_W=0.02, lam_H=0.001, loss="cross_entropy").agrees


def test_a_narrow_network_is_held_against_the_best_of_its_width() -> None:
    state = at_optimum([10] * 4)
    U = np.linalg.svd(state["W"], full_matrices=False)[2][:2]
    found = predict(U @ state["H"], state["labels"], state["W"] @ U.T, state["b"], **WEIGHTS)
    assert int(found.records[0]["rank"]) == 2  # the optimum of this width, certified by branch and bound
    assert float(found.records[1]["excess_loss"]) > 0
    assert not found.agrees
    assert not any("optimum:" in note for note in found.notes)  # nothing is left open about the reference


def test_weight_balance_against_its_definition() -> None:
    rng = np.random.default_rng(0)
    W, H = rng.standard_normal((3, 5)), rng.standard_normal((5, 40)) + 1
    found = direction_balance(W, H, 0.3)
    V, s, Qt = np.linalg.svd(W @ H, full_matrices=False)
    for i in range(3):
        u = W.T @ V[:, i]
        expected = 0.3 * np.sum(u**2) / np.sum((u / np.linalg.norm(u) @ H) ** 2)
        assert found.lam_H[i] == pytest.approx(expected, rel=1e-12)
        assert found.mean_share[i] == pytest.approx(np.sum(Qt[i]) ** 2 / 40, rel=1e-12)
    assert effective_lam_H(W, H, 0.3) == pytest.approx(0.3 * np.sum(W**2) / np.sum(H**2), rel=roundoff())
    balanced = np.linalg.qr(rng.standard_normal((40, 3)))[0].T
    W = rng.standard_normal((3, 3))
    _, s, Vt = np.linalg.svd(W)  # H H' = 4 W'W: every direction has lam_W/4
    assert direction_balance(W, 2 * Vt.T * s @ balanced, 0.4).lam_H == pytest.approx(0.1)
    anisotropic = Vt.T * (s * [1, 2, 3]) @ balanced  # planted: direction i weighs 1/i^2
    assert direction_balance(W, anisotropic, 1.0).anisotropy() == pytest.approx(9)


# Files


def write_safetensors(path: Path, arrays: dict[str, np.ndarray], damage: dict | None = None) -> Path:
    """The format written once more, from its description."""
    names = {"float32": "F32", "float64": "F64", "int64": "I64", "float16": "F16", "bool": "BOOL"}
    header, raw = {"__metadata__": {"by": "test"}}, b""
    for name, array in arrays.items():
        span = [len(raw), len(raw) + array.nbytes]
        header[name] = {"dtype": names[array.dtype.name], "shape": list(array.shape), "data_offsets": span}  # pyright: ignore
        raw += array.tobytes()
    for name, entry in (damage or {}).items():
        header[name] = {**header.get(name, {}), **entry}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + raw)
    return path


ARRAYS = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.array([1.5, -2.5]),
    "c": np.array([[7], [8]]),
    "d": np.array(3, dtype=np.float16),
    "e": np.array([True, False]),
    "f": np.zeros((0, 4)),
}


@pytest.mark.parametrize("kind", ["npz", "safetensors", "pt"])
def test_arrays_come_back_as_they_were(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"x.{kind}"
    if kind == "npz":
        np.savez(path, **ARRAYS)  # pyright: ignore
    elif kind == "safetensors":
        write_safetensors(path, ARRAYS)
    else:
        torch = pytest.importorskip("torch")
        torch.save({k: torch.tensor(v) for k, v in ARRAYS.items()}, path)
    found = read_tensors(path)
    assert set(found) == set(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


def test_bfloat16_and_nested_dictionaries(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    values = torch.tensor([1.0, -2.5, 3.140625]).bfloat16()
    torch.save({"head": {"weight": values}, "epoch": 3}, tmp_path / "x.pth")
    np.testing.assert_array_equal(read_tensors(tmp_path / "x.pth")["head.weight"], [1.0, -2.5, 3.140625])
    raw = values.view(torch.int16).numpy().tobytes()
    header = json.dumps({"w": {"dtype": "BF16", "shape": [3], "data_offsets": [0, 6]}}).encode()
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + raw)
    np.testing.assert_array_equal(read_tensors(tmp_path / "x.safetensors")["w"], [1.0, -2.5, 3.140625])


class Malice:
    """Runs when it is unpickled; the file it makes shows that it did."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple:
        return Path.write_text, (self.trace, "executed")


@pytest.mark.parametrize("kind", ["npz", "pt", "pickled.pt"])
def test_no_pickle_is_executed(tmp_path: Path, kind: str) -> None:
    trace, path = tmp_path / "trace", tmp_path / f"x.{kind}"
    if kind == "npz":
        np.savez(path, H=np.array([Malice(trace)], dtype=object))
    elif kind == "pt":
        pytest.importorskip("torch").save({"H": Malice(trace)}, path)
    else:
        pytest.importorskip("torch")
        path.write_bytes(pickle.dumps({"H": Malice(trace)}))
    with pytest.raises(UfmError):
        read_tensors(path)
    assert not trace.exists()
    pickle.loads(pickle.dumps(Malice(trace)))
    assert trace.exists(), "the planted pickle does work"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"a": {"data_offsets": [0, 1 << 40]}}, "size that its header says"),
        ({"a": {"data_offsets": [-8, 16]}}, "size that its header says"),
        ({"a": {"shape": [2, 4]}}, "size that its header says"),
        ({"a": {"shape": [2.0, 3]}}, "size that its header says"),
        ({"a": {"dtype": "O"}}, "entry of 'a'"),
        ({"z": {"dtype": "F32"}}, "entry of 'z'"),
    ],
)
def test_damaged_safetensors_are_refused(tmp_path: Path, damage: dict, message: str) -> None:
    with pytest.raises(UfmError, match=message):
        read_tensors(write_safetensors(tmp_path / "x.safetensors", ARRAYS, damage))


@pytest.mark.parametrize("content", [b"", b"\x01", struct.pack("<Q", 1 << 60) + b"{}", struct.pack("<Q", 4) + b"{x: "])
@pytest.mark.parametrize("kind", ["npz", "safetensors", "pt"])
def test_files_that_are_something_else(tmp_path: Path, content: bytes, kind: str) -> None:
    path = tmp_path / f"x.{kind}"
    path.write_bytes(content)
    if kind == "pt":
        pytest.importorskip("torch")
    with pytest.raises(UfmError):
        read_tensors(path)


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(UfmError, match="no such file"):
        read_tensors(tmp_path / "x.npz")
    (tmp_path / "x.pkl").write_bytes(b"")
    with pytest.raises(UfmError, match="ending is not known"):
        read_tensors(tmp_path / "x.pkl")


# The command


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(word) for word in words])
    if isinstance(done.exception, UfmError):
        return 2, str(done.exception)
    return done.exit_code, done.stdout


def test_predict_command(tmp_path: Path) -> None:
    state, path = at_optimum([30] * 4), str(tmp_path / "run.npz")
    np.savez(path, **state)
    code, text = run("predict", path, "--lam-W", "0.02", "--lam-H", "0.001", "--lam-b", "0.5", "--json")
    assert code == 0
    found = json.loads(text)
    assert found["agrees"]
    assert len(found["lam_H_by_direction"]) == 4
    code, text = run("predict", path, "--lam-W", "0.02", "--lam-b", "0.5", "--save", str(tmp_path / "r.nc"))
    assert code == 0
    assert "inferred from the balance" in text
    assert "excess_loss" in ufm.load(tmp_path / "r.nc")
    assert run("predict", path, "--lam-W", "0.2", "--lam-H", "0.001")[0] == 1
    assert run("predict", path, "--lam-W", "0.2", "--encoding", "one")[0] == 2
    assert (
        run("predict", path, "--lam-W", "0.02", "--lam-H", "0.001", "--encoding", "simplex")[0] == 2
    )  # m = 3, W has 4


def test_deep_heads_from_the_shell(tmp_path: Path) -> None:
    state, weights = deep(0.2, "auto")
    top, first = state["W"]
    numbered, named = str(tmp_path / "numbered.npz"), str(tmp_path / "named.npz")
    shared = {part: state[part] for part in ("H", "labels", "b")}
    np.savez(numbered, **shared, W1=first, W2=top)
    np.savez(named, **shared, head=top, neck=first)
    flags = ("--lam-W", "0.05,0.05", "--lam-b", "0", "--lam-H", str(weights["lam_H"]))
    for words in (
        (numbered, *flags),
        (named, "--name", "W=head,neck", *flags),
        (numbered, "--lam-W", "0.05", "--lam-b", "0"),
    ):
        code, text = run("predict", *words, "--json")
        assert code == 0, text
        assert json.loads(text)["agrees"]
    assert run("predict", named, "--name", "W=neck,head", *flags)[0] == 2
    assert "give one number, or 2" in run("predict", numbered, "--lam-W", "1,2,3", "--lam-H", "1")[1]
    np.savez(numbered, **shared, W1=first, W3=top)
    assert "give all of W1 to W3" in run("predict", numbered, *flags)[1]
    code, text = run("measure", named, "--name", "W=head,neck", "--keys", "singular_values")
    assert code == 0
    assert "singular_values" in text


def test_seeds_and_weights_of_other_runs_from_the_shell(tmp_path: Path) -> None:
    files = []
    for s in range(3):
        files.append(str(tmp_path / f"seed{s}.npz"))
        np.savez(files[-1], **{part: each[s] for part, each in seeds(3).items()})
    code, text = run("predict", *files, "--lam-W", "0.02", "--lam-H", "0.001", "--lam-b", "0.5")
    assert code == 0
    assert "in spreads" in text
    picture = tmp_path / "first.png"
    assert run("predict", *files, "--lam-W", "0.02", "--lam-b", "0.5", "--plot", str(picture))[0] == 0
    assert picture.stat().st_size > 1000
    fitted, other = str(tmp_path / "fitted.npz"), str(tmp_path / "other.npz")
    np.savez(fitted, **with_two(math.inf))
    np.savez(other, **with_two(0.2))
    flags = (other, "--lam-W", "0.02", "--lam-b", "0.2")
    assert run("predict", *flags, "--lam-H-from", fitted)[0] == 0
    assert run("predict", *flags, "--lam-H", "1e-4,1e-3")[0] == 0
    assert run("predict", *flags)[0] == 1, "one weight, inferred from the run itself, does not do"
    assert "give one of the two" in run("predict", *flags, "--lam-H", "1", "--lam-H-from", fitted)[1]


def test_keys_layers_and_other_data_from_the_shell(tmp_path: Path) -> None:
    state, path = at_optimum([6, 5, 4]), str(tmp_path / "run.npz")
    outside = np.random.default_rng(0).standard_normal((state["H"].shape[0], 8))
    np.savez(path, **state, outside=outside)
    code, text = run("measure", path, "--keys", "nc5,nc1,one_vs_rest_means", "--json")
    assert code == 0
    found = json.loads(text)
    assert set(found) == {"nc5", "nc1", "one_vs_rest_means"}
    assert found["nc5"] == pytest.approx(float(ufm.measure(state["H"], state["labels"], outside=outside)["nc5"]))
    plain = run("measure", path)[1]
    assert "arrays, shown with --keys" in plain
    assert "nc1_per_class" in plain.splitlines()[-1]
    assert "inf" not in run("measure", path, "--keys", "nc1_per_class")[1]
    listed = run("measure", path, "--keys", "list")[1]
    assert "neco_auroc" in listed
    assert "features of other data" in listed
    assert "near it are nc5" in run("measure", path, "--keys", "nc6")[1]
    layers = str(tmp_path / "layers.npz")
    np.savez(layers, **{"H.fc1": state["H"], "H.fc2": state["H"][:3]}, labels=state["labels"])
    code, text = run("measure", layers)
    assert code == 0
    assert "fc1" in text.splitlines()[2]
    assert json.loads(run("measure", layers, "--json")[1])["layer"] == ["fc1", "fc2"]
    assert "name the one the classifier reads" in run("predict", layers, "--lam-W", "1")[1]
    assert run("predict", layers, "--name", "H=H.fc1", "--lam-W", "0.02", "--lam-H", "0.001", "--lam-b", "0.5")[0] == 0
    Y = np.random.default_rng(1).standard_normal((2, 15))
    np.savez(layers, **{"H.fc1": state["H"].T, "W.fc1": np.ones((6, state["H"].shape[0]))}, labels=Y.T)
    deep_nrc3 = json.loads(run("measure", layers, "--rows", "--json")[1])["deep_nrc3"]
    assert 0 <= deep_nrc3[0] <= 1


def test_names_and_rows_of_a_file(tmp_path: Path) -> None:
    state = at_optimum([5] * 3)
    theirs = {"z": np.ascontiguousarray(state["H"].T), "y": state["labels"], "fc.weight": state["W"]}
    path = str(write_safetensors(tmp_path / "run.safetensors", theirs))
    names = ("--name", "H=z", "--name", "labels=y", "--name", "W=fc.weight")
    code, text = run("measure", path, *names, "--rows", "--json")
    assert code == 0
    assert json.loads(text)["nc1"] < 1e-12
    assert run("measure", path, *names)[0] == 2
    assert "it has z, y, fc.weight" in run("measure", path)[1]
    assert "write it as" in run("measure", path, "--name", "X=z")[1]
