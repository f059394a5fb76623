"""Unit margins: min c ||Z diag(n)^{1/2}||_* subject to z_kk - z_jk >= 1; the candidate is Z = I - 11'/K at all sizes.

Dual (thrampoulidis2022: section 3): maximise c sum beta over beta_jk >= 0 with ||B diag(n)^{-1/2}||_op <= 1, column k
of B being sum_j beta_jk (e_k - e_j). With U S V' = Z diag(n)^{1/2} the candidate's own multipliers are
beta_jk = -sqrt(n_k) (U V')_jk, so its optimality is read off their signs.
"""

import math

import numpy as np

from ufm.errors import ProblemError
from ufm.optimum.constrained import referee
from ufm.optimum.constrained.point import optimum_at
from ufm.optimum.optimum import Optimum
from ufm.optimum.referees import solver_of
from ufm.optimum.status import OptimumStatus
from ufm.optimum.symmetry import find_groups
from ufm.problem import Problem


def solve_hard_margin(problem: Problem, method: str = "auto") -> Optimum:
    """The simplex-encoded labels and their factors, certified by the dual (W and H balanced, d >= K - 1).

    With a zero weight any margins cost nothing in the infimum, 0, which is attained where both weights are zero; the
    factors shown are those of equal weights.
    """
    groups, lam_W, lam_H = find_groups(problem), float(problem.lam_W[0]), float(problem.lam_H)
    if groups is None or (groups.alpha, groups.beta) != (1.0, 0.0) or problem.K < 2:
        raise ProblemError("targets", problem.targets, "unit margins are between classes; use one-hot codes, K >= 2.")
    K, root = problem.K, np.sqrt(problem.classes.counts)
    width = problem.width if problem.width is not None else K
    if width < K - 1:
        raise ProblemError("width", width, f"margins between {K} classes are solved for width >= {K - 1}.")
    solver = solver_of(method)
    Z = np.eye(K) - 1 / K if solver is None else _centred(referee.hard_margin(root, solver))
    U, s, Vt = (part for part in np.linalg.svd(Z * root))
    U, s, Vt = U[:, : K - 1], s[: K - 1], Vt[: K - 1]
    c = math.sqrt(lam_W) * math.sqrt(lam_H)
    tilt = (lam_W / lam_H) ** 0.25 if c > 0 else 1.0
    W, H = np.zeros((K, width)), np.zeros((width, K))
    W[:, : K - 1], H[: K - 1] = U * np.sqrt(s) / tilt, np.sqrt(s)[:, None] * tilt * Vt / root
    value = c * float(s.sum())
    bound, beta = _dual_bound(U @ Vt, root)
    open_gap = OptimumStatus.BEST_KNOWN if solver is None else OptimumStatus.OPEN_GAP
    status = OptimumStatus.CERTIFIED if value - c * bound <= 1e-11 * value else open_gap
    if (lam_W == 0) != (lam_H == 0):
        status = OptimumStatus.NOT_ATTAINED
    return optimum_at(
        problem,
        W,
        H,
        np.zeros(K),
        status=status,
        method="simplex-encoded labels" if solver is None else method,
        value=value,
        lower_bound=c * bound,
        stationarity=_unmet(W @ H),
        convex=True,
        dual=beta,
        work=1,
    )


def _dual_bound(polar: np.ndarray, root: np.ndarray) -> tuple[float, np.ndarray]:
    """sum beta for the candidate's multipliers, made non-negative and feasible."""
    beta = np.maximum(-polar * root, 0.0)
    np.fill_diagonal(beta, 0.0)
    B = np.diag(beta.sum(axis=0)) - beta
    norm = float(np.linalg.norm(B / root, 2))
    beta = beta / max(norm, 1.0)
    return float(beta.sum()), beta


def _centred(Z: np.ndarray) -> np.ndarray:
    """Columns without their mean, which no margin sees, and large enough for every margin."""
    Z = Z - Z.mean(axis=0)
    return Z / min(1.0, 1 - _unmet(Z))


def _unmet(Z: np.ndarray) -> float:
    """Largest violation of a unit margin."""
    margins = np.diag(Z) - Z
    np.fill_diagonal(margins, np.inf)
    return float(max(0.0, 1 - margins.min()))
