"""The field's further metrics: exact on frames, equal to their definitions written out, and able to fail."""

import math
from importlib.util import find_spec

import numpy as np
import pytest

from ufm.errors import UfmError
from ufm.measure import measure
from ufm.metrics import detection, geometry, intrinsic_dimension, loss_parts, norms, rank, regression, uniformity, vci
from ufm.metrics.split import split_classes
from ufm.problem import samples
from ufm.tolerance import roundoff

K, d, n = 5, 12, 4


def orthonormal(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((rows, columns)))[0]


def noisy(
    counts: int | list[int] = n, width: int = d, classes: int = K, seed: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), counts)
    means = rng.standard_normal((width, classes))[:, labels]
    return means + 0.3 * rng.standard_normal((width, labels.size)), labels


# Variability collapse index


@pytest.mark.parametrize("counts", [20, [40, 7, 12, 9, 15]])
def test_vci_is_its_definition(counts: int | list[int]) -> None:
    H, labels = noisy(counts)
    groups = [H[:, labels == k] for k in range(K)]
    hbar = H.mean(axis=1, keepdims=True)
    between = sum(g.shape[1] * (m := g.mean(axis=1, keepdims=True) - hbar) @ m.T for g in groups) / labels.size
    total = np.cov(H, bias=True)
    stated = 1 - np.trace(np.linalg.pinv(total) @ between) / np.linalg.matrix_rank(between)
    assert vci.vci(split_classes(H, labels)) == pytest.approx(stated, abs=1e-12)


def test_vci_is_unmoved_by_linear_maps_and_offsets_and_is_zero_at_collapse() -> None:
    H, labels = noisy(30)
    stated = vci.vci(split_classes(H, labels))
    A = np.random.default_rng(5).standard_normal((d, d))
    assert vci.vci(split_classes(A @ H + 10, labels)) == pytest.approx(stated, abs=1e-10)
    assert vci.vci(split_classes(H + 1e4, labels)) == pytest.approx(stated, abs=1e-9)
    assert vci.vci(split_classes(np.vstack([H, np.zeros((3, labels.size))]), labels)) == pytest.approx(
        stated, abs=1e-12
    )
    collapsed = np.repeat(H[:, ::30], 30, axis=1)
    for offset in (0, 1e4):
        assert 0 <= vci.vci(split_classes(collapsed + offset, labels)) < 1e-9
    assert vci.vci(split_classes(np.random.default_rng(0).standard_normal((d, 5000)), np.arange(5000) % 5)) > 0.98
    assert 0 <= vci.vci(split_classes(H[:, ::30], np.arange(K))) < roundoff(), "one sample a class"
    same = np.tile(H[:, :30], K)
    assert math.isnan(vci.vci(split_classes(same + 1e3, labels)))


# Generalised neural collapse


def test_uniformity_on_a_simplex() -> None:
    M = orthonormal(d, K) @ geometry.simplex_gram(K) * np.arange(1, K + 1)  # lengths do not matter
    found = uniformity.hyperspherical_uniformity(M)
    assert found["uniformity_mean"] == pytest.approx(-math.log(2 * K / (K - 1)) / 2, abs=roundoff())
    assert found["uniformity_variance"] == pytest.approx(0, abs=roundoff())
    twin = M[:, [0, 0, 1, 2]]
    assert math.isinf(uniformity.hyperspherical_uniformity(twin)["uniformity_mean"])
    M[:, 0] = 0
    assert math.isnan(uniformity.hyperspherical_uniformity(M)["uniformity_mean"])


def test_uniformity_is_best_for_the_square_in_the_plane_though_k_exceeds_d_plus_1() -> None:
    def circle(*degrees: float) -> np.ndarray:
        return np.stack([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])

    best = uniformity.hyperspherical_uniformity(circle(0, 90, 180, 270))
    worse = uniformity.hyperspherical_uniformity(circle(0, 80, 180, 270))
    assert best["uniformity_mean"] < worse["uniformity_mean"]
    logs = [-math.log(math.sqrt(2))] * 4 + [-math.log(2)] * 2
    assert best["uniformity_mean"] == pytest.approx(np.mean(logs))
    assert best["uniformity_variance"] == pytest.approx(np.var(logs))


def test_uniform_duality() -> None:
    W = np.random.default_rng(0).standard_normal((K, d))
    exact = uniformity.uniform_duality(W, 3 * W.T * np.arange(1, K + 1))
    assert exact["duality_cosine_mean"] == pytest.approx(1, abs=roundoff())
    assert exact["duality_cosine_spread"] == pytest.approx(0, abs=roundoff())
    turned = W.copy()
    turned[0] *= -1  # planted: one class points away
    assert uniformity.uniform_duality(turned, W.T)["duality_cosine_mean"] == pytest.approx(1 - 2 / K)
    assert math.isnan(uniformity.uniform_duality(0 * W, W.T)["duality_cosine_mean"])
    with pytest.raises(UfmError, match="one row of W per class"):
        uniformity.uniform_duality(W[:2], W.T)


def test_one_vs_rest_distances() -> None:
    etf = orthonormal(d, K) @ geometry.simplex_gram(K) / math.sqrt(1 - 1 / K)
    np.testing.assert_allclose(uniformity.one_vs_rest_distances(etf), K / (K - 1), atol=1e-12)  # unit vector to face
    np.testing.assert_allclose(uniformity.one_vs_rest_distances(7 * etf + 3), 7 * K / (K - 1), atol=1e-10)
    triangle = np.array([[0.0, 4, 0, 1], [0, 0, 4, 1]])
    np.testing.assert_allclose(uniformity.one_vs_rest_distances(triangle), [2**0.5, 10**0.5, 10**0.5, 0], atol=1e-12)
    assert uniformity.one_vs_rest_distances(triangle)[3] == pytest.approx(0, abs=1e-12), "inside the hull of the rest"
    twins = np.array([[1.0, 1, 0], [0, 0, 1]])
    np.testing.assert_allclose(uniformity.one_vs_rest_distances(twins), [0, 0, math.sqrt(2)], atol=1e-12)


def test_one_vs_rest_distances_against_a_generic_solver() -> None:
    from scipy.optimize import minimize

    V = np.random.default_rng(2).standard_normal((6, 5))
    for k, found in enumerate(uniformity.one_vs_rest_distances(V)):
        A = np.delete(V, k, axis=1) - V[:, [k]]
        sums = {"type": "eq", "fun": lambda y: np.sum(y) - 1}
        peer = minimize(lambda y, A=A: np.sum((A @ y) ** 2), np.full(4, 0.25), bounds=[(0, 1)] * 4, constraints=sums)
        assert found == pytest.approx(math.sqrt(peer.fun), rel=1e-4)
        assert found <= math.sqrt(peer.fun) * (1 + 1e-9)


def test_margins() -> None:
    Z = np.array([[3.0, 1, 0], [1, 2, 5], [0, 4, 4]])
    np.testing.assert_array_equal(uniformity.margins(Z, np.array([0, 1, 1])), [2, -2, 1])


# Out of distribution


def test_nc5() -> None:
    frame = orthonormal(d, K + 1)
    assert detection.nc5(frame[:, :K], np.repeat(frame[:, K:], 7, axis=1)) == pytest.approx(0, abs=roundoff())
    assert detection.nc5(3 * frame[:, :K], frame[:, :1]) == pytest.approx(1 / K)
    assert math.isnan(detection.nc5(frame, np.zeros((d, 2))))
    with pytest.raises(UfmError, match="d must agree"):
        detection.nc5(frame, np.zeros((d + 1, 2)))


def test_neco_against_its_definition() -> None:
    rng = np.random.default_rng(0)
    train, H, Z = rng.standard_normal((d, 60)) + 5, rng.standard_normal((d, 9)), rng.standard_normal((K, 9))
    C = train - train.mean(axis=1, keepdims=True)
    P = np.linalg.eigh(C @ C.T)[1][:, -3:]
    moved = H - train.mean(axis=1, keepdims=True)
    stated = np.linalg.norm(P.T @ moved, axis=0) / np.linalg.norm(moved, axis=0)
    np.testing.assert_allclose(detection.neco(H, train, 3), stated, atol=1e-12)
    np.testing.assert_allclose(detection.neco(H, train, 3, Z), stated * Z.max(axis=0), atol=1e-12)
    mean = train.mean(axis=1, keepdims=True)
    assert detection.neco(mean, train, 3) == 0
    with pytest.raises(UfmError, match="principal directions"):
        detection.neco(H, train, d + 1)
    with pytest.raises(UfmError, match="d must agree"):
        detection.neco(H[1:], train, 3)


# Rank and dimension


def test_ranks() -> None:
    A = orthonormal(9, 4) * [3, 3, 3, 3] @ orthonormal(7, 4, 1).T
    assert rank.stable_rank(A) == pytest.approx(4)
    assert rank.numerical_rank(A) == 4
    assert rank.numerical_rank(A + 1e-9 * orthonormal(9, 7)) == 7
    assert rank.numerical_rank(A + 1e-9 * orthonormal(9, 7), 1e-6) == 4
    assert rank.stable_rank(A + 1e-9 * orthonormal(9, 7)) == pytest.approx(4, abs=1e-6)
    assert rank.stable_rank(np.diag([2.0, 1.0])) == pytest.approx(1.25)
    assert rank.stable_rank(np.zeros((3, 2))) == rank.numerical_rank(np.zeros((3, 2))) == 0
    assert rank.stable_rank(1e200 * A) == pytest.approx(4), "squares must not overflow"


needs_skdim = pytest.mark.skipif(find_spec("skdim") is None, reason="the extra `dimension` is not installed")


@needs_skdim
@pytest.mark.parametrize("dimension", [1, 2, 5])
def test_two_nn_on_a_flat_cloud_in_many_dimensions(dimension: int) -> None:
    cube = np.random.default_rng(0).uniform(size=(dimension, 2000))
    H = orthonormal(30, dimension) @ cube
    found = intrinsic_dimension.two_nn(H)
    assert found == pytest.approx(dimension, rel=0.1)
    assert intrinsic_dimension.two_nn(3 * H + 1e4) == pytest.approx(found, rel=1e-6)
    repeated = np.hstack([H, H[:, :500]])
    assert intrinsic_dimension.two_nn(repeated) == pytest.approx(found, rel=1e-12), "coincident samples count once"


@needs_skdim
def test_two_nn_against_the_likelihood_of_a_pareto_law() -> None:
    H = np.random.default_rng(3).standard_normal((3, 1500))
    squares = np.sum(H**2, axis=0)
    distances = np.sqrt(np.maximum(squares[:, None] + squares - 2 * H.T @ H, 0))
    np.fill_diagonal(distances, np.inf)
    nearest = np.sort(distances, axis=1)[:, :2]
    likelihood = 1500 / np.sum(np.log(nearest[:, 1] / nearest[:, 0]))
    assert intrinsic_dimension.two_nn(H) == pytest.approx(likelihood, rel=0.1)  # two estimators of one number


@needs_skdim
def test_two_nn_refuses_what_has_no_answer() -> None:
    with pytest.raises(UfmError, match="distinct samples"):
        intrinsic_dimension.two_nn(np.ones((3, 50)))
    with pytest.raises(UfmError, match="lattice"):
        intrinsic_dimension.two_nn(np.stack(np.meshgrid(np.arange(6.0), np.arange(6.0))).reshape(2, -1))
    with pytest.raises(UfmError, match="discard"):
        intrinsic_dimension.two_nn(np.ones((3, 50)), 1.0)


# Regression


def regression_optimum(seed: int = 0, N: int = 40, m: int = 3, lam: float = 0.002) -> tuple[np.ndarray, ...]:
    """(H, W, Y) of the bias-free-penalty optimum: W W' and H' H from the soft-thresholded singular values of Yc."""
    rng = np.random.default_rng(seed)
    Y = np.diag([1.0, 0.6, 0.4][:m]) @ rng.standard_normal((m, N))
    V, s, Qt = np.linalg.svd(Y - Y.mean(axis=1, keepdims=True), full_matrices=False)
    kept = np.sqrt(np.maximum(s - N * lam, 0))
    R = orthonormal(d, m)
    return R * kept @ Qt, V * kept @ R.T, Y


def test_regression_collapse_at_the_optimum() -> None:
    H, W, Y = regression_optimum()
    assert regression.nrc1(H, 3) < roundoff()
    assert regression.nrc2(H, W) < roundoff()
    distance, g = regression.nrc3(W, Y)
    assert distance < 1e-8
    assert g == pytest.approx(40 * 0.002 / math.sqrt(40), rel=1e-6), "N lam in units of the root of the covariance"
    assert regression.nrc3(W[::-1], Y)[0] > 0.05, "planted: rows swapped"
    moved = H + 0.1 * np.random.default_rng(1).standard_normal(H.shape)
    assert regression.nrc1(moved, 3) > 1e-3
    assert regression.nrc2(moved, W) > 1e-3
    assert regression.nrc1(H + 1e4, 3) < 1e-12


@pytest.mark.parametrize("lam", [0.002, 0.1])  # every direction is kept; some are lost
def test_what_a_regression_leaves_is_its_targets_covariance_cut_off(lam: float) -> None:
    H, W, Y = regression_optimum(lam=lam)
    N = Y.shape[1]
    values, vectors = np.linalg.eigh(np.cov(Y, bias=True))
    cut = np.minimum(values, N * lam**2)
    assert (cut[0] < cut[-1]) == (lam == 0.1)
    found = measure(H, samples(Y), W, Y.mean(axis=1))["residual_covariance"].values
    assert found == pytest.approx(vectors * cut @ vectors.T, abs=roundoff())
    without = measure(H, samples(Y), W)["residual_covariance"].values
    assert without == pytest.approx(found + np.outer(Y.mean(axis=1), Y.mean(axis=1)), abs=roundoff())


def test_regression_metrics_are_their_definitions() -> None:
    rng = np.random.default_rng(0)
    H, W, Y = rng.standard_normal((6, 50)) + 2, rng.standard_normal((3, 6)), rng.standard_normal((3, 50))
    C = H - H.mean(axis=1, keepdims=True)
    X = C / np.linalg.norm(C, axis=0)
    P = np.linalg.eigh(C @ C.T)[1][:, -3:]
    assert regression.nrc1(H, 3) == pytest.approx(np.mean(np.sum((X - P @ P.T @ X) ** 2, axis=0)), rel=1e-12)
    projector = np.linalg.pinv(W) @ W
    assert regression.nrc2(H, W) == pytest.approx(np.mean(np.sum((X - projector @ X) ** 2, axis=0)), rel=1e-12)
    values, vectors = np.linalg.eigh(np.cov(Y, bias=True))
    root = vectors * np.sqrt(values) @ vectors.T
    grid = []
    for g in np.linspace(0, np.sqrt(values[0]) * (1 - 1e-6), 20001):
        T = root - g * np.eye(3)
        grid.append(np.linalg.norm(W @ W.T / np.linalg.norm(W @ W.T) - T / np.linalg.norm(T)))
    assert regression.nrc3(W, Y)[0] == pytest.approx(min(grid), rel=1e-6)
    assert math.isnan(regression.nrc3(0 * W, Y)[0])


def test_deep_regression_metrics_are_their_definitions() -> None:
    rng = np.random.default_rng(0)
    H, W, Y = rng.standard_normal((6, 50)) + 2, rng.standard_normal((7, 6)), rng.standard_normal((3, 50))
    found = regression.layer_collapse(H, Y, W)
    values, vectors = np.linalg.eigh(np.cov(H))
    U = vectors[:, -3:]
    assert found["deep_nrc1"] == pytest.approx(1 - values[-3:].sum() / values.sum(), rel=1e-12)
    centre = np.eye(50) - 1 / 50
    A, B = centre @ H.T @ H @ centre, centre @ Y.T @ Y @ centre
    assert found["deep_nrc2"] == pytest.approx(np.sum(A * B) / np.linalg.norm(A) / np.linalg.norm(B), rel=1e-12)
    V = np.linalg.svd(W)[2][:3].T
    assert found["deep_nrc3"] == pytest.approx(np.mean(np.linalg.svd(U.T @ V)[1]), rel=1e-10)
    assert found["deep_nrc4"] == pytest.approx(np.sum((Y @ np.linalg.pinv(H) @ H - Y) ** 2) / 50, rel=1e-12)
    with pytest.raises(UfmError, match="W needs H's width"):
        regression.subspace_cosine(H, W, 7)


def test_a_collapsed_layer() -> None:
    H, W, Y = regression_optimum(lam=0.0)
    found = regression.layer_collapse(H, Y - Y.mean(axis=1, keepdims=True), W)
    assert found["deep_nrc1"] == pytest.approx(0, abs=roundoff())
    assert found["deep_nrc3"] == pytest.approx(1, abs=roundoff())
    assert found["deep_nrc4"] == pytest.approx(0, abs=roundoff())
    assert regression.linear_cka(3 * orthonormal(d, 3) @ Y + 7, Y) == pytest.approx(1, abs=1e-12)
    record = measure(H, Y, W)
    assert float(record["nrc1"]) < roundoff()
    assert float(record["nrc2"]) < roundoff()


# The squared loss in parts


@pytest.mark.parametrize("lam", [0.0, 0.01])
@pytest.mark.parametrize("width", [12, 3, 40])
def test_loss_parts_add_up_and_none_is_negative(lam: float, width: int) -> None:
    H, labels = noisy([4, 7, 2, 9, 5], width)
    rng = np.random.default_rng(0)
    codes, W, b = rng.standard_normal((4, K)), rng.standard_normal((4, width)), rng.standard_normal(4)
    parts = loss_parts.loss_parts(split_classes(H, labels), W, b, codes, lam)
    loss = np.sum((W @ H + b[:, None] - codes[:, labels]) ** 2) / (2 * labels.size) + lam / 2 * np.sum(W**2)
    assert sum(parts.values()) == pytest.approx(loss, rel=1e-11)
    assert min(parts.values()) >= 0
    ones = np.vstack([H, np.ones(labels.size)]).T / math.sqrt(labels.size)
    if lam == 0:  # at the least-squares classifier the last part vanishes
        best = np.linalg.lstsq(ones, codes[:, labels].T / math.sqrt(labels.size), rcond=None)[0].T
        at_best = loss_parts.loss_parts(split_classes(H, labels), best[:, :-1], best[:, -1], codes)
        assert at_best["loss_off_ls"] == pytest.approx(0, abs=1e-10)


def test_loss_parts_vanish_one_by_one() -> None:
    means = orthonormal(d, K)
    labels = np.repeat(np.arange(K), n)
    collapsed = split_classes(means[:, labels], labels)
    parts = loss_parts.loss_parts(collapsed, means.T, np.zeros(K), np.eye(K))
    assert max(parts.values()) < roundoff(), "orthogonal frame, dual classifier: nothing is lost"
    wrong = loss_parts.loss_parts(collapsed, 1.5 * means.T, np.zeros(K), np.eye(K))
    assert wrong["loss_nc1"] < roundoff()
    assert wrong["loss_off_ls"] == pytest.approx(0.125)
    with pytest.raises(UfmError, match="give m x d"):
        loss_parts.loss_parts(collapsed, means, np.zeros(K), np.eye(K))


# In the record, and at scale


def test_the_record_has_them() -> None:
    H, labels = noisy(20)
    W, b = np.random.default_rng(0).standard_normal((K, d)), np.zeros(K)
    record = measure(H.astype(np.float32), labels, W, b)
    single = H.astype(np.float32).astype(float)
    assert float(record["feature_norm"]) == pytest.approx(np.mean(np.linalg.norm(single, axis=0)), rel=1e-14)
    assert float(record["feature_norm"]) == norms.feature_norm(single)
    assert float(record["vci"]) == pytest.approx(vci.vci(split_classes(single, labels)), abs=1e-14)
    assert float(record["stable_rank"]) == pytest.approx(rank.stable_rank(single), rel=1e-12)
    truth = uniformity.margins(W @ single, labels)
    assert float(record["margin_least"]) == pytest.approx(truth.min(), abs=1e-12)
    assert float(record["margin_mean"]) == pytest.approx(truth.mean(), abs=1e-12)
    total = sum(float(record[name]) for name in ("loss_nc1", "loss_nc23", "loss_off_ls"))
    assert total == pytest.approx(np.sum((W @ single - np.eye(K)[:, labels]) ** 2) / 200, rel=1e-12)
    assert "uniformity_mean" in record
    assert "duality_cosine_mean" in record


def test_a_thousand_classes_in_two_thousand_dimensions_stay_thin() -> None:
    import tracemalloc

    rng = np.random.default_rng(0)
    K, d = 1000, 2048
    labels = np.repeat(np.arange(K), 2)
    M = rng.standard_normal((d, K))
    split = split_classes(np.repeat(M, 2, axis=1) + 0.01 * rng.standard_normal((d, 2 * K)), labels)
    tracemalloc.start()
    found = uniformity.hyperspherical_uniformity(split.deviations)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found["uniformity_variance"] < 1e-3
    assert peak < 20 * 8 * K * d, "a K x K x d array would take a thousand times K d"
