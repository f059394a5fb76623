"""A penalised bias where no formula is proved: f(b) = sum_i phi(sigma_i(A - b u')) + lam_b/2 ||b||^2 from many starts.

phi is the scalar minimum and phi'(sigma) = sigma - s (envelope theorem), so grad f = lam_b b - E u with
E = U (sigma - s) V'. f is smooth but for concave kinks where a direction appears, and no minimum sits on one.
"""

import numpy as np
from scipy.optimize import minimize

from ufm.optimum.deep.bound import bias_ball
from ufm.optimum.deep.scalar import minimise
from ufm.optimum.deep.spectral import DeepProblem, DeepSolution, best_directions, bias_penalty, solve_fixed_bias

_POLISH = 30
_EVALUATIONS = 400


def starts_for(problem: DeepProblem) -> int:
    """Number of starts: fewer where one SVD is dear."""
    return int(np.clip(3000 // max(problem.A.shape), 3, 40))


def search(problem: DeepProblem, starts: int, seed: int = 0) -> DeepSolution:
    """The best local minimum found: half of the starts from the ranks 0, 1, 2, .., the rest at random in b's ball."""
    centre, radius = bias_ball(problem)
    rng = np.random.default_rng(seed)
    found = [np.zeros_like(centre), 2 * centre, centre]
    ranks = np.unique(np.linspace(1, max(1, min(*problem.A.shape, problem.d)), max(1, starts // 2)).astype(int))
    for rank in ranks[: max(0, starts - 3)]:
        found.append(_descend(problem, centre, int(rank)))  # the best b for that rank, then any rank
    while len(found) < starts:
        direction = rng.standard_normal(centre.size)
        share = rng.uniform() ** (1 / centre.size)
        found.append(centre + radius * share * direction / np.linalg.norm(direction))
    best = min((_descend(problem, b, problem.d) for b in found[:starts]), key=lambda b: _Point(problem, b).value)
    return solve_fixed_bias(problem, _polish(problem, best))


def descend_from(problem: DeepProblem, b: np.ndarray) -> DeepSolution:
    """The local minimum below this bias."""
    return solve_fixed_bias(problem, _polish(problem, _descend(problem, b, problem.d)))


def _descend(problem: DeepProblem, b: np.ndarray, d: int) -> np.ndarray:
    """L-BFGS on f, in units of b's ball, with at most d directions."""
    scale = max(float(np.linalg.norm(problem.mean)) / (1 + problem.lam_b), np.finfo(float).tiny)
    height = max(1.0, problem.lam_b) * scale**2

    def fun(x: np.ndarray) -> tuple[float, np.ndarray]:
        point = _Point(problem, x * scale, d)
        return point.value / height, point.gradient * (scale / height)

    options = {"gtol": 1e-11, "ftol": 1e-16, "maxfun": _EVALUATIONS, "maxcor": 20}
    return minimize(fun, b / scale, jac=True, method="L-BFGS-B", options=options).x * scale


def _polish(problem: DeepProblem, b: np.ndarray) -> np.ndarray:
    """Newton's method on grad f = 0 while it shortens the gradient: the last digits of b."""
    point = _Point(problem, b)
    for _ in range(_POLISH):
        candidate = _Point(problem, point.b - point.solve_hessian(point.gradient))
        noise = 1e-12 * abs(point.value)
        if not candidate.slope < point.slope or candidate.value > point.value + noise:
            break
        point = candidate
    return point.b


class _Point:
    """f and its gradient at one bias b; the Hessian's inverse on demand."""

    def __init__(self, problem: DeepProblem, b: np.ndarray, d: int | None = None) -> None:
        self.problem, self.b = problem, b
        self.U, self.sigma, Vt = np.linalg.svd(problem.A - np.outer(b, problem.u), full_matrices=False)
        best = minimise(self.sigma, problem.t, problem.p)
        self.kept = best_directions(best.gain, best.s, problem.d if d is None else d)
        self.s = np.where(self.kept, best.s, 0.0)
        self.e = np.where(self.kept, best.e, self.sigma)
        self.v = Vt @ problem.u
        self.gradient = problem.lam_b * b - self.U @ (self.e * self.v)
        self.slope = float(np.linalg.norm(self.gradient))
        self.value = float(np.sum(self.e * (self.e + problem.p * self.s))) / 2 + bias_penalty(problem, b)

    def solve_hessian(self, g: np.ndarray) -> np.ndarray:
        """H^{-1} g by divided differences of phi', H in the basis U and its complement (as for p = 2)."""
        sigma, e, v, lam_b = self.sigma, self.e, self.v, self.problem.lam_b
        slope = self._second_derivative()
        ratio = _divide(e, sigma, 1.0)
        gaps = sigma[:, None] - sigma
        close = np.abs(gaps) <= 1e-6 * (sigma[:, None] + sigma)
        same = np.where(close, (slope[:, None] + slope) / 2, _divide(e[:, None] - e, gaps, 0.0))
        cross = _divide(e[:, None] + e, sigma[:, None] + sigma, 1.0)
        outside = max(0.0, 1.0 - float(v @ v))
        H = (v[:, None] * (same - cross) * v) / 2
        H[np.diag_indices_from(H)] += (same + cross) @ v**2 / 2 + outside * ratio + lam_b
        inside = self.U.T @ g
        step = self.U @ np.linalg.lstsq(H, inside, rcond=None)[0]
        if self.U.shape[1] < self.U.shape[0]:
            step += (g - self.U @ inside) / (lam_b + float(ratio @ v**2))
        return step

    def _second_derivative(self) -> np.ndarray:
        """phi''(sigma) = 1 on a direction that is zero, -a delta/(1 - (1 + a) delta) on one that is not."""
        a, delta = 1 - 2 / self.problem.p, _divide(self.e, self.sigma, 1.0)
        return np.where(self.kept, _divide(-a * delta, 1 - (1 + a) * delta, 0.0), 1.0)


def _divide(a: np.ndarray, b: np.ndarray, otherwise: float) -> np.ndarray:
    """a/b where b is not zero, `otherwise` where it is."""
    return np.divide(a, b, out=np.full(np.broadcast(a, b).shape, otherwise), where=b != 0)
