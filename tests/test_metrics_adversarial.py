"""Inputs as users have them, drawn at random: a right number or a clear error, for every metric at once."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ufm.errors import UfmError
from ufm.measure import measure
from ufm.metrics.samples import OF_CLASSES, OF_TARGETS
from ufm.metrics.streaming import Moments

SIGNED = {  # names of what may be negative: inner products, cosines, logits, margins, logarithms, the bias, covariances
    *("gram", "cosines", "cosine", "cosine_centred", "classifier_gram", "logits", "logit_directions", "bias"),
    *("uniformity_mean", "duality_cosine_mean", "margin_least", "margin_mean", "residual_covariance"),
}
SHARES = ("vci", "nc4", "accuracy", "ncc_accuracy", "nc5", "neco", "neco_outside", "neco_auroc", "nrc1", "nrc2")
SHARES += ("deep_nrc1", "deep_nrc2", "deep_nrc3")
KINDS = {
    "numbers": lambda K: np.arange(K),
    "negative": lambda K: 3 * np.arange(K) - 7,
    "fractions": lambda K: np.arange(K) + 0.5,
    "words": lambda K: np.array([f"class {7 * k:02d}" for k in range(K)]),
    "dates": lambda K: np.datetime64("2020-01-01") + np.arange(K),
}


@st.composite
def scenes(draw: st.DrawFn) -> dict[str, Any]:
    """Features in classes: any sizes down to one sample, any width, far from the origin, collapsed or coincident."""
    K, d = draw(st.integers(2, 6)), draw(st.integers(1, 8))
    sizes = draw(st.lists(st.integers(1, 6), min_size=K, max_size=K))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    labels = rng.permutation(np.repeat(np.arange(K), sizes))
    means = rng.standard_normal((d, K))
    shape = draw(st.sampled_from(["noisy", "collapsed", "twins", "one line", "no means"]))
    if shape == "twins":
        means[:, 1] = means[:, 0]
    if shape == "one line":
        means = np.outer(means[:, 0], np.arange(K))
    if shape == "no means":
        means *= 0
    H = means[:, labels] + (0.0 if shape == "collapsed" else 0.3) * rng.standard_normal((d, labels.size))
    H = draw(st.sampled_from([1e-6, 1.0, 1e5])) * (H + draw(st.sampled_from([0.0, 1e4, 1e6])))
    H = H.astype(draw(st.sampled_from([np.float64, np.float32])))
    kinds = KINDS[draw(st.sampled_from(sorted(KINDS)))](K)
    W, b = rng.standard_normal((K, d)), rng.standard_normal(K)
    return {"H": H, "index": labels, "labels": kinds[labels], "W": W, "b": b, "outside": rng.standard_normal((d, 5))}


def check(record: Any) -> None:
    """No metric below zero that has no business there, shares between 0 and 1, nothing but numbers."""
    for name, value in record.values.data_vars.items():
        numbers = np.asarray(value.values, dtype=float)
        kept = numbers[~np.isnan(numbers)]
        if name not in SIGNED:
            assert np.all(kept >= 0), name
        if name in SHARES:
            assert np.all(kept <= 1 + 1e-12), name


@given(scenes())
@settings(max_examples=60, deadline=None)
def test_no_metric_leaves_its_range_and_labels_are_only_names(scene: dict[str, Any]) -> None:
    H, labels, W, b, outside = (scene[part] for part in ("H", "labels", "W", "b", "outside"))
    keys = [n for f in OF_CLASSES if not f.needs or f.needs[0].words.startswith("a classifier") for n in f.names]
    assert len(keys) > 40
    record = measure(H, labels, W, b, outside=outside)
    check(record)
    plain = measure(H, scene["index"], W, b, outside=outside)
    listed = measure(H.astype(np.float64).tolist(), labels.tolist(), W.tolist(), b.tolist(), outside=outside.tolist())
    for name in plain.values.data_vars:
        np.testing.assert_array_equal(record[str(name)], plain[str(name)], err_msg=str(name))
        if name != "numerical_rank":  # lists are in double precision, whatever their numbers were rounded to
            np.testing.assert_array_equal(listed[str(name)], plain[str(name)], err_msg=str(name))


@given(scenes(), st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_neither_the_order_of_samples_nor_batches_matter(scene: dict[str, Any], seed: int) -> None:
    """Up to round-off of the features' size, except where a rank decides: there both are defined, or neither is."""
    H, labels, W, b = (scene[part] for part in ("H", "labels", "W", "b"))
    order = np.random.default_rng(seed).permutation(labels.size)
    first, second = measure(H, labels, W, b), measure(H[:, order], labels[order], W, b)
    cut = labels.size // 2
    streamed = Moments.empty(H.shape[0]).add(H[:, :cut], labels[:cut]).add(H[:, cut:], labels[cut:]).record(W, b)
    spread = float(np.max(np.abs(H - np.mean(H, axis=1, dtype=np.float64, keepdims=True)), initial=0.0))
    loss = 1e-11 * float(np.max(np.abs(H))) / max(spread, 1e-300)  # share of the spread that round-off is
    for name in ("feature_norm", "nc1_ratio", "cdnv", "gram", "class_mean_norm", "equinorm", "nc2_of"):
        for other in (second, streamed):
            a, z = first[name].values, other[name].values
            if np.all(np.isfinite(a)) and np.all(np.isfinite(z)):
                atol = 1e-9 * np.max(np.abs(a)) + 1e-9 + loss
                np.testing.assert_allclose(z, a, rtol=1e-8 + loss, atol=atol, err_msg=name)


@given(scenes(), st.booleans())
@settings(max_examples=40, deadline=None)
def test_regressions_of_any_shape(scene: dict[str, Any], with_W: bool) -> None:
    H, W = scene["H"], scene["W"]
    Y = np.random.default_rng(int(scene["index"][0])).standard_normal((W.shape[0], H.shape[1]))
    record = measure(H, Y, W if with_W else None)
    check(record)
    if with_W:
        variances = np.linalg.eigvalsh(record["residual_covariance"].values)
        assert variances[0] >= -1e-14 * variances[-1]  # in any direction
    known = {name for family in OF_TARGETS for name in family.names}
    assert set(map(str, record.values)) <= known


GARBAGE: dict[str, Any] = {
    "nothing": None,
    "words": "abc",
    "a number": 3.0,
    "empty": np.zeros((4, 0)),
    "no features": np.zeros((0, 4)),
    "three axes": np.ones((2, 3, 4)),
    "not a number": np.full((3, 6), np.nan),
    "infinite": np.full((3, 6), np.inf),
    "complex": np.ones((3, 6)) + 1j,
    "objects": np.full((3, 6), None),
    "ragged": [[1.0, 2.0], [3.0]],
    "masked": np.ma.masked_array(np.ones((3, 6)), np.eye(3, 6) > 0),
    "strings": np.full((3, 6), "x"),
    "too large": np.full((3, 6), 1e200),
    "too small": np.full((3, 6), 1e-310),
}


@pytest.mark.parametrize("name", GARBAGE)
@pytest.mark.parametrize("place", ["H", "W", "outside", "labels", "layer"])
def test_what_is_no_matrix_of_real_numbers_is_refused_in_words(name: str, place: str) -> None:
    H, labels = np.random.default_rng(0).standard_normal((3, 6)), np.repeat([0, 1], 3)
    given: dict[str, Any] = {"H": H, "labels_or_targets": labels, "W": np.ones((2, 3)), "outside": H}
    if name == "nothing" and place in ("W", "outside"):
        return  # they may be left out
    if place == "layer":
        given = {"H": {"fc": GARBAGE[name]}, "labels_or_targets": labels}
    elif place == "labels":
        given["labels_or_targets"] = GARBAGE[name]
    else:
        given[place] = GARBAGE[name]
    if name in ("too large", "too small") and place in ("labels", "outside"):
        return  # targets and other data of any size
    with pytest.raises(UfmError) as refusal:
        measure(**given)
    assert str(refusal.value).endswith(".")
    assert len(str(refusal.value).split()) > 4


def test_tables_of_pandas_are_arrays() -> None:
    pandas = pytest.importorskip("pandas")
    H, labels = np.random.default_rng(0).standard_normal((3, 9)), np.repeat(["a", "b", "c"], 3)
    W = np.random.default_rng(1).standard_normal((3, 3))
    plain = measure(H, labels, W)
    for told in (pandas.Series(labels), pandas.Categorical(labels), list(labels)):
        table = measure(pandas.DataFrame(H), told, pandas.DataFrame(W))
        for name in plain.values.data_vars:
            np.testing.assert_allclose(table[str(name)], plain[str(name)], rtol=1e-12, atol=1e-13)  # columns lie apart


def test_views_of_torch_are_arrays() -> None:
    torch = pytest.importorskip("torch")
    H, labels = np.random.default_rng(0).standard_normal((3, 9)), np.repeat([0, 1, 2], 3)
    W = np.random.default_rng(1).standard_normal((3, 3))
    plain = measure(H, labels, W)
    for view in (torch.tensor(H.T, requires_grad=True).T, torch.tensor(np.repeat(H, 2, axis=1))[:, ::2]):
        found = measure(view, torch.tensor(labels), torch.tensor(W, requires_grad=True))
        for name in plain.values.data_vars:
            np.testing.assert_allclose(found[str(name)], plain[str(name)], rtol=1e-12, atol=1e-13)


def test_small_lengths_cost_no_digits() -> None:
    """Gram matrices are squares, and their norms fourth powers: of features of 1e-100 they would underflow."""
    H, labels = np.random.default_rng(0).standard_normal((3, 9)), np.repeat([0, 1, 2], 3)
    W = np.random.default_rng(1).standard_normal((3, 3))
    small, plain = measure(1e-100 * H, labels, 1e-60 * W), measure(H, labels, W)
    for name in ("nc2_etf", "nc2_of", "nc3_balance", "nc2_etf_classifier", "nc3", "nc1", "vci", "equinorm"):
        assert float(small[name]) == pytest.approx(float(plain[name]), rel=1e-9), name
        assert not math.isnan(float(small[name]))


def test_targets_and_rows_must_be_as_many() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(UfmError, match="one row of W a target"):
        measure(rng.standard_normal((5, 12)), rng.standard_normal((4, 12)), rng.standard_normal((3, 5)))
