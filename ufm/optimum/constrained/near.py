"""Features near given ones: the features are exact for a given classifier, what is left is smooth in W and b.

h_i = (W'W + a I)^{-1} (W'(y_i - b) + beta h0_i) with a = N lam_H + beta (theory: section 7; tirer2023), so the samples
enter through the second moments of (1, y, h0) only. Not convex in W: started at the unconstrained optimum turned
towards H0, at the classifier that H0 asks for, and at random.

Weak duality: with a = lam_H + beta/N and any m x N matrix E with ||E||_op^2 < a lam_W (and E 1 = 0 where lam_b = 0),

    value >= tr E'Y - N/2 ||E||^2 - ||E 1||^2/(2 lam_b) + beta/(2N) ||H0||^2
             - (beta/N)^2/2 tr H0 (a I - E'E/lam_W)^{-1} H0',

the last term being the least of the penalties and -tr E'W H over W and H. At a critical point with the residual
E = (Y - W H - b 1')/N the two sides are equal: one whose residual has no singular value above sqrt(a lam_W) is global.
Elsewhere the bound is concave in E, and projected gradients climb from there to the best one; a gap then remains.
"""

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize, minimize_scalar

from ufm.constraints import Near
from ufm.errors import ProblemError
from ufm.optimum.constrained import referee
from ufm.optimum.constrained.point import optimum_at, slope_of
from ufm.optimum.optimum import Optimum
from ufm.optimum.referees import solver_of
from ufm.optimum.squared.solve import solve_squared
from ufm.optimum.status import OptimumStatus
from ufm.problem import Problem, objective

_RANDOM_STARTS = 6
_TIGHT = 1e-10
_SETTLED = 1e-6  # relative slope of a critical point
_CVXPY_GAP = 1e-6  # what cvxpy leaves of a gap that is closed
_POLISH = 4
_CLIMB = 1000  # steps of the dual at most, in each stage
_SLACK = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7)  # relative distance from the ball's surface
_LARGE = 400  # unknowns up to which a Hessian by differences is cheap


def solve_near(problem: Problem, method: str = "auto") -> Optimum:
    """The best critical point found, certified where it meets a bound: a small residual, an optimal H0."""
    near = problem.constraint
    if not isinstance(near, Near):
        raise ProblemError("constraint", near, "this solver needs Near.")
    if (solver := solver_of(method)) is not None:
        return _refereed(problem, near, method, solver)
    Y, d = problem.targets.matrix(), near.H0.shape[0]
    free = solve_squared(problem.replace(constraint=None, width=d), "auto")
    data = _Moments(problem, Y, near)
    found = [_descend(data, W, b) for W, b in _starts(problem, near, free, Y)]
    W, b, work = min(found, key=lambda end: data.value_and_slope(np.concatenate([end[0].ravel(), end[1]]))[0])
    W, b = _polish(data, W, b)
    H = _features(problem, near, Y, W, b)
    value = float(objective(problem, W, H, b if problem.has_bias else None))
    bound, dual = _dual_bound(problem, near, Y, W, H, b)
    if value - bound > _TIGHT * max(1.0, value) and float(problem.lam_W[0]) > 0:
        climbed = _bound_along(problem, near, Y, _climbed(problem, near, Y, dual))
        bound, dual = max((bound, dual), climbed, key=lambda found: found[0])
    bound = max(bound, free.lower_bound)
    slope = slope_of(problem, W, H, b, "WHb")
    status = OptimumStatus.BEST_KNOWN
    if value - bound <= _TIGHT * max(1.0, value):
        grows = float(problem.lam_W[0]) == 0 and slope > _SETTLED  # W costs nothing, and is on its way to infinity
        status = OptimumStatus.NOT_ATTAINED if grows else OptimumStatus.CERTIFIED
    return optimum_at(
        problem,
        W,
        H,
        b,
        status=status,
        method=f"features exact, {len(found)} descents of the classifier",
        value=value,
        lower_bound=bound,
        stationarity=slope,
        dual=dual,
        work=work,
    )


def _refereed(problem: Problem, near: Near, method: str, solver: str) -> Optimum:
    """The point that cvxpy's dual optimum asks for, descended from, where they meet; else no program is known."""
    if float(problem.lam_W[0]) == 0:
        raise ProblemError("lam_W", problem.lam_W, "cvxpy solves the dual, which needs lam_W > 0; use method='auto'.")
    Y = problem.targets.matrix()
    E, W, b = referee.near(problem, near, solver)
    W, b, work = _descend(_Moments(problem, Y, near), W, b)
    H = _features(problem, near, Y, W, b)
    value = float(objective(problem, W, H, b if problem.has_bias else None))
    bound, dual = _bound_along(problem, near, Y, E)
    if value - bound > _CVXPY_GAP * max(1.0, value):
        raise ProblemError(
            "method",
            method,
            f"Near is convex only where the optimum's residual is small; here cvxpy's bound is {bound:.6g}, its point "
            f"{value:.6g}. Raise lam_W, lam_H or constraint.beta = {near.beta:g}, or use method='auto'.",
        )
    tight = value - bound <= _TIGHT * max(1.0, value)
    return optimum_at(
        problem,
        W,
        H,
        b,
        status=OptimumStatus.CERTIFIED if tight else OptimumStatus.OPEN_GAP,
        method=f"{method} on the dual, then a descent",
        value=value,
        lower_bound=bound,
        stationarity=slope_of(problem, W, H, b, "WHb"),
        dual=dual,
        work=work,
    )


class _Moments:
    """min over H as a function of (W, b), from the second moments of (y, h0)."""

    def __init__(self, problem: Problem, Y: np.ndarray, near: Near):
        self.problem, self.m, self.d = problem, problem.m, near.H0.shape[0]
        self.beta, self.a = near.beta, problem.N * float(problem.lam_H) + near.beta
        self.lam_W = float(problem.lam_W[0])
        self.lam_b = float(problem.lam_b) if problem.has_bias else 0.0
        rows = np.vstack([Y, near.H0])
        self.mean = rows.mean(axis=1)
        self.second = rows @ rows.T / problem.N

    def value_and_slope(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """f and its gradient; x is W, then b, which counts where there is a bias.

        With h = (beta/a) h0 + g, f is a ridge regression of z = y - b - (beta/a) W h0 on W: its residual is M z,
        M = (1 + WW'/a)^-1, and no two terms cancel, however large W becomes.
        """
        m, d, tie = self.m, self.d, self.beta / self.a
        W, b = x[: m * d].reshape(m, d), x[m * d :] * self.problem.has_bias
        map_z = np.hstack([np.eye(m), -tie * W])  # z + b from (y, h0)
        shift = np.outer(map_z @ self.mean, b)
        zz = map_z @ self.second @ map_z.T - shift - shift.T + np.outer(b, b)
        zh = map_z @ self.second[:, m:] - np.outer(b, self.mean[m:])
        curved, U = np.linalg.eigh(W @ W.T)
        M = (U / (1 + np.maximum(curved, 0.0) / self.a)) @ U.T
        value = (np.sum(M * zz) + self.beta * (1 - tie) * np.trace(self.second[m:, m:])) / 2
        value += self.lam_W / 2 * np.sum(W**2) + self.lam_b / 2 * b @ b
        # Envelope: the slope by W is minus the residual times h' averaged, h = (beta/a) h0 + W'(residual)/a.
        by_W = -tie * M @ zh - M @ zz @ M @ W / self.a + self.lam_W * W
        by_b = (self.lam_b * b - M @ (map_z @ self.mean - b)) * self.problem.has_bias
        return float(value), np.concatenate([by_W.ravel(), by_b])


def _descend(data: _Moments, W: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Quasi-Newton to round-off; restarts forget a curvature that no longer fits."""
    x, work = np.concatenate([W.ravel(), b]), 0
    for _ in range(_POLISH):
        options = {"gtol": 1e-13, "ftol": 1e-18, "maxiter": 3000, "maxcor": 30}
        end = minimize(data.value_and_slope, x, jac=True, method="L-BFGS-B", options=options)
        x, work = end.x, work + int(end.nit)
        if float(np.abs(end.jac).max()) <= 1e-12:
            break
    return x[: W.size].reshape(W.shape), x[W.size :], work


def _polish(data: _Moments, W: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Newton's last steps, the Hessian by central differences of the slope: each takes eight digits off the slope."""
    x = np.concatenate([W.ravel(), b])
    if x.size > _LARGE:
        return W, b
    slope = data.value_and_slope(x)[1]
    step = 1e-5 * max(1.0, float(np.abs(x).max()))
    for _ in range(_POLISH):
        shifts = step * np.eye(x.size)
        hessian = [(data.value_and_slope(x + e)[1] - data.value_and_slope(x - e)[1]) / (2 * step) for e in shifts]
        trial = x - np.linalg.lstsq(np.array(hessian), slope, rcond=1e-12)[0]
        found = data.value_and_slope(trial)[1]
        if np.linalg.norm(found) >= np.linalg.norm(slope):
            break
        x, slope = trial, found
    return x[: W.size].reshape(W.shape), x[W.size :]


def _starts(problem: Problem, near: Near, free: Optimum, Y: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    H_free = free.H if free.H.shape[1] == problem.N else np.repeat(free.H, problem.targets.multiplicity, axis=1)
    U, _, Vt = np.linalg.svd(near.H0 @ H_free.T)
    turn = U @ Vt  # the rotation of the optimum's features closest to H0
    centred = Y - free.b[:, None]
    ridge = problem.N * float(problem.lam_W[0]) * np.eye(near.H0.shape[0])
    asked = centred @ near.H0.T @ np.linalg.pinv(near.H0 @ near.H0.T + ridge)
    rng = np.random.default_rng(0)
    size = float(np.linalg.norm(free.W[0])) or 1.0
    W = free.W[0] @ turn.T
    random = [size * rng.standard_normal(W.shape) / np.sqrt(W.size) for _ in range(_RANDOM_STARTS)]
    return [(start, free.b.copy()) for start in (W, asked, W + asked, *random)]


def _dual_bound(
    problem: Problem, near: Near, Y: np.ndarray, W: np.ndarray, H: np.ndarray, b: np.ndarray
) -> tuple[float, np.ndarray]:
    """The best dual value on the ray of this point's residual, and the dual matrix E (m x N)."""
    return _bound_along(problem, near, Y, (Y - W @ H - b[:, None]) / problem.N)


def _bound_along(problem: Problem, near: Near, Y: np.ndarray, E: np.ndarray) -> tuple[float, np.ndarray]:
    """The best dual value on the ray of E (m x N), and that multiple of E."""
    N, lam_W, lam_b = problem.N, float(problem.lam_W[0]), float(problem.lam_b)
    if lam_b == 0:
        E = E - E.mean(axis=1, keepdims=True)
    if lam_W == 0:
        return 0.0, np.zeros_like(E)
    a, drag = float(problem.lam_H) + near.beta / N, near.beta / N
    _, s, Vt = np.linalg.svd(E, full_matrices=False)
    along, total = np.sum((near.H0 @ Vt.T) ** 2, axis=0), float(np.sum(near.H0**2))
    linear, square = float(np.sum(E * Y)), N * float(np.sum(E**2))
    if 0 < lam_b < np.inf:
        square += float(np.sum(E.sum(axis=1) ** 2)) / lam_b
    largest = float(np.sqrt(a * lam_W) / s[0]) if s[0] > 0 else np.inf

    def value(scale: float) -> float:
        response = np.sum(along / (a - (scale * s) ** 2 / lam_W)) + max(0.0, total - float(along.sum())) / a
        return scale * linear - scale**2 * square / 2 + drag / 2 * total - drag**2 / 2 * float(response)

    best = min(1.0, largest * (1 - 1e-9))
    if best < 1:  # no critical point of the dual: look along the ray
        found = minimize_scalar(lambda scale: -value(scale), bounds=(0.0, best), method="bounded")
        best = float(found.x) if value(float(found.x)) > value(best) else best  # pyright: ignore[reportAttributeAccessIssue]
    return value(best), best * E


def _climbed(problem: Problem, near: Near, Y: np.ndarray, E: np.ndarray) -> np.ndarray:
    """A dual matrix (m x N) from which the bound rises no further: projected gradients with spectral step lengths.

    It lies in the span of the rows of Y, H0 and 1 (orthogonal to 1 for a free bias), so N is not the cost of a step.
    The slope grows without bound towards ||E||_op^2 = a lam_W: the ball is widened towards it in stages.
    """
    N, lam_W, lam_b = problem.N, float(problem.lam_W[0]), float(problem.lam_b)
    a, drag = float(problem.lam_H) + near.beta / N, near.beta / N
    rows = np.vstack([Y, near.H0, np.ones((1, N))])
    rows = rows - rows.mean(axis=1, keepdims=True) if lam_b == 0 else rows
    _, s, Vt = np.linalg.svd(rows, full_matrices=False)
    V = Vt[s > 1e-12 * s[0]].T
    y, h, v = Y @ V, near.H0 @ V, V.sum(axis=0)
    pull = 1 / lam_b if 0 < lam_b < np.inf else 0.0

    def value_and_slope(F: np.ndarray) -> tuple[float, np.ndarray]:
        pulled, response = F @ v, np.linalg.solve(a * np.eye(v.size) - F.T @ F / lam_W, h.T)
        value = np.sum(F * y) - N / 2 * np.sum(F**2) - pull / 2 * pulled @ pulled - drag**2 / 2 * np.sum(h.T * response)
        slope = y - N * F - pull * np.outer(pulled, v) - drag**2 / lam_W * (F @ response) @ response.T
        return float(value), slope

    F = E @ V
    for slack in _SLACK:
        F = _highest(value_and_slope, F, np.sqrt(a * lam_W) * (1 - slack), 1 / (N * (1 + pull)))
    return F @ V.T


def _highest(
    value_and_slope: Callable[[np.ndarray], tuple[float, np.ndarray]], F: np.ndarray, limit: float, length: float
) -> np.ndarray:
    """The best point of a climb from F in ||F||_op <= limit, which need not rise in every step; length: its first."""

    def inside(F: np.ndarray) -> np.ndarray:
        U, s, Vt = np.linalg.svd(F, full_matrices=False)
        return (U * np.minimum(s, limit)) @ Vt

    F, least = inside(F), 1e-14 * length
    value, slope = value_and_slope(F)
    best, recent = (value, F), [value]
    for _ in range(_CLIMB):
        trial = inside(F + length * slope)
        risen, following = value_and_slope(trial)
        while risen < min(recent) + 1e-4 * float(np.sum(slope * (trial - F))) and length > least:
            length /= 4
            trial = inside(F + length * slope)
            risen, following = value_and_slope(trial)
        moved, bent = trial - F, slope - following
        if float(np.max(np.abs(moved))) <= 1e-10 * limit:
            break
        length = float(np.sum(moved**2)) / max(float(np.sum(moved * bent)), 1e-300)
        F, slope, recent = trial, following, [*recent[-9:], risen]
        best = max(best, (risen, F), key=lambda found: found[0])
    return best[1]


def _features(problem: Problem, near: Near, Y: np.ndarray, W: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The exact response (d x N)."""
    a = problem.N * float(problem.lam_H) + near.beta
    return np.linalg.solve(W.T @ W + a * np.eye(W.shape[1]), W.T @ (Y - b[:, None]) + near.beta * near.H0)
