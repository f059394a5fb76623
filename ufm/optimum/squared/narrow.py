"""Width below the rank of the convex optimum: keep d directions, certainly where there is a formula, else by search."""

import math

import numpy as np
from scipy.optimize import minimize

from ufm.optimum.deep.bound import majorisation_bound
from ufm.optimum.deep.branching import branch
from ufm.optimum.deep.search import descend_from
from ufm.optimum.deep.spectral import DeepProblem
from ufm.optimum.squared.shrinkage import ShrinkageProblem, ShrinkageSolution
from ufm.problem import Problem, reduce_problem

_STARTS = 8
_BIASES = 20_000  # that branch and bound may try
_CLOSED = 1e-9


def solve_narrow(problem: ShrinkageProblem, d: int, wide: ShrinkageSolution) -> tuple[ShrinkageSolution, bool]:
    """The best product of rank <= d, and whether it is proved to be.

    For a fixed b the best X keeps the d largest directions (Eckart-Young), so with no bias or a free one (whose best
    value does not depend on X) the formula stands. Otherwise what is left is a nonconvex function of b, searched from
    several starts.
    """
    if math.isinf(problem.lam_b):
        return _keep(problem, np.zeros(problem.A.shape[0]), d), True
    if problem.lam_b == 0:
        return _keep_centred(problem, d), True
    rng = np.random.default_rng(0)
    spread = float(np.linalg.norm(problem.mean)) / math.sqrt(problem.A.shape[0])
    starts = [wide.b, problem.mean / (1 + problem.lam_b), np.zeros_like(wide.b)]
    starts += [wide.b + spread * rng.standard_normal(wide.b.size) for _ in range(_STARTS - len(starts))]
    found = [
        minimize(
            _value_and_slope, b, args=(problem, d), jac=True, method="L-BFGS-B", options={"gtol": 1e-12, "ftol": 0}
        )
        for b in starts
    ]
    program = DeepProblem(problem.A, problem.u, problem.threshold, 2, problem.lam_b, d)
    return _keep(problem, descend_from(program, min(found, key=lambda result: result.fun).x).b, d), False


def narrow_bound(problem: Problem, value: float) -> float:
    """A lower bound over products of rank <= problem.width: majorisation, and branching on the bias up to a value."""
    program = DeepProblem.of(problem, reduce_problem(problem))
    bound = majorisation_bound(program)
    if value - bound > _CLOSED * abs(value) and (branched := branch(program, value, _BIASES)) is not None:
        bound = max(bound, branched.bound)
    return bound


def _value_and_slope(b: np.ndarray, problem: ShrinkageProblem, d: int) -> tuple[float, np.ndarray]:
    U, sigma, Vt = np.linalg.svd(problem.A - np.outer(b, problem.u), full_matrices=False)
    clipped = sigma.copy()
    clipped[:d] = np.minimum(sigma[:d], problem.threshold)
    value = float(np.sum(clipped * (sigma - clipped / 2)) + problem.lam_b * (b @ b) / 2)
    return value, problem.lam_b * b - U @ (clipped * (Vt @ problem.u))


def _keep(problem: ShrinkageProblem, b: np.ndarray, d: int) -> ShrinkageSolution:
    return _keep_of(problem.A - np.outer(b, problem.u), problem.threshold, b, d)


def _keep_centred(problem: ShrinkageProblem, d: int) -> ShrinkageSolution:
    return _keep_of(problem.centred, problem.threshold, problem.mean, d)


def _keep_of(M: np.ndarray, threshold: float, b: np.ndarray, d: int) -> ShrinkageSolution:
    U, sigma, Vt = np.linalg.svd(M, full_matrices=False)
    kept = int(np.sum(sigma[:d] > threshold))
    residual = sigma.copy()
    residual[:kept] = threshold
    return ShrinkageSolution(U[:, :kept], sigma[:kept] - threshold, Vt[:kept].T, b, (U * residual) @ Vt)
