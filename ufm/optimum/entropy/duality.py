"""Duality for cross-entropy: a lower bound from any matrix E, recomputed from nothing but the program and E.

Conjugate of f(z) = M log sum exp z - t'z: f*(y) = sum_i q_i log(q_i/M) at q = t + y where q >= 0 and sum q = M, else
infinite. Write E = -(y_k r_k)_k, so Q = T - E diag(1/r). Minimising the Lagrangian over X asks for ||E||_op <=
threshold, over b it leaves -||E r||^2/(2 lam_b), and the dual is to maximise

    -sum_k r_k^2 sum_i Q_ik log(Q_ik/M_k) - ||E r||^2/(2 lam_b)   over   ||E||_op <= threshold, Q >= 0, 1'Q = M'

(lam_b = inf drops the last term, lam_b = 0 has E r = 0 as a constraint). E = 0, Q = T, is feasible, so every E with
Q >= 0 can be scaled towards it: Q stays a convex combination of nonnegative columns of the same mass.
"""

import numpy as np

from ufm.optimum.entropy.program import EntropyProgram, Point, entropy


def dual_value(program: EntropyProgram, E: np.ndarray) -> tuple[float, np.ndarray]:
    """The dual objective at E made feasible, and that feasible E (m x K)."""
    E = _feasible(program, E)
    value = float(np.sum(program.r**2 * entropy(_distributions(program, E), program.mass)))
    if 0 < program.lam_b < np.inf:
        pull = E @ program.r
        value -= float(pull @ pull) / (2 * program.lam_b)
    return value, E


def best_dual_value(program: EntropyProgram, point: Point) -> tuple[float, np.ndarray]:
    """The better of two dual points: the residual of a point, and the residual with E r = lam_b b put in exactly.

    The second matters for tiny lam_b, where ||E r||^2/(2 lam_b) magnifies round-off.
    """
    candidates = [dual_value(program, point.E)]
    if 0 < program.lam_b < np.inf:
        wanted = program.lam_b * (point.b - point.b.mean())
        candidates.append(dual_value(program, point.E + np.outer(wanted - point.pull, _spread(program))))
    return max(candidates, key=lambda candidate: candidate[0])


def _distributions(program: EntropyProgram, E: np.ndarray) -> np.ndarray:
    """Q = T - E diag(1/r); what is negative by round-off is zero."""
    return np.maximum(program.T - E / program.r, 0.0)


def _spread(program: EntropyProgram) -> np.ndarray:
    """A row w with w'r = 1 that shifts every column of Q in proportion to its mass (columns of no mass stay zero)."""
    pull = program.r * program.mass
    total = float(pull @ program.r)
    return pull / total if total > 0 else np.zeros_like(pull)


def _feasible(program: EntropyProgram, E: np.ndarray) -> np.ndarray:
    E = np.where(program.mass > 0, E, 0.0)
    E = E - E.mean(axis=0)
    if program.lam_b == 0:
        E = E - np.outer(E @ program.r, _spread(program))
    if np.any(program.T - E / program.r < 0):
        E = _towards_the_middle(program, E)
    norm = float(np.linalg.norm(E, 2))
    return E * (program.threshold / norm) if norm > program.threshold else E


def _towards_the_middle(program: EntropyProgram, E: np.ndarray) -> np.ndarray:
    """The least mixture with the residual of equal logits that has Q >= 0; E r = 0 there as well."""
    share = program.mean / program.mean.sum() if program.mean.sum() > 0 else program.mean
    if np.any(share == 0) and program.lam_b > 0:
        share = np.full_like(share, 1 / share.size)
    middle = np.outer(share, program.mass)
    Q = program.T - E / program.r
    short = Q < 0
    mix = float(np.max(-Q[short] / (middle[short] - Q[short]), initial=0.0))
    mix = min(1.0, mix * (1 + 1e-12))
    return (1 - mix) * E + mix * (program.T - middle) * program.r
