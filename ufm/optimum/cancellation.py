"""What cancellation leaves of a gradient: the round-off of its largest terms, below which it says nothing."""

from functools import reduce

import numpy as np

from ufm.losses import loss as find_loss
from ufm.problem import Problem

ROUND_OFF = 64 * float(np.finfo(float).eps)  # sums of some tens of terms


def cancellation(problem: Problem, W: tuple[np.ndarray, ...], H: np.ndarray, b: np.ndarray) -> list[float]:
    """The noise in the norm of the gradient by each W_l, H and b.

    H: class means (d x K) or samples (d x N). Every product is taken of absolute values. The loss's slope is a
    difference of terms of the size it has at zero logits, and inherits the round-off of the logits.
    """
    own = H.shape[1] != problem.N
    T = problem.targets.columns if own else problem.targets.matrix()
    weight = problem.targets.multiplicity if own else np.ones(problem.N)
    factors = [np.abs(factor) for factor in (*W, H)]
    Z = reduce(np.matmul, factors) + np.abs(b)[:, None]
    slope = find_loss(problem.loss).slope
    at_zero = slope(np.zeros_like(Z), T)
    carried = np.abs(T).sum(axis=0) * Z if problem.loss == "cross_entropy" else np.abs(slope(Z, T) - at_zero)
    E = (np.abs(at_zero) + carried) * (weight / problem.N)
    noise = []
    for l, lam in enumerate((*problem.lam_W, problem.lam_H)):
        left, right = reduce(np.matmul, factors[:l], np.eye(problem.m)), np.eye(H.shape[1])
        if l + 1 < len(factors):
            right = reduce(np.matmul, factors[l + 1 :])
        penalty = float(lam) * (factors[l] if l < len(W) else factors[l] * weight)
        noise.append(ROUND_OFF * float(np.linalg.norm(left.T @ E @ right.T) + np.linalg.norm(penalty)))
    return [*noise, ROUND_OFF * float(np.linalg.norm(E.sum(axis=1)))]
