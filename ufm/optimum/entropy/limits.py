"""Where the infimum of cross-entropy lies at infinity: an unpenalised product, or a free bias of an unused output.

Without a penalty on the product the infimum is the mean entropy of the targets. Finite logits reach it iff every target
is positive; a zero target asks for a logit at -infinity. A free bias of an output that no target uses does the same:
along it the loss falls for ever, and the infimum is that of the problem without this output. (Any other direction is
stopped: the recession function of the objective is sum_k r_k^2 (M_k max v_k - t_k'v_k) + threshold ||.||_*.)
"""

import numpy as np

from ufm.optimum.entropy.program import EntropyProgram, Point
from ufm.optimum.entropy.spectral import svd
from ufm.optimum.factored import Factored
from ufm.optimum.status import OptimumStatus
from ufm.problem import Problem

_LEAST_SHARE = 1e-17  # stands for a probability of zero: the value is the infimum to round-off


def drop_empty_rows(program: EntropyProgram) -> tuple[EntropyProgram, np.ndarray]:
    """The program without the outputs that a free bias sends to -infinity, and which outputs stay (m)."""
    rows = program.mean > 0
    if program.lam_b > 0 or np.all(rows) or not np.any(rows):
        return program, np.ones(rows.size, dtype=bool)
    return EntropyProgram(program.T[rows], program.r, program.threshold, program.lam_b), rows


def solve_unregularised(program: EntropyProgram, problem: Problem) -> tuple[Factored, OptimumStatus]:
    """Logits that reach the mean entropy of the targets, or come within round-off of it, with b = 0."""
    mass = np.where(program.mass > 0, program.mass, 1.0)
    share = np.where(program.mass > 0, program.T / mass, 1.0)
    Z = np.log(np.maximum(share, _LEAST_SHARE))
    X = (Z - Z.mean(axis=0)) * program.r
    U, s, Vt = svd(X)
    kept = s > 1e-14 * max(1.0, float(np.max(s, initial=0.0)))
    b = np.zeros(program.T.shape[0])
    value = Point.at(program, X, b).fit
    infinite = bool(np.any(share < _LEAST_SHARE))
    one_sided = (float(problem.lam_W[0]) == 0) != (float(problem.lam_H) == 0)
    status = OptimumStatus.CERTIFIED
    if infinite:
        status = OptimumStatus.AT_INFINITY
    elif one_sided and np.any(kept):
        status = OptimumStatus.NOT_ATTAINED
    # E = 0 is dual feasible whatever the bias costs, and its value is the mean entropy
    value = program.floor if infinite else value
    solution = Factored(U[:, kept], s[kept], Vt[kept].T, b, value, program.floor, np.zeros_like(program.T), 1)
    return solution, status
