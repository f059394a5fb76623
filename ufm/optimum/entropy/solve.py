"""Cross-entropy at p = 2: closed form, Newton, the referee, width below the rank; certified by duality."""

import math

import numpy as np

from ufm.errors import ProblemError
from ufm.optimum.descent import best_of
from ufm.optimum.entropy.closed_form import no_features, simplex
from ufm.optimum.entropy.duality import best_dual_value
from ufm.optimum.entropy.limits import drop_empty_rows, solve_unregularised
from ufm.optimum.entropy.newton import solve_newton
from ufm.optimum.entropy.program import EntropyProgram, Point, state_program
from ufm.optimum.entropy.spectral import svd
from ufm.optimum.factored import Factored
from ufm.optimum.optimum import Optimum, finish
from ufm.optimum.referees import solver_of
from ufm.optimum.status import OptimumStatus
from ufm.problem import Problem

_CLOSED = 1e-9  # relative duality gap of a certified optimum of up to _SMALL classes ...
_CLOSED_LARGE = 1e-6  # ... and of a larger one
_SMALL = 200
_NARROW_STARTS = 8
_CVXPY_ACCURACY = 1e-6  # below this share of the largest singular value, cvxpy's own error


def solve_entropy(problem: Problem, method: str) -> Optimum:
    """The global minimum for nonnegative targets (one-hot, smoothed, soft, multi-hot), any sizes, any bias weight.

    The logits are unique up to a constant in each column of positive mass, and so are the product and b, taken with
    1'b = 0: the nuclear norm and lam_b/2 ||b||^2 share a mean direction in one way only (for lam_b = 0 the bias takes
    all of it). The infimum is attained iff the product is penalised and, for a free bias, every output is somebody's
    target; what is returned otherwise is in `limits`.
    """
    stated, index = state_program(problem, merge=solver_of(method) is None)
    program, rows = drop_empty_rows(stated)
    if program.threshold == 0:
        (solution, status), found_by = solve_unregularised(program, problem), "closed form"
    else:
        solution, found_by = _solve_wide(program, method)
        status = OptimumStatus.CERTIFIED if _closed(program, solution) else OptimumStatus.OPEN_GAP
    width = problem.width if problem.width is not None else min(problem.targets.columns.shape)
    narrow = width < solution.rank
    if narrow:
        found_by, status = f"{found_by}, then width {width}", OptimumStatus.BEST_KNOWN
        solution = _truncated(program, solution, width)
    elif not np.all(rows):
        status = OptimumStatus.AT_INFINITY
    solution = _with_empty_rows(solution, rows)
    W, H = _balanced_factors(problem, solution, stated.r, width)
    H, b, value = H[:, index], solution.b, solution.value
    s = np.zeros(min(problem.targets.columns.shape))
    s[: solution.rank] = solution.s
    if narrow and program.threshold > 0 and np.all(rows):
        end = best_of(problem, (W,), H, b, _NARROW_STARTS)
        W, H, b, value = end.W[0], end.H, end.b, end.value
        s = np.linalg.svd(W @ H * np.sqrt(problem.targets.multiplicity / problem.N), compute_uv=False)[: s.size]
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
        rank=int(np.sum(s > _CVXPY_ACCURACY * np.max(s, initial=0.0))) if narrow else solution.rank,
        unique=True if status is OptimumStatus.CERTIFIED and program.threshold > 0 else None,
        dual=solution.dual,
        work=solution.work,
    )


def _solve_wide(program: EntropyProgram, method: str) -> tuple[Factored, str]:
    """The convex optimum and what found it."""
    if (solver := solver_of(method)) is not None:
        from ufm.optimum.entropy.referee import solve_cvxpy

        X, b, _ = solve_cvxpy(program, solver)
        U, s, Vt = svd(X)
        kept = s > _CVXPY_ACCURACY * np.max(s)
        return _assemble(program, U[:, kept], s[kept], Vt[kept].T, b - b.mean()), method
    if method != "newton":
        m = program.T.shape[0]
        if (formula := simplex(program)) is not None:
            return _assemble(program, *formula, np.zeros(m)), "closed form"
        if (point := no_features(program)) is not None:
            empty = np.zeros((m, 0)), np.zeros(0), np.zeros((program.r.size, 0))
            return _assemble(program, *empty, point.b), "closed form"
        if method == "closed form":
            raise ProblemError("method", method, "no formula is known for these targets and sizes; use 'newton'.")
    return solve_newton(program), "newton"


def _assemble(program: EntropyProgram, U: np.ndarray, s: np.ndarray, V: np.ndarray, b: np.ndarray) -> Factored:
    """A point with its value and the bound from its own residual."""
    point = Point.at(program, (U * s) @ V.T, b)
    bound, dual = best_dual_value(program, point)
    value = point.fit + program.threshold * float(np.sum(s)) + point.bias_penalty()
    return Factored(U, s, V, b, value, bound, dual, 1)


def _closed(program: EntropyProgram, solution: Factored) -> bool:
    allowed = _CLOSED if max(program.T.shape) <= _SMALL else _CLOSED_LARGE
    return solution.relative_gap <= allowed


def _truncated(program: EntropyProgram, solution: Factored, width: int) -> Factored:
    """The largest directions of logits that nothing penalises, with the value there; the bound stays."""
    U, s, V = solution.U[:, :width], solution.s[:width], solution.V[:, :width]
    value = Point.at(program, (U * s) @ V.T, solution.b).fit
    return Factored(U, s, V, solution.b, value, solution.bound, solution.dual, solution.work)


def _with_empty_rows(solution: Factored, rows: np.ndarray) -> Factored:
    """The solution with the dropped outputs put back: no product, and a bias so low that the softmax loses them."""
    if np.all(rows):
        return solution
    U = np.zeros((rows.size, solution.rank))
    U[rows] = solution.U
    spread = float(np.max(solution.s, initial=0.0)) + float(np.ptp(solution.b))
    b = np.full(rows.size, float(solution.b.min()) - spread - 40.0)
    b[rows] = solution.b
    dual = np.zeros((rows.size, solution.dual.shape[1]))
    dual[rows] = solution.dual
    return Factored(U, solution.s, solution.V, b, solution.value, solution.bound, dual, solution.work)


def _balanced_factors(problem: Problem, solution: Factored, r: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """W (m x d) and the distinct columns of H (d x K) with W H = X diag(1/r), lam_W W'W = lam_H H diag(n) H'."""
    lam_W, lam_H = float(problem.lam_W[0]), float(problem.lam_H)
    tilt = math.sqrt(math.sqrt(lam_W) / math.sqrt(lam_H)) if lam_W > 0 and lam_H > 0 else 1.0
    root = np.sqrt(solution.s * math.sqrt(problem.N))
    W, H = np.zeros((solution.U.shape[0], width)), np.zeros((width, solution.V.shape[0]))
    W[:, : root.size] = solution.U * (root / tilt)
    H[: root.size] = (solution.V * (root * tilt)).T / (r * math.sqrt(problem.N))
    return W, H
