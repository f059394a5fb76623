"""Side by side with published implementations: their formulas restated, equal where they are right, apart where not.

docs/where-published-code-differs.md is the table of the differences; each of its rows that names a formula is here.
Peers keep samples in rows: X is N x d, M is K x d.
"""

import math
from pathlib import Path

import numpy as np
import pytest

from ufm.measure import measure
from ufm.metrics import cdnv, detection, duality, geometry, nc1, ncc, rank, regression, uniformity, vci
from ufm.metrics.intrinsic_dimension import two_nn
from ufm.metrics.split import split_classes

K, d = 5, 9
DOC = Path(__file__).parents[1] / "docs" / "where-published-code-differs.md"


def features(counts: int | list[int] = 8, seed: int = 0, offset: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """H (d x N) around random class means, and labels."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(K), counts)
    H = rng.standard_normal((d, K))[:, labels] + 0.4 * rng.standard_normal((d, labels.size)) + offset
    return H, labels


def moments(H: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Class means as rows, global mean over samples, Sigma_W over samples: what most peers start from."""
    M = np.stack([H[:, labels == k].mean(axis=1) for k in range(K)])
    within = H.T - M[labels]
    return M, H.mean(axis=1), within.T @ within / labels.size


EQUAL, UNEQUAL = features(), features([20, 3, 9, 2, 6])


# tding1/Neural-Collapse, validate_NC.py; evanmarkou/Guiding-Neural-Collapse, nc/validate_NC.py; felixsh/nc-toolbox


def between_by_class(M: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """(1/K) sum_k (mu_k - mu_G)(mu_k - mu_G)' with the mean over samples as mu_G."""
    return (M - mean).T @ (M - mean) / len(M)


def test_nc1_of_the_peers_is_ours_for_classes_of_one_size_only():
    for (H, labels), same in ((EQUAL, True), (UNEQUAL, False)):
        M, mean, within = moments(H, labels)
        theirs = float(np.trace(within @ np.linalg.pinv(between_by_class(M, mean)))) / K
        split = split_classes(H, labels)
        ours = {weighting: nc1.nc1(split, weighting) for weighting in ("samples", "classes")}
        assert (theirs == pytest.approx(ours["samples"], rel=1e-10)) is same
        assert (theirs == pytest.approx(ours["classes"], rel=1e-10)) is same, "neither weighting: a mixture of both"


def test_vci_of_the_peer_is_ours_for_equal_sizes_and_full_rank():
    def theirs(H: np.ndarray, labels: np.ndarray) -> float:
        M, mean, within = moments(H, labels)
        between = between_by_class(M, mean)
        return 1 - np.trace(np.linalg.pinv(between + within) @ between) / min(d, K - 1)

    assert theirs(*EQUAL) == pytest.approx(vci.vci(split_classes(*EQUAL)), rel=1e-10)
    assert theirs(*UNEQUAL) != pytest.approx(vci.vci(split_classes(*UNEQUAL)), rel=1e-3)
    H, labels = EQUAL
    flat = np.outer(H[0], H[0][:: labels.size // K] @ np.ones((K, d))).T  # all features on one line: rank 1, not K - 1
    assert theirs(flat, labels) != pytest.approx(vci.vci(split_classes(flat, labels)), rel=1e-3)


def test_nc2_and_nc3_of_the_peers_are_ours():
    H, labels = EQUAL
    M, mean, _ = moments(H, labels)
    W = np.random.default_rng(1).standard_normal((K, d))
    ideal = (np.eye(K) - 1 / K) / math.sqrt(K - 1)
    record = measure(H, labels, W)
    gram, cross = W @ W.T, W @ (M - mean).T
    found = {name: float(record[name].values) for name in ("nc2_etf_classifier", "nc3_etf", "nc3")}
    assert found["nc2_etf_classifier"] == pytest.approx(np.linalg.norm(gram / np.linalg.norm(gram) - ideal))
    assert found["nc3_etf"] == pytest.approx(np.linalg.norm(cross / np.linalg.norm(cross) - ideal))
    theirs = np.linalg.norm(W / np.linalg.norm(W) - (M - mean) / np.linalg.norm(M - mean))
    assert found["nc3"] == pytest.approx(theirs)


def test_equinorm_of_the_peer_divides_by_one_class_less():
    M, mean, _ = moments(*EQUAL)
    norms = np.linalg.norm(M - mean, axis=1)
    theirs = np.std(norms, ddof=1) / np.mean(norms)  # torch.std
    assert theirs == pytest.approx(geometry.equinorm((M - mean).T) * math.sqrt(K / (K - 1)))


# rhubarbwu/neural-collapse, neural_collapse/measure.py, kernels.py, accumulate.py


def test_gnc_of_the_authors_is_ours():
    H, labels = UNEQUAL
    M, _, _ = moments(H, labels)
    centred = M - M.mean(axis=0)  # the accumulators' default is the mean over classes
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    kernel = [-math.log(np.linalg.norm(unit[k] - unit[j])) for k in range(K) for j in range(k + 1, K)]
    ours = uniformity.hyperspherical_uniformity(centred.T)
    assert ours["uniformity_mean"] == pytest.approx(np.mean(kernel))
    assert ours["uniformity_variance"] == pytest.approx(np.var(kernel))
    W = np.random.default_rng(2).standard_normal((K, d))
    cosine = np.sum(W * centred, axis=1) / np.linalg.norm(W, axis=1) / np.linalg.norm(centred, axis=1)
    assert uniformity.uniform_duality(W, centred.T)["duality_cosine_mean"] == pytest.approx(np.mean(cosine))


def test_cdnv_of_the_authors_is_ours():
    H, labels = UNEQUAL
    M, _, _ = moments(H, labels)
    v = [np.mean(np.sum((H[:, labels == k].T - M[k]) ** 2, axis=1)) for k in range(K)]
    pairs = [(k, j) for k in range(K) for j in range(k + 1, K)]
    theirs = np.mean([(v[k] + v[j]) / 2 / np.sum((M[k] - M[j]) ** 2) for k, j in pairs])
    assert cdnv.cdnv(split_classes(H, labels)) == pytest.approx(theirs)


def test_the_decisions_of_the_accumulator_leave_out_the_bias():
    H, labels = EQUAL
    M, _, _ = moments(H, labels)
    b = np.array([0.0, 0, 0, 0, 5])
    nearest = np.argmin(((H.T[:, None] - M) ** 2).sum(axis=2), axis=1)
    theirs = np.mean(np.argmax(H.T @ M.T, axis=1) == nearest)
    Z = M @ H + b[:, None]
    ours = 1 - ncc.nearest_centre(split_classes(H, labels), Z, np.eye(K))["nc4"]
    assert ours == pytest.approx(np.mean(np.argmax(Z, axis=0) == nearest))
    assert ours != pytest.approx(theirs, abs=0.05)


def test_the_svd_form_divides_by_round_off_where_means_are_dependent():
    H, labels = EQUAL
    M, _, within = moments(H, labels)
    M[4] = M[3]  # two classes coincide: rank K - 2, but K - 1 values are inverted
    between = between_by_class(M, M.mean(axis=0))
    s, V = np.linalg.eigh(between)
    theirs = np.trace(within @ (V[:, -(K - 1) :] / s[-(K - 1) :]) @ V[:, -(K - 1) :].T) / K
    assert abs(theirs) > 1e6
    assert np.trace(within @ np.linalg.pinv(between)) / K < 10


# TomerGalanti/NeuralCollapseDepth, analysis.py


def test_a_variance_from_two_large_sums_is_lost_in_single_precision():
    H, labels = features(offset=1e3)
    X = H.T.astype(np.float32)
    squares = [np.mean(np.sum(X[labels == k] ** 2, axis=1)) for k in range(K)]
    means = [np.mean(X[labels == k], axis=0) for k in range(K)]
    theirs = np.array([abs(float(s) - float(np.sum(m**2))) for s, m in zip(squares, means, strict=True)])
    split = split_classes(X.T, labels)
    assert np.max(np.abs(theirs / split.within_variances() - 1)) > 0.1
    reference = split_classes(H, labels).within_variances()
    np.testing.assert_allclose(split.within_variances(), reference, rtol=1e-3)  # the input itself has 7 digits


# felixsh/nc-toolbox, nc_toolbox/metrics.py, statistic.py, regression.py


def test_class_variances_of_the_toolbox_divide_by_one_sample_less():
    H, labels = EQUAL
    theirs = np.array([np.var(H[:, labels == k], axis=1, ddof=1).sum() for k in range(K)])
    np.testing.assert_allclose(theirs, split_classes(H, labels).within_variances() * 8 / 7)


def test_equinorm_and_equiangle_of_the_toolbox_are_signed_means():
    norms = np.array([1.0, 2, 3, 2, 1])  # not equal, but the signed differences of the logs cancel
    first, second = np.triu_indices(K, 1)
    assert np.mean(np.log(norms)[first] - np.log(norms)[second]) == pytest.approx(0)
    M = np.array([[1.0, -1, 0, 0], [0, 0, 1, -1]])  # a square: no simplex, but the cosines average to -1/3
    C = M.T @ M
    pairs = np.triu_indices(4, 1)
    assert np.mean(C[pairs] + 1 / 3) == pytest.approx(0)
    assert geometry.equinorm(np.diag(norms)) > 0.3
    assert geometry.maxangle(M) > 0.3


def test_uniform_duality_of_the_toolbox_reads_the_wrong_pairs():
    M = geometry.simplex_gram(K)
    unit = M / np.linalg.norm(M, axis=1, keepdims=True)
    theirs = np.mean((unit @ unit.T)[np.triu_indices(K, 1)])
    assert theirs == pytest.approx(-1 / (K - 1))  # at perfect duality
    assert uniformity.uniform_duality(M, M.T)["duality_cosine_mean"] == pytest.approx(1)


def test_regression_metrics_of_the_toolbox_do_not_centre():
    rng = np.random.default_rng(3)
    H = rng.standard_normal((d, 2)) @ rng.standard_normal((2, 60)) + 10 * rng.standard_normal((d, 1))
    X = H.T / np.linalg.norm(H.T, axis=1, keepdims=True)
    V = np.linalg.svd(H.T, full_matrices=False)[2][:2].T  # principal directions of uncentred features
    theirs = np.mean(np.sum((X - X @ V @ V.T) ** 2, axis=1))
    assert theirs > 1e-4
    assert regression.nrc1(H, 2) == pytest.approx(0, abs=1e-20)


# kongwanbianjinyu/Neural-Collapse-For-Large-Number-of-Classes, GNC1.py to GNC3.py


def test_gnc3_of_the_authors_is_one_less_ours():
    H, labels = EQUAL
    M, mean, _ = moments(H, labels)
    W = np.random.default_rng(4).standard_normal((K, d))
    unit = [row / np.linalg.norm(row) for row in M - mean]
    theirs = np.mean([1 - unit[k] @ W[k] / np.linalg.norm(W[k]) for k in range(K)])
    assert theirs == pytest.approx(1 - uniformity.uniform_duality(W, (M - mean).T)["duality_cosine_mean"])


def test_the_ascent_of_gnc2_stays_below_the_distance():
    V = np.random.default_rng(5).standard_normal((d, K))
    V /= np.linalg.norm(V, axis=0)
    exact = uniformity.one_vs_rest_distances(V)
    rng = np.random.default_rng(6)
    for k in range(K):
        gaps = V[:, [k]] - np.delete(V, k, axis=1)
        h = rng.standard_normal(d)
        reached = -np.inf
        for i in range(300):  # ascent of min_j <v_k - v_j, h> on the sphere, as the released minimise does
            h /= np.linalg.norm(h)
            reached = max(reached, float(np.min(h @ gaps)))
            h = h + 0.3 / (1 + i) ** 0.5 * gaps[:, np.argmin(h @ gaps)]
        assert reached <= exact[k] * (1 + 1e-12)
        assert reached >= 0.95 * exact[k]


# altayunal/neural-collapse-regression, run_measurements.py


def deep() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    return rng.standard_normal((d, 40)) * np.linspace(1, 3, d)[:, None], rng.standard_normal((2, 40))


def test_deep_nrc1_and_nrc3_of_the_authors_are_ours():
    H, _ = deep()
    C = np.cov(H, bias=True)
    V = np.linalg.svd(C)[2]
    assert regression.deep_nrc1(H, 2) == pytest.approx(1 - np.trace(V[:2] @ C @ V[:2].T) / np.trace(C))
    W = np.random.default_rng(8).standard_normal((4, d))
    theirs = np.linalg.svd(V[:2] @ np.linalg.svd(W, full_matrices=False)[2][:2].T, compute_uv=False).mean()
    assert regression.subspace_cosine(H, W, 2) == pytest.approx(theirs)


def cka(X: np.ndarray, Y: np.ndarray) -> float:
    """Linear CKA through N x N centring, as released; X, Y hold samples in rows."""
    C = np.eye(len(X)) - 1 / len(X)
    A, B = C @ X @ X.T @ C, C @ Y @ Y.T @ C
    return float(np.trace(A @ B) / math.sqrt(np.trace(A @ A) * np.trace(B @ B)))


def test_the_released_cka_sees_the_first_coordinates_only():
    H, Y = deep()
    assert regression.linear_cka(H, Y) == pytest.approx(cka(H.T, Y.T))
    Q = np.roll(np.eye(d), 2, axis=0)  # the same features with their coordinates in another order
    released = [cka(features.T[:, : Y.shape[0]], Y.T) for features in (H, Q @ H)]
    assert released[0] != pytest.approx(released[1], rel=0.05)
    assert regression.linear_cka(Q @ H, Y) == pytest.approx(regression.linear_cka(H, Y))
    assert released[0] != pytest.approx(regression.linear_cka(H, Y), rel=0.05)


def test_the_released_stable_rank_is_of_the_covariance():
    s = np.array([3.0, 2, 1])
    covariance = np.diag(s**2)
    theirs = np.sum(np.linalg.svd(covariance, compute_uv=False) ** 2) / 81
    assert theirs == pytest.approx((81 + 16 + 1) / 81)
    assert rank.stable_rank(np.diag(s)) == pytest.approx((9 + 4 + 1) / 9)


def test_the_released_nrc4_is_a_mean_over_entries_of_centred_targets():
    H, Y = deep()
    Yc = Y - Y.mean(axis=1, keepdims=True)
    theirs = np.mean((H.T @ (np.linalg.pinv(H.T, rcond=1e-3) @ Yc.T) - Yc.T) ** 2)
    assert theirs == pytest.approx(regression.probe_loss(H, Yc) / Y.shape[0])


# NECO: YuhengZhangMelody/NECO and felixsh/OpenOOD, openood/postprocessors/neco_postprocessor.py


def test_neco_with_standardised_features_is_ours_on_those():
    rng = np.random.default_rng(9)
    train, H = rng.standard_normal((d, 50)) + 3, rng.standard_normal((d, 7)) + 3
    mean, scale = train.mean(axis=1, keepdims=True), train.std(axis=1, keepdims=True)
    T, X = ((A - mean) / scale for A in (train, H))
    P = np.linalg.svd(T, full_matrices=False)[0][:, :3]
    theirs = np.linalg.norm(P.T @ X, axis=0) / np.linalg.norm(X, axis=0)
    np.testing.assert_allclose(detection.neco(X, T, 3), theirs)
    assert np.max(np.abs(detection.neco(H, train, 3) - theirs)) > 0.01, "standardising is a choice, not the paper's P"


def test_a_centred_numerator_over_an_uncentred_norm_is_no_fraction():
    train = np.array([[9.0, 11], [0, 0]])
    h, mean = np.array([1.0, 0]), np.array([10.0, 0])
    theirs = np.linalg.norm(np.array([1.0, 0]) * (h - mean)) / np.linalg.norm(h)
    assert theirs == 9
    for centred in (True, False):
        assert detection.neco(h[:, None], train, 1, centred=centred) == pytest.approx([1])


# scikit-learn-contrib/scikit-dimension, skdim/id/_TwoNN.py


def test_two_nn_of_scikit_dimension_starts_its_law_at_zero():
    points = np.random.default_rng(10).standard_normal((3, 400))
    D = np.sort(np.linalg.norm(points[:, :, None] - points[:, None], axis=0), axis=1)
    mu = np.sort(D[:, 2] / D[:, 1])[:360]
    x = np.log(mu)

    def slope(F: np.ndarray) -> float:
        y = -np.log(1 - F)
        return float(x @ y / (x @ x))

    pytest.importorskip("skdim", reason="the extra `dimension` is not installed")
    assert two_nn(points) == pytest.approx(slope(np.arange(1, 361) / 400), rel=1e-9)  # F(mu_i) = i/N, as in the paper
    assert slope(np.arange(360) / 400) < two_nn(points) * (1 - 1e-3)


def test_two_nn_is_that_of_scikit_dimension_on_distances_found_here():
    skdim = pytest.importorskip("skdim.id", reason="the extra `dimension` is not installed")
    points = np.random.default_rng(11).standard_normal((4, 300))
    theirs = skdim.TwoNN().fit(points.T)
    assert two_nn(points) == pytest.approx(theirs.dimension_, rel=1e-12)
    assert two_nn(points, 0.4) == pytest.approx(skdim.TwoNN(discard_fraction=0.4).fit(points.T).dimension_, rel=1e-12)
    wide = np.linalg.qr(np.random.default_rng(12).standard_normal((30, 4)))[0] @ points  # the same distances
    assert skdim.TwoNN().fit(wide.T).dimension_ == pytest.approx(theirs.dimension_, rel=1e-9)
    assert two_nn(wide + 1e6) == pytest.approx(theirs.dimension_, rel=1e-6)
    assert abs(skdim.TwoNN().fit(wide.T + 1e6).dimension_ / theirs.dimension_ - 1) > 1e-3


# The table


def test_the_table_names_every_peer_that_is_restated_here():
    text = DOC.read_text()
    source = Path(__file__).read_text()
    named = {word.strip(",;") for line in source.splitlines() if line.startswith("# ") for word in line.split()}
    repositories = {word for word in named if word.count("/") == 1 and not word.endswith(".py") and word[0].isalpha()}
    assert len(repositories) >= 9
    assert {name for name in repositories if name not in text} == set()
    rows = [line for line in text.splitlines() if line.startswith("| ")][1:]
    assert all(line.count("|") == rows[0].count("|") for line in rows)


def test_duality_is_symmetric_in_its_scale():
    W = np.random.default_rng(0).standard_normal((K, d))
    assert duality.self_duality(3 * W, W.T) == pytest.approx(0, abs=1e-12)
