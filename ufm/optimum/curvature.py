"""Second order at a critical point: the least curvature of the Lagrangian over the directions that are left to go.

Without a constraint that is the least eigenvalue of the Hessian in the factors, off the orbit of the rotations of the
feature space. A constraint takes directions away (`critical`): entries that are pushed against zero, the
normals of active budgets and margins. Constraints that are active without a multiplier leave a cone, not a space; the
sign over it is a question of copositivity, which is decided where it can be and said to be open where it cannot.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, cg, eigsh

from ufm.constraints import Near
from ufm.errors import UfmError
from ufm.optimum.constrained.cone import longest, longest_bound
from ufm.optimum.critical import Critical, critical, is_known
from ufm.optimum.hessian import Direction, Rows
from ufm.problem import Problem

NO_POINT = "not defined: the infimum is not attained, so there is no point to look at"
_DENSE = 800  # variables up to which the whole Hessian is written down, and a certificate tells the curvature
_BATCH = 2**22  # numbers of one factor's batch of tangents
_RANK = 1e-10
_BISECTED, _BISECTIONS = 8, 30  # constraints up to which the least curvature on a cone is found to three digits
_ROUND_OFF = 1e3 * float(np.finfo(float).eps)

Answer = tuple[float, bool | None, np.ndarray | None]  # a bound, whether the condition holds, a direction where not


@dataclass(frozen=True, eq=False)
class Curvature:
    """The least curvature among the unit directions that are left, and the escape direction where it is negative.

    least: no direction has less; one has as much where `exact`; direction: a step along which the Lagrangian curves
    down, None where none was found; holds: whether the second-order condition of a minimum does, None where undecided;
    orbit_dimension: of the orbit of the rotations through this point; scale: the largest eigenvalue's size;
    over: the directions, in words.
    """

    least: float
    direction: Direction | None
    orbit_dimension: int
    scale: float
    exact: bool = True
    holds: bool | None = True
    over: str = "off the rotations of the feature space"

    @property
    def is_positive(self) -> bool:
        """Whether the curvature is positive in every direction, by more than round-off."""
        return self.holds is True and self.least > _ROUND_OFF * self.scale

    def __str__(self) -> str:
        size = f"{'least' if self.exact else 'at least'} {self.least:.3g}"
        if self.holds is None:
            return f"undecided: curvature {size}, {self.over}"
        if not self.holds:
            return f"negative, no minimum: curvature {size}, {self.over}"
        if self.is_positive:
            return f"positive: curvature {size}, {self.over}"
        return f"not negative, zero to round-off: curvature {size}, {self.over}"


def curvature(
    problem: Problem, W: tuple[np.ndarray, ...], H: np.ndarray, b: np.ndarray | None = None, tol: float = 1e-8
) -> Curvature:
    """The second-order condition at a critical point: any loss, any p >= 2, every constraint.

    W: layers, last first; H: class means (d x K) or samples (d x N); b (m) or None. tol: relative accuracy of Lanczos,
    which takes over from a dense eigenvalue problem above 800 variables.
    """
    at = critical(problem, tuple(W), H, b)
    solved = _by_all(at) if at.hessian.size <= _DENSE else _by_lanczos(at, tol)
    noise = solved.scale * max(_ROUND_OFF, at.residual)
    least, exact, holds, x = _sign(solved, noise)
    if at.apart is not None:
        noise = max(noise, at.apart.noise)
        if at.apart.found < min(least, -noise):
            x, holds = at.apart.vector, False
        elif at.apart.least < -noise and holds:
            holds = None
        exact = exact and at.apart.found - at.apart.least <= noise
        least = min(least, at.apart.least)
    step = None if x is None or holds is not False else at.step(x)
    return Curvature(min(least, at.within), step, solved.orbit, solved.scale, exact, holds, at.over)


def second_order(problem: Problem, W: tuple[np.ndarray, ...], H: np.ndarray, b: np.ndarray) -> Curvature | str:
    """For a certificate: the reason where it is not a matter of a second at most."""
    if not is_known(problem):
        return f"not decided: no critical cone is written down for {type(problem.constraint).__name__}, p = {problem.p}"
    number = variables(problem, W, H)
    if isinstance(problem.constraint, Near):  # its samples are looked at in the span of the rows of Y, H0, H and 1
        d, N = H.shape
        number -= d * max(0, N - (problem.m + 2 * d + 1))
    if number > _DENSE:
        return f"not looked at for {number} variables; ufm.optimum.curvature(problem, W, H, b) does"
    return curvature(problem, W, H, b)


def variables(problem: Problem, W: tuple[np.ndarray, ...], H: np.ndarray) -> int:
    """Number of variables of the Hessian: entries of all factors, and of the bias where there is one."""
    return sum(layer.size for layer in W) + H.size + (problem.m if problem.has_bias else 0)


@dataclass(frozen=True, eq=False)
class _Solved:
    """Least eigenvalue and vector on the span of the cone; `on_the_cone`, asked where that is negative, decides there.

    on_the_cone(noise): (least, whether the condition holds, the direction that shows it where not).
    """

    least: float
    vector: np.ndarray | None
    scale: float
    orbit: int
    on_the_cone: Callable[[float], Answer] | None = None


def _sign(solved: _Solved, noise: float) -> tuple[float, bool, bool | None, np.ndarray | None]:
    """least, whether it is attained, whether the second-order condition holds, and the direction where it does not."""
    if solved.on_the_cone is None:
        negative = solved.least < -noise
        return solved.least, True, not negative, solved.vector if negative else None
    if solved.least > noise:
        return solved.least, False, True, None
    least, holds, x = solved.on_the_cone(noise)
    return least, False, holds or solved.least >= -noise, x if solved.least < -noise else None


def _by_all(at: Critical) -> _Solved:
    """All eigenvalues, on an orthonormal basis of the directions that are left."""
    kept, rows = at.kept, max(1, _BATCH // at.hessian.size)
    unit = np.eye(at.hessian.size)[kept]
    whole = [at.hessian.apply(unit[i : i + rows])[:, kept] for i in range(0, kept.size, rows)]
    matrix = np.concatenate([np.zeros((0, kept.size)), *whole])
    orbit = _span(at.orbit.rows, kept, 1e-8)
    gone = orbit if at.strong is None else np.hstack([orbit, _span(at.strong, kept, 1e-10)])
    basis = np.linalg.qr(gone, mode="complete")[0][:, gone.shape[1] :] if gone.shape[1] else np.eye(kept.size)
    form = basis.T @ (matrix + matrix.T) @ basis / 2
    if form.size == 0:
        return _Solved(np.inf, None, 0.0, orbit.shape[1])
    values, vectors = np.linalg.eigh(form)

    def whole_tangent(y: np.ndarray) -> np.ndarray:
        x = np.zeros(at.hessian.size)
        x[kept] = basis @ y
        return x

    def decide(noise: float) -> Answer:
        A = np.zeros((0, basis.shape[1])) if at.weak is None else at.weak.values(basis.T @ unit).T
        least, holds, y = on_a_cone(form, A, noise)
        return least, holds, None if y is None else whole_tangent(y)

    scale = max(abs(float(values[-1])), abs(float(values[0])))
    decided = None if at.weak is None else decide
    return _Solved(float(values[0]), whole_tangent(vectors[:, 0]), scale, orbit.shape[1], decided)


def _span(rows: Rows, kept: np.ndarray, tol: float) -> np.ndarray:
    """Orthonormal basis (kept x dimension) of the span of the rows' tangents."""
    tangents = rows.adjoint(np.eye(rows.number))[:, kept]
    tangents = tangents[np.linalg.norm(tangents, axis=1) > 0]
    if tangents.shape[0] == 0:
        return np.zeros((kept.size, 0))
    U, s, _ = np.linalg.svd(tangents.T, full_matrices=False)
    return U[:, s > tol * s[0]]


def on_a_cone(Q: np.ndarray, A: np.ndarray, noise: float) -> Answer:
    """The least x'Qx over unit x with A x >= 0: a lower bound, whether it is >= -noise, a unit x that shows if not.

    Zero is asked first; where it is a bound, and for few rows, bisection finds the largest one.
    """
    least = float(np.linalg.eigvalsh(Q)[0])
    holds, x = _copositive(Q + noise * np.eye(Q.shape[0]), A)
    if not holds:
        return least, holds, x
    low, high = max(least, -noise), _on_the_kernel(Q, A)
    if A.shape[0] <= _BISECTED and high > low:
        for level in (high * (1 - 1e-9), *([np.nan] * _BISECTIONS)):
            level = (low + high) / 2 if np.isnan(level) else level
            if _copositive(Q - level * np.eye(Q.shape[0]), A)[0]:
                low = level
            else:
                high = level
            if high - low <= 1e-3 * abs(high):
                break
    return low, True, None


def _on_the_kernel(Q: np.ndarray, A: np.ndarray) -> float:
    """The least eigenvalue of Q where A x = 0, an upper bound of that on the cone; that of Q where nothing is left."""
    _, s, Vt = np.linalg.svd(A)
    N = Vt[int(np.sum(s > _RANK * s[0])) :].T
    return float(np.linalg.eigvalsh(N.T @ Q @ N if N.size else Q)[0])


def _copositive(Q: np.ndarray, A: np.ndarray) -> tuple[bool | None, np.ndarray | None]:
    """Whether x'Qx >= 0 for all A x >= 0, and a unit x that shows a negative one.

    With y = A x >= 0 and the best x for each y that is a copositive form in y, the Schur complement of Q on the kernel
    of A: y'Sy >= 0 is asked of the longest image of a non-negative vector (`cone`), exact up to twelve rows.
    """
    values, vectors = np.linalg.eigh(Q)
    if values[0] >= 0:
        return True, None
    for x in (vectors[:, 0], -vectors[:, 0]):
        if np.all(A @ x >= -1e-12 * np.linalg.norm(A, axis=1)):
            return False, x
    _, s, Vt = np.linalg.svd(A)
    rank = int(np.sum(s > _RANK * s[0]))
    N, R = Vt[rank:].T, np.linalg.pinv(A)
    inside = N.T @ Q @ N
    curved, flat = np.linalg.eigh(inside)
    if curved.size and curved[0] < 0:
        return False, N @ flat[:, 0]
    if rank < A.shape[0] or (curved.size and curved[0] <= _RANK * curved[-1]):
        return None, None
    across = N.T @ Q @ R
    best = np.linalg.solve(inside, across)
    S = R.T @ Q @ R - across.T @ best
    values, vectors = np.linalg.eigh((S + S.T) / 2)
    top = max(float(values[-1]), 0.0)
    E = (vectors * np.sqrt(top - np.minimum(values, top))).T  # ||E y||^2 = top ||y||^2 - y'Sy
    limit = float(np.sqrt(top))
    found, y = longest(E, limit)
    if found > limit * (1 + 1e-12):
        x = (R - N @ best) @ y
        return False, x / np.linalg.norm(x)
    return (True, None) if longest_bound(E, None, limit) <= limit * (1 + 1e-12) else (None, None)


def _by_lanczos(at: Critical, tol: float) -> _Solved:
    """Least eigenvalue, its vector, and the largest magnitude, by Lanczos; what is taken out is lifted to the top."""
    gone = at.orbit.rows if at.strong is None else at.orbit.rows + at.strong
    least, vector, scale = _lanczos(at, gone, tol)
    weak = at.weak
    if weak is None:
        return _Solved(least, vector, scale, at.orbit.dimension)

    def decide(noise: float) -> Answer:
        for x in (vector, -vector):
            if np.all(weak.values(x[None]) >= -1e-12):
                return least, False, x
        inside, x, _ = _lanczos(at, gone + weak, tol)
        return (least, False, x) if inside < -noise else (least, None, None)

    return _Solved(least, vector, scale, at.orbit.dimension, decide)


def _lanczos(at: Critical, gone: Rows, tol: float) -> tuple[float, np.ndarray, float]:
    size, off = at.hessian.size, _projection(at, gone)
    made: Any = LinearOperator  # SciPy's constructor hands out a subclass, which its types do not say

    def times(x: np.ndarray) -> np.ndarray:
        return off(at.hessian.apply(off(x.ravel())[None])[0])

    start: Any = off(np.random.default_rng(0).standard_normal(size))
    options: Any = {"k": 1, "v0": start, "ncv": min(size - 1, 60), "maxiter": 20 * size}
    whole = made((size, size), matvec=times, dtype=float)
    scale = abs(float(eigsh(whole, which="LM", return_eigenvectors=False, **{**options, "tol": 1e-3})[0]))
    lifted = made((size, size), matvec=lambda x: times(x) + scale * (x.ravel() - off(x.ravel())), dtype=float)
    try:
        values, vectors = eigsh(lifted, which="SA", **{**options, "tol": tol})
    except ArpackNoConvergence as error:
        raise UfmError(f"Lanczos did not reach tol = {tol:g}; ask for a larger tol in curvature(...).") from error
    return float(values[0]), off(vectors[:, 0]), scale


def _projection(at: Critical, gone: Rows) -> Callable[[np.ndarray], np.ndarray]:
    """Off what is taken out: by an orthonormal basis, or by conjugate gradients where that would fill the memory."""
    size, moves = at.hessian.size, np.zeros(at.hessian.size)
    moves[at.kept] = 1.0
    if gone.number * size <= _BATCH:
        basis = _span(gone, at.kept, 1e-8)

        def off(x: np.ndarray) -> np.ndarray:
            y = np.zeros(size)
            y[at.kept] = x[at.kept] - basis @ (basis.T @ x[at.kept])
            return y

        return off

    def gram(y: np.ndarray) -> np.ndarray:
        return gone.values(gone.adjoint(y.ravel()[None]) * moves)[0]

    made: Any = LinearOperator
    normal = made((gone.number, gone.number), matvec=gram, dtype=float)
    unit = np.random.default_rng(1).standard_normal(size) / np.sqrt(size)
    small = 1e-13 * float(np.linalg.norm(gone.values(unit[None] * moves)))  # of a unit vector's products

    def nearly_off(x: np.ndarray) -> np.ndarray:
        x = x * moves
        products = gone.values(x[None])[0]
        y, _ = cg(normal, products, rtol=1e-12, atol=small * float(np.linalg.norm(x)), maxiter=4 * gone.number)
        return x - gone.adjoint(y[None])[0] * moves

    return nearly_off
