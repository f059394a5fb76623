"""Every metric by its name: exact on frames, asked for alone, with what it needs said where that is missing."""

import math
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ufm
from ufm import encodings
from ufm.errors import MissingExtraError, UfmError
from ufm.measure import measure
from ufm.metrics import geometry, regression, uniformity
from ufm.metrics.samples import OF_CLASSES, OF_TARGETS

PAGE = Path(__file__).parents[1] / "docs" / "observables.md"
K, d, n = 4, 9, 6
LABELS = np.repeat(np.arange(K), n)
FRAME = np.linalg.qr(np.random.default_rng(0).standard_normal((d, K + 2)))[0]
NAMES = {name for family in (*OF_CLASSES, *OF_TARGETS) for name in family.names}

needs_skdim = pytest.mark.skipif(find_spec("skdim") is None, reason="the extra `dimension` is not installed")


def number(record: ufm.Record, name: str) -> float:
    return float(record[name])


def noisy(seed: int = 1) -> np.ndarray:
    return FRAME[:, :K][:, LABELS] + 0.1 * np.random.default_rng(seed).standard_normal((d, LABELS.size))


def test_features_of_other_data_against_an_orthogonal_frame() -> None:
    H = 3 * FRAME[:, :K][:, LABELS]
    apart = measure(H, LABELS, FRAME[:, :K].T, outside=np.repeat(FRAME[:, [K]], 5, axis=1))
    assert number(apart, "nc5") == pytest.approx(0, abs=1e-14)
    np.testing.assert_allclose(apart["neco"], math.sqrt(1 - 1 / K), rtol=1e-12)  # e_k less its part along the mean
    np.testing.assert_allclose(apart["neco_outside"], 0, atol=1e-14)
    assert number(apart, "neco_auroc") == number(apart, "neco_logit_auroc") == 1
    along = measure(H, LABELS, outside=FRAME[:, [0]])
    assert number(along, "nc5") == pytest.approx(1 / K)
    assert "neco_logit_auroc" not in along
    shuffled = np.random.default_rng(0).permutation(LABELS.size)
    mixed, plain = (measure(noisy()[:, i], LABELS[i], outside=noisy(2)) for i in (shuffled, np.arange(LABELS.size)))
    np.testing.assert_allclose(mixed["neco"], plain["neco"][shuffled], atol=1e-12)


def test_neco_with_logits_is_its_definition_whatever_the_order_of_samples() -> None:
    rng = np.random.default_rng(4)
    order, W, b = rng.permutation(LABELS.size), rng.standard_normal((K, d)), rng.standard_normal(K)
    H, other = noisy(3)[:, order], noisy(5) + 0.3 * rng.standard_normal((d, LABELS.size))
    record = measure(H, LABELS[order], W, b, outside=other)
    P = np.linalg.svd(H - H.mean(axis=1, keepdims=True))[0][:, : K - 1]
    scores = [
        np.linalg.norm(P.T @ X, axis=0) / np.linalg.norm(X, axis=0) * np.max(W @ X + b[:, None], axis=0)
        for X in (H, other)
    ]
    counted = np.mean(scores[0][:, None] > scores[1])
    assert number(record, "neco_logit_auroc") == pytest.approx(counted, rel=1e-12)
    assert 0.05 < counted < 0.95, "a score that tells some of them apart"


def test_the_distance_to_any_predicted_gram_matrix() -> None:
    problem = ufm.Problem(ufm.classes(encodings.one_hot(K), [9, 6, 5, 4]), lam_W=0.02, lam_H=0.003)
    optimum = ufm.solve(problem)
    H = np.repeat(optimum.H, [9, 6, 5, 4], axis=1)
    assert number(measure(H, problem, gram=7 * optimum.gram), "nc2_predicted") == pytest.approx(0, abs=1e-7)
    record = measure(noisy(), LABELS, gram=np.eye(K))
    assert number(record, "nc2_predicted") == number(record, "nc2_of")
    diagonal = FRAME[:, :K] * [3, 1, 1, 1]
    wanted = math.sqrt(2 - 12 / math.sqrt(84))  # diag(9, 1, 1, 1) and the identity, each over its norm
    assert number(measure(diagonal[:, LABELS], LABELS, gram=np.eye(K)), "nc2_predicted") == pytest.approx(wanted)
    for gram, message in ((np.eye(3), "4 x 4"), (np.zeros((4, 4)), "not zero"), (np.eye(4) * np.nan, "not finite")):
        with pytest.raises(UfmError, match=message):
            measure(noisy(), LABELS, gram=gram)


def test_the_area_under_the_curve_counts_pairs() -> None:
    from ufm.metrics.detection import auroc

    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 9, 50) / 4, rng.integers(0, 7, 30) / 4
    counted = np.mean((a[:, None] > b) + 0.5 * (a[:, None] == b))
    assert auroc(a, b) == pytest.approx(counted, rel=1e-14)


def test_one_vs_rest_margins_of_a_simplex() -> None:
    etf = FRAME[:, :K] @ geometry.simplex_gram(K)
    keys = ["one_vs_rest_means", "one_vs_rest_margin_means", "one_vs_rest_classifier", "one_vs_rest_margin_classifier"]
    record = measure(etf[:, LABELS] + 5, LABELS, 0.3 * etf.T, keys=keys)
    assert set(record.values.data_vars) == set(keys)
    np.testing.assert_allclose(record["one_vs_rest_means"], K / (K - 1), rtol=1e-10)  # a vertex to the opposite face
    assert number(record, "one_vs_rest_margin_classifier") == pytest.approx(K / (K - 1), rel=1e-10)
    W = etf.T.copy()
    W[0] = W[1]  # planted: two rows coincide, no margin between them
    assert number(measure(noisy(), LABELS, W, keys=keys), "one_vs_rest_margin_classifier") == pytest.approx(0, abs=1e-9)
    V = np.random.default_rng(3).standard_normal((K, d))
    direct = uniformity.one_vs_rest_distances((V / np.linalg.norm(V, axis=1, keepdims=True)).T)
    np.testing.assert_allclose(measure(noisy(), LABELS, V, keys=keys)["one_vs_rest_classifier"], direct, atol=1e-9)


@pytest.mark.parametrize(("dtype", "rank"), [(np.float64, 5), (np.float32, 4)])
def test_the_numerical_rank_is_above_the_rounding_of_the_input(dtype: type, rank: int) -> None:
    """A fifth direction 1e-8 as strong as the rest is there in double precision, and the format's noise in single."""
    H = noisy()
    H = FRAME[:, :K] @ (FRAME[:, :K].T @ H) + 1e-8 * np.outer(FRAME[:, K], np.arange(LABELS.size) % 3)
    assert number(measure(H.astype(dtype), LABELS), "numerical_rank") == rank
    assert number(measure(H.astype(dtype), H[:2]), "numerical_rank") == rank, "of a regression, too"


def test_weights_read_off_an_optimum_are_those_of_the_problem() -> None:
    problem = ufm.Problem(ufm.classes(encodings.one_hot(K), [9, 6, 5, 4]), lam_W=0.02, lam_H=0.003, lam_b=0.7)
    optimum = ufm.solve(problem)
    H = np.repeat(optimum.H, [9, 6, 5, 4], axis=1)
    record = measure(H, problem, optimum.product, optimum.b)
    for name in ("lam_H_effective", "lam_H_mean", "lam_H_centred", "lam_H_by_direction"):
        np.testing.assert_allclose(record[name], 0.003, rtol=1e-6, err_msg=name)
    assert number(record, "lam_H_anisotropy") == pytest.approx(1, abs=1e-6)
    assert number(measure(H, problem, 2 * optimum.product, optimum.b), "lam_H_effective") == pytest.approx(0.012)
    nothing = measure(0 * H, problem, 0 * optimum.product, optimum.b)
    assert math.isnan(number(nothing, "lam_H_effective"))


def test_a_regression_without_a_classifier_has_its_deep_metrics() -> None:
    rng = np.random.default_rng(0)
    H, Y, top = rng.standard_normal((d, 30)), rng.standard_normal((2, 30)), rng.standard_normal((6, d))
    record = measure(H, Y)
    for name, value in regression.layer_collapse(H, Y).items():
        assert number(record, name) == pytest.approx(value, rel=1e-12)
    assert "deep_nrc3" not in record
    narrow = rng.standard_normal((1, 30))
    layers = measure({"one": H, "two": narrow}, Y, {"one": top})
    assert layers["deep_nrc1"].dims == ("layer",)
    for name, value in regression.layer_collapse(H, Y, top).items():
        assert float(layers.select(layer="one")[name]) == pytest.approx(value, rel=1e-12)
    two = layers.select(layer="two")
    assert math.isnan(float(two["deep_nrc3"])), "no layer on top was given"
    assert math.isnan(float(two["nrc1"])), "one feature has no two directions"
    last = measure(H, Y, rng.standard_normal((2, d)))
    assert 0 <= number(last, "deep_nrc3") <= 1


def test_layers_of_a_classification_side_by_side() -> None:
    first, second = noisy(), noisy(2)[:5]
    names = np.array(["ant", "bee", "cat", "dog"])[LABELS]
    record = measure({"fc1": first, "fc2": second}, names)
    assert list(record.values["class"].values) == ["ant", "bee", "cat", "dog"]
    for layer, H in (("fc1", first), ("fc2", second)):
        whole = measure(H, LABELS)
        for name in ("nc1", "cosines", "ncc_accuracy", "numerical_rank"):
            np.testing.assert_array_equal(record.select(layer=layer)[name], whole[name])
    assert set(measure({"fc1": first}, LABELS, keys=["nc1"]).values.data_vars) == {"nc1"}
    with pytest.raises(UfmError, match=r"layer 'fc2'.*give one label for each"):
        measure({"fc1": first, "fc2": second[:, :5]}, LABELS)
    with pytest.raises(UfmError, match="for regression only"):
        measure({"fc1": first}, LABELS, {"fc1": np.ones((K, d))})
    with pytest.raises(UfmError, match="layer on top"):
        measure({"fc1": first}, LABELS, np.ones((K, d)))
    with pytest.raises(UfmError, match="belong to the last layer"):
        measure({"fc1": first}, LABELS, outside=first)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_name_alone_is_what_it_is_among_all(name: str) -> None:
    if name == "intrinsic_dimension" and find_spec("skdim") is None:
        pytest.skip("the extra `dimension` is not installed")
    rng, sizes = np.random.default_rng(0), [7, 6, 6, 5]
    W, b, Y = rng.standard_normal((K, d)), rng.standard_normal(K), rng.standard_normal((K, LABELS.size))
    by_class = any(name in family.names for family in OF_CLASSES)
    targets = ufm.classes(encodings.one_hot(K), sizes) if by_class else ufm.samples(Y)
    given: dict[str, Any] = {"problem": ufm.Problem(targets, lam_W=0.1, lam_H=0.1, lam_b=0.1)}
    given |= {"outside": noisy(2), "gram": np.eye(K)} if by_class else {}
    alone = measure(noisy(), targets, W, b, keys=[name], **given)
    assert list(alone.values.data_vars) == [name]
    everything = measure(noisy(), targets, W, b, keys="all", **given)
    np.testing.assert_array_equal(alone[name], everything[name])
    if by_class:
        assert NAMES - set(map(str, everything.values)) == {n for f in OF_TARGETS for n in f.names} - {
            n for f in OF_CLASSES for n in f.names
        }


def test_what_takes_long_waits_until_it_is_asked_for() -> None:
    costly = {name for family in (*OF_CLASSES, *OF_TARGETS) if family.costs for name in family.names}
    assert costly >= {"intrinsic_dimension", "one_vs_rest_means"}
    assert not costly & set(map(str, measure(noisy(), LABELS, FRAME[:, :K].T).values))


@needs_skdim
def test_under_all_a_dimension_that_is_not_defined_is_nan() -> None:
    collapsed = FRAME[:, :K][:, LABELS]
    assert math.isnan(number(measure(collapsed, LABELS, keys="all"), "intrinsic_dimension"))
    with pytest.raises(UfmError, match="4 distinct samples"):
        measure(collapsed, LABELS, keys=["intrinsic_dimension"])


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skdim.id", None)
    monkeypatch.setitem(sys.modules, "skdim", None)
    with pytest.raises(MissingExtraError, match=r"ufm\[dimension\]"):
        measure(noisy(), LABELS, keys=["intrinsic_dimension"])


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("nc_1", "near it are nc1"),
        ("zzz", "choose among accuracy"),
        ("nc5", "nc5 needs features of other data, outside="),
        ("nc4", "nc4 needs a classifier"),
        ("value", "value needs a classifier"),
        ("nc1_class_weighted", "unequal sizes"),
        ("nrc1", "defined for a regression"),
    ],
)
def test_what_is_not_defined_says_what_it_needs(key: str, message: str) -> None:
    with pytest.raises(UfmError, match=message):
        measure(noisy(), LABELS, keys=[key])


def test_what_a_classifier_must_be_is_said() -> None:
    W = np.random.default_rng(0).standard_normal((2, d))
    binary = ufm.classes(encodings.binary(K), n)
    for key, message in (("nc3", "one row a class"), ("margin_least", "one-hot codes"), ("value", "problem=")):
        with pytest.raises(UfmError, match=message):
            measure(noisy(), binary, W, keys=[key])
    deep = ufm.Problem(ufm.classes(encodings.one_hot(K), n), lam_W=(0.1, 0.1), lam_H=0.1)
    layers = [np.eye(K), np.ones((K, d))]
    with pytest.raises(UfmError, match="each linear layer"):
        measure(noisy(), deep, layers[1], keys=["lam_H_effective"])
    assert "value" in measure(noisy(), deep, layers)


def test_the_layer_that_features_enter_is_their_neighbour_in_deep_heads() -> None:
    problem = ufm.Problem(ufm.classes(encodings.one_hot(K), 20), lam_W=(0.05, 0.03), lam_H=0.0025, lam_b=0.0)
    optimum = ufm.solve(problem)
    record = measure(np.repeat(optimum.H, 20, axis=1), problem, optimum.W, optimum.b)
    assert number(record, "lam_H_effective") == pytest.approx(0.0025, rel=1e-6)
    assert number(record, "lam_H_anisotropy") == pytest.approx(1, abs=1e-6)


def test_the_page_explains_every_name() -> None:
    explained = set(re.findall(r"`([A-Za-z0-9_]+)`", PAGE.read_text(encoding="utf-8")))
    assert not NAMES - explained
