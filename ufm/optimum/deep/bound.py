"""Lower bounds for the deep squared loss, from nothing but the problem: no point found enters them.

1. Majorisation. Minimising over b leaves 1/2 ||(A - X) M||^2 + (p/2) t sum_i s_i(X)^(2/p), M = I - (1 - sqrt rho) uu'.
   Let Y = X M have singular values y_i, X x_i, A M alpha_i, all descending. The first term is at least
   1/2 sum (alpha_i - y_i)^2 (von Neumann). M is a contraction and I plus rank one, so x_1 >= y_1 >= x_2 >= .. >= y_r,
   and prod y = sqrt(rho) prod x where r <= m (determinants). Hence log x weakly majorises the logarithms of
   (y_1, .., y_(r-1), y_r/sqrt rho), a case of Gelfand and Naimark's inequality. As e^(2z/p) is convex and rising, the
   penalty is at least theirs. What is left are r scalar problems: t for tau, and t/rho in the last one. It is exact at
   lam_b = 0 and inf, and where the mean is a singular direction, r <= m and sqrt(rho) sigma_0 is at most every other
   singular value: balanced one-hot classes among them. There the symmetric bias is the global optimum, for every p.
2. Envelope. At the optimum E = A - b u' - X and X share singular vectors, so u'E'X u >= 0 with lam_b b = E u puts b in
   the ball whose diameter is [0, ybar/(1 + lam_b)], and sigma_1(A - b u') <= R. On [0, R] the scalar minimum phi(sigma)
   is at least its convex envelope, a Huber function: the problem with p = 2, which has a dual.
"""

import math
from dataclasses import dataclass

import numpy as np

from ufm.optimum.deep.scalar import minimise
from ufm.optimum.deep.spectral import DeepProblem, best_directions
from ufm.optimum.squared.duality import best_dual_value
from ufm.optimum.squared.newton import solve_newton
from ufm.optimum.squared.shrinkage import ShrinkageProblem, solve_closed_form


@dataclass(frozen=True, eq=False)
class Apart:
    """Singular directions of A that are orthogonal to u and to the rest: sigma (G), each `number` times (G)."""

    sigma: np.ndarray
    number: np.ndarray


_NOTHING = Apart(np.zeros(0), np.zeros(0, dtype=int))


def lower_bound(problem: DeepProblem, apart: Apart = _NOTHING) -> float:
    """The better of the two bounds; no point has a smaller objective.

    apart: further directions of the targets, which the problem does not hold, such as those inside groups of classes;
    the bound is over every bias, those that mix them with the rest included. The width is then that of all.
    """
    first = majorisation_bound(problem, apart)
    if problem.t == 0 or not 0 < problem.lam_b < math.inf:
        return first  # exact there
    return max(first, envelope_bound(problem, apart))


def majorisation_bound(problem: DeepProblem, apart: Apart = _NOTHING) -> float:
    """Sum of the scalar minima on the singular values of A M, the smallest of all r with t/rho for t."""
    alpha, number = _spectrum(problem, apart)
    m, r = problem.A.shape
    weight = np.ones(alpha.size)
    if r <= m and r <= problem.d and problem.rho > 0:  # else y_r = 0, and the weight has nothing to act on
        weight[-1] = problem.rho
    sigma = alpha / np.sqrt(weight)
    best = minimise(sigma, problem.t / weight, problem.p)
    kept = best_directions(weight * best.gain, best.s, alpha.size if np.any(apart.number) else problem.d)
    fit = np.where(kept, best.e * (best.e + problem.p * best.s), sigma**2)
    return float(np.sum(number * weight * fit)) / 2


def _spectrum(problem: DeepProblem, apart: Apart) -> tuple[np.ndarray, np.ndarray]:
    """Singular values of A M, descending, and how often each of them is one; the last stands by itself."""
    alpha = np.linalg.svd(problem.weighted, compute_uv=False)
    if not np.any(apart.number):
        return alpha, np.ones(alpha.size, dtype=int)
    number = np.append(np.ones(alpha.size, dtype=int), apart.number)
    alpha = np.append(alpha, apart.sigma)
    order = np.argsort(np.where(number > 0, -alpha, np.inf), kind="stable")[: np.count_nonzero(number)]
    alpha, number = alpha[order], number[order]
    if number[-1] > 1:
        alpha, number = np.append(alpha, alpha[-1]), np.append(number[:-1], [number[-1] - 1, 1])
    return alpha, number


def envelope_bound(problem: DeepProblem, apart: Apart = _NOTHING) -> float:
    """The dual value of the p = 2 problem whose Huber function is the convex envelope of phi on [0, R]."""
    R = largest_singular_value(problem, apart)
    if R == 0:
        return 0.0
    gain = float(minimise(np.array([R]), problem.t, problem.p).gain[0])
    phi = R**2 / 2 - gain
    kappa = 2 * phi / (R + math.sqrt(2 * gain))  # the tangent of sigma^2/2 at kappa meets phi at R
    convex = ShrinkageProblem(problem.A, problem.u, kappa, problem.lam_b)
    solution = solve_closed_form(convex)
    if solution is None:
        solution, _ = solve_newton(convex)
    clipped = np.minimum(apart.sigma, kappa)
    return best_dual_value(convex, solution)[0] + float(np.sum(apart.number * clipped * (apart.sigma - clipped / 2)))


def bias_ball(problem: DeepProblem) -> tuple[np.ndarray, float]:
    """Centre and radius of the ball that holds b at every minimum: its diameter is [0, ybar/(1 + lam_b)]."""
    centre = problem.mean / (2 * (1 + problem.lam_b))
    return centre, float(np.linalg.norm(centre))


def largest_singular_value(problem: DeepProblem, apart: Apart = _NOTHING) -> float:
    """R >= sigma_1(A - b u') for every b of the ball."""
    centre, radius = bias_ball(problem)
    most = float(np.max(apart.sigma[apart.number > 0], initial=0.0))
    near = max(float(np.linalg.norm(problem.A - np.outer(centre, problem.u), 2)), most) + radius
    centred = max(float(np.linalg.norm(problem.centred, 2)), most)
    return min(near, math.hypot(centred, float(np.linalg.norm(problem.mean))))
