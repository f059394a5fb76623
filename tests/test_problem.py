"""Problems: what is accepted, what is refused and how, and that files say the same thing again."""

import math
import pickle
from typing import Any

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from ufm import encodings
from ufm.errors import ProblemError
from ufm.problem import Problem, classes, gradient, objective, reduce_problem, samples
from ufm.problem.scaling import SCALINGS, scaling
from ufm.tolerance import roundoff

mistyped: Any = classes  # what a user without a type checker may pass

ENCODINGS = [
    encodings.one_hot(4),
    encodings.simplex(4),
    encodings.one_vs_rest(4),
    encodings.binary(5),
    encodings.ordinal(4),
    encodings.hadamard(5),
    encodings.random(5, 3, 0),
    encodings.multi_label(4, [1, 2]),
    encodings.hierarchical([2, 3]),
    encodings.smoothed(4, 0.1),
    encodings.smoothed(encodings.binary(4), 0.2),
]


def stated(**changes):
    fields = {"targets": classes(encodings.one_hot(3), 4), "lam_W": 0.1, "lam_H": 0.01, "lam_b": 0.5}
    return Problem(**{**fields, **changes})


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: encodings.one_hot(0), "K"),
        (lambda: encodings.one_hot(2.5), "K"),
        (lambda: encodings.smoothed(3, 1.5), "eps"),
        (lambda: classes([[1.0, math.nan]], 3), "codes[0, 1]"),
        (lambda: mistyped([1.0, 2.0], 3), "codes"),
        (lambda: classes(np.zeros((2, 0)), 3), "codes"),
        (lambda: classes(encodings.one_hot(3), 0), "counts[0]"),
        (lambda: classes(encodings.one_hot(3), [2, 0, 2]), "counts[1]"),
        (lambda: classes(encodings.one_hot(3), [2, 3]), "counts"),
        (lambda: mistyped(encodings.one_hot(3), 2.5), "counts"),
        (lambda: mistyped(encodings.one_hot(3), math.nan), "counts"),
        (lambda: classes(encodings.one_hot(3), True), "counts"),
        (lambda: samples([[1.0, math.inf]]), "Y[0, 1]"),
        (lambda: samples([]), "Y"),
        (lambda: stated(lam_W=-0.1), "lam_W"),
        (lambda: stated(lam_W=(0.1, math.nan)), "lam_W[1]"),
        (lambda: stated(lam_W=()), "lam_W"),
        (lambda: stated(lam_H=math.inf), "lam_H"),
        (lambda: stated(lam_b=-1), "lam_b"),
        (lambda: stated(lam_b=math.nan), "lam_b"),
        (lambda: stated(lam_H=sp.Rational(-1, 2)), "lam_H"),
        (lambda: stated(lam_W="0.1"), "lam_W"),
        (lambda: stated(width=0), "width"),
        (lambda: stated(width=2.5), "width"),
        (lambda: stated(loss="msee"), "loss"),
        (lambda: stated(targets=np.eye(3)), "targets"),
        (lambda: Problem.from_dict({"lam_W": 1, "lam_H": 1}), "targets"),
        (lambda: Problem.from_dict({**stated().to_dict(), "lam_w": 1}), "lam_w"),
        (lambda: Problem.from_toml("nowhere.toml"), "problem"),
        (lambda: scaling("tirer22"), "scaling"),
    ],
)
def test_bad_input_names_field_value_and_fix(make, field):
    with pytest.raises(ProblemError) as caught:
        make()
    assert caught.value.field == field
    assert caught.value.fix.endswith((".", "?"))
    assert str(caught.value).startswith(f"{field} = ")


@pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda e: f"{e.name}-{e.shape}")
@pytest.mark.parametrize("lam_b", [0.0, 0.3, math.inf])
def test_a_problem_survives_its_own_toml(tmp_path, encoding, lam_b):
    counts = list(range(1, encoding.shape[1] + 1))
    problem = Problem(targets=classes(encoding, counts), lam_W=(0.1, 0.2), lam_H=0.3, lam_b=lam_b, width=7)
    problem.to_toml(tmp_path / "p.toml")
    again = Problem.from_toml(tmp_path / "p.toml")
    assert again.fingerprint == problem.fingerprint
    assert np.array_equal(again.targets.matrix(), problem.targets.matrix())
    assert (again.lam_W, again.lam_H, again.lam_b, again.width) == (problem.lam_W, 0.3, lam_b, 7)


def test_regression_targets_survive_toml(tmp_path):
    problem = Problem(targets=samples([[1.0, 2.0, 4.0]]), lam_W=1, lam_H=1)
    problem.to_toml(tmp_path / "p.toml")
    assert np.array_equal(Problem.from_toml(tmp_path / "p.toml").targets.matrix(), [[1.0, 2.0, 4.0]])


def test_sympy_numbers_and_symbols_are_weights():
    assert not stated(lam_W=sp.Rational(1, 10)).is_symbolic
    assert stated(lam_W=sp.Rational(1, 10)).fingerprint == stated(lam_W=0.1).fingerprint
    symbolic = stated(lam_b=sp.Symbol("lambda_b", positive=True))
    assert symbolic.is_symbolic
    with pytest.raises(ProblemError, match="substitute numbers"):
        symbolic.to_dict()


@pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda e: f"{e.name}-{e.shape}")
def test_problems_travel_to_other_processes(encoding):
    problem = stated(targets=classes(encoding, 2))
    assert pickle.loads(pickle.dumps(problem)).fingerprint == problem.fingerprint


def test_equal_codes_are_welcome():
    assert classes([[1.0, 1.0, 0.0]], [2, 3, 4]).K == 3


@pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda e: f"{e.name}-{e.shape}")
def test_codes_are_what_their_names_say(encoding):
    C = encoding.codes
    gram = C.T @ C
    if encoding.name == "simplex":
        K = C.shape[1]
        assert np.allclose(gram, (K * np.eye(K) - 1) / (K - 1), atol=roundoff(K))
    if encoding.name == "hadamard":
        assert np.array_equal(gram, C.shape[0] * np.eye(C.shape[1]))
    if encoding.name == "binary":
        assert [int("".join(str(int(x)) for x in c[::-1]), 2) for c in C.T] == list(range(C.shape[1]))
    if encoding.name == "multi_label":
        assert sorted(C.sum(axis=0)) == [1] * 4 + [2] * 6


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("collapsed", [False, True])
def test_the_gradient_is_the_slope_of_the_objective(loss, layers, collapsed):
    rng = np.random.default_rng(0)
    targets = classes(encodings.smoothed(3, 0.2), [1, 2, 4])
    problem = Problem(targets=targets, lam_W=(0.1, 0.2, 0.3)[:layers], lam_H=0.4, lam_b=0.5, loss=loss)
    W = [rng.standard_normal((3 if l == 0 else 5, 5)) for l in range(layers)]
    H, b = rng.standard_normal((5, 3 if collapsed else 7)), rng.standard_normal(3)
    slope = gradient(problem, W, H, b)
    arrays, slopes = [*W, H, b], [*slope.W, slope.H, slope.b]
    for i, (array, derivative) in enumerate(zip(arrays, slopes, strict=True)):
        step = 1e-4 * rng.standard_normal(array.shape)

        def at(factor, i=i, array=array, step=step):
            moved = [*arrays[:i], array + factor * step, *arrays[i + 1 :]]
            return float(objective(problem, moved[:layers], moved[layers], moved[layers + 1]))

        numeric = (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / 12  # fourth order: error about step^5
        assert numeric == pytest.approx(float(np.sum(derivative * step)), rel=1e-7)


def test_class_means_and_their_samples_have_one_objective():
    rng = np.random.default_rng(1)
    problem = stated(targets=classes(encodings.one_hot(3), [1, 2, 5]))
    W, means, b = rng.standard_normal((3, 4)), rng.standard_normal((4, 3)), rng.standard_normal(3)
    H = means[:, problem.classes.labels()]
    assert float(objective(problem, W, means, b)) == pytest.approx(float(objective(problem, W, H, b)), rel=roundoff())
    by_sample, by_class = gradient(problem, W, H, b), gradient(problem, W, means, b)
    summed = np.stack([by_sample.H[:, problem.classes.labels() == k].sum(axis=1) for k in range(3)], axis=1)
    assert np.allclose(summed, by_class.H, atol=roundoff(10))
    assert np.allclose(by_sample.W[0], by_class.W[0], atol=roundoff(10))


def test_no_bias_means_no_bias():
    with pytest.raises(ProblemError, match="no bias"):
        objective(stated(lam_b=math.inf), np.zeros((3, 2)), np.zeros((2, 3)), np.ones(3))
    assert not gradient(stated(lam_b=math.inf), np.zeros((3, 2)), np.zeros((2, 3))).b.any()


@pytest.mark.parametrize(
    ("W", "H", "field"),
    [
        (np.zeros((2, 2)), np.zeros((2, 3)), "W[0]"),
        (np.zeros((3, 2)), np.zeros((3, 3)), "H"),
        (np.zeros((3, 2)), np.zeros((2, 5)), "H"),
    ],
)
def test_shapes_that_do_not_fit_are_named(W, H, field):
    with pytest.raises(ProblemError) as caught:
        objective(stated(), W, H)
    assert caught.value.field == field


@pytest.mark.parametrize("module", ["array_api_strict", "torch"])
def test_objective_and_gradient_on_other_backends(module):
    xp = pytest.importorskip(module)
    rng = np.random.default_rng(2)
    W, H, b = rng.standard_normal((3, 4)), rng.standard_normal((4, 12)), rng.standard_normal(3)
    for loss in ("mse", "cross_entropy"):
        problem = stated(loss=loss)
        expected, slope = objective(problem, W, H, b), gradient(problem, W, H, b)
        other = gradient(problem, *(xp.asarray(x) for x in (W, H, b)))
        assert float(objective(problem, *(xp.asarray(x) for x in (W, H, b)))) == pytest.approx(
            float(expected), rel=roundoff()
        )
        assert np.allclose(np.asarray(other.H), slope.H, atol=roundoff())
        assert np.allclose(np.asarray(other.W[0]), slope.W[0], atol=roundoff())


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 10**6), st.sampled_from([0.0, 0.3, math.inf]))
def test_the_reduction_keeps_the_objective(m, K, seed, lam_b):
    """F(X Q) of the reduced problem is the loss of the full one at every point of the reduced space."""
    rng = np.random.default_rng(seed)
    problem = stated(targets=classes(rng.standard_normal((m, K)), list(rng.integers(1, 6, K))), lam_b=lam_b)
    reduction = reduce_problem(problem)
    A, q, N = reduction.A, reduction.q, problem.N
    assert A.shape[1] <= m + 1
    W, H_reduced = rng.standard_normal((m, 3)), rng.standard_normal((3, A.shape[1]))
    b = np.zeros(m) if math.isinf(lam_b) else rng.standard_normal(m)
    fit = np.sum((W @ H_reduced + np.outer(b, q) - A) ** 2) / (2 * N)
    penalty = 0.1 * np.sum(W**2) + 0.01 * np.sum(H_reduced**2) + (0 if math.isinf(lam_b) else lam_b * b @ b)
    full = objective(problem, W, reduction.features(H_reduced), b)
    # the part of Y outside the reduced space is nil: Y's rows lie in it
    assert float(full) == pytest.approx(float(fit + penalty / 2), rel=roundoff(1, 1000))
    assert q @ q == pytest.approx(N, rel=roundoff())
    assert np.allclose(A @ q, N * problem.targets.mean, atol=roundoff(N))


PAPERS: dict[str, Any] = {
    # key: the objective as printed, of residual sum of squares (or cross-entropy sum) F, squared norms and (K, n)
    "zhou2022": lambda F, W, H, b, lW, lH, lb, K, n: F / (2 * K * n) + (lW * W + lH * H + lb * b) / 2,
    "zhou2022_sum": lambda F, W, H, b, lW, lH, lb, K, n: F / 2 + (lW * W + lH * H + lb * b) / 2,
    "tirer2022": lambda F, W, H, b, lW, lH, lb, K, n: (F / n + lW * W + lH * H / n + lb * b) / (2 * K),
    "tirer2023": lambda F, W, H, b, lW, lH, lb, K, n: (F / n + lW * W + lH * H / n + lb * b) / (2 * K),
    "andriopoulos2024": lambda F, W, H, b, lW, lH, lb, K, n: (F + lH * H) / (2 * K * n) + (lW * W + lb * b) / 2,
    "dang2023": lambda F, W, H, b, lW, lH, lb, K, n: F / (2 * K * n) + (lW * W + lH * H + lb * b) / 2,
    "zhu2021": lambda F, W, H, b, lW, lH, lb, K, n: F / (K * n) + (lW * W + lH * H + lb * b) / 2,
    "dang2024": lambda F, W, H, b, lW, lH, lb, K, n: F / (K * n) + (lW * W + lH * H + lb * b) / 2,
    "garrod2024": lambda F, W, H, b, lW, lH, lb, K, n: F / (K * n) + (lW * W + lH * H + lb * b) / 2,
    "hong2023": lambda F, W, H, b, lW, lH, lb, K, n: F / (K * n) + lW * W + lH * H + lb * b,
    "ufm": lambda F, W, H, b, lW, lH, lb, K, n: F / (2 * K * n) + (lW * W + lH * H + lb * b) / 2,
}


@pytest.mark.parametrize("key", sorted(SCALINGS))
def test_every_scaling_maps_the_papers_objective_to_ours(key):
    chosen, rng = scaling(key), np.random.default_rng(3)
    K, n, weights = 3, 4, {"lam_W": 0.3, "lam_H": 0.7, "lam_b": 0.2}
    ours = chosen.to_ours(weights, K, K * n)
    problem = Problem(targets=classes(encodings.one_hot(K), n), loss=chosen.loss, **ours)
    W, H, b = rng.standard_normal((K, 5)), rng.standard_normal((5, K * n)), rng.standard_normal(K)
    Z, Y = W @ H + b[:, None], problem.targets.matrix()
    F = np.sum((Z - Y) ** 2) if chosen.loss == "mse" else np.sum(np.log(np.exp(Z).sum(axis=0)) - np.sum(Y * Z, axis=0))
    printed = PAPERS[key](F, np.sum(W**2), np.sum(H**2), b @ b, 0.3, 0.7, 0.2, K, n)
    assert printed == pytest.approx(chosen.factor(K, K * n) * float(objective(problem, W, H, b)), rel=roundoff(1, 1000))
    assert chosen.from_ours(ours, K, K * n) == pytest.approx(weights, rel=roundoff())
    assert chosen.to_ours({"lam_W": (0.3, 0.3)}, K, K * n)["lam_W"] == (ours["lam_W"],) * 2


def test_a_table_of_targets_may_be_written_by_hand(tmp_path):
    """The encoding's own numbers stand beside its name, or in `parameters`; what is missing is named."""
    text = "lam_W = 0.1\nlam_H = 0.1\n[targets]\nencoding = 'one_hot'\n"
    (tmp_path / "p.toml").write_text(text + "K = 4\ncounts = 2\n")
    problem = Problem.from_toml(tmp_path / "p.toml")
    assert (problem.K, problem.N) == (4, 8)
    for wrong, says in (("counts = 2\n", "K"), ("counts = 2\nk = 4\n", "k"), ("K = 4\n", "give counts")):
        (tmp_path / "p.toml").write_text(text + wrong)
        with pytest.raises(ProblemError, match=says):
            Problem.from_toml(tmp_path / "p.toml")
    (tmp_path / "p.toml").write_text(text + "K = 4\ncounts = 2\nparameters = 3\n")
    with pytest.raises(ProblemError, match="K = 4"):
        Problem.from_toml(tmp_path / "p.toml")


def test_a_bias_of_another_shape_is_named():
    problem = Problem(classes(np.eye(3), 4), lam_W=0.1, lam_H=0.1, lam_b=0.2)
    for function in (objective, gradient):
        with pytest.raises(ProblemError, match=r"b = \(2,\): this is its shape; it needs \(3,\)"):
            function(problem, np.zeros((3, 5)), np.zeros((5, 3)), np.zeros(2))
