"""Metrics at size and at the edge: fast ways equal slow ones, hard inputs get right numbers or none, memory is thin."""

import math
import tracemalloc

import numpy as np
import pytest

from ufm.catalogue.arrays import KINDS, class_features
from ufm.errors import UfmError
from ufm.measure import measure
from ufm.metrics import loss_parts, nc1, vci
from ufm.metrics.pairs import squared_distances
from ufm.metrics.root import Root, largest_singular_value, row_basis, whitener
from ufm.metrics.split import split_classes
from ufm.metrics.streaming import Moments

NEVER_NEGATIVE = (
    "nc1",
    "nc1_ratio",
    "nc1_per_class",
    "nc1_class_weighted",
    "cdnv",
    "vci",
    "equinorm",
    "equiangle",
    "maxangle",
    "nc2_etf",
    "nc2_of",
    "nc3",
    "nc4",
    "loss_nc1",
    "loss_nc23",
    "loss_off_ls",
    "feature_norm",
    "stable_rank",
    "uniformity_variance",
    "role_spread",
)


def columns(d: int, N: int, condition: float, seed: int = 0) -> np.ndarray:
    """d x N with singular values from 1 down to 1/condition."""
    rng = np.random.default_rng(seed)
    U, _, Vt = np.linalg.svd(rng.standard_normal((d, N)), full_matrices=False)
    return U * np.geomspace(1, 1 / condition, U.shape[1]) @ Vt


# One factorisation


@pytest.mark.parametrize(("d", "N"), [(6, 40), (6, 6), (20, 7)])
@pytest.mark.parametrize("condition", [10.0, 1e4, 1e9])
def test_a_root_divides_as_the_pseudo_inverse_does(d: int, N: int, condition: float) -> None:
    T = columns(d, N, condition)
    root, B = Root.of(T), np.random.default_rng(1).standard_normal((d, 3))
    assert (root.inverse is not None) is (d < N and condition < 1e5), "a triangle, and far from singular"
    np.testing.assert_allclose(root.R.T @ root.R, T @ T.T, atol=1e-14)
    U, s, _ = np.linalg.svd(T, full_matrices=False)
    for negligible in (1e-6, 3e-4):  # no singular value is one of these
        keep = s > negligible * s[0]
        X, wanted = root.whitened(B, negligible), (U[:, keep].T @ B) / s[keep, None]
        np.testing.assert_allclose(X.T @ X, wanted.T @ wanted, rtol=1e-7)
    keep = s > 1e-7
    for lam in (0.0, 0.1):
        wanted = (B.T @ U[:, keep]) / (s[keep] ** 2 + lam) @ U[:, keep].T
        np.testing.assert_allclose(root.divided(B.T, lam, 1e-7), wanted, atol=1e-7 * np.max(np.abs(wanted)))


def test_a_root_keeps_no_direction_that_it_was_told_to_drop() -> None:
    T = columns(4, 30, 100.0)
    root = Root.of(T)
    assert root.inverse is not None
    U, s, _ = np.linalg.svd(T, full_matrices=False)
    least = math.sqrt(s[2] * s[3])  # between the two weakest
    wanted = U[:, :3] / s[:3] ** 2 @ U[:, :3].T
    np.testing.assert_allclose(root.divided(np.eye(4), 0.0, least), wanted, atol=1e-9)


@pytest.mark.parametrize(("d", "K"), [(9, 4), (4, 4), (3, 7), (9, 2)])
def test_a_whitener_squares_to_the_pseudo_inverse(d: int, K: int) -> None:
    rng = np.random.default_rng(2)
    null = np.sqrt(rng.dirichlet(np.ones(K)))
    B = rng.standard_normal((d, K))
    B -= np.outer(B @ null, null)
    for case in (B, B * 1e-8, np.outer(B[:, 0], B[0] - (B[0] @ null) * null)):
        G = whitener(case, null, 0.0)
        assert G.shape[0] == np.linalg.matrix_rank(case)
        pinv = np.linalg.pinv(case @ case.T, rcond=1e-12)
        np.testing.assert_allclose(G.T @ G, pinv, atol=1e-8 * np.max(np.abs(pinv)))
    assert whitener(B, null, 1e3).shape == (0, d), "all below the resolution"
    assert whitener(0 * B, null, 0.0).shape == (0, d)


def test_a_row_basis_spans_the_rows() -> None:
    W = np.random.default_rng(3).standard_normal((3, 8))
    for case, r in ((W, 3), (np.vstack([W, W[0]]), 3), (W.T, 3), (np.vstack([W, 1e-9 * np.ones(8)]), 3)):
        rows = row_basis(case, 1e-6)
        assert rows.shape == (r, case.shape[1])
        np.testing.assert_allclose(rows @ rows.T, np.eye(r), atol=1e-13)
        np.testing.assert_allclose(case @ rows.T @ rows, case, atol=1e-8)


def test_the_largest_singular_value_of_large_matrices() -> None:
    rng = np.random.default_rng(4)
    A = rng.standard_normal((230, 400))
    for case in (A, A.T, np.linalg.qr(A.T)[0], np.outer(A[0], A[1]), 0 * A, 1e-200 * A):
        largest = float(np.linalg.svd(case, compute_uv=False)[0])
        assert largest_singular_value(case) == pytest.approx(largest, rel=1e-13)


def test_pairs_through_one_product_keep_the_digits_of_close_pairs() -> None:
    rng = np.random.default_rng(5)
    M = 1e3 + rng.standard_normal((7, 40))
    M[:, 1] = M[:, 0] + 1e-7 * rng.standard_normal(7)
    M[:, 3] = M[:, 2]
    direct = [float(np.sum((M[:, k] - M[:, j]) ** 2)) for k in range(40) for j in range(k + 1, 40)]
    np.testing.assert_allclose(squared_distances(M), direct, rtol=1e-9, atol=0)


# Hard inputs


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("offset", [0.0, 1e4])
@pytest.mark.parametrize(("K", "n", "d"), [(4, 5, 9), (6, 3, 2), (3, 1, 5), (5, 7, 1)])
def test_no_metric_is_negative_and_each_is_its_definition(kind: str, offset: float, K: int, n: int, d: int) -> None:
    for seed in range(3):
        case = class_features({"K": K, "n": n, "d": d, "kind": kind, "seed": seed, "sizes": "unequal"})
        H, index = case["H"] + offset, case["labels"]
        labels = np.array([f"class {7 * k + 3}" for k in range(K)])[index]  # of another kind than 0..K-1
        record = measure(H, labels, np.random.default_rng(seed).standard_normal((K, d)))
        for name in NEVER_NEGATIVE:
            if name in record:
                values = record[name].values
                assert np.all((values >= 0) | np.isnan(values)), name
        split = split_classes(H, labels)
        scale = float(np.max(np.abs(H)))
        means = np.stack([H[:, index == k].mean(axis=1) for k in range(K)], axis=1)
        B = (means - H.mean(axis=1, keepdims=True)) * np.sqrt(np.bincount(index) / index.size)
        s = np.linalg.svd(B, compute_uv=False)
        if not np.all((s > 1e-4 * s[0]) | (s < 1e-12 * s[0])) or s[0] < 1e-6 * scale:
            continue  # where the rank is a matter of opinion the number is too
        pinv = np.linalg.pinv(B, rcond=1e-9)
        within = H - means[:, index]
        stated = float(np.sum((pinv @ within) ** 2)) / index.size / K
        assert nc1.nc1(split) == pytest.approx(
            stated, rel=1e-6, abs=1e-20 * (1 + offset) ** 2 / s[s > 1e-4 * s[0]].min() ** 2
        )
        assert 0 <= vci.vci(split) <= 1


def test_dead_units_change_nothing_but_the_width() -> None:
    """Features of rank below d, as ReLU units that never fire leave them, take the slow way to the same numbers."""
    case = class_features({"K": 4, "n": 30, "d": 6, "kind": "gaussian", "seed": 1})
    H, labels = case["H"], case["labels"]
    W = np.random.default_rng(0).standard_normal((4, 6))
    dead = np.insert(H, [0, 3, 3, 6], 0.0, axis=0)
    padded = np.insert(W, [0, 3, 3, 6], 5.0, axis=1)
    assert split_classes(H, labels).total.inverse is not None
    assert split_classes(dead, labels).total.inverse is None
    alive, found = measure(H, labels, W), measure(dead, labels, padded)
    same = ("nc1", "vci", "cdnv", "stable_rank", "singular_values", "loss_nc1", "loss_nc23", "loss_off_ls", "nc4")
    for name in same:
        np.testing.assert_allclose(found[name].values, alive[name].values, rtol=1e-9, err_msg=name)


def test_a_ridge_and_none_agree_in_the_limit() -> None:
    case = class_features({"K": 3, "n": 20, "d": 4, "kind": "gaussian", "seed": 2})
    split, W, b = split_classes(case["H"], case["labels"]), np.ones((3, 4)), np.zeros(3)
    exact, near = (loss_parts.loss_parts(split, W, b, np.eye(3), lam) for lam in (0.0, 1e-12))
    assert near == pytest.approx(exact, rel=1e-8)


def test_coincident_means_and_absent_classes() -> None:
    rng = np.random.default_rng(6)
    H = rng.standard_normal((4, 30))
    H[:, 15:] = H[:, :15]  # two classes with one and the same samples
    record = measure(H + 1e4, np.repeat([10, 40], 15), rng.standard_normal((2, 4)))
    assert float(record["nc1"].values) == math.inf == float(record["cdnv"].values)
    assert math.isnan(float(record["vci"].values))
    wide = measure(H[:, :16], np.array([3, 9] * 8), rng.standard_normal((12, 4)))  # classes 3 and 9 of twelve
    assert list(wide.values["class"].values) == [3, 9]
    with pytest.raises(UfmError, match="two classes"):
        measure(H, np.zeros(30, dtype=int))


@pytest.mark.parametrize("offset", [0.0, 1.7, 1e4])
def test_round_off_has_no_direction(offset: float) -> None:
    """Where class means coincide, or one is the mean, what is left of them is round-off and no angle is read off it."""
    rng = np.random.default_rng(9)
    labels = np.repeat(np.arange(4), 10)
    noise = rng.standard_normal((6, 40))
    noise -= np.repeat(noise.reshape(6, 4, 10).mean(axis=2), 10, axis=1)
    W = rng.standard_normal((4, 6))
    for H in (noise + offset, np.full((6, 40), offset)):
        seen = Moments.empty(6).add(H[:, :7], labels[:7]).add(H[:, 7:], labels[7:]).record(W)
        for record in (measure(H, labels, W), seen):
            for name in ("equinorm", "equiangle", "maxangle", "cosine_centred", "nc2_etf", "nc3", "uniformity_mean"):
                assert math.isnan(float(record[name])), name
            assert math.isnan(float(record["cosine"])) == (offset == 0)
    e = np.eye(6)
    means = np.stack([e[0], -e[0], e[1], -e[1], 0 * e[0]], axis=1)  # the fifth class is the mean of all
    five = measure(np.repeat(means, 3, axis=1) + offset, np.repeat(np.arange(5), 3))
    assert math.isnan(float(five["equiangle"]))
    assert float(five["equinorm"]) == pytest.approx(0.5)
    assert np.isnan(five["cosines"].values[4]).all() == (offset == 0)


def test_memory_holds_no_array_of_class_pairs_and_width() -> None:
    K, d, n = 300, 96, 3
    labels = np.repeat(np.arange(K), n)
    H = np.random.default_rng(7).standard_normal((d, K * n)).astype(np.float32)
    W = np.random.default_rng(8).standard_normal((K, d))
    measure(H, labels, W)  # imports
    tracemalloc.start()
    measure(H, labels, W)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * K * K * d / 4, "a K x K x d array is four times that"
