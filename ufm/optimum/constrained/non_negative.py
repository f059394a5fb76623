"""Non-negative features: a convex problem where the width is free (`atoms`), a formula for one-hot cross-entropy.

dang2024, theorem 1: without bias, d >= K, the class means are orthogonal, of squared norm
sqrt((K-1)/K lam_W/(lam_H n_k)) M_k with the margin M_k = log((K-1)(sqrt(n_k)/(N sqrt((K-1)/K lam_W lam_H)) - 1))_+.
Its residual has columns a_k (e_k - 1/K), so E'E is non-positive off its diagonal, (K-1)/K a_k^2 on it: the dual bound
of `atoms` proves the formula. Below that width the problem is not convex, and the bound is that of a free width.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ufm.errors import ProblemError
from ufm.losses import RescaledMSE
from ufm.optimum.constrained import referee
from ufm.optimum.constrained.atoms import Atoms, GaugeProgram, descend, grow, lower_bound, pruned
from ufm.optimum.constrained.point import optimum_at
from ufm.optimum.entropy.solve import solve_entropy
from ufm.optimum.optimum import Optimum
from ufm.optimum.referees import solver_of
from ufm.optimum.squared.solve import solve_squared
from ufm.optimum.status import OptimumStatus
from ufm.optimum.symmetry import find_groups
from ufm.optimum.weighted.solve import solve_weighted
from ufm.problem import Problem, gradient, objective

_STARTS = 6
_IDENTITY = 60  # columns up to which one feature for each of them is a start
_TIGHT = 1e-8


def solve_non_negative(problem: Problem, method: str = "auto") -> Optimum:
    """The global minimum, certified by its dual, where the width is free or large enough; else the best descent."""
    solvers: dict[Any, Callable[[Problem, str], Optimum]] = {"mse": solve_squared, "cross_entropy": solve_entropy}
    solve_free = solve_weighted if isinstance(problem.loss, RescaledMSE) else solvers.get(problem.loss)
    if solve_free is None:
        fix = "non-negative features are solved for 'mse', 'cross_entropy' and rescaled_mse."
        raise ProblemError("loss", problem.loss, fix)
    solver = solver_of(method)
    if solver is not None and float(problem.lam_W[0]) * float(problem.lam_H) > 0:
        return _refereed(problem, method, solver)
    free = problem.replace(constraint=None, width=None)
    below = solve_free(free, method)
    program = GaugeProgram.of(problem)
    if program.t == 0:
        return _unpenalised(problem, below)
    if _has_formula(problem):
        best, work, method = _formula(problem, program), 0, "closed form"
    else:
        best, work, method = _turned(program, below), 0, "free optimum, rotated"
        if best is None:
            best, work = grow(program, _split(program, below), program.T.size + 1)
            method = f"gauge, {best.G.shape[0]} features"
    bound, dual = lower_bound(program, best)
    if bound < below.lower_bound:
        bound, dual = below.lower_bound, below.certificate.dual
    if problem.width is not None and problem.width < best.G.shape[0]:
        best, more = _narrow(program, best, problem.width)
        work, method = work + more, f"best of {_STARTS + 1} descents at width {problem.width}"
    W, H, b = _factors(problem, best)
    value = float(objective(problem, W, H, b if problem.has_bias else None))
    tight = value - bound <= _TIGHT * max(1.0, value)
    return optimum_at(
        problem,
        W,
        H,
        b,
        status=OptimumStatus.CERTIFIED if tight else OptimumStatus.BEST_KNOWN,
        method=method,
        value=value,
        lower_bound=bound,
        stationarity=_residual(problem, W, H, b),
        dual=dual,
        work=work,
    )


def _refereed(problem: Problem, method: str, solver: str) -> Optimum:
    """The bound of cvxpy's product, from below; from above its features, made non-negative and descended from."""
    columns = problem.targets.columns.shape[1]
    room = columns if columns <= 4 else columns * (columns + 1) // 2  # of any completely positive Gram matrix
    if problem.width is not None and problem.width < room:
        raise ProblemError(
            "width", problem.width, f"the program of cvxpy is convex for width >= {room}; leave it None, or 'auto'."
        )
    program = GaugeProgram.of(problem)
    X, b, W, G = referee.non_negative(problem, program.t, min(room, 2 * columns), solver)
    bound, dual = lower_bound(program, Atoms(X, np.eye(columns), b))
    best, work = descend(program, Atoms(W, G, b))
    W, H, b = _factors(problem, pruned(best))
    value = float(objective(problem, W, H, b if problem.has_bias else None))
    return optimum_at(
        problem,
        W,
        H,
        b,
        status=OptimumStatus.CERTIFIED if value - bound <= _TIGHT * max(1.0, value) else OptimumStatus.OPEN_GAP,
        method=f"{method}, then a descent",
        value=value,
        lower_bound=bound,
        stationarity=_residual(problem, W, H, b),
        dual=dual,
        work=work,
    )


def _unpenalised(problem: Problem, below: Optimum) -> Optimum:
    """A zero weight leaves the product free, and every product has non-negative features: one a column."""
    columns = problem.targets.columns.shape[1]
    d = problem.width if problem.width is not None else columns
    if d < columns:
        fix = f"with a zero weight non-negative features are solved for width >= {columns}; raise it, or both weights."
        raise ProblemError("width", problem.width, fix)
    W, H, X = np.zeros((problem.m, d)), np.zeros((d, columns)), below.product @ below.H
    size = np.sqrt(np.linalg.norm(X, axis=0))
    W[:, :columns] = X / np.where(size > 0, size, 1)
    H[:columns] = np.diag(size)
    return optimum_at(
        problem,
        W,
        H,
        below.b,
        status=below.status,
        method=f"one feature a column, {below.method}",
        value=below.value,
        lower_bound=below.lower_bound,
        stationarity=_residual(problem, W, H, below.b),
        dual=below.certificate.dual,
        work=below.certificate.work,
    )


def _has_formula(problem: Problem) -> bool:
    groups = find_groups(problem)
    one_hot = groups is not None and (groups.alpha, groups.beta) == (1.0, 0.0) and problem.K >= 2
    return problem.loss == "cross_entropy" and not problem.has_bias and one_hot


def _formula(problem: Problem, program: GaugeProgram) -> Atoms:
    """dang2024: theorem 1, one feature for each class that is alive."""
    K = problem.K
    excess = (K - 1) * (program.r / (program.t * math.sqrt((K - 1) / K)) - 1)
    alive = excess > 1
    # h_k, w_k in units that weigh W and G alike: ||w_k|| = ||g_k||, z_kk - z_jk = M_k.
    size = np.sqrt(math.sqrt((K - 1) / K) * program.r * np.log(np.maximum(excess, 1.0)))
    W = (np.eye(K) - 1 / K) * math.sqrt(K / (K - 1)) * size
    return Atoms(W[:, alive], np.diag(size)[alive], np.zeros(K))


def _turned(program: GaugeProgram, below: Optimum) -> Atoms | None:
    """The free optimum with features V S^(1/2) V', where those are non-negative already; else None."""
    U, s, Vt = np.linalg.svd((below.product @ below.H) * program.r, full_matrices=False)
    root = np.sqrt(s)[:, None] * Vt
    G = Vt.T @ root
    if np.min(G) < -1e-14 * math.sqrt(float(s[0])):
        return None
    return pruned(Atoms(U @ root, np.maximum(G, 0), below.b))


def _split(program: GaugeProgram, below: Optimum) -> Atoms:
    """The free optimum with its features cut into positive and negative parts, and one feature a column."""
    X = (below.product @ below.H) * program.r
    U, s, Vt = np.linalg.svd(X, full_matrices=False)
    kept = s > 1e-12 * max(float(s[0]), 1e-300)
    root = np.sqrt(s[kept])
    W, G = U[:, kept] * root, root[:, None] * Vt[kept]
    images, features = [W, -W], [np.maximum(G, 0), np.maximum(-G, 0)]
    if X.shape[1] <= _IDENTITY:
        size = np.sqrt(np.linalg.norm(X, axis=0) + 1e-3 * float(np.linalg.norm(program.T * program.r)))
        images.append(X / size)
        features.append(np.diag(size))
    return Atoms(np.hstack(images), np.vstack(features), below.b)


def _narrow(program: GaugeProgram, wide: Atoms, d: int) -> tuple[Atoms, int]:
    """The best of several descents with d features: the heaviest ones of the wide optimum, and random ones."""
    weight = np.linalg.norm(wide.W, axis=0) * np.linalg.norm(wide.G, axis=1)
    heaviest = np.argsort(-weight, kind="stable")[:d]
    starts = [Atoms(wide.W[:, heaviest], wide.G[heaviest], wide.b)]
    rng, size = np.random.default_rng(0), math.sqrt(float(weight.max()))
    m, columns = program.T.shape
    for _ in range(_STARTS):
        G = size * np.abs(rng.standard_normal((d, columns))) / math.sqrt(columns)
        starts.append(Atoms(size * rng.standard_normal((m, d)) / math.sqrt(m), G, wide.b))
    ends = [descend(program, start) for start in starts]
    return min((end for end, _ in ends), key=program.value), sum(work for _, work in ends)


def _factors(problem: Problem, at: Atoms) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """W (m x d), H (d x columns) and b in the units of the data, padded with zero features up to the width."""
    lam_W, lam_H = float(problem.lam_W[0]), float(problem.lam_H)
    d = problem.width if problem.width is not None else max(at.G.shape[0], 1)
    balance = (lam_W / lam_H) ** 0.25 * problem.N**0.25
    W, H = np.zeros((problem.m, d)), np.zeros((d, at.G.shape[1]))
    W[:, : at.W.shape[1]] = at.W / balance * math.sqrt(problem.N)
    H[: at.G.shape[0]] = at.G * balance / np.sqrt(problem.targets.multiplicity)
    return W, H, at.b if problem.has_bias else np.zeros(problem.m)


def _residual(problem: Problem, W: np.ndarray, H: np.ndarray, b: np.ndarray) -> float:
    """Relative gradient by W and b, and by H where it may move: up at zero entries, both ways elsewhere."""
    slope = gradient(problem, (W,), H, b if problem.has_bias else None)
    allowed = np.where(H > 0, slope.H, np.minimum(slope.H, 0))
    scale = float(problem.lam_W[0]) * np.linalg.norm(W) + float(problem.lam_H) * np.linalg.norm(H)
    scale += float(np.linalg.norm(problem.targets.mean))
    return float(max(np.linalg.norm(slope.W[0]), np.linalg.norm(allowed), np.linalg.norm(slope.b)) / scale)
