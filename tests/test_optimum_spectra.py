"""Spectra after one decomposition: the arrow matrix against LAPACK on hard cases, and both spaces on one problem."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ufm import encodings
from ufm.optimum import solve
from ufm.optimum.squared import spectra
from ufm.optimum.squared.arrow import Arrow
from ufm.optimum.squared.duality import norm_bound
from ufm.optimum.squared.newton import solve_newton
from ufm.optimum.squared.shrinkage import ShrinkageProblem
from ufm.optimum.squared.spectra import ArrowSpectra, DenseSpectra
from ufm.problem import Problem, classes, reduce_problem
from ufm.tolerance import roundoff


def hard_case(seed):
    """Diagonal and column: spread over decades, equal or nearly equal entries, zeros, columns that hardly couple."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 30))
    d = 10 ** rng.uniform(-6, 0, n) if seed % 3 else rng.random(n)
    w = rng.standard_normal(n) * 10 ** rng.uniform(-8, 2)
    kind = seed % 9
    if kind == 1:
        d[:] = d[0]
    if kind == 2:
        d = rng.choice(d, n)
    if kind == 3:
        w *= 10.0 ** rng.uniform(-20, 0, n)
    if kind == 4:
        d[n // 2 :] = 0
    if kind == 5:
        w[rng.random(n) < 0.5] = 0
    if kind == 6:
        d, w = d * 1e-100, w * 1e-100
    if kind == 7:
        d = d[0] * (1 + 1e-15 * rng.integers(0, 9, n))
    if kind == 8:
        w[:], w[-1] = 1e-17, d[n // 2]  # a root falls on another entry of the diagonal
    return np.sort(d)[::-1], w * float(d.max())


def vectors(arrow, found):
    """Left and right singular vectors, one a column."""
    upper = arrow.d[:, None] * found.U / (found.sigma / arrow.unit)
    return found.U, np.vstack([upper, found.v])


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 10**6))
def test_an_arrow_has_the_decomposition_that_lapack_finds(seed):
    d, w = hard_case(seed)
    T = np.hstack([np.diag(d), w[:, None]])
    size = float(np.linalg.norm(T)) or 1.0
    arrow = Arrow(d, size)
    found = arrow.spectrum(w)
    U, V = vectors(arrow, found)
    small = roundoff(1, 4 * d.size)
    assert np.allclose(U.T @ U, np.eye(d.size), atol=small)
    assert np.allclose(V.T @ V, np.eye(d.size), atol=small)
    assert np.allclose((U * found.sigma) @ V.T, T, atol=small * size)
    assert np.all(np.diff(found.sigma) <= 0)


def test_a_stack_of_arrows_is_each_of_them():
    rng = np.random.default_rng(3)
    d, w = np.sort(rng.random(6))[::-1], rng.standard_normal((6, 20)) * 10 ** rng.uniform(-6, 1, 20)
    arrow = Arrow(d, 1.0)
    together = arrow.spectrum(w)
    for i in range(20):
        alone = arrow.spectrum(w[:, i])
        assert np.allclose(together.sigma[:, i], alone.sigma, rtol=roundoff())
        assert np.allclose(together.U[:, :, i], alone.U, atol=roundoff(1, 100))
        assert np.allclose(together.v[:, i], alone.v, atol=roundoff(1, 100))


@pytest.mark.parametrize(("m", "K"), [(50, 50), (80, 45), (45, 80), (60, 60)])
@pytest.mark.parametrize("lam_b", [1e-6, 0.05, 3.0])
def test_both_spaces_find_one_optimum(m, K, lam_b):
    rng = np.random.default_rng(m + K)
    codes = np.eye(50) if m == K == 50 else rng.standard_normal((m, K)) @ np.diag(10 ** rng.uniform(-3, 0, K))
    counts = np.maximum(1, 10 ** rng.uniform(0, 4, K)).astype(int)
    sigma = np.linalg.svd(codes * np.sqrt(counts / counts.sum()), compute_uv=False)
    c = float(sigma[min(m, K) // 3]) / math.sqrt(counts.sum())
    problem = Problem(targets=classes(codes, counts), lam_W=c, lam_H=c, lam_b=lam_b)
    optimum = solve(problem, method="newton")
    assert optimum.certificate.work == 1
    assert abs(optimum.gap) <= 1e-12 * max(1, optimum.value)
    assert optimum.certificate.stationarity <= 1e-9
    reduced = ShrinkageProblem.of(problem, reduce_problem(problem))
    assert isinstance(spectra.spectra(reduced), ArrowSpectra)
    direct = DenseSpectra(reduced).at(optimum.b)
    s = np.maximum(direct.sigma - reduced.threshold, 0) * math.sqrt(problem.N)
    assert np.allclose(optimum.singular_values[: s.size], s, atol=1e-12 * float(s[0]))


def test_a_spoilt_arrow_is_noticed_and_done_without(monkeypatch):
    """The decomposition has to give the matrix back: with a wrong root it does not, and LAPACK takes over."""
    counts = np.round(np.geomspace(5000, 50, 60)).astype(int)
    problem = Problem(targets=classes(encodings.one_hot(60), counts), lam_W=2e-4, lam_H=2e-4, lam_b=0.02)
    right = solve(problem)
    true = Arrow._roots

    def wrong(self, w2):
        from_pole, roots = true(self, w2)
        return from_pole, roots * (1 + 1e-9)

    monkeypatch.setattr(Arrow, "_roots", wrong)
    reduced = ShrinkageProblem.of(problem, reduce_problem(problem))
    solution, svds = solve_newton(reduced)
    assert svds > 1
    assert np.allclose(solution.b, right.b, atol=1e-10)
    assert np.allclose(solution.s * math.sqrt(problem.N), right.singular_values[: solution.rank], rtol=1e-10)


@pytest.mark.parametrize("seed", range(4))
def test_the_bound_of_a_large_norm_is_above_it_and_close(seed):
    """By Lanczos and a Cholesky factor: never below the norm, for tight clusters of singular values too."""
    rng = np.random.default_rng(seed)
    U, V = (np.linalg.qr(rng.standard_normal((230, 230)))[0] for _ in range(2))
    spread = [np.ones(230), np.linspace(1, 0.999999, 230), np.geomspace(1, 1e-8, 230), rng.uniform(0, 1, 230)][seed]
    E = 0.3 * (U * spread) @ V
    norm = float(np.linalg.norm(E, 2))
    for threshold in (1.0, norm, norm / 2):
        bound = norm_bound(E, threshold)
        assert bound >= norm * (1 - 1e-14)
        assert bound <= max(threshold, norm) * (1 + 2e-9)
    assert norm_bound(E[:, :100], norm) == pytest.approx(np.linalg.norm(E[:, :100], 2), rel=1e-14)
