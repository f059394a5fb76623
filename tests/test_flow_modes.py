"""A-mode, S-mode and the propagator against the full flow: slopes, trajectories, metrics, starts, and refusals."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ufm import encodings
from ufm.errors import ProblemError
from ufm.flow import Flow, Options, State, Status, random_start, simulate, simulate_many
from ufm.flow.coordinates import Coordinates, Mode, coordinates
from ufm.flow.kernel import diagonal_and_mean
from ufm.flow.start import LARGE, wishart_factor
from ufm.flow.state import checked
from ufm.flow.within import collapse
from ufm.metrics.nc1 import nc1, nc1_ratio
from ufm.metrics.split import split_classes
from ufm.problem import Problem, Targets, classes, gradient, objective, reduce_problem, samples
from ufm.tolerance import roundoff

RNG = np.random.default_rng(11)
TARGETS: dict[str, Targets] = {
    "balanced": classes(encodings.one_hot(4), 9),
    "imbalanced": classes(encodings.one_hot(3), [9, 4, 12]),
    "simplex": classes(encodings.simplex(3), 9),
    "more classes than codes": classes(RNG.standard_normal((2, 6)), [3, 4, 5, 6, 7, 8]),
    "regression": samples(RNG.standard_normal((2, 30))),
}
BY_COVARIANCE: tuple[Mode, ...] = ("A", "S", "propagator")


def start_of(problem: Problem, seed: int = 0) -> State:
    state = random_start(problem, seed, samples=True)
    b = np.random.default_rng(seed).standard_normal(problem.m) if problem.has_bias else state.b
    return checked(problem, State(state.W, state.H, b))


def parted(problem: Problem, H: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Class means (for regression reduced columns) of all samples' features, and the part that sees no target."""
    if problem.targets.multiplicity.size < problem.N:
        means = State(np.zeros((1, H.shape[0])), H).class_means(problem)
        return means, H - np.repeat(means, problem.classes.counts, axis=1)
    basis = reduce_problem(problem).basis
    return H @ basis.T, H - H @ basis.T @ basis


def by_covariance(problem: Problem, state: State) -> State:
    means, within = parted(problem, state.H)
    return State(state.W, means, state.b, within @ within.T / problem.N)


def difference(a: State, b: State) -> float:
    """The largest of all entries, S included, relative to the largest of b."""
    pairs = [*zip(a.W, b.W, strict=True), (a.H, b.H), (a.b, b.b)]
    pairs += [] if a.S is None or b.S is None else [(a.S, b.S)]
    return max(float(np.abs(x - y).max()) for x, y in pairs) / max(float(np.abs(y).max()) for _, y in pairs)


def problem_of(targets: str, mode: Mode, **changes: Any) -> Problem:
    lam_H = 0.03 if mode == "A" else 0.01
    return Problem(targets=TARGETS[targets], **{"lam_W": 0.03, "lam_H": lam_H, "lam_b": 0.2, "width": 7, **changes})


def error_of_slope(problem: Problem, at: Coordinates, y: np.ndarray, state: State) -> float:
    """Of W, b and the seen columns, and of S where it moves by itself, against the reference gradient."""
    G = gradient(problem, state.W, state.H, state.b)
    _, within = parted(problem, state.H)
    dseen, dwithin = parted(problem, -G.H)
    slope = at.field(y, 0.0)
    db, dW, dHt = at.field.unpack(slope)
    wide = np.eye(state.H.shape[0]) if at.span is None else at.span
    columns = wide @ dHt.T
    db = db if at.field.m else 0.0 * state.b
    ours = State((*dW[:-1], dW[-1] @ wide.T), columns if at.columns.scale is None else columns / at.columns.scale, db)
    expected = State(tuple(-w for w in G.W), dseen, -G.b)
    if at.mode != "A":
        moving = at.field.within.matrix(slope[at.field.seen :])  # pyright: ignore
        wide_S = wide @ moving @ wide.T
        if at.outside is not None and at.columns.held is None:
            wide_S -= 2 * at.field.lam_H * at.outside
        dS = dwithin @ within.T
        scale = np.abs(dS).max() + np.abs(within).max() ** 2
        assert at.outside is not None or np.abs(wide_S - dS - dS.T).max() <= 1e-13 * scale
    return difference(ours, expected)


@pytest.mark.parametrize("lam_b", [0.0, 0.2, np.inf])
@pytest.mark.parametrize("width", [2, 7, 40])
@pytest.mark.parametrize("targets", TARGETS)
@pytest.mark.parametrize("mode", BY_COVARIANCE)
def test_right_hand_side_is_minus_the_gradient(mode: Mode, targets: str, width: int, lam_b: float) -> None:
    problem = problem_of(targets, mode, width=width, lam_b=lam_b)
    state = start_of(problem)
    at, y = coordinates(problem, state, mode)
    assert error_of_slope(problem, at, y, state) < 1e-13
    G = gradient(problem, state.W, state.H, state.b)
    size = np.sqrt(sum(np.sum(x**2) for x in (*G.W, G.H, G.b)))
    np.testing.assert_allclose(at.field.gradient_norm(y, at.field(y), 0.0), size, rtol=1e-12)
    value = float(objective(problem, state.W, state.H, state.b))
    np.testing.assert_allclose(at.field.loss(y), value, rtol=1e-13)
    features = float(np.linalg.norm(state.H))
    np.testing.assert_allclose(at.field.norms(y, 0.0)[1], features, rtol=1e-12)
    back, given_back = at.state(y, 0.0), state if mode == "propagator" else by_covariance(problem, state)
    assert difference(back, given_back) < roundoff(4)


@given(
    counts=st.lists(st.integers(1, 9), min_size=2, max_size=5),
    m=st.integers(1, 4),
    d=st.integers(1, 12),
    lam=st.lists(st.floats(0, 1), min_size=2, max_size=4),
    lam_b=st.one_of(st.just(np.inf), st.floats(0, 10)),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=60, deadline=None)
def test_any_problem(counts: list[int], m: int, d: int, lam: list[float], lam_b: float, seed: int) -> None:
    """Any codes, sizes, weights and depth; equal weights and p = 2 also by the law."""
    codes = np.random.default_rng(seed).standard_normal((m, len(counts)))
    counts = [*counts[:-1], counts[-1] + 1]
    problem = Problem(targets=classes(codes, counts), lam_W=tuple(lam[1:]), lam_H=lam[0], lam_b=lam_b, width=d)
    for mode in BY_COVARIANCE:
        each = problem.replace(lam_W=lam[0]) if mode == "A" else problem
        state = start_of(each, seed)
        at, y = coordinates(each, state, mode)
        assert error_of_slope(each, at, y, state) < 1e-12


def run(problem: Problem, start: State, mode: Mode, t1: float) -> Flow:
    return simulate(problem, start, t1=t1, rtol=2e-14, atol=1e-16, mode=mode, integrator="dopri8")


def growth(problem: Problem, start: State, t1: float, seed: int) -> float:
    """How much a small perturbation of the start has grown by t1, at least 1."""
    rng, size = np.random.default_rng(seed), 1e-7
    moved = State((start.W[0] + size * rng.standard_normal(start.W[0].shape),), start.H, start.b)
    a, b = (simulate(problem, s, t1=t1, rtol=1e-12, mode="full").state for s in (start, moved))
    return max(1.0, difference(a, b) / size)


@given(
    counts=st.lists(st.integers(2, 6), min_size=2, max_size=4),
    d=st.integers(2, 6),
    log_lam=st.tuples(*[st.floats(-2.5, -0.5)] * 3),
    seed=st.integers(0, 2**16),
    mode=st.sampled_from([*BY_COVARIANCE, "samples"]),
)
@settings(max_examples=12, deadline=None)
def test_trajectories(counts: list[int], d: int, log_lam: tuple[float, float, float], seed: int, mode: Mode) -> None:
    """The reduced flow follows the full one to 1e-12 times the growth of perturbations, S and all samples included."""
    lam_W, lam_H, lam_b = (10.0**x for x in log_lam)
    targets = classes(np.random.default_rng(seed).standard_normal((2, len(counts))), counts)
    lam_W = lam_H if mode == "A" else lam_W
    problem = Problem(targets=targets, lam_W=lam_W, lam_H=lam_H, lam_b=lam_b, width=d)
    start, t1 = start_of(problem, seed), 20.0
    try:
        flow = run(problem, start, mode, t1)
    except ProblemError as error:  # too few samples for this width to save any
        assert mode == "samples" and "save anything" in str(error)  # noqa: PT017, PT018
        return
    full = run(problem, start, "full", t1).state
    expected = full if flow.state.S is None else by_covariance(problem, full)
    assert flow.provenance["mode"].startswith(mode)
    assert difference(flow.state, expected) < 1e-12 * growth(problem, start, t1, seed)


@pytest.mark.parametrize("mode", BY_COVARIANCE)
@pytest.mark.parametrize("targets", TARGETS)
def test_metrics_of_all_samples_in_every_mode(targets: str, mode: Mode) -> None:
    problem = problem_of(targets, mode)
    start = start_of(problem)
    ours, full = (simulate(problem, start, t1=30.0, rtol=1e-12, mode=m).record() for m in (mode, "full"))
    names = set(map(str, full.values)) - {"balance_drift"}  # A-mode imposes the law whose drift this is
    if targets == "regression" and mode != "propagator":  # the rest needs each sample by itself
        names = {"value", "gradient_norm", "classifier_norm", "classifier_gram", "energy_ratio", "bias", "bias_gap"}
        names |= {
            "singular_values",
            "singular_values_centred",
            "singular_value_mean",
            "bias_invariant",
            "mean_invariant",
        }
    assert names <= set(ours.values)
    for name in names:
        np.testing.assert_allclose(ours[name], full[name], rtol=1e-7, atol=1e-10, err_msg=name)


def test_collapse_from_the_covariance_is_the_metric() -> None:
    targets = classes(encodings.one_hot(3), [5, 9, 7])
    H = RNG.standard_normal((6, 21))
    problem = Problem(targets=targets, lam_W=1.0, lam_H=1.0)
    means, within = parted(problem, H)
    split = split_classes(H, targets.labels())
    for S, factor in ((within @ within.T / 21, None), (None, within)):
        ours = collapse(means, targets.counts, S, factor)
        np.testing.assert_allclose([ours["nc1"], ours["nc1_ratio"]], [nc1(split), nc1_ratio(split)], rtol=1e-12)
    same = collapse(np.ones((6, 3)), targets.counts, None, within)
    assert np.isinf([same["nc1"], same["nc1_ratio"]]).all()
    assert np.isnan(collapse(np.ones((6, 3)), targets.counts, np.zeros((6, 6)), None)["nc1"])


def test_a_covariance_that_leaves_the_span_to_itself_keeps_the_flow_in_it() -> None:
    """S0 a multiple of 1: only span(W', Hbar) moves, and outside it S decays as e^(-2 lam_H t)."""
    for lam_W, mode in ((0.02, "A"), (0.05, "S")):
        problem = Problem(targets=TARGETS["imbalanced"], lam_W=lam_W, lam_H=0.02, lam_b=0.1, width=30)
        W, means = random_start(problem, 3, collapsed=True).W, random_start(problem, 3, collapsed=True).H
        start = State(W, means, None, 0.1 * np.eye(30))
        flow = simulate(problem, start, t1=15.0, rtol=1e-12)
        assert flow.provenance["mode"].startswith(f"{mode}+span")
        rotated = simulate(problem, State(W, means, None, start.S + 1e-9 * np.diag(np.arange(30))), t1=15.0, rtol=1e-12)
        assert "span" not in rotated.provenance["mode"]
        assert difference(flow.state, rotated.state) < 1e-6
        away = np.linalg.svd(np.vstack([W[0], means.T]))[2][-1]
        np.testing.assert_allclose(away @ flow.state.S @ away, 0.1 * np.exp(-2 * 0.02 * 15.0), rtol=1e-9)


def test_modes_from_the_same_covariance_agree_and_come_to_rest() -> None:
    problem = problem_of("imbalanced", "A")
    start = by_covariance(problem, start_of(problem))
    flows = {mode: simulate(problem, start, mode=mode) for mode in ("auto", "A", "S", "samples")}
    assert flows["auto"].provenance["mode"].startswith("A,")
    for flow in flows.values():
        assert flow.status is Status.STEADY
        assert flow.state.S is not None
        np.testing.assert_allclose(flow.record()["cosine"], flows["samples"].record()["cosine"], atol=1e-7)
    assert simulate(problem.replace(lam_W=0.02), start, t1=1.0).provenance["mode"].startswith("S,")


@pytest.mark.parametrize("rtol", [1e-6, 1e-8, 1e-10])
def test_imex_of_order_four_comes_to_rest_by_covariance(rtol: float) -> None:
    """Without steps too long for a fast mode that its errors do not show: those left a residue that never settled."""
    problem = problem_of("imbalanced", "A")
    start = by_covariance(problem, start_of(problem))
    alone = simulate(problem, start, mode="S", integrator="kencarp4", rtol=rtol, max_steps=3000)
    options = Options(rtol=rtol, integrator="kencarp4", mode="S", max_steps=3000)
    for flow in (alone, *simulate_many([problem, problem.replace(lam_b=0.3)], start, options=options)):
        assert flow.status is Status.STEADY
        assert flow.rejected <= 3


def test_the_gradient_bound_of_the_law_is_a_bound() -> None:
    problem = problem_of("balanced", "A", lam_W=0.05, lam_H=0.05)
    start = start_of(problem)
    law, kept = (simulate(problem, start, t1=300.0, rtol=1e-10, mode=mode) for mode in ("A", "samples"))
    assert kept.gradient_norm <= law.gradient_norm * 1.01 <= 1e3 * kept.gradient_norm


def test_one_hot_codes_and_shifts_of_them_need_no_product_with_the_targets() -> None:
    root = np.sqrt([9.0, 4.0, 12.0])
    for code in (np.eye(3), np.eye(3) - 1 / 3, encodings.smoothed(encodings.one_hot(3), 0.1).codes):
        parts = diagonal_and_mean(code * root, root)
        assert parts is not None
        np.testing.assert_allclose(np.diag(parts[0]) + np.outer(parts[1], root), code * root, atol=roundoff(4))
    assert diagonal_and_mean(RNG.standard_normal((3, 3)) * root, root) is None


# --- starts ---------------------------------------------------------------------------------------------------------


def test_starts_by_covariance_have_the_law_of_all_samples() -> None:
    """Means of W, Hbar, S; the covariance of S's entries; extreme eigenvalues: both ways of drawing, within errors."""
    problem = Problem(targets=classes(encodings.one_hot(3), [5, 9, 7]), lam_W=0.1, lam_H=0.1, width=6)
    repeats, found = 4000, {True: [], False: []}
    for way in found:
        rng = np.random.default_rng(5 + way)
        for _ in range(repeats):
            state = random_start(problem, rng, samples=way, scale=1.5)
            state = by_covariance(problem, state) if way else state
            values = np.linalg.eigvalsh(state.S)
            found[way].append([np.trace(state.S), state.S[0, 1], values[0], values[-1], state.S[0, 0] * state.S[1, 1],
                               state.S[0, 1] ** 2, np.linalg.norm(state.H[:, 0]) ** 2, values[0] ** 2])  # fmt: skip
    a, b = np.asarray(found[True]), np.asarray(found[False])
    errors = np.sqrt((a.var(axis=0) + b.var(axis=0)) / repeats)
    assert np.all(np.abs(a.mean(axis=0) - b.mean(axis=0)) < 4.5 * errors)
    assert np.all(np.abs(a.std(axis=0) / b.std(axis=0) - 1) < 0.15)
    exact = 1.5**2 * (21 - 3) / 21  # E tr S = scale^2 (N - K)/N
    assert abs(b[:, 0].mean() - exact) < 4.5 * errors[0]


def test_wishart_factor_with_few_samples_and_many() -> None:
    rng = np.random.default_rng(0)
    assert wishart_factor(rng, 5, 3).shape == (5, 3)
    big = wishart_factor(rng, 4, 10**7)
    np.testing.assert_allclose(big @ big.T / 1e7, np.eye(4), atol=5e-3)


def test_large_starts_are_drawn_by_covariance() -> None:
    large = Problem(targets=classes(encodings.one_hot(4), 10**6), lam_W=1e-4, lam_H=1e-4, lam_b=0.1, width=8)
    assert large.N * 8 > LARGE
    start = random_start(large, 0)
    assert start.H.shape == (8, 4)
    assert start.S is not None
    np.testing.assert_array_equal(start.S, random_start(large, 0).S)
    assert simulate(large, 0, t1=1.0).provenance["mode"].startswith("A,")
    assert random_start(large, 0, collapsed=True).S is None
    regression = samples(RNG.standard_normal((2, 40)))
    drawn = random_start(Problem(targets=regression, lam_W=0.1, lam_H=0.1, width=5), 0, samples=False)
    assert drawn.H.shape == (5, 3)
    with pytest.raises(ProblemError, match="moves every sample by itself"):
        random_start(large.replace(loss="cross_entropy"), 0, samples=False)


def test_class_means_of_any_sizes() -> None:
    for counts in ([4, 2, 7], 5):
        problem = Problem(targets=classes(encodings.one_hot(3), counts), lam_W=1.0, lam_H=1.0, width=4)
        H = RNG.standard_normal((4, problem.N))
        labels = problem.classes.labels()
        expected = np.stack([H[:, labels == k].mean(axis=1) for k in range(3)], axis=1)
        np.testing.assert_allclose(State(np.zeros((3, 4)), H).class_means(problem), expected, atol=roundoff())


# --- refusals -------------------------------------------------------------------------------------------------------

EQUAL = problem_of("balanced", "A")
DEEP = EQUAL.replace(lam_W=(0.03, 0.03))
ENTROPY = EQUAL.replace(loss="cross_entropy")
GOOD = by_covariance(EQUAL, start_of(EQUAL))


@pytest.mark.parametrize(
    ("problem", "start", "mode", "text"),
    [
        (EQUAL.replace(lam_H=0.01), start_of(EQUAL), "A", "its law needs lam_W = lam_H, and here lam_W = 0.03"),
        (EQUAL.replace(lam_H=0.01), GOOD, "A", "its law needs lam_W = lam_H"),
        (DEEP, start_of(DEEP), "A", "its law holds for p = 2"),
        (ENTROPY, start_of(EQUAL), "A", "exact for the squared loss only"),
        (ENTROPY, start_of(EQUAL), "S", "exact for the squared loss only"),
        (ENTROPY, GOOD, "auto", "moves every sample by itself"),
        (EQUAL, random_start(EQUAL, 0, collapsed=True), "S", "the start is collapsed"),
        (EQUAL, GOOD, "collapsed", "not exact for features that differ"),
        (EQUAL, GOOD, "full", "it needs all N samples"),
        (EQUAL, GOOD, "propagator", "it needs all N samples"),
        (EQUAL, State(GOOD.W, GOOD.H, None, np.eye(3)), "auto", r"start.S = \(3, 3\)"),
        (EQUAL, State(GOOD.W, start_of(EQUAL).H, None, GOOD.S), "auto", "with S it holds 4 class means"),
        (EQUAL, State(GOOD.W, GOOD.H, None, -np.eye(7)), "auto", "a negative eigenvalue"),
        (EQUAL, State(GOOD.W, GOOD.H, None, np.triu(np.ones((7, 7)))), "auto", "not symmetric"),
        (EQUAL, State(GOOD.W, GOOD.H, None, np.full((7, 7), np.nan)), "auto", "start.S = 'NaN or inf'"),
    ],
)
def test_refusals_name_field_value_and_fix(problem: Problem, start: State, mode: Mode, text: str) -> None:
    with pytest.raises(ProblemError, match=text):
        simulate(problem, start, mode=mode)


def test_a_wrong_law_is_caught() -> None:
    """Planted: the law of A-mode with a weight that is not the problem's goes wrong at first order in t."""
    problem = problem_of("balanced", "A")
    start = start_of(problem)
    wrong = simulate(problem.replace(lam_H=0.04), start, t1=5.0, rtol=1e-12, mode="S").state
    right = simulate(problem, start, t1=5.0, rtol=1e-12, mode="A").state
    assert np.abs(wrong.W[0] - right.W[0]).max() > 1e-4
