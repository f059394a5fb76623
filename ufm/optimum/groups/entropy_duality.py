"""A lower bound for cross-entropy in groups, from any residual; the dual of `entropy.duality` on symmetric matrices."""

import numpy as np

from ufm.optimum.groups.entropy_program import GroupLogits, GroupProgram


def best_dual_value(point: GroupLogits) -> tuple[float, np.ndarray]:
    """The better of two dual points: the residual, and the residual with E r = lam_b b put in exactly; (bound, E).

    E: what one output of each row gets (table, in units of the logits' slope: Q = T - E).
    """
    program = point.program
    candidates = [dual_value(program, point.E)]
    if 0 < program.lam_b < np.inf:
        b = program.split(point.v)[2] / np.sqrt(program.groups.number)
        wanted = program.lam_b * (b - program.groups.number @ b / program.groups.member.size)
        candidates.append(dual_value(program, _shifted(program, point.E, wanted - pull(program, point.E))))
    return max(candidates, key=lambda candidate: candidate[0])


def dual_value(program: GroupProgram, E: np.ndarray) -> tuple[float, np.ndarray]:
    """The dual objective at E made feasible, and that feasible E (table)."""
    E = _feasible(program, E)
    Q = np.maximum(program.target - E, 0.0) / program.mass
    logs = np.log(Q, out=np.zeros_like(Q), where=Q > 0)
    value = -program.mass * float(program.share @ np.sum(program.count * Q * logs, axis=0))
    if 0 < program.lam_b < np.inf:
        value -= float(program.groups.number @ pull(program, E) ** 2) / (2 * program.lam_b)
    return value, E


def pull(program: GroupProgram, E: np.ndarray) -> np.ndarray:
    """E r by output (G): what all samples ask of one output of each group."""
    number = program.groups.number
    return (program.count[:-1] * E[:-1]) @ program.share / number + program.share / number * E[-1]


def operator_norm(program: GroupProgram, E: np.ndarray) -> float:
    """Largest singular value of the residual of all classes."""
    means, inside = program.parts(E)
    return max(float(np.linalg.norm(means, 2)), float(np.max(np.abs(inside), initial=0.0)))


def _shifted(program: GroupProgram, E: np.ndarray, change: np.ndarray) -> np.ndarray:
    """E with the pull changed by this much (G), the same change in every column."""
    shifted = E + np.vstack([np.repeat(change[:, None], change.size, axis=1), change])
    return shifted - np.sum(program.count * shifted, axis=0) / program.groups.member.size


def _feasible(program: GroupProgram, E: np.ndarray) -> np.ndarray:
    K = program.groups.member.size
    E = E - np.sum(program.count * E, axis=0) / K
    if program.lam_b == 0:
        E = _shifted(program, E, -pull(program, E))
    seen = program.count > 0
    Q = program.target - E
    if np.any(Q[seen] < 0):  # the least mixture with the residual of the mean target, which has no pull
        mean = program.groups.alpha * program.r**2 + program.groups.beta
        middle = np.vstack([np.repeat(mean[:, None], mean.size, axis=1), mean])
        short = seen & (Q < 0)
        mix = float(np.max(-Q[short] / (middle[short] - Q[short]), initial=0.0))
        mix = min(1.0, mix * (1 + 1e-12))
        E = (1 - mix) * E + mix * (program.target - middle)
    norm = operator_norm(program, E)
    return E * (program.threshold / norm) if norm > program.threshold else E
