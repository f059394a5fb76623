"""Semismooth Newton on the bias: the squared loss at p = 2 for every encoding, imbalance and lam_b in (0, inf).

Minimising over X leaves f(b) = sum_i huber(sigma_i(A - b u')) + lam_b/2 ||b||^2, smooth and strictly convex in m
numbers (theory: section 3). The change of A with b has rank one, so the generalised Hessian comes from the singular
values and left vectors by divided differences of the shrinkage, in O(m^2).
"""

import math

import numpy as np
from scipy.linalg.lapack import dposv  # pyright: ignore[reportAttributeAccessIssue]: made by f2py

from ufm.optimum.squared.shrinkage import ShrinkageProblem, ShrinkageSolution
from ufm.optimum.squared.spectra import ArrowSpectra, DenseSpectra, spectra

MAX_STEPS = 100
ARMIJO = 1e-4
MAX_HALVINGS = 40
SETTLED = 1e-10  # relative slope: b is then exact to about as much, and the gap to its square
CLOSED = 1e-14  # relative duality gap below which values cannot tell two points apart

_TINY = float(np.finfo(float).tiny)
_EPS = float(np.finfo(float).eps)


def solve_newton(problem: ShrinkageProblem) -> tuple[ShrinkageSolution, int]:
    """The optimum for 0 < lam_b < inf, and the number of SVDs it took."""
    space = spectra(problem)
    point = _minimise(_Point(space, space.mean / (1 + problem.lam_b)))  # exact where no mean direction survives
    solution = space.solution(point.b, point.found)
    if solution is not None:
        return solution, space.svds
    dense = DenseSpectra(problem)
    point = _minimise(_Point(dense, space.bias(point.b)))
    return dense.solution(point.b, point.found), space.svds + dense.svds


def _minimise(point: "_Point") -> "_Point":
    """Newton's method from a point to where the slope is settled, or no step helps any more."""
    for _ in range(MAX_STEPS):
        if point.slope <= SETTLED * point.scale:
            return point
        better = _line_search(point, -point.solve_hessian())
        if better is None:
            return point  # the gap is closed and the gradient has reached its round-off
        point = better
    return point


class _Point:
    """f and its gradient at one bias b."""

    def __init__(self, space: DenseSpectra | ArrowSpectra, b: np.ndarray) -> None:
        self.space, self.b, self.found = space, b, space.at(b)
        U, sigma, v, _ = self.found
        lam_b = space.problem.lam_b
        clipped = np.minimum(sigma, space.problem.threshold)
        pull = U @ (clipped * v)  # E u
        self.gradient = lam_b * b - pull
        size = float(b @ b)
        self.slope = math.sqrt(self.gradient @ self.gradient)
        self.scale = lam_b * math.sqrt(size) + math.sqrt(pull @ pull)
        self.gap = self.slope**2 / (2 * lam_b)  # primal minus dual value at E, exactly
        self.value = float(clipped @ sigma - clipped @ clipped / 2) + lam_b * size / 2

    def solve_hessian(self) -> np.ndarray:
        """H^{-1} gradient, H in the basis U and its complement, where it is a multiple of the identity."""
        problem, (U, sigma, v, _) = self.space.problem, self.found
        outside = 0.0 if self.space.complete else max(0.0, 1.0 - float(v @ v))  # ||(I - VV')u||^2
        H = hessian(sigma, v, problem.threshold, outside)
        H.flat[:: sigma.size + 1] += problem.lam_b
        inside = U.T @ self.gradient
        _, within, failed = dposv(H.T, inside)  # the transpose, H itself, is in LAPACK's order of entries
        step = U @ (np.linalg.solve(H, inside) if failed else within)
        if U.shape[1] < U.shape[0]:
            ratio = np.minimum(1.0, problem.threshold / np.maximum(sigma, _TINY))
            step += (self.gradient - U @ inside) / (problem.lam_b + float(ratio @ v**2))
        return step


def hessian(sigma: np.ndarray, v: np.ndarray, threshold: float, outside: float = 0.0) -> np.ndarray:
    """Generalised Hessian of sum_i huber(sigma_i(A - b u')) in the basis U (r x r).

    Divided differences of the clipping for the change b -> A - b u', of rank one: between two saturated directions
    (sigma >= threshold) and between a saturated and another; two others see the identity. sigma descends; v = V'u;
    outside: ||(I - VV')u||^2.
    """
    k = int(np.count_nonzero(sigma >= threshold))
    sigma = sigma + _TINY
    clipped = np.minimum(sigma, threshold + _TINY)
    cross = (clipped[:, None] + clipped) / (sigma[:, None] + sigma)
    same = np.zeros(cross.shape)
    same[k:, k:] = 1.0
    if 0 < k < sigma.size:  # low < threshold <= top: no division by zero
        low = sigma[k:]
        mixed = (threshold - low) / (sigma[:k, None] - low)
        same[:k, k:] = mixed
        same[k:, :k] = mixed.T
    diagonal = (same + cross) @ (v * v)
    if outside:
        diagonal += (2 * outside) * cross.diagonal()
    same -= cross
    same *= v
    same *= v[:, None]
    same.flat[:: sigma.size + 1] += diagonal
    same /= 2
    return same


def _line_search(point: _Point, step: np.ndarray) -> _Point | None:
    """The first of the steps 1, 1/2, 1/4, ... that lowers f; once the gap is closed, only a step that halves the slope.

    A closed gap says that f can fall no further, but b is first order in the slope: Newton's last steps still help it.
    """
    if point.gap <= CLOSED * point.value:
        candidate = _Point(point.space, point.b + step)
        return candidate if candidate.slope <= point.slope / 2 else None
    descent, length = float(point.gradient @ step), 1.0
    noise = 8 * _EPS * point.value
    for _ in range(MAX_HALVINGS):
        candidate = _Point(point.space, point.b + length * step)
        if candidate.value <= point.value + ARMIJO * length * descent:
            return candidate
        if candidate.slope <= point.slope / 2 and candidate.value <= point.value + noise:
            return candidate
        length /= 2
    return None
