"""Batches: a grid of weights solved at once says what single solves say, with bounds of its own."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ufm import encodings
from ufm.errors import ProblemError, UfmError
from ufm.optimum import solve
from ufm.optimum.squared import batch
from ufm.problem import Problem, classes, samples
from ufm.tolerance import tolerance


def stated(seed):
    """Targets of any kind: more or fewer outputs than classes, equal codes, a mean that is a singular direction."""
    rng = np.random.default_rng(seed)
    m, K = rng.integers(1, 8, 2)
    codes = rng.standard_normal((m, K))
    if seed % 4 == 0:
        codes = np.eye(K)
    if seed % 4 == 1:
        codes[:, rng.integers(K)] = codes[:, 0]
    counts = np.maximum(1, 10 ** rng.uniform(0, 4, K)).astype(int) if seed % 3 else np.full(K, 7)
    c = 10 ** rng.uniform(-3, 0) / math.sqrt(counts.sum())
    return Problem(targets=classes(codes, counts), lam_W=c, lam_H=c, lam_b=0.3)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_a_grid_says_what_single_solves_say(seed):
    problem = stated(seed)
    lam_b, lam_W = [0.0, 1e-8, 0.02, 1.0, 300.0, math.inf], [1e-6, 0.3 * float(problem.lam_W[0]), 0.01, 100.0]
    optima = solve(problem, over={"lam_b": lam_b, "lam_W": lam_W})
    assert optima.shape == (6, 4)
    allowed = tolerance("optimum", "value")
    for i, b in enumerate(lam_b):
        for j, w in enumerate(lam_W):
            single, point = solve(problem.replace(lam_b=b, lam_W=w)), optima[i, j]
            for value in (optima.value[i, j], point.value):
                assert abs(value - single.value) <= allowed.allowed(single.value)
            assert abs(optima.gap[i, j]) <= 1e-12 * max(1, single.value)
            assert abs(point.gap) <= 1e-12 * max(1, single.value)
            assert optima.rank[i, j] == point.certificate.rank
            scale = max(1e-12, float(np.linalg.norm(single.logits)))
            assert np.allclose(point.logits, single.logits, atol=1e-7 * scale)
            assert float(point.problem.lam_b) == b


def test_the_record_has_the_swept_fields_as_dimensions():
    problem = Problem(targets=classes(encodings.one_hot(4), [9, 7, 4, 4]), lam_W=0.01, lam_H=0.01, lam_b=1)
    optima = solve(problem, over={"lam_H": [0.01, 0.02], "lam_b": [0.1, 1, math.inf]})
    record = optima.record()
    assert record["gram"].dims == ("lam_H", "lam_b", "class", "other_class")
    assert np.allclose(record["value"].values, optima.value, rtol=1e-13)
    one = record.select(lam_H=0.02, lam_b=1.0)
    assert np.allclose(one["gram"], solve(problem.replace(lam_H=0.02)).gram, atol=1e-12)
    assert len(list(optima)) == len(optima) == 6
    assert optima[-1, -1].value == pytest.approx(optima.value[1, 2], rel=1e-13)


def test_grids_without_a_batch_go_point_by_point():
    problem = Problem(targets=samples(np.arange(6.0).reshape(2, 3)), lam_W=0.1, lam_H=0.1, lam_b=0.2, width=1)
    for method in ("auto", "newton"):
        optima = solve(problem, method=method, over={"lam_b": [0.1, 0.5]})
        assert [o.value for o in optima] == [solve(problem.replace(lam_b=b)).value for b in (0.1, 0.5)]
        assert optima.value.tolist() == [o.value for o in optima]


def test_chunks_do_not_show(monkeypatch):
    problem = stated(6)
    whole = solve(problem, over={"lam_b": np.geomspace(0.01, 10, 23)})
    monkeypatch.setattr(batch, "_ENTRIES", 1)
    assert np.allclose(solve(problem, over={"lam_b": np.geomspace(0.01, 10, 23)}).value, whole.value, rtol=1e-14)


def test_a_spoilt_batch_is_caught_by_its_bound(monkeypatch):
    """Biases that stopped too early leave a gap in the bound, which knows nothing of how they were found."""
    problem = Problem(targets=classes(encodings.ordinal(5), [50, 20, 5, 3, 2]), lam_W=0.01, lam_H=0.01, lam_b=1)
    monkeypatch.setattr(batch, "SETTLED", 0.1)
    assert solve(problem, over={"lam_b": [0.03, 0.3]}).gap.max() > 1e-9


@pytest.mark.parametrize(
    ("over", "words"),
    [
        ({}, "fields among"),
        ({"width": [1, 2]}, r"over\['width'\].*only weights"),
        ({"lam_b": [0.1, -1.0]}, r"over\['lam_b'\]\[1\] = -1.0"),
        ({"lam_b": [math.nan]}, r"over\['lam_b'\]\[0\] = nan"),
        ({"lam_W": [0.1, math.inf]}, "finite"),
        ({"lam_W": ["a"]}, "sequence of numbers"),
        ({"lam_W": [[0.1]]}, "sequence of numbers"),
        ({"lam_W": []}, "sequence of numbers"),
    ],
)
def test_errors_name_the_axis_the_value_and_the_fix(over, words):
    problem = Problem(targets=classes(encodings.one_hot(3), 2), lam_W=0.1, lam_H=0.1)
    with pytest.raises(ProblemError, match=words):
        solve(problem, over=over)


def test_indices_are_checked():
    problem = Problem(targets=classes(encodings.one_hot(3), 2), lam_W=0.1, lam_H=0.1)
    optima = solve(problem, over={"lam_W": [0.1, 0.2], "lam_b": [0.0, 1.0]})
    with pytest.raises(UfmError, match="one index per axis: lam_W, lam_b"):
        optima[0]
    with pytest.raises(IndexError, match="outside"):
        optima[0, 2]
    with pytest.raises(ProblemError, match="one problem a call"):
        solve(problem, method="groups", over={"lam_b": [1.0]})
