"""The independent referee: every convex program of the constraints, stated anew for cvxpy, solved by somebody else.

Each function returns the point that cvxpy found; its value and its bound are recomputed from it, without cvxpy, by the
solver of the constraint. solver: cvxpy's name of it. Accurate to about 1e-8 in the value.
"""

import math
from typing import Any

import numpy as np

from ufm.constraints import FeatureMetric, Near, NormBudget
from ufm.losses import RescaledMSE
from ufm.optimum.referees import run
from ufm.problem import Problem

_TURNS, _PROJECTIONS = 5, 200  # that look for a non-negative factor


def feature_metric(problem: Problem, metric: FeatureMetric, solver: str) -> np.ndarray:
    """X (m x K) with the class means' logits X M^(1/2) + b."""
    import cvxpy as cp

    columns = metric.M.shape[0]
    X, b = cp.Variable((problem.m, columns)), cp.Variable(problem.m)
    terms, held = _bias(problem, b)
    terms.append(_fit(problem, X @ metric.root + _repeated(b, columns)))
    terms.append(math.sqrt(float(problem.lam_W[0]) * float(problem.lam_H)) * cp.normNuc(X))
    run(cp.Problem(cp.Minimize(sum(terms)), held), solver)
    return np.asarray(X.value)


def fixed_classifier(problem: Problem, W: np.ndarray, solver: str) -> tuple[np.ndarray, np.ndarray]:
    """H (d x columns) and b (m) for this W (m x d); both losses."""
    import cvxpy as cp

    T, n = problem.targets.columns, problem.targets.multiplicity
    H, b = cp.Variable((W.shape[1], T.shape[1])), cp.Variable(problem.m)
    terms, held = _bias(problem, b)
    terms.append(_fit(problem, W @ H + _repeated(b, T.shape[1])))
    terms.append(float(problem.lam_H) / 2 * cp.sum_squares(H @ np.diag(np.sqrt(n))))
    run(cp.Problem(cp.Minimize(sum(terms)), held), solver)
    return np.asarray(H.value), np.asarray(b.value) if problem.has_bias else np.zeros(problem.m)


def hard_margin(root: np.ndarray, solver: str) -> np.ndarray:
    """The logits Z (K x K) of least ||Z diag(root)||_* with unit margins; root: square roots of the class sizes."""
    import cvxpy as cp

    K = root.size
    Z = cp.Variable((K, K))
    held: list[Any] = [Z[k, k] - Z[j, k] >= 1 for k in range(K) for j in range(K) if j != k]
    run(cp.Problem(cp.Minimize(cp.normNuc(Z @ np.diag(root / root.max()))), held), solver)
    return np.asarray(Z.value)


def norm_budget(share: np.ndarray, budget: NormBudget, solver: str) -> np.ndarray:
    """The logits Z (K x K) of fang2021's program in the Gram matrix of both factors, each block with its own budget."""
    import cvxpy as cp

    K = share.size
    gram, weight = cp.Variable((2 * K, 2 * K), PSD=True), share / share.max()
    Z: Any = gram[:K, K:]
    fit: Any = sum(weight[k] * (cp.log_sum_exp(Z[:, k]) - Z[k, k]) for k in range(K))
    held: list[Any] = [cp.trace(gram[:K, :K]) <= K * budget.E_W, cp.trace(gram[K:, K:]) <= K * budget.E_H]
    run(cp.Problem(cp.Minimize(fit), held), solver)
    return np.asarray(gram.value)[:K, K:]


def non_negative(
    problem: Problem, t: float, features: int, solver: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """X (m x columns), b (m), and W (m x j), G >= 0 (j x columns) with W G near X; units of `atoms`, j = features.

    The doubly non-negative relaxation in the Gram matrix of W and G: exact up to four columns, a bound beyond.
    """
    import cvxpy as cp

    m, columns = problem.targets.columns.shape
    root = np.sqrt(problem.targets.multiplicity / problem.N)
    gram, b = cp.Variable((m + columns, m + columns), PSD=True), cp.Variable(m)
    terms, held = _bias(problem, b)
    terms.append(_fit(problem, gram[:m, m:] @ np.diag(1 / root) + _repeated(b, columns)))
    terms.append(t / 2 * cp.trace(gram))
    run(cp.Problem(cp.Minimize(sum(terms)), [gram[m:, m:] >= 0, *held]), solver)
    found = np.asarray(gram.value)
    W, G = _non_negative_factors(found, m, features)
    return found[:m, m:], np.asarray(b.value) if problem.has_bias else np.zeros(m), W, G


def _non_negative_factors(gram: np.ndarray, m: int, features: int) -> tuple[np.ndarray, np.ndarray]:
    """W (m x j) and G >= 0 (j x columns) of which this is about the Gram matrix: a root of it, turned until G >= 0.

    Projections alternate between the turns of the root and the matrices that are nowhere negative, from several turns;
    what the best of them leaves below zero is cut.
    """
    values, vectors = np.linalg.eigh((gram + gram.T) / 2)
    root = vectors * np.sqrt(np.maximum(values, 0))
    root = root @ np.linalg.svd(root[m:], full_matrices=False)[2].T  # what no feature has is dropped
    root = np.pad(root, ((0, 0), (0, features - root.shape[1])))
    rng = np.random.default_rng(0)
    starts = (np.linalg.qr(rng.standard_normal((features, features)))[0] for _ in range(_TURNS))
    turn = min((_turned(root[m:], start) for start in starts), key=lambda turn: -float(np.min(root[m:] @ turn)))
    return root[:m] @ turn, np.maximum(root[m:] @ turn, 0).T


def _turned(B: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """An orthogonal matrix near which B turn >= 0, by alternating projections (columns x j, j x j)."""
    for _ in range(_PROJECTIONS):
        found = B @ turn
        if float(np.min(found)) >= -1e-9:
            break
        U, _, Vt = np.linalg.svd(B.T @ np.maximum(found, 0))
        turn = U @ Vt
    return turn


def near(problem: Problem, given: Near, solver: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """E (m x N), which maximises the bound of `near`, a convex program, and the W (m x d) and b (m) it asks for.

    Where that E has no singular value at sqrt((lam_H + beta/N) lam_W), they are the global minimum; else they need not
    be critical. E lies in the span of the rows of Y, H0 and 1, so N does not enter the size of the program.
    """
    import cvxpy as cp

    N, lam_W, lam_b = problem.N, float(problem.lam_W[0]), float(problem.lam_b)
    Y, ones, drag = problem.targets.matrix(), np.ones(N), given.beta / N
    a = float(problem.lam_H) + drag
    _, s, Vt = np.linalg.svd(np.vstack([Y, given.H0, ones]), full_matrices=False)
    V = Vt[s > 1e-12 * s[0]].T  # N x r
    y, h, v, r = Y @ V, given.H0 @ V, ones @ V, int(np.sum(s > 1e-12 * s[0]))
    scale = math.sqrt(a * lam_W)  # E = scale F, so that ||F||_op <= 1
    F, slack = cp.Variable((problem.m, r)), cp.Variable((r, r), symmetric=True)
    value: Any = scale * cp.trace(F.T @ y) - N * scale**2 / 2 * cp.sum_squares(F)
    value -= drag**2 / (2 * a) * cp.matrix_frac(h.T, slack)
    held: list[Any] = [cp.bmat([[np.eye(r) - slack, F.T], [F, np.eye(problem.m)]]) >> 0]
    if lam_b == 0:
        held.append(F @ v == 0)
    elif problem.has_bias:
        value -= scale**2 / (2 * lam_b) * cp.sum_squares(F @ v)
    run(cp.Problem(cp.Maximize(value), held), solver)
    E = scale * np.asarray(F.value)
    left, vectors = np.linalg.eigh(a * np.eye(r) - E.T @ E / lam_W)
    response = (vectors / np.maximum(left, 1e-12 * a)) @ vectors.T
    H = drag * h @ response
    W = E @ H.T / lam_W
    b = np.zeros(problem.m)
    if problem.has_bias:
        b = (E @ v) / lam_b if lam_b > 0 else np.mean(Y - W @ H @ V.T, axis=1)
    return E @ V.T, W, b


def _fit(problem: Problem, Z: Any) -> Any:
    """The loss at the logits Z (m x columns), weighed by the sizes."""
    import cvxpy as cp

    T, share = problem.targets.columns, problem.targets.multiplicity / problem.N
    if problem.loss == "mse":
        return cp.sum_squares((Z - T) @ np.diag(np.sqrt(share))) / 2
    if isinstance(problem.loss, RescaledMSE):
        weights = np.sqrt(problem.loss.weights(T) * share)
        return cp.sum_squares(cp.multiply(weights, Z - problem.loss.M * T)) / 2
    columns = range(T.shape[1])
    return sum(share[k] * (T[:, k].sum() * cp.log_sum_exp(Z[:, k]) - T[:, k] @ Z[:, k]) for k in columns)


def _bias(problem: Problem, b: Any) -> tuple[list[Any], list[Any]]:
    """The penalty of the bias, and what holds it."""
    import cvxpy as cp

    if not problem.has_bias:
        return [], [b == 0]
    if float(problem.lam_b) > 0:
        return [float(problem.lam_b) / 2 * cp.sum_squares(b)], []
    # A constant in every logit changes nothing in a cross-entropy.
    return [], [cp.sum(b) == 0] if problem.loss == "cross_entropy" else []


def _repeated(b: Any, columns: int) -> Any:
    import cvxpy as cp

    return cp.reshape(b, (b.size, 1), order="C") @ np.ones((1, columns))
