"""Moments over batches: one pass, any split, any order of merging, and the answer of all samples at once."""

import math
import pickle
from functools import reduce

import numpy as np
import pytest

from ufm import encodings
from ufm.errors import UfmError
from ufm.measure import measure
from ufm.metrics.streaming import Moments
from ufm.problem import classes

K, d = 5, 12


def run(
    counts: int | list[int] = 40, noise: float = 0.3, seed: int = 1, width: int = d
) -> tuple[np.ndarray, np.ndarray]:
    """Features and labels of a run, shuffled."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(K), counts))
    return rng.standard_normal((width, K))[:, labels] + noise * rng.standard_normal((width, labels.size)), labels


def stream(H: np.ndarray, labels: np.ndarray, batch: int) -> Moments:
    parts = range(0, labels.size, batch)
    return reduce(lambda m, i: m.add(H[:, i : i + batch], labels[i : i + batch]), parts, Moments.empty(H.shape[0]))


def assert_same(streamed, whole, rtol: float = 1e-12) -> None:
    for name in streamed.values:
        scale = max(1.0, float(np.nanmax(np.abs(whole[name])))) if np.any(np.isfinite(whole[name])) else 1.0
        np.testing.assert_allclose(streamed[name], whole[name], rtol=rtol, atol=rtol * scale, err_msg=name)


@pytest.mark.parametrize("counts", [40, [80, 14, 25, 1, 31]])
@pytest.mark.parametrize("batch", [1, 7, 1000])
@pytest.mark.parametrize("width", [12, 3])
def test_a_stream_says_what_the_whole_says(counts: int | list[int], batch: int, width: int) -> None:
    H, labels = run(counts, width=width)
    rng = np.random.default_rng(0)
    W, b = rng.standard_normal((K, width)), rng.standard_normal(K)
    streamed = stream(H, labels, batch).record(W, b)
    whole = measure(H, labels, W, b)
    assert_same(streamed, whole)
    assert {"nc1", "nc1_ratio", "cdnv", "vci", "nc3", "singular_values", "feature_norm"} <= set(streamed.values)
    left_out = set(map(str, whole.values)) - set(map(str, streamed.values))
    second_pass = {"nc4", "accuracy", "ncc_accuracy", "margin_least", "margin_mean"}
    second_pass |= {"numerical_rank", "loss_nc1", "loss_nc23", "loss_off_ls"} | (
        {"nc1_class_weighted"} if np.ptp(counts) else set()
    )
    assert left_out == second_pass, "all that moments determine, and nothing that they do not"


def test_workers_merge_in_any_order() -> None:
    H, labels = run([80, 14, 25, 6, 31])
    order = np.argsort(labels, kind="stable")  # workers that see different classes
    H, labels = H[:, order], labels[order]
    parts = [pickle.loads(pickle.dumps(stream(H[:, i : i + 40], labels[i : i + 40], 16))) for i in range(0, 156, 40)]
    whole = measure(H, labels)
    assert_same(reduce(Moments.merge, parts).record(), whole)
    assert_same(reduce(Moments.merge, parts[::-1]).record(), whole)
    assert_same(parts[2].merge(parts[0]).merge(parts[1].merge(parts[3])).record(), whole)
    assert Moments.empty(d).merge(parts[0]) is parts[0]
    assert parts[0].merge(Moments.empty(d)) is parts[0]


def test_float32_offsets_and_collapse() -> None:
    H, labels = run()
    single = H.astype(np.float32)
    assert_same(stream(single, labels, 9).record(), measure(single, labels))
    far = stream(H + 1e4, labels, 9).record()
    for name in ("nc1", "nc1_ratio", "cdnv", "vci", "nc2_etf"):
        assert float(far[name]) == pytest.approx(float(measure(H, labels)[name]), abs=1e-9)
    collapsed = np.random.default_rng(0).standard_normal((d, K))[:, labels]
    record = stream(collapsed + 1e4, labels, 9).record()
    for name in ("nc1", "nc1_ratio", "cdnv", "vci"):
        assert 0 <= float(record[name]) < 1e-9, name


def test_other_codes_and_other_labels() -> None:
    H, labels = run([80, 14, 25, 6, 31])
    order = np.argsort(labels, kind="stable")
    targets = classes(encodings.available()["binary"](K), [80, 14, 25, 6, 31])
    W = np.random.default_rng(0).standard_normal((targets.m, d))
    streamed = stream(H, labels, 9).record(W, codes=targets.codes)
    assert_same(streamed, measure(H[:, order], targets, W))
    names = np.array(["ant", "bee", "cat", "dog", "eel"])
    named = stream(H, names[labels], 9).record()
    assert list(named.values.coords["class"].values) == list(names)
    np.testing.assert_allclose(named["gram"], streamed["gram"], atol=1e-12)


def test_coincident_means() -> None:
    H = np.tile(np.random.default_rng(0).standard_normal((d, 6)), 2)
    labels = np.repeat([0, 1], 6)
    record = stream(H, labels, 5).record()
    assert math.isinf(float(record["nc1"]))
    assert math.isinf(float(record["nc1_ratio"]))
    assert math.isinf(float(record["cdnv"]))
    assert math.isnan(float(stream(np.ones((d, 12)), labels, 5).record()["nc1"]))


def test_a_lost_batch_is_noticed() -> None:
    """The planted fault: the comparison above would not pass by itself."""
    H, labels = run()
    with pytest.raises(AssertionError):
        assert_same(stream(H[:, 9:], labels[9:], 9).record(), measure(H, labels))


def test_what_does_not_fit_is_refused() -> None:
    moments = Moments.empty(d)
    with pytest.raises(UfmError, match="give d x B"):
        moments.add(np.ones((d + 1, 3)), np.zeros(3))
    with pytest.raises(UfmError, match="give d x B"):
        moments.add(np.ones((d, 3)), np.zeros(4))
    with pytest.raises(UfmError, match="not finite"):
        moments.add(np.full((d, 3), np.nan), np.zeros(3))
    with pytest.raises(UfmError, match="do not merge"):
        moments.merge(Moments.empty(d + 1))
    with pytest.raises(UfmError, match="two classes"):
        moments.add(np.ones((d, 3)), np.zeros(3)).record()
    seen = moments.add(*run())
    with pytest.raises(UfmError, match="codes as m x 5"):
        seen.record(np.ones((3, d)))
    with pytest.raises(UfmError, match="one per row"):
        seen.record(np.ones((K, d)), np.ones(2))
    assert moments.add(np.ones((d, 0)), np.zeros(0)) is moments
