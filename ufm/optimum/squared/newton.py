"""Semismooth Newton on the bias: the squared loss at p = 2 for every encoding, imbalance and lam_b in (0, inf).

Minimising over X leaves f(b) = sum_i huber(sigma_i(A - b u')) + lam_b/2 ||b||^2, smooth and strictly convex in m
numbers (theory: section 3). The change of A with b has rank one, so the generalised Hessian comes from one SVD by
divided differences of the shrinkage, in O(m^2).
"""

import math

import numpy as np

from ufm.optimum.squared.shrinkage import ShrinkageProblem, ShrinkageSolution

MAX_STEPS = 100
ARMIJO = 1e-4
MAX_HALVINGS = 40
SETTLED = 1e-12  # relative slope: b is then exact to about as much, and the gap to its square
LAST = 1e-9  # relative slope from which one more Newton step is exact to round-off
TURN = 1e-9  # largest turn of the singular bases whose square is round-off, with room for K^2 of them
CLOSED = 1e-14  # relative duality gap below which values cannot tell two points apart

_TINY = float(np.finfo(float).tiny)


def solve_newton(problem: ShrinkageProblem) -> tuple[ShrinkageSolution, int]:
    """The optimum for 0 < lam_b < inf, and the number of SVDs it took."""
    b = problem.mean / (1 + problem.lam_b)  # exact where no mean direction survives
    point = _Point.at(problem, b)
    svds = 1
    for _ in range(MAX_STEPS):
        if point.slope <= SETTLED * point.scale:
            break
        step = -point.solve_hessian(point.gradient)
        if point.slope <= LAST * point.scale and (moved := point.moved(step)) is not None:
            point = moved
            break
        better, used = _line_search(problem, point, step)
        svds += used
        if better is None:
            break  # the gap is closed and the gradient has reached its round-off
        point = better
    return point.solution(), svds


class _Point:
    """f, its gradient and its generalised Hessian at one bias b."""

    def __init__(self, problem: ShrinkageProblem, b: np.ndarray, U: np.ndarray, sigma: np.ndarray, V: np.ndarray):
        self.problem, self.b, self.U, self.sigma, self.V = problem, b, U, sigma, V
        lam_b = problem.lam_b
        self.clipped = np.minimum(sigma, problem.threshold)
        self.v = problem.u @ V
        pull = U @ (self.clipped * self.v)  # E u
        self.gradient = lam_b * b - pull
        size = float(b @ b)
        self.slope = math.sqrt(self.gradient @ self.gradient)
        self.scale = lam_b * math.sqrt(size) + math.sqrt(pull @ pull)
        self.gap = self.slope**2 / (2 * lam_b)  # primal minus dual value at E, exactly
        self.value = float(self.clipped @ (sigma - self.clipped / 2)) + lam_b * size / 2

    @staticmethod
    def at(problem: ShrinkageProblem, b: np.ndarray) -> "_Point":
        """Evaluate at b: one SVD."""
        U, sigma, Vt = np.linalg.svd(problem.A - b[:, None] * problem.u, full_matrices=False)
        return _Point(problem, b, U, sigma, Vt.T)

    def moved(self, step: np.ndarray) -> "_Point | None":
        """The point at b + step without an SVD: U and V turned to first order, or None where that is not exact.

        With B = -U' step u' V, sigma moves by diag B and the bases by the skew matrices below, which are of the size of
        B over the differences of singular values; their squares, that is what is left out, must be round-off.
        """
        sigma, r = self.sigma, self.sigma.size
        if self.U.shape[0] != r or self.V.shape[0] != r:
            return None
        left = self.U.T @ step
        B = left[:, None] * -self.v
        square = sigma**2
        apart = square - square[:, None]
        apart.flat[:: r + 1] = math.inf
        if not apart.all():
            return None
        scaled = B * sigma  # B_ij sigma_j
        turn_U = (scaled + scaled.T) / apart
        other = sigma[:, None] * B
        turn_V = (other + other.T) / apart
        if max(float((turn_U**2).sum()), float((turn_V**2).sum())) > TURN**2:
            return None
        found = sigma + B.diagonal()
        if (np.diff(found) > 0).any() or found[-1] < 0:
            return None
        U, V = self.U + self.U @ turn_U, self.V + self.V @ turn_V
        point = _Point(self.problem, self.b + step, U, found, V)
        return point if point.slope <= SETTLED * point.scale else None

    def solution(self) -> ShrinkageSolution:
        """The best X at this b."""
        kept = self.sigma > self.problem.threshold
        s = self.sigma[kept] - self.problem.threshold
        return ShrinkageSolution(self.U[:, kept], s, self.V[:, kept], self.b, (self.U * self.clipped) @ self.V.T)

    def solve_hessian(self, g: np.ndarray) -> np.ndarray:
        """H^{-1} g, H in the basis U and its complement, where it is a multiple of the identity."""
        lam_b = self.problem.lam_b
        H, ratio = hessian(self.sigma, self.v, self.problem.threshold)
        H.flat[:: H.shape[0] + 1] += lam_b
        inside = self.U.T @ g
        step = self.U @ np.linalg.solve(H, inside)
        if self.U.shape[1] < self.U.shape[0]:
            step += (g - self.U @ inside) / (lam_b + float(ratio @ self.v**2))
        return step


def hessian(sigma: np.ndarray, v: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Generalised Hessian of sum_i huber(sigma_i(A - b u')) in the basis U (r x r), and clipped/sigma (r).

    Divided differences of the clipping for the change b -> A - b u', of rank one: between two saturated directions
    (sigma >= threshold) and between a saturated and another; two others see the identity. sigma descends; v = V'u.
    """
    k = int(np.count_nonzero(sigma >= threshold))
    top, low, v_top, v_low = sigma[:k], sigma[k:], v[:k], v[k:]
    outside = max(0.0, 1.0 - float(v @ v))  # ||(I - VV')u||^2
    ratio = np.ones(sigma.size)
    ratio[:k] = threshold / np.maximum(top, _TINY)
    H = np.zeros((sigma.size, sigma.size))
    diagonal = outside * ratio
    cross = threshold / np.maximum(top[:, None] + top, _TINY)  # half of the divided sum
    diagonal[:k] += cross @ v_top**2
    H[:k, :k] = cross * v_top * -v_top[:, None]
    if low.size:  # low < threshold <= top: no division by zero
        same = (threshold - low) / (top[:, None] - low)
        mixed = (threshold + low) / (top[:, None] + low)
        total = same + mixed
        diagonal[:k] += total @ v_low**2 / 2
        diagonal[k:] += v_top**2 @ total / 2 + float(v_low @ v_low)
        H[:k, k:] = v_top[:, None] * (same - mixed) * v_low / 2
        H[k:, :k] = H[:k, k:].T
    H.flat[:: H.shape[0] + 1] += diagonal
    return H, ratio


def _line_search(problem: ShrinkageProblem, point: _Point, step: np.ndarray) -> tuple[_Point | None, int]:
    """The first of the steps 1, 1/2, 1/4, ... that lowers f; once the gap is closed, only a step that halves the slope.

    A closed gap says that f can fall no further, but b is first order in the slope: Newton's last steps still help it.
    """
    if point.gap <= CLOSED * point.value:
        candidate = _Point.at(problem, point.b + step)
        return (candidate if candidate.slope <= point.slope / 2 else None), 1
    descent, length = float(point.gradient @ step), 1.0
    noise = 8 * np.finfo(float).eps * point.value
    for tried in range(1, MAX_HALVINGS + 1):
        candidate = _Point.at(problem, point.b + length * step)
        if candidate.value <= point.value + ARMIJO * length * descent:
            return candidate, tried
        if candidate.slope <= point.slope / 2 and candidate.value <= point.value + noise:
            return candidate, tried
        length /= 2
    return None, MAX_HALVINGS
