"""Metrics: exact on frames, unmoved by what must not move them, right or refused on hard inputs, and able to fail."""

import math

import numpy as np
import pytest

from ufm import encodings
from ufm.errors import UfmError
from ufm.measure import measure
from ufm.metrics import bias, cdnv, duality, geometry, nc1, ncc
from ufm.metrics.split import split_classes
from ufm.metrics.state import observables
from ufm.problem import Problem, classes
from ufm.tolerance import roundoff

K, d, n = 5, 12, 4


def orthonormal(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((rows, columns)))[0]


def noisy(K: int = K, d: int = d, counts: int | list[int] = n, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Features around random class means (d x N) and their labels."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(K), counts)
    return rng.standard_normal((d, K))[:, labels] + 0.3 * rng.standard_normal((d, labels.size)), labels


def optimum(problem: Problem) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(W, Hbar, b) of the balanced one-hot optimum, by the formulas of the theory notes, written once more."""
    K, size = problem.K, int(problem.classes.counts[0])
    lam_W, lam_H, lam_b = float(problem.lam_W[0]), float(problem.lam_H), float(problem.lam_b)
    t = math.sqrt(lam_W * lam_H) * K * math.sqrt(size)
    s = math.sqrt(size) * (1 - t)
    s_0 = s * max(0.0, 1 - t / (1 - t) / lam_b)
    J = np.full((K, K), 1 / K)
    root = math.sqrt(s) * (np.eye(K) - J) + math.sqrt(s_0) * J
    R = orthonormal(d, K)
    W = (lam_H / lam_W) ** 0.25 * root @ R.T
    class_means = (lam_W / lam_H) ** 0.25 * R @ root / math.sqrt(size)
    ybar = np.full(K, 1 / K)
    b = np.zeros(K) if math.isinf(lam_b) else (ybar - W @ class_means.mean(axis=1)) / (1 + lam_b)
    return W, class_means, b


def one_hot_problem(lam_b: float, K: int = K, n: int = n) -> Problem:
    return Problem(targets=classes(encodings.available()["one_hot"](K), n), lam_W=0.03, lam_H=0.01, lam_b=lam_b)


def test_simplex_etf_is_recognised() -> None:
    etf = 3 * orthonormal(d, K) @ geometry.simplex_gram(K)
    record = measure(np.repeat(etf, n, axis=1), np.repeat(np.arange(K), n), etf.T / 7)
    assert float(record["cosine"]) == pytest.approx(-1 / (K - 1), abs=roundoff())
    for name in ("nc1", "nc1_ratio", "cdnv", "nc2_etf", "nc2_etf_uncentred", "nc3", "nc3_uncentred", "nc3_balance"):
        assert float(record[name]) == pytest.approx(0, abs=roundoff()), name
    for name in ("equinorm", "equiangle", "maxangle", "singular_value_mean", "nc4", "nc2_etf_classifier", "nc3_etf"):
        assert float(record[name]) == pytest.approx(0, abs=roundoff()), name
    distance = math.sqrt(2 - 2 * math.sqrt((K - 1) / K))  # between the unit Gram matrices I - J/K and I
    assert float(record["nc2_of"]) == pytest.approx(distance, abs=roundoff())


def test_orthogonal_frame_is_recognised() -> None:
    frame = 2 * orthonormal(d, K)
    record = measure(np.repeat(frame, n, axis=1), np.repeat(np.arange(K), n), frame.T)
    assert float(record["nc2_of"]) == pytest.approx(0, abs=roundoff())
    assert float(record["cosine"]) == pytest.approx(0, abs=roundoff())
    assert float(record["nc2_etf"]) == pytest.approx(0, abs=roundoff()), "centred, an orthogonal frame is an ETF"
    assert float(record["nc3_uncentred"]) == pytest.approx(0, abs=roundoff())
    assert float(record["nc3"]) > 0.1, "centred means are not dual to the uncentred classifier"
    np.testing.assert_allclose(record["singular_values"], 4 * math.sqrt(n), rtol=roundoff())


@pytest.mark.parametrize("lam_b", [0.01, 1.0, math.inf])
def test_optimum_has_vanishing_invariants_and_shrunk_singular_values(lam_b: float) -> None:
    problem = one_hot_problem(lam_b)
    W, class_means, b = optimum(problem)
    found = observables(W, class_means, b, problem.classes.counts, problem.classes.codes, lam_H=0.01, lam_b=lam_b)
    s = math.sqrt(n) - problem.tau
    s_0 = max(0.0, math.sqrt(n) - problem.tau / problem.rho)
    np.testing.assert_allclose(found["singular_values_centred"], [s] * (K - 1), atol=roundoff(s))
    np.testing.assert_allclose(found["singular_values"], sorted([s] * (K - 1) + [s_0])[::-1], atol=roundoff(s))
    assert found["singular_value_mean"] == pytest.approx(s_0, abs=roundoff(s))
    assert found["cosine"] == pytest.approx((s_0 - s) / (s_0 + (K - 1) * s), abs=roundoff())
    assert found["bias_invariant"] < roundoff()
    assert found["mean_invariant"] < roundoff()


@pytest.mark.parametrize("name", ["W", "class_means", "b"])
def test_invariants_notice_a_state_that_is_not_critical(name: str) -> None:
    problem = one_hot_problem(1.0)
    state: dict[str, np.ndarray] = dict(zip(("W", "class_means", "b"), optimum(problem), strict=True))
    state[name] = state[name] + 1e-6
    targets = problem.classes
    found = observables(**state, counts=targets.counts, codes=targets.codes, lam_H=0.01, lam_b=1.0)
    assert found["bias_invariant"] > 1e-8
    assert name == "b" or found["mean_invariant"] > 1e-10  # b does not enter it


@pytest.mark.parametrize("name", ["one_hot", "simplex", "binary", "hadamard", "one_vs_rest"])
@pytest.mark.parametrize("counts", [3, [1, 2, 3, 4, 5]])
def test_collapsed_features_give_the_observables_of_the_state(name: str, counts: int | list[int]) -> None:
    targets = classes(encodings.available()[name](K), counts)
    problem = Problem(targets=targets, lam_W=0.1, lam_H=0.2, lam_b=0.3)
    rng = np.random.default_rng(0)
    W, means, b = rng.standard_normal((targets.m, d)), rng.standard_normal((d, K)), rng.standard_normal(targets.m)
    stated = observables(W, means, b, targets.counts, targets.codes, lam_H=0.2, lam_b=0.3)
    record = measure(np.repeat(means, targets.counts, axis=1), problem, W, b)
    for key, value in stated.items():
        np.testing.assert_allclose(record[key], value, atol=roundoff(float(np.max(np.abs(value)) + 10)), err_msg=key)
    assert float(record["nc1"]) == pytest.approx(0, abs=roundoff())


def nc1_by_definition(H: np.ndarray, labels: np.ndarray, weighting: str) -> tuple[float, float]:
    kinds, counts = np.unique(labels, return_counts=True)
    pi = counts / counts.sum() if weighting == "samples" else np.full(kinds.size, 1 / kinds.size)
    means = np.stack([H[:, labels == k].mean(axis=1) for k in kinds], axis=1)
    within = sum(p * np.cov(H[:, labels == k], bias=True) for p, k in zip(pi, kinds, strict=True))
    centred = means - (means @ pi)[:, None]
    between = centred * pi @ centred.T
    inverse = np.linalg.pinv(between, rcond=1e-10)
    return float(np.trace(within @ inverse)) / kinds.size, float(np.trace(within) / np.trace(between))


@pytest.mark.parametrize("weighting", ["samples", "classes"])
@pytest.mark.parametrize("width", [12, 3])
def test_nc1_agrees_with_its_definition_by_a_full_pseudo_inverse(weighting: str, width: int) -> None:
    H, labels = noisy(d=width, counts=[4, 7, 2, 9, 5])
    trace, ratio = nc1_by_definition(H, labels, weighting)
    split = split_classes(H, labels)
    assert nc1.nc1(split, weighting) == pytest.approx(trace, rel=1e-9)  # the pseudo-inverse's own conditioning
    assert nc1.nc1_ratio(split, weighting) == pytest.approx(ratio, rel=roundoff())
    assert split.class_weights() @ nc1.nc1_per_class(split) == pytest.approx(nc1.nc1_ratio(split), rel=roundoff())


def test_cdnv_agrees_with_its_definition() -> None:
    H, labels = noisy(counts=[4, 7, 2, 9, 5])
    groups = [H[:, labels == k] for k in range(K)]
    pairs = [
        (a.var(axis=1).sum() + c.var(axis=1).sum()) / (2 * np.sum((a.mean(axis=1) - c.mean(axis=1)) ** 2))
        for i, a in enumerate(groups)
        for c in groups[:i]
    ]
    assert cdnv.cdnv(split_classes(H, labels)) == pytest.approx(np.mean(pairs), rel=roundoff())


def test_pseudo_inverse_form_does_not_see_what_the_ratio_sees() -> None:
    H, labels = noisy(d=K, counts=2)
    H = np.vstack([np.repeat(H[:, ::2], 2, axis=1), np.tile([1.0, -1.0], K)])  # deviations only in a direction apart
    split = split_classes(H, labels)
    assert nc1.nc1(split) < roundoff()
    assert nc1.nc1_ratio(split) > 0.01


SHAPE_FREE = ("nc1", "nc1_ratio", "cdnv", "equinorm", "equiangle", "maxangle", "nc2_etf", "cosine_centred")


def test_invariances() -> None:
    H, labels = noisy(counts=[4, 7, 2, 9, 5])
    rng = np.random.default_rng(3)
    W, b, order = rng.standard_normal((K, d)), rng.standard_normal(K), rng.permutation(labels.size)
    record = measure(H, labels, W, b)
    rotated = measure(orthonormal(d, d, 5) @ H, labels, W @ orthonormal(d, d, 5).T, b)
    shuffled = measure(H[:, order], labels[order], W, b)
    for name in record.values:
        scale = 100 * (1 + float(np.max(np.abs(record[str(name)]))))
        np.testing.assert_allclose(rotated[str(name)], record[str(name)], atol=roundoff(scale), err_msg=str(name))
        np.testing.assert_allclose(shuffled[str(name)], record[str(name)], atol=roundoff(scale), err_msg=str(name))
    moved = measure(-3 * H + 7, labels)
    for name in SHAPE_FREE:
        assert float(moved[name]) == pytest.approx(float(record[name]), abs=roundoff(100)), name
    swap = np.array([2, 0, 4, 1, 3])  # class k becomes swap[k]
    renamed = measure(H, swap[labels], W[np.argsort(swap)], b[np.argsort(swap)])
    for name in ("nc1", "nc3", "nc4", "accuracy", "singular_value_mean", "cosine"):
        assert float(renamed[name]) == pytest.approx(float(record[name]), abs=roundoff(100)), name


def test_large_offsets_cost_no_more_digits_than_the_input_lost() -> None:
    H, labels = noisy()
    exact, offset = measure(H, labels), measure(H + 1e4, labels)
    for name in SHAPE_FREE:
        assert float(offset[name]) == pytest.approx(float(exact[name]), abs=roundoff(1e4)), name
    collapsed = np.repeat(H[:, ::n], n, axis=1)
    assert 0 <= float(measure(collapsed + 1e4, labels)["nc1"]) < roundoff()


def test_float32_is_accumulated_in_double_precision() -> None:
    H, labels = noisy(counts=4000)
    single = (H + 100).astype(np.float32)
    a, b = measure(single, labels), measure(single.astype(np.float64), labels)
    for name in a.values:
        np.testing.assert_array_equal(a[str(name)], b[str(name)])
        assert a[str(name)].dtype == np.float64


def test_coincident_means() -> None:
    H, labels = noisy()
    first, second = np.flatnonzero(labels == 0), np.flatnonzero(labels == 1)
    H[:, second] = H[:, first]
    record = measure(H + 1e3, labels)
    assert math.isinf(float(record["cdnv"]))
    assert 0 < float(record["nc1"]) < 10
    everywhere = measure(np.tile(H[:, first], K) + 1e3, labels)
    assert math.isinf(float(everywhere["nc1"]))
    assert math.isinf(float(everywhere["nc1_ratio"]))
    assert math.isnan(float(measure(np.ones((d, K * n)), labels)["nc1"]))


def test_one_sample_per_class_has_no_variability() -> None:
    record = measure(np.random.default_rng(0).standard_normal((d, K)), np.arange(K))
    assert float(record["nc1"]) == float(record["nc1_ratio"]) == float(record["cdnv"]) == 0


def test_more_classes_than_dimensions() -> None:
    H, labels = noisy(K=9, d=3, counts=6)
    record = measure(H, labels, np.random.default_rng(0).standard_normal((9, 3)))
    np.testing.assert_allclose(record["singular_values_centred"][3:], 0, atol=roundoff(100))
    assert float(record["nc1"]) == pytest.approx(nc1_by_definition(H, labels, "samples")[0], rel=1e-9)


def test_labels_of_any_kind_and_absent_classes() -> None:
    H, labels = noisy()
    W = np.random.default_rng(0).standard_normal((K, d))
    plain = measure(H, labels, W)
    for names in (np.array(["ant", "bee", "cat", "dog", "eel"]), np.array([-7, 3, 10, 11, 40]), np.arange(K) + 0.5):
        named = measure(H, names[labels], W)
        assert list(named.values.coords["class"].values) == list(names)
        np.testing.assert_array_equal(named["gram"], plain["gram"])
        assert float(named["accuracy"]) == float(plain["accuracy"])
    present = labels != 2
    fewer = measure(H[:, present], labels[present], W)  # row 2 of W stays, no class has its code
    assert fewer["cosines"].shape == (K - 1, K - 1)
    assert "nc3" not in fewer
    assert float(fewer["accuracy"]) == np.mean(
        np.argmax((W @ H)[[0, 1, 3, 4]][:, present], 0) == np.repeat(range(4), n)
    )


def test_nc4_uses_the_bias() -> None:
    H, labels = noisy(counts=50)
    H = H + 10  # a common offset makes the norms of the means, and with them the bias, matter
    means = split_classes(H, labels).class_means
    W, b = means.T, -np.sum(means**2, axis=0) / 2  # exactly the nearest-centre rule
    assert float(measure(H, labels, W, b)["nc4"]) == 0
    assert float(measure(H, labels, W)["nc4"]) > 0.05


def test_decisions_are_arg_max_on_one_hot_codes_and_equal_codes_are_one_role() -> None:
    Z = np.random.default_rng(0).standard_normal((K, 100))
    np.testing.assert_array_equal(ncc.decisions(Z, np.eye(K)), np.argmax(Z, axis=0))
    twins = np.eye(K)[:, [0, 1, 1, 3, 4]]
    np.testing.assert_array_equal(ncc.roles(twins), [0, 1, 1, 3, 4])
    record = measure(np.repeat(twins, n, axis=1), classes(twins, n), np.eye(K))
    assert float(record["accuracy"]) == float(record["ncc_accuracy"]) == 1
    assert float(record["nc4"]) == 0


def test_balance_holds_for_any_codes_at_an_optimum_and_only_there() -> None:
    U, V, s = orthonormal(7, 3), orthonormal(4, 3, 1), np.array([3.0, 2.0, 0.5])
    R, counts = orthonormal(d, 3, 2), np.array([1, 2, 3, 4])
    W, M = 0.7 * U * np.sqrt(s) @ R.T, 1.3 * R * np.sqrt(s) @ V.T / np.sqrt(counts)
    assert duality.balance(W, M, counts) < roundoff()
    assert duality.balance(W, M, np.ones(4)) > 0.01


def test_regression_targets() -> None:
    rng = np.random.default_rng(0)
    H, W, Y = rng.standard_normal((d, 30)), rng.standard_normal((3, d)), rng.standard_normal((3, 30))
    record = measure(H, Y, W)
    np.testing.assert_allclose(record["singular_values"], np.linalg.svd(W @ H)[1], rtol=roundoff())
    assert float(record["singular_value_mean"]) == pytest.approx(math.sqrt(30) * np.linalg.norm((W @ H).mean(axis=1)))
    assert "nc1" not in record


def test_torch_tensors_are_read() -> None:
    torch = pytest.importorskip("torch")
    H, labels = noisy()
    from_torch = measure(torch.tensor(H, requires_grad=True), torch.tensor(labels), torch.ones((K, d)))
    np.testing.assert_array_equal(from_torch["gram"], measure(H, labels)["gram"])
    short = torch.tensor(H).bfloat16()  # a float that NumPy lacks
    np.testing.assert_array_equal(measure(short, labels)["gram"], measure(short.double(), labels)["gram"])
    single = measure(torch.tensor(H).float(), labels)["gram"].values
    assert 1e-8 < np.abs(single - from_torch["gram"]).max() < 1e-5, "float64 keeps its digits, float32 has its own"


def test_jax_arrays_are_read() -> None:
    jnp = pytest.importorskip("jax.numpy")
    H, labels = noisy()
    for dtype in (np.float32, jnp.bfloat16):
        given = jnp.asarray(H, dtype)
        host = np.asarray(given.astype(np.float32))
        np.testing.assert_array_equal(measure(given, jnp.asarray(labels))["gram"], measure(host, labels)["gram"])


def test_free_and_absent_biases_have_their_own_invariants() -> None:
    W, mean, b, ybar = np.eye(2), np.array([0.25, 0.5]), np.array([0.75, 0.5]), np.ones(2)
    assert bias.bias_invariant(W, mean, b, ybar, 0.0) == 0
    assert bias.bias_invariant(W, mean, b, ybar, math.inf) == pytest.approx(math.hypot(0.75, 0.5))
    assert bias.mean_invariant(W, mean, ybar, 0.0, 0.0, 10) == 0, "a free bias leaves no pull on the mean"
    assert bias.bias_spread(np.full(3, 7.0)) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": np.zeros(20, int)}, "two classes"),
        ({"labels": np.arange(3)}, "one label for each"),
        ({"labels": np.where(np.arange(20) == 3, np.nan, 1.0)}, "not finite"),
        ({"H": np.full((d, 20), np.inf)}, "not finite"),
        ({"H": np.ones(20)}, "d x N"),
        ({"H": np.full((d, 20), "x")}, "real numbers"),
        ({"W": np.ones((K, d + 1))}, "columns"),
        ({"W": np.ones((K - 1, d))}, "one-hot codes do not fit"),
        ({"b": np.ones(K)}, "without W"),
        ({"W": np.ones((K, d)), "b": np.ones(K + 1)}, "one per row"),
        ({"problem": one_hot_problem(1.0, n=9)}, "class sizes"),
        ({"labels": classes(np.eye(K), 5)}, "25 samples"),
        ({"labels": np.full((2, 20), np.nan)}, "no finite numbers"),
        ({"labels": np.ones((2, 20)), "outside": np.ones((d, 3))}, "defined for classes"),
        ({"outside": np.ones((3, d))}, "transpose it"),
        ({"labels": np.array(["a"] * 19 + [None], dtype=object)}, "do not sort"),
        ({"labels": np.ones((20, 1))}, "transpose them.*of classes, N labels"),
        ({"H": np.full((d, 20), 1e200)}, "largest entry.*rescale"),
        ({"H": np.full((d, 20), 1e-200)}, "largest entry.*rescale"),
        ({"W": [np.ones((K, d)), np.eye(d + 1)]}, "last first"),
        ({"W": [[1.0], [1.0, 2.0]]}, "rows differ in length"),
        ({"W": [np.ones((K, d)), np.eye(d)], "problem": one_hot_problem(1.0, n=4)}, "2 layers, the problem 1"),
        ({"W": np.ones((K, d)), "b": np.full(K, 1j)}, "b holds complex128"),
    ],
)
def test_inputs_that_cannot_be_measured_say_why(change: dict, message: str) -> None:
    H, labels = noisy()
    given = {"H": H, "labels": labels, "W": None, "b": None, "problem": None, "outside": None} | change
    with pytest.raises(UfmError, match=message):
        measure(given["H"], given["labels"], given["W"], given["b"], problem=given["problem"], outside=given["outside"])
