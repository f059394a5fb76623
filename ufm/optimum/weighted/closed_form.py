"""One-hot codes and equal sizes: by symmetry X = x (I - 11'/K) + y 11'/K and b = beta 1, two numbers once b is out."""

import math

import numpy as np

from ufm.optimum.weighted.program import WeightedProgram


def balanced(program: WeightedProgram) -> tuple[np.ndarray, np.ndarray] | None:
    """(X, b) at the optimum, or None where the classes are not one-hot of equal sizes.

    With g = y/K + beta/sqrt(K) the penalty of the mean is P(g) = lam_b K^2 g^2/2 up to g = threshold/(K lam_b), then
    rises at the rate threshold K. Each of the pieces of this convex function of (x, g) >= 0 has a linear equation.
    """
    K = program.A.shape[0]
    own = program.w.diagonal()[0]
    a = program.A.diagonal()[0] if K > 1 else 0.0
    if program.A.shape != (K, K) or K < 2 or not np.array_equal(program.A, a * np.eye(K)):
        return None
    t, lam_b, c = program.threshold, program.lam_b, 1 - 1 / K
    corner = 0.0 if math.isinf(lam_b) else math.inf if lam_b == 0 else t / (K * lam_b)

    def mean_part(g: float) -> tuple[float, float]:
        """(y, beta) that share g at the least cost."""
        beta = math.sqrt(K) * min(g, corner)
        return K * max(0.0, g - corner), beta

    def value(x: float, g: float) -> float:
        y, beta = mean_part(g)
        held = 0.0 if math.isinf(lam_b) else lam_b * K * beta**2 / 2
        fit = own * (a - c * x - g) ** 2 + (K - 1) * (x / K - g) ** 2
        return K * fit / 2 + t * ((K - 1) * x + y) + held

    cross = K * own * c - (K - 1)
    H = np.array([[K * own * c**2 + (K - 1) / K, cross], [cross, K * own + K * (K - 1)]])
    slope = np.array([K * own * c * a - t * (K - 1), K * own * a])
    candidates = [(0.0, 0.0), (max(0.0, slope[0] / H[0, 0]), 0.0)]
    for curved, rate in ((0.0 if math.isinf(lam_b) else lam_b * K**2, 0.0), (0.0, t * K)):
        piece, pull = H + np.diag([0.0, curved]), slope - np.array([0.0, rate])
        x, g = np.linalg.solve(piece, pull)
        candidates += [(x, g), (0.0, pull[1] / piece[1, 1])]
    x, g = min(((max(0.0, x), max(0.0, g)) for x, g in candidates), key=lambda point: value(*point))
    y, beta = mean_part(g)
    return x * np.eye(K) + (y - x) / K, np.full(K, beta)
