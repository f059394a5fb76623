"""Accelerated proximal gradient: a step on the weighted fit, with the bias minimised out, then a shrinkage (one SVD).

The fit's slope is Lipschitz with L = max w. What a shrinkage cuts off is a dual point that is feasible as it stands, so
the duality gap is second order in the distance to the optimum. Momentum restarts where it points uphill.
"""

import math

import numpy as np

from ufm.optimum.squared.shrinkage import shrink
from ufm.optimum.weighted.program import WeightedProgram

_MAX_STEPS = 50_000
_SETTLED = 1e-12  # change of a step, relative to the shrinkage


def solve_proximal(program: WeightedProgram) -> tuple[np.ndarray, np.ndarray, int]:
    """(X, b) and the SVDs it took."""
    L = float(program.w.max())
    X = np.zeros_like(program.A)
    Y, momentum = X, 1.0
    for step in range(1, _MAX_STEPS + 1):
        U, s, V, _ = shrink(Y + program.residual(Y, program.bias(Y)) / L, program.threshold / L)
        new = (U * s) @ V.T
        moved = new - X
        change = float(np.linalg.norm(new - Y))
        if float(np.vdot(Y - new, moved)) > 0:
            momentum = 1.0
        following = (1 + math.sqrt(1 + 4 * momentum**2)) / 2
        Y = new + (momentum - 1) / following * moved
        X, momentum = new, following
        if change <= _SETTLED * program.threshold / L:
            return X, program.bias(X), step
    return X, program.bias(X), _MAX_STEPS
