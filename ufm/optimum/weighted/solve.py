"""The rescaled squared loss at p = 2: closed form, proximal gradient, the referee, width below the rank."""

import math

import numpy as np

from ufm.errors import ProblemError
from ufm.optimum.descent import best_of
from ufm.optimum.factored import Factored
from ufm.optimum.optimum import Optimum, finish
from ufm.optimum.referees import METHODS as REFEREES
from ufm.optimum.referees import solver_of
from ufm.optimum.status import OptimumStatus
from ufm.optimum.weighted.closed_form import balanced
from ufm.optimum.weighted.program import WeightedProgram, assemble
from ufm.optimum.weighted.proximal import solve_proximal
from ufm.problem import Problem

METHODS = ("auto", "closed form", "proximal gradient", *REFEREES)
_CLOSED = 1e-9  # relative duality gap of a certified optimum
_NARROW_STARTS = 8
_CVXPY_ACCURACY = 1e-6  # below this share of the largest singular value, cvxpy's own error


def solve_weighted(problem: Problem, method: str) -> Optimum:
    """The global minimum for any k, M, sizes and bias weight; method is one of METHODS."""
    if method not in METHODS:
        raise ProblemError("method", method, f"for this loss choose one of {', '.join(METHODS)}.")
    program = WeightedProgram.of(problem)
    solution, found_by = _solve_wide(program, method)
    status = OptimumStatus.CERTIFIED if solution.relative_gap <= _CLOSED else OptimumStatus.OPEN_GAP
    most = min(program.A.shape)
    width = problem.width if problem.width is not None else most
    value, rank, b = solution.value, solution.rank, solution.b
    s = np.zeros(most)
    s[:rank] = solution.s
    W, H = _balanced_factors(problem, solution, program.r, width)
    if width < solution.rank:
        end = best_of(problem, (W,), H, b, _NARROW_STARTS)
        W, H, b, value = end.W[0], end.H, end.b, end.value
        s = np.linalg.svd(W @ H * program.r, compute_uv=False)
        rank = int(np.sum(s > _CVXPY_ACCURACY * s[0]))
        found_by, status = f"{found_by}, then width {width}", OptimumStatus.BEST_KNOWN
    elif rank > 0 and (float(problem.lam_W[0]) == 0) != (float(problem.lam_H) == 0):
        status = OptimumStatus.NOT_ATTAINED
    unique = status is OptimumStatus.CERTIFIED and program.threshold > 0 and program.lam_b > 0
    return finish(
        problem,
        (W,),
        H,
        b,
        status=status,
        method=found_by,
        value=value,
        lower_bound=solution.bound,
        singular_values=s * math.sqrt(problem.N),
        rank=rank,
        unique=True if unique else None,
        dual=solution.dual,
        work=solution.work,
    )


def _solve_wide(program: WeightedProgram, method: str) -> tuple[Factored, str]:
    """The convex optimum and what found it."""
    if (solver := solver_of(method)) is not None:
        from ufm.optimum.weighted.referee import solve_cvxpy

        return assemble(program, *solve_cvxpy(program, solver), 0, accuracy=_CVXPY_ACCURACY), method
    if program.threshold == 0:  # the targets are met exactly; a free bias takes their mean
        b = program.A @ program.r if program.lam_b == 0 else np.zeros(program.A.shape[0])
        return assemble(program, program.A - b[:, None] * program.r, b, 1), "closed form"
    if method != "proximal gradient" and (formula := balanced(program)) is not None:
        return assemble(program, *formula, 1), "closed form"
    if method == "closed form":
        raise ProblemError("method", method, "the formula needs one class per output, of equal sizes; use 'auto'.")
    return assemble(program, *solve_proximal(program)), "proximal gradient"


def _balanced_factors(problem: Problem, solution: Factored, r: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """W (m x d) and class means H (d x K) with W H = X diag(1/r), lam_W W'W = lam_H H diag(n) H'."""
    lam_W, lam_H = float(problem.lam_W[0]), float(problem.lam_H)
    tilt = (lam_W / lam_H) ** 0.25 if lam_W > 0 and lam_H > 0 else 1.0
    root = np.sqrt(solution.s[:width] * math.sqrt(problem.N))
    W, H = np.zeros((solution.U.shape[0], width)), np.zeros((width, solution.V.shape[0]))
    W[:, : root.size] = solution.U[:, : root.size] * (root / tilt)
    H[: root.size] = (solution.V[:, : root.size] * (root * tilt)).T / (r * math.sqrt(problem.N))
    return W, H
