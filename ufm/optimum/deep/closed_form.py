"""The formulas: no bias, a free bias, a mean that is a singular direction, and no shrinkage at all."""

import math

import numpy as np

from ufm.optimum.deep.scalar import minimise
from ufm.optimum.deep.spectral import DeepProblem, DeepSolution, best_directions, cut_in_a_tie, solve_fixed_bias


def solve_closed_form(problem: DeepProblem, *, local: bool = False) -> DeepSolution | None:
    """The formula's point, or None where the mean is not a singular direction and 0 < lam_b < inf.

    No bias shrinks every direction; a free bias takes the mean away; in between, with the bias along the mean, the mean
    direction sees rho/2 (sigma_0 - s)^2 + (p/2) t s^(2/p), that is t/rho for t (theory: section 4). Whether that is the
    global minimum is for the lower bound to say. t = 0 leaves a weighted low-rank approximation (Eckart and Young).
    local: every direction on its nonzero local minimum where it has one, the metastable ones included.
    """
    if problem.t == 0:
        return _without_shrinkage(problem)
    if math.isinf(problem.lam_b):
        return solve_fixed_bias(problem, np.zeros(problem.A.shape[0]), local=local)
    if problem.lam_b == 0:
        return solve_fixed_bias(problem, problem.mean, problem.centred, local=local)
    return _along_the_mean(problem, local) if problem.mean_is_singular_direction else None


def _along_the_mean(problem: DeepProblem, local: bool) -> DeepSolution:
    """Centred directions at t and the mean direction at t/rho, the d with the largest gains kept."""
    size, rho, p = float(np.linalg.norm(problem.mean)), problem.rho, problem.p
    U, sigma, Vt = np.linalg.svd(problem.centred, full_matrices=False)
    direction = problem.mean / size if size > 0 else np.zeros(problem.A.shape[0])
    U, V = np.column_stack([U, direction]), np.column_stack([Vt.T, problem.u])
    sigma, weight = np.append(sigma, size), np.append(np.ones(sigma.size), rho)
    best = minimise(sigma, problem.t / weight, p, local=local)
    gain = weight * best.gain
    kept = best_directions(gain, best.s, problem.d)
    e = np.where(kept, best.e, sigma)
    b = direction * e[-1] / (1 + problem.lam_b)
    value = float(np.sum(np.where(kept, weight * e * (e + p * best.s), weight * sigma**2)) / 2)
    order = np.flatnonzero(kept)[np.argsort(-best.s[kept], kind="stable")]
    tie = bool(np.any(best.tie)) or cut_in_a_tie(gain, kept)
    return DeepSolution(U[:, order], best.s[order], V[:, order], b, value, tie)


def _without_shrinkage(problem: DeepProblem) -> DeepSolution:
    """t = 0: 1/2 ||(A - X) M||^2, M the weight of the mean, over rank <= d; X M is the best rank d of A M."""
    U, alpha, Vt = np.linalg.svd(problem.weighted, full_matrices=False)
    noise = np.finfo(float).eps * max(problem.A.shape) * float(np.linalg.norm(problem.A))
    kept = (alpha > noise) & (np.arange(alpha.size) < problem.d)
    X = (U[:, kept] * alpha[kept]) @ Vt[kept]
    if problem.rho > 0:
        X = X + (1 / math.sqrt(problem.rho) - 1) * np.outer(X @ problem.u, problem.u)
    b = (problem.mean - X @ problem.u) / (1 + problem.lam_b)  # lam_b = inf gives 0
    rank, (U, s, Vt) = int(kept.sum()), np.linalg.svd(X, full_matrices=False)
    value = float(np.sum(np.where(kept, 0.0, alpha) ** 2)) / 2
    tie = bool(np.any(~kept & (alpha >= (1 - 1e-12) * alpha[kept].min()))) if 0 < rank < alpha.size else False
    return DeepSolution(U[:, :rank], s[:rank], Vt[:rank].T, b, value, tie)
