"""Branch and bound over a penalised bias: a lower bound that closes the gap where the bias has few dimensions.

For a fixed product X the objective is a quadratic in b with Hessian (1 + lam_b) I, so f(b), its minimum over X, is
(1 + lam_b)/2 ||b||^2 plus a concave function. On a simplex that function is at least its interpolant at the vertices:
one quadratic bounds f from below, to second order in the simplex's size, for every p, width and set of targets. The
minimum lies in b's ball (`bound`) and in the span of the targets: simplices that cover that are bisected.
"""

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np

from ufm.optimum.deep.bound import bias_ball
from ufm.optimum.deep.scalar import minimise
from ufm.optimum.deep.spectral import DeepProblem

_MOST_DIMENSIONS = 5
_AT_ONCE = 256  # simplices bisected in one batch, or a quarter of all
_CLOSED = 1e-10  # relative gap at which to stop


@dataclass(frozen=True, eq=False)
class Branched:
    """bound: no bias has a lower objective; b: the best bias met (m), its value; work: biases tried."""

    bound: float
    b: np.ndarray
    value: float
    work: int


def branch(problem: DeepProblem, value: float, evaluations: int) -> Branched | None:
    """Bisect until the bound is within 1e-10 of the best value, or so many biases have been tried.

    value: an objective that is attained. None where the bias has more than five dimensions.
    """
    U, sigma, _ = np.linalg.svd(problem.A, full_matrices=False)
    U = U[:, sigma > 1e-13 * max(float(sigma[0]), 1e-300)]
    if not 1 <= U.shape[1] <= _MOST_DIMENSIONS:
        return None
    small = replace(problem, A=U.T @ problem.A)
    centre, radius = bias_ball(small)
    radius *= 1 + 1e-9
    V = _cover(centre, radius)  # simplices x vertices x dimensions
    F = _values(small, V.reshape(-1, V.shape[2])).reshape(V.shape[:2])
    work, least, best = F.size, value, centre
    L = _simplex_bounds(small, V, F)
    cleared = math.inf  # the least bound among simplices that need no further cut
    while work < evaluations and V.shape[0]:
        at = np.unravel_index(int(np.argmin(F)), F.shape)
        if F[at] < least:
            least, best = float(F[at]), V[at]
        done = (least - _CLOSED * abs(least) <= L) | _outside(V, centre, radius)
        inside = done & ~_outside(V, centre, radius)
        cleared = min(cleared, float(np.min(L[inside], initial=math.inf)))
        V, F, L = V[~done], F[~done], L[~done]
        if not V.shape[0]:
            break
        chosen = np.argsort(L, kind="stable")[: max(_AT_ONCE, L.size // 4)]
        cut_V, cut_F = _bisected(small, V[chosen], F[chosen])
        work += chosen.size
        rest = np.ones(L.size, dtype=bool)
        rest[chosen] = False
        V, F = np.concatenate([V[rest], cut_V]), np.concatenate([F[rest], cut_F])
        L = np.concatenate([L[rest], np.maximum(_simplex_bounds(small, cut_V, cut_F), np.repeat(L[chosen], 2))])
    bound = min(cleared, float(np.min(L, initial=math.inf)), least)
    noise = 8 * np.finfo(float).eps * float(np.sum(sigma**2))
    return Branched(bound - noise, U @ best, least, work)


def _values(problem: DeepProblem, B: np.ndarray) -> np.ndarray:
    """f at every row of B (j x dimensions)."""
    sigma = np.linalg.svd(problem.A - B[:, :, None] * problem.u, compute_uv=False)
    gain = -np.sort(-minimise(sigma, problem.t, problem.p).gain, axis=1)[:, : problem.d]
    return np.sum(sigma**2, axis=1) / 2 - gain.sum(axis=1) + problem.lam_b * np.sum(B**2, axis=1) / 2


def _cover(centre: np.ndarray, radius: float) -> np.ndarray:
    """The cube around the ball, in simplices along its main diagonal: one for each order of the coordinates."""
    d = centre.size
    corner, simplices = centre - radius, []
    for order in itertools.permutations(range(d)):
        steps = np.zeros((d + 1, d))
        for i, axis in enumerate(order):
            steps[i + 1 :, axis] = 2 * radius
        simplices.append(corner + steps)
    return np.array(simplices)


def _simplex_bounds(problem: DeepProblem, V: np.ndarray, F: np.ndarray) -> np.ndarray:
    """The least value of the quadratic below f over a ball around each simplex, and the least f less its sag.

    Below f lies a + w'b + kappa/2 ||b||^2, kappa = 1 + lam_b, equal to f at the vertices; f sags below the values at
    the vertices by at most kappa/2 R^2, R the radius of a ball around them.
    """
    kappa, middle = 1 + problem.lam_b, V.mean(axis=1)
    local = V - middle[:, None, :]
    radius = np.linalg.norm(local, axis=2).max(axis=1)
    concave = F - kappa / 2 * np.sum(local**2, axis=2)
    edges = local[:, 1:] - local[:, :1]
    slope = np.linalg.solve(edges, (concave[:, 1:] - concave[:, :1])[:, :, None])[:, :, 0]
    size = np.linalg.norm(slope, axis=1)
    reach = np.minimum(size / kappa, radius)  # from the middle, against the slope
    quadratic = concave.mean(axis=1) - size * reach + kappa / 2 * reach**2
    return np.maximum(quadratic, F.min(axis=1) - kappa / 2 * radius**2)


def _bisected(problem: DeepProblem, V: np.ndarray, F: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both halves of each simplex, cut at the middle of its longest edge: two in the place of each one."""
    pairs = np.array(list(itertools.combinations(range(V.shape[1]), 2)))
    lengths = np.linalg.norm(V[:, pairs[:, 0]] - V[:, pairs[:, 1]], axis=2)
    longest, row = pairs[np.argmax(lengths, axis=1)], np.arange(V.shape[0])
    middle = (V[row, longest[:, 0]] + V[row, longest[:, 1]]) / 2
    value = _values(problem, middle)
    halves, heights = np.repeat(V, 2, axis=0), np.repeat(F, 2, axis=0)
    for side in range(2):
        halves[2 * row + side, longest[:, side]] = middle
        heights[2 * row + side, longest[:, side]] = value
    return halves, heights


def _outside(V: np.ndarray, centre: np.ndarray, radius: float) -> np.ndarray:
    """Simplices that certainly miss the ball."""
    middle = V.mean(axis=1)
    reach = np.linalg.norm(V - middle[:, None, :], axis=2).max(axis=1)
    return np.linalg.norm(middle - centre, axis=1) - reach > radius
