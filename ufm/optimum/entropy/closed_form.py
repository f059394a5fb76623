"""Cross-entropy optima that are formulas: no features at all, and the simplex of balanced classes.

Balanced codes a I + beta 11' (one-hot: a = 1, beta = 0; label smoothing: a = 1 - eps, beta = eps/K): the residual of
Zbar = alpha (I - 11'/K) is a multiple of I - 11'/K, and it is threshold times it where the probability off the
diagonal is (beta + threshold/(K r))/M, which is below 1/K exactly where threshold/r = t_rel < a (theory: section 5;
zhu2021 for one-hot codes).
"""

import math

import numpy as np

from ufm.optimum.entropy.program import EntropyProgram, Point


def bias_alone(program: EntropyProgram) -> np.ndarray:
    """The best bias without features: min M log sum exp b - mean'b + lam_b/2 ||b||^2 (m), 1'b = 0.

    A free bias is the logarithm of the mean target; else Newton's method, with a Hessian diagonal less rank one.
    """
    mean, mass = program.mean, float(program.mean.sum())
    b = np.zeros(mean.size)
    if not program.has_bias or mass == 0:
        return b
    if program.lam_b == 0:
        b = np.log(mean)
        return b - b.mean()
    for _ in range(100):
        p, value = _softmax(program, b, mean, mass)
        gradient = mass * p - mean + program.lam_b * b
        diagonal = mass * p + program.lam_b
        u, v = gradient / diagonal, mass * p / diagonal
        # diag - mass p p' inverted: 1 - p'v = sum p lam_b/diagonal, without the cancellation
        step = u + v * float(p @ u) / float(np.sum(p * program.lam_b / diagonal))
        length, descent = 1.0, float(gradient @ step)
        if descent <= 4 * np.finfo(float).eps * max(value, np.finfo(float).tiny):
            return b - step - np.mean(b - step)
        while _softmax(program, b - length * step, mean, mass)[1] > value - 1e-4 * length * descent and length > 1e-9:
            length /= 2
        b = b - length * step
    return b - b.mean()


def no_features(program: EntropyProgram) -> Point | None:
    """X = 0 with its best bias where that is the optimum: ||E||_op <= threshold there; else None."""
    point = Point.at(program, np.zeros_like(program.T), bias_alone(program))
    norm = float(np.linalg.norm(point.E, 2))
    return point if norm <= program.threshold * (1 + 4 * np.finfo(float).eps) else None


def simplex(program: EntropyProgram) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """(U, s, V) of the optimum alpha r (I - 11'/K) of balanced codes a I + beta 11', b = 0; None for anything else."""
    K = program.r.size
    if program.T.shape[0] != K or K < 2 or np.ptp(program.r) > 0:
        return None
    beta, a = float(program.T[0, 1]), float(program.T[0, 0] - program.T[0, 1])
    pattern = np.full((K, K), beta)
    np.fill_diagonal(pattern, a + beta)
    if a <= 0 or np.max(np.abs(program.T - pattern)) > 4 * np.finfo(float).eps * (a + beta):
        return None
    t_rel = program.threshold / float(program.r[0])
    if t_rel >= a:
        return np.zeros((K, 0)), np.zeros(0), np.zeros((K, 0))
    alpha = math.log1p((a - t_rel) / (beta + t_rel / K)) if t_rel > 0 or beta > 0 else math.inf
    U = _centred_basis(K)
    return U, np.full(K - 1, alpha * float(program.r[0])), U


def _centred_basis(K: int) -> np.ndarray:
    """Orthonormal columns (K x K-1) orthogonal to 1: the Householder reflection that takes e_1 to 1/sqrt(K)."""
    v = np.full(K, 1 / math.sqrt(K))
    v[0] -= 1.0
    return (np.eye(K) - 2 * np.outer(v, v) / float(v @ v))[:, 1:]


def _softmax(program: EntropyProgram, b: np.ndarray, mean: np.ndarray, mass: float) -> tuple[np.ndarray, float]:
    top = float(b.max())
    exponentials = np.exp(b - top)
    total = float(exponentials.sum())
    value = mass * (top + math.log(total)) - float(mean @ b) + program.lam_b * float(b @ b) / 2
    return exponentials / total, value
