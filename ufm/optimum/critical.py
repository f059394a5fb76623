"""Which directions second order looks at: the critical cone of each constraint, and the Lagrangian's Hessian there.

Without a constraint they are all directions, off the rotations of the feature space. A constraint that is active with
a positive multiplier leaves its tangent space, one whose multiplier is zero a half space; slack ones leave everything.
Entries of H that are zero and pushed down, and a fixed W, do not move at all.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ufm.constraints import FeatureMetric, FixedClassifier, HardMargin, Near, NonNegative, NormBudget
from ufm.errors import ProblemError
from ufm.optimum.constrained.cone import longest, longest_bound
from ufm.optimum.hessian import Direction, Hessian, Orbit, Rows, columns_of, hessian_of, logits
from ufm.problem import Problem

_ZERO = 1e-9  # of the largest entry, below which an entry of H counts as zero
_WEAK = 1e-7  # of the largest multiplier, below which a multiplier counts as zero
_ACTIVE = 1e-8  # relative slack up to which a constraint counts as active
_LONGER = 1e-9  # by how much an image must exceed its limit to be an escape


@dataclass(frozen=True, eq=False)
class Apart:
    """Variables that no other ones touch: no unit direction has less than `least`; `vector` is one and has `found`."""

    least: float
    found: float
    vector: np.ndarray
    noise: float


@dataclass(frozen=True, eq=False)
class Critical:
    """Directions x with x_i = 0 off `kept`, strong(x) = 0, weak(x) >= 0, and which of them change nothing (`orbit`).

    within: least eigenvalue among features that differ within a class (inf where none can); step: a tangent as a
    step in the given factors; over: the directions, in words; residual: relative norm of the Lagrangian's gradient.
    """

    hessian: Hessian
    kept: np.ndarray
    orbit: Orbit
    over: str
    residual: float
    step: Callable[[np.ndarray], Direction]
    within: float = math.inf
    strong: Rows | None = None
    weak: Rows | None = None
    apart: Apart | None = None


def is_known(problem: Problem) -> bool:
    """Whether the critical cone of this problem's constraint is written down here."""
    known = (FeatureMetric, FixedClassifier, Near, NonNegative, NormBudget, HardMargin)
    return problem.constraint is None or (isinstance(problem.constraint, known) and problem.p == 2)


def critical(problem: Problem, W: tuple[np.ndarray, ...], H: np.ndarray, b: np.ndarray | None) -> Critical:
    """The critical cone at W (layers, last first), H (class means or samples) and b (m, None for zero)."""
    if not is_known(problem):
        raise ProblemError("constraint", problem.constraint, "second order under it is not known for this problem.")
    match problem.constraint:
        case FeatureMetric():
            return _feature_metric(problem, problem.constraint, W[0], H, b)
        case FixedClassifier():
            return _fixed_classifier(problem, W[0], H, b)
        case Near():
            return _near(problem, problem.constraint, W[0], H, b)
        case NonNegative():
            return _non_negative(problem, W[0], H, b)
        case NormBudget():
            return _norm_budget(problem, problem.constraint, W[0], H)
        case HardMargin():
            return _hard_margin(problem, W[0], H)
        case _:
            return _free(problem, W, H, b)


def _free(problem: Problem, W: tuple[np.ndarray, ...], H: np.ndarray, b: np.ndarray | None) -> Critical:
    """All directions; round-off of the point is not looked into."""
    hessian = hessian_of(problem, W, H, b)
    return Critical(
        hessian,
        np.arange(hessian.size),
        Orbit(hessian),
        "off the rotations of the feature space",
        0.0,
        hessian.direction,
        within=within_class(problem, hessian),
    )


def _feature_metric(
    problem: Problem, metric: FeatureMetric, W: np.ndarray, H: np.ndarray, b: np.ndarray | None
) -> Critical:
    """No constraint but another penalty: with H = G M^(1/2) the factors W and G are weighed as ever, W G T fits.

    T = M^(1/2) diag(q); slopes by W G are those by the logits times T', so that b is seen through q' T^-1.
    """
    root, R, Z = np.sqrt(problem.targets.multiplicity), metric.root, logits((W,), H, b)
    T, G = R * root, np.linalg.solve(R, H.T).T
    E = ((Z - problem.targets.columns) * root / problem.N) @ T.T
    metric_of_T, through = T @ T.T / problem.N, np.linalg.solve(R, np.ones(root.size))
    lam_b = float(problem.lam_b) if problem.has_bias else None
    lam = (float(problem.lam_W[0]), float(problem.lam_H))
    hessian = Hessian((W, G), lam, E, lambda D: D @ metric_of_T, through, lam_b)
    kept = np.arange(hessian.size)

    def step(x: np.ndarray) -> Direction:
        (dW, dG), db = hessian.split(x[None])
        return Direction((dW[0],), dG[0] @ R, db[0] if lam_b is not None else np.zeros(problem.m))

    over = "in W, class means in their metric" + (" and b" if problem.has_bias else "") + ", off the rotations"
    return Critical(hessian, kept, Orbit(hessian), over, _unmet(hessian, kept, b), step)


def _fixed_classifier(problem: Problem, W: np.ndarray, H: np.ndarray, b: np.ndarray | None) -> Critical:
    """H and b move, and the objective is convex in them."""
    hessian = hessian_of(problem, (W,), H, b)
    kept = np.arange(W.size, hessian.size)
    return Critical(
        hessian,
        kept,
        Orbit(hessian, [[]]),
        "in H and b, W being fixed",
        _unmet(hessian, kept, b),
        hessian.direction,
        within=within_class(problem, hessian),
    )


def _near(problem: Problem, near: Near, W: np.ndarray, H: np.ndarray, b: np.ndarray | None) -> Critical:
    """No constraint but a tie, 1/2 beta/N ||H - H0||^2: what it leaves free to rotate is orthogonal to H0's columns.

    Samples are turned into an orthonormal basis of the rows of Y, H0, H and 1; orthogonally to it the Hessian by H is
    W'W/N + lam_H + beta/N.
    """
    N, Y, drag = problem.N, problem.targets.matrix(), near.beta / problem.N
    _, s, Vt = np.linalg.svd(np.vstack([Y, near.H0, H, np.ones((1, N))]), full_matrices=False)
    V = Vt[s > 1e-13 * s[0]].T
    R, s, _ = np.linalg.svd(near.H0)
    rank = int(np.sum(s > 1e-12 * s[0])) if s[0] > 0 else 0
    E = ((logits((W,), H, b) - Y) / N) @ V
    lam_H, lam_b = float(problem.lam_H) + drag, float(problem.lam_b) if problem.has_bias else None
    factors = (W @ R, R.T @ H @ V)
    hessian = Hessian(factors, (float(problem.lam_W[0]), lam_H), E, lambda D: D / N, V.sum(axis=0), lam_b)
    free = [np.arange(rank, H.shape[0])]
    kept = np.arange(hessian.size)

    def step(x: np.ndarray) -> Direction:
        (dW, dF), db = hessian.split(x[None])
        return Direction((dW[0] @ R.T,), R @ dF[0] @ V.T, db[0] if lam_b is not None else np.zeros(problem.m))

    beside = float(np.linalg.eigvalsh(W.T @ W)[0]) / N + lam_H if V.shape[1] < N else math.inf
    pull = -drag * (R.T @ near.H0 @ V)
    over = "in W and H" + (" and b" if problem.has_bias else "")
    over += ", off the rotations that leave H0 as it is" if rank < H.shape[0] - 1 else ""
    orbit = Orbit(hessian, [free if rank < H.shape[0] else []])
    return Critical(hessian, kept, orbit, over, _unmet(hessian, kept, b, pull), step, within=beside)


def _non_negative(problem: Problem, W: np.ndarray, H: np.ndarray, b: np.ndarray | None) -> Critical:
    """Entries of H at zero stay there where the slope pushes them down, and may only grow where it is zero.

    A feature that is zero in W and in H touches no other: its form is lam_W ||w||^2 + lam_H ||g||^2 + 2 w'E g over
    g >= 0, a matter of the longest E g (`cone`). Features rotate into each other where they are positive together.
    """
    hessian = hessian_of(problem, (W,), H, b)
    F, E = hessian.factors[-1], hessian.E
    zero = _ZERO * float(np.max(F, initial=0.0)) >= F
    length = np.linalg.norm(W, axis=0)
    dead = np.all(zero, axis=1) & (length <= _ZERO * float(np.max(length, initial=0.0)))
    slope = W.T @ E + float(problem.lam_H) * F
    scale = float(np.max(length, initial=0.0)) * float(np.max(np.linalg.norm(E, axis=0), initial=0.0))
    held = zero & (slope > _WEAK * scale) & ~dead[:, None]
    weak = zero & ~held & ~dead[:, None]
    moves = np.ones(hessian.size, dtype=bool)
    moves[: W.size] = np.broadcast_to(~dead, W.shape).ravel()
    moves[W.size : W.size + F.size] = ~(held | dead[:, None]).ravel()
    kept, number = np.flatnonzero(moves), int(np.sum(weak))
    over = "in W and the entries of H off zero" + (" and b" if problem.has_bias else "")
    over += f", {number} more {'entry' if number == 1 else 'entries'} only growing" if number else ""
    gone = int(np.sum(dead))
    over += f", {gone} zero feature{'' if gone == 1 else 's'} apart, g >= 0" if gone else ""
    supports: dict[bytes, list[int]] = {}
    for j in np.flatnonzero(~dead):
        supports.setdefault(np.packbits(~zero[j]).tobytes(), []).append(int(j))
    return Critical(
        hessian,
        kept,
        Orbit(hessian, [[np.array(block) for block in supports.values()]]),
        over,
        _unmet(hessian, kept, b),
        hessian.direction,
        within=within_class(problem, hessian, ~held),
        weak=_entries(hessian.size, W.size + np.flatnonzero(weak)) if number else None,
        apart=_dead_feature(problem, hessian, dead, zero) if np.any(dead) else None,
    )


def _dead_feature(problem: Problem, hessian: Hessian, dead: np.ndarray, zero: np.ndarray) -> Apart:
    """The least of lam_W ||w||^2 + lam_H ||g||^2 + 2 w'E g over unit (w, g), g >= 0, from both sides."""
    E, weights = hessian.E, (float(problem.lam_W[0]), float(problem.lam_H))
    limit = math.sqrt(weights[0]) * math.sqrt(weights[1])
    alive = np.where(zero, 0.0, hessian.factors[-1])[~dead]
    bound = longest_bound(E, alive.T, limit * (1 + _LONGER))
    found, g = longest(E, limit * (1 + _LONGER))
    values, vectors = np.linalg.eigh(np.array([[weights[0], -found], [-found, weights[1]]]))
    image, vector = E @ g, np.zeros(hessian.size)
    size, (along_w, along_g) = float(np.linalg.norm(image)), np.abs(vectors[:, 0])
    parts, _ = hessian.split(vector[None])
    j = int(np.flatnonzero(dead)[0])
    parts[0][0, :, j] = -along_w * image / size if size > 0 else 0.0
    parts[1][0, j] = along_g * g
    least = float(np.linalg.eigvalsh(np.array([[weights[0], -bound], [-bound, weights[1]]]))[0])
    return Apart(min(least, float(values[0])), float(values[0]), hessian.join(parts)[0], 2 * _LONGER * limit)


def _norm_budget(problem: Problem, budget: NormBudget, W: np.ndarray, H: np.ndarray) -> Critical:
    """Tangent to both balls; their multipliers, -<W, slope>/||W||^2 and the like, are the penalties' weights."""
    K = problem.K
    free = hessian_of(problem.replace(lam_W=0, lam_H=0, constraint=None), (W,), H, None)
    F, E = free.factors[-1], free.E
    size = problem.classes.counts if H.shape[1] == K else np.repeat(problem.classes.counts, problem.classes.counts)
    spent = (float(np.sum(W**2)), float(np.sum(F**2 / size)))
    active = np.array([part >= K * most * (1 - _ACTIVE) for part, most in zip(spent, (budget.E_W, budget.E_H))])
    pull = -float(np.sum(E * (W @ F)))  # -<W, slope by W> = -<F, slope by F>
    mu = [max(0.0, pull) / part if on and part > 0 else 0.0 for on, part in zip(active, spent, strict=True)]
    normals = np.zeros((2, free.size))
    normals[0, : W.size], normals[1, W.size :] = -W.ravel(), -(F / size).ravel()
    hessian = replace(free, lam=(mu[0], mu[1] / size))
    rows = Rows(2, lambda x: x @ normals.T, lambda y: y @ normals)
    positive = np.array(mu) > _WEAK * np.linalg.norm(E, 2)
    kept = np.arange(hessian.size)
    strong, weak = np.flatnonzero(active & positive), np.flatnonzero(active & ~positive)
    tangent = {0: "inside both budgets", 1: "tangent to the active budget", 2: "tangent to both budgets"}[strong.size]
    return Critical(
        hessian,
        kept,
        Orbit(hessian),
        f"{tangent}, off the rotations",
        _unmet(hessian, kept, None),
        hessian.direction,
        within=within_class(problem, hessian),
        strong=rows.chosen(strong) if strong.size else None,
        weak=rows.chosen(weak) if weak.size else None,
    )


def _hard_margin(problem: Problem, W: np.ndarray, H: np.ndarray) -> Critical:
    """Along the active margins. Their multipliers beta_jk >= 0 are the entries of B, which solves W'B = lam_H F.

    Column k of B is sum_j beta_jk (e_y - e_j)/q_k; unit margins make the rank of W at least K - 1, so B is unique.
    """
    q, T = columns_of(problem, H)
    F, lam_W, lam_H = H * q, float(problem.lam_W[0]), float(problem.lam_H)
    y, at = np.argmax(T, axis=0), np.arange(q.size)
    B = lam_H * np.linalg.pinv(W, rcond=1e-10).T @ F if lam_H > 0 else np.zeros_like(T)
    nothing: Callable[[np.ndarray], np.ndarray] = np.zeros_like
    hessian = Hessian((W, F), (lam_W, lam_H), -B, nothing, q)
    Z = W @ H
    other = T == 0
    slack = Z[y, at] - Z - 1
    beta = -B * q
    active = other & (slack <= _ACTIVE * max(1.0, float(np.max(np.abs(Z)))))
    positive = beta > _WEAK * float(np.max(np.abs(beta), initial=0.0))

    def margins(x: np.ndarray) -> np.ndarray:
        dZ = hessian.product_change(x) / q
        return (dZ[:, y, at][:, None, :] - dZ).reshape(x.shape[0], -1)

    def adjoint(c: np.ndarray) -> np.ndarray:
        C = c.reshape(-1, *T.shape)
        dZ = -C
        dZ[:, y, at] += C.sum(axis=1)
        return hessian.pulled_back(dZ / q)

    rows, kept = Rows(T.size, margins, adjoint), np.arange(hessian.size)
    strong, weak = np.flatnonzero(active & positive), np.flatnonzero(active & ~positive)
    over = f"along {strong.size} active margins" + (f", {weak.size} more only growing" if weak.size else "")
    rank = int(np.linalg.matrix_rank(W, tol=1e-10 * float(np.linalg.norm(W, 2))))
    slides = H.shape[1] < problem.N and W.shape[1] > rank  # a sample off its class mean, unseen by every margin
    return Critical(
        hessian,
        kept,
        Orbit(hessian),
        f"{over}, off the rotations",
        _unmet(hessian, kept, None),
        hessian.direction,
        within=lam_H if slides else math.inf,
        strong=rows.chosen(strong) if strong.size else None,
        weak=rows.chosen(weak) if weak.size else None,
    )


def within_class(problem: Problem, hessian: Hessian, moves: np.ndarray | None = None) -> float:
    """Least eigenvalue of W'C_k W/N + lam_H, features that differ within a class; inf where no class has two samples.

    moves (d x columns): which entries may, by default all.
    """
    columns = hessian.q.size
    many = np.flatnonzero(problem.targets.multiplicity > 1) if columns < problem.N else np.zeros(0, dtype=int)
    if many.size == 0:
        return math.inf
    product = hessian.left[-2]
    lam = np.broadcast_to(np.asarray(hessian.lam[-1]), columns)
    if moves is None and isinstance(problem.loss, str) and problem.loss == "mse" and np.ndim(hessian.lam[-1]) == 0:
        many = many[:1]  # the same in all classes
    unit, least = np.eye(hessian.m), math.inf
    for k in many:
        images = np.zeros((hessian.m, hessian.m, columns))
        images[:, :, k] = unit
        C = hessian.curve(images)[:, :, k]
        some = slice(None) if moves is None else moves[:, k]
        block = product[:, some].T @ C @ product[:, some]
        if block.size:
            least = min(least, float(np.linalg.eigvalsh(block)[0]) + float(lam[k]))
    return least


def _entries(size: int, index: np.ndarray) -> Rows:
    """The entries of a tangent at these places."""

    def adjoint(y: np.ndarray) -> np.ndarray:
        x = np.zeros((y.shape[0], size))
        x[:, index] = y
        return x

    return Rows(index.size, lambda x: x[:, index], adjoint)


def _unmet(hessian: Hessian, kept: np.ndarray, b: np.ndarray | None, pull: np.ndarray | float = 0.0) -> float:
    """Norm of the Lagrangian's gradient on the kept coordinates, relative to its terms; pull: what else acts on F_p."""
    W, F = hessian.factors
    fit, penalty = [hessian.E @ F.T, W.T @ hessian.E + pull], [hessian.lam[0] * W, hessian.lam[1] * F]
    ends: list[np.ndarray | None] = [None, None]
    if hessian.lam_b is not None:
        b = np.zeros(hessian.m) if b is None else b
        ends = [(hessian.E @ hessian.q)[None], (hessian.lam_b * b)[None]]
    parts = [
        hessian.join([part[None] for part in terms], end)[0][kept]
        for terms, end in zip((fit, penalty), ends, strict=True)
    ]
    terms = sum(float(np.linalg.norm(part)) for part in parts)
    return float(np.linalg.norm(parts[0] + parts[1])) / terms if terms > 0 else 0.0
