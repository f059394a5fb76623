"""From a product to its layers: W_{p-1}, .., W_1, H with the least penalty, balanced for unequal weights."""

import math

import numpy as np

from ufm.optimum.deep.spectral import DeepSolution
from ufm.problem import Problem


def balanced_factors(problem: Problem, solution: DeepSolution, d: int) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """W (m x d, then d x d, last layer first) and reduced H (d x r) with W_{p-1}..W_1 H = X in the units of the data.

    Each direction has sqrt(Lam/lam) s^(1/p) in the factor of weight lam, so that lam times its square is the same in
    all (theory: section 2). Where a weight is zero no balance is asked for, and the factors share s evenly.
    """
    weights = [*map(float, problem.lam_W), float(problem.lam_H)]
    share = (solution.s * math.sqrt(problem.N)) ** (1 / problem.p)
    sizes = [share * math.sqrt(problem.Lam / lam) if problem.Lam > 0 else share for lam in weights]
    rank, directions = solution.rank, np.arange(solution.rank)
    W = [np.zeros((solution.U.shape[0], d)), *(np.zeros((d, d)) for _ in weights[2:])]
    W[0][:, :rank] = solution.U * sizes[0]
    for layer, size in zip(W[1:], sizes[1:-1], strict=True):
        layer[directions, directions] = size
    H = np.zeros((d, solution.V.shape[0]))
    H[:rank] = (solution.V * sizes[-1]).T
    return tuple(W), H
