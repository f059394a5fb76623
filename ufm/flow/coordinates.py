"""Lossless coordinates for the flow: what of (W, H) moves by itself, and the way back.

The squared loss sees samples only through A = Y Q and q = Q'1 (theory: section 6). Rotating the samples leaves r
columns of H that see a target, and N - r that see none. Of the latter, mode
    samples     keeps a square root, at most d columns (QR): all N samples come back (H-mode);
    S           keeps their covariance S, any weights; `propagator` also the map by which all N samples come back;
    A           keeps nothing: where p = 2 and lam_W = lam_H a law says what S is.
If W_1 and H together have fewer rows and columns than d, or S leaves their span to itself, only that span moves.
All are rotations: norms, gradients and losses are those of the full flow.
"""

import math
from dataclasses import dataclass, replace
from functools import reduce
from typing import Literal, get_args

import numpy as np

from ufm.arrays import Array, array_namespace, eigh, to_numpy
from ufm.constraints import FixedClassifier
from ufm.errors import ProblemError
from ufm.flow.field import Field, field_of
from ufm.flow.state import State, device_array, seen_columns
from ufm.flow.within import Law, Scatter
from ufm.problem import Problem, reduce_problem
from ufm.problem.targets import ClassTargets

Mode = Literal["auto", "full", "collapsed", "samples", "A", "S", "propagator"]


@dataclass(frozen=True, eq=False)
class Columns:
    """How the columns that move (d x (r + k)) lead back to those of a State.

    seen: r. scale: what the seen ones are divided by (r), or None. labels (N) or spread (r x N): how they lead on to
    all samples, or None where they stay as they are. rest (k x N): how unseen columns do. held (w x N): unseen samples
    at the start, for the propagator to move.
    """

    seen: int
    scale: Array | None = None
    labels: Array | None = None
    spread: Array | None = None
    rest: Array | None = None
    held: Array | None = None

    def means(self, columns: Array) -> Array:
        """Seen columns in the units of a State's: class means, reduced columns, or samples."""
        seen = columns[:, : self.seen]
        return seen if self.scale is None else seen / self.scale

    def samples(self, columns: Array) -> Array:
        """The same, led on to all samples where they are kept."""
        means = self.means(columns)
        if self.labels is not None:
            return array_namespace(means).take(means, self.labels, axis=1)
        return means if self.spread is None else means @ self.spread


@dataclass(frozen=True, eq=False)
class Coordinates:
    """Flat state <-> State, at time t.

    span: d x w, or None: the kept span in feature space. outside: what of B (d x d), or with the propagator of the
    unseen samples (d x N), lies outside it, where it decays by lam_H alone; or None. first: the flat state at t = 0, or
    None where the flow has laws of its own.
    """

    mode: str
    field: Field
    columns: Columns
    span: Array | None = None
    outside: Array | None = None
    first: Array | None = None

    def state(self, y: Array, t: float) -> State:
        """The full state: in the shapes of the start where the mode keeps all samples, else with S."""
        field, back = self.field, self.columns
        b, W, Ht = field.unpack(y)
        b, columns = b if b.shape[0] else field.xp.zeros_like(W[0][:, 0]), self._wide(Ht.T)
        W = (*W[:-1], W[-1] if self.span is None else W[-1] @ self.span.T)
        H = back.samples(columns)
        if back.rest is not None:
            return State(W, H + columns[:, back.seen :] @ back.rest, b)
        if back.held is None:
            return State(W, H, b, None if self.keeps_means_only else self.covariance(y, t))
        H = H + self._wide(field.within.phi(y[field.seen :]) @ back.held)  # pyright: ignore
        return State(W, H if self.outside is None else H + math.exp(-field.lam_H * t) * self.outside, b)

    @property
    def keeps_means_only(self) -> bool:
        """Whether there is nothing but the columns that see a target."""
        return self.mode in ("full", "collapsed")

    def means(self, y: Array) -> Array:
        """The seen columns in a State's units: class means (d x K), for regression reduced ones, or all samples."""
        return self.columns.means(self._wide(self.field.unpack(y)[2].T))

    def classifier(self, y: Array) -> Array:
        """W_{p-1}..W_1, m x d."""
        P = reduce(self.field.xp.matmul, self.field.unpack(y)[1])
        return P if self.span is None else P @ self.span.T

    def covariance(self, y: Array, t: float) -> Array:
        """S (d x d), of the columns that see no target."""
        factor = self.factor(y)
        if factor is not None:
            return factor @ factor.T / self.field.N
        field = self.field
        if isinstance(field.within, Law):
            axes: Array = self.span  # those of D0: A-mode always has them
            W, Ht = (part @ axes.T for part in (field.unpack(y)[1][0], field.unpack(y)[2]))
            B = W.T @ W - Ht.T @ Ht - (axes * (field.within.left(t) * field.within.eigenvalues)) @ axes.T
        else:
            B = field.within.matrix(y[field.seen :])  # pyright: ignore[reportOptionalMemberAccess]
            B = B if self.span is None else self.span @ B @ self.span.T
        if self.outside is not None and self.columns.held is None:
            B = B + math.exp(-2 * field.lam_H * t) * self.outside
        return B / field.N

    def factor(self, y: Array) -> Array | None:
        """A square root of N S (d x k) where the mode keeps one."""
        if self.mode != "samples":
            return None
        return self._wide(self.field.unpack(y)[2].T[:, self.columns.seen :])

    @property
    def description(self) -> str:
        """The mode and the size of what moves, for provenance."""
        wide = self.span is None or self.span.shape[0] == self.span.shape[1]
        return self.mode + ("" if wide else "+span") + f", {self.field.size} unknowns"

    def _wide(self, columns: Array) -> Array:
        return columns if self.span is None else self.span @ columns


@dataclass(frozen=True, eq=False)
class _Parts:
    """A start taken apart: targets A, q of the seen columns (d x r), and the unseen part as samples or as B."""

    A: Array
    q: Array
    seen: Array
    back: Columns
    unseen: Array | None  # d x N
    B: Array | None  # d x d

    @property
    def scatter(self) -> Array:
        """B = N S, d x d."""
        return self.B if self.unseen is None else self.unseen @ self.unseen.T


def coordinates(
    problem: Problem, start: State, mode: Mode, *, law: bool = True, rotates: bool = True
) -> tuple[Coordinates, Array]:
    """The coordinates of a checked start, and its flat state. "auto" takes the smallest that gives back what it got.

    law: whether W'W - HH' is known, as A-mode needs. rotates: whether what moves commutes with rotations of features.
    """
    at, y = _chosen_coordinates(problem, start, _choose(problem, start, mode, law=law), rotates=rotates)
    return replace(at, first=y), y


def _chosen_coordinates(problem: Problem, start: State, chosen: str, *, rotates: bool) -> tuple[Coordinates, Array]:
    if chosen in ("full", "collapsed"):
        return _by_columns(problem, chosen, start, _targets_of(problem, start, chosen), rotates=rotates)
    parts = _parted(problem, start, chosen)
    if chosen == "samples":
        return _by_columns(problem, chosen, start, _with_root(parts))
    return _by_covariance(problem, chosen, start, parts)


def _targets_of(problem: Problem, start: State, mode: str) -> _Parts:
    """Every column of the start sees its target."""
    xp, targets = array_namespace(start.H), problem.targets
    if mode == "full":
        A, q = (device_array(xp, x, start.H) for x in (targets.matrix(), np.ones(problem.N)))
        return _Parts(A, q, start.H, Columns(problem.N), None, None)
    root = np.sqrt(targets.multiplicity)
    A, q = (device_array(xp, x, start.H) for x in (targets.columns * root, root))
    return _Parts(A, q, start.H * q, Columns(q.shape[0], scale=q), None, None)


def _parted(problem: Problem, start: State, mode: str) -> _Parts:
    """Seen and unseen columns: in the class basis, where S is that of the classes, or the minimal one."""
    xp, H, targets, N = array_namespace(start.H), start.H, problem.targets, problem.N
    B = None if start.S is None else N * start.S
    if isinstance(targets, ClassTargets) and (mode != "samples" or start.S is not None or targets.m + 1 >= targets.K):
        root = np.sqrt(targets.counts)
        A, q = (device_array(xp, x, H) for x in (targets.codes * root, root))
        if B is not None:
            return _Parts(A, q, H * q, Columns(targets.K, scale=q), None, B)
        means = start.class_means(problem)
        labels = xp.asarray(targets.labels().tolist(), dtype=xp.int64, device=getattr(H, "device", None))
        back = Columns(targets.K, scale=q, labels=labels)
        return _Parts(A, q, means * q, back, H - xp.take(means, labels, axis=1), None)
    reduction = reduce_problem(problem)
    A, q = device_array(xp, reduction.A, H), device_array(xp, reduction.q, H)
    if B is not None:
        return _Parts(A, q, H, Columns(q.shape[0]), None, B)
    rows = device_array(xp, np.repeat(reduction.basis, targets.multiplicity, axis=1), H)
    seen = H @ rows.T
    return _Parts(A, q, seen, Columns(q.shape[0], spread=rows), H - seen @ rows, None)


def _with_root(parts: _Parts) -> _Parts:
    """The unseen part as columns, at most d of them, that see no target."""
    xp = array_namespace(parts.seen)
    if parts.unseen is not None:
        rest, R = xp.linalg.qr(parts.unseen.T)
        root, rest = R.T, rest.T
    else:
        root, rest = _root(parts.scatter), None
    columns, unseen = xp.concat([parts.seen, root], axis=1), root.shape[1]
    A = xp.concat([parts.A, xp.zeros_like(parts.A[:, :1] + columns[:1, :unseen])], axis=1)
    q = xp.concat([parts.q, xp.zeros_like(columns[0, :unseen])])
    return _Parts(A, q, columns, replace(parts.back, rest=rest), None, None)


def _by_columns(
    problem: Problem, mode: str, start: State, parts: _Parts, *, rotates: bool = True
) -> tuple[Coordinates, Array]:
    """Coordinates in which all that moves is W, b and columns of H."""
    xp, W, Ht = array_namespace(parts.seen), list(start.W), parts.seen.T
    span = None
    if rotates and W[-1].shape[0] + Ht.shape[0] < Ht.shape[1]:
        span, R = xp.linalg.qr(xp.concat([W[-1], Ht], axis=0).T)
        W[-1], Ht = R[:, : W[-1].shape[0]].T, R[:, W[-1].shape[0] :].T
    field = field_of(problem, _shapes(*W, Ht), parts.A, parts.q)
    return Coordinates(mode, field, parts.back, span), field.pack(start.b, W, Ht)


def _by_covariance(problem: Problem, mode: str, start: State, parts: _Parts) -> tuple[Coordinates, Array]:
    """Coordinates in which the unseen columns enter by B = N S alone."""
    xp, W, Ht, B = array_namespace(parts.seen), list(start.W), parts.seen.T, parts.scatter
    B = (B + B.T) / 2
    span = _kept_span(xp.concat([W[-1], Ht], axis=0), B)
    outside = None
    total = float(xp.sum(parts.seen**2)) + _trace(B)
    if span is not None:
        inner = span.T @ B @ span
        outside = B - span @ inner @ span.T
        W[-1], Ht, B = W[-1] @ span, Ht @ span, inner
    held, d = parts.unseen if mode == "propagator" else None, Ht.shape[1]
    if held is not None and span is not None:
        held, outside = span.T @ held, held - span @ (span.T @ held)
    if mode == "A":
        eigenvalues, U = eigh(W[0].T @ W[0] - Ht.T @ Ht - B)
        W, Ht, span = [W[0] @ U], Ht @ U, U if span is None else span @ U
        total_D0, behind = float(xp.sum(eigenvalues)), None
        within: Law | Scatter = Law(float(problem.lam_H), eigenvalues, total_D0, max(_trace(B), 0.0))
    else:
        unit, scale = math.sqrt(total) or 1.0, math.sqrt(max(_trace(B), 0.0) / d) or 1.0
        within = Scatter(d, unit, scale, mode == "propagator")
        behind = within.pack(B)
    field = field_of(problem, _shapes(*W, Ht), parts.A, parts.q, within)
    back = Columns(parts.back.seen, parts.back.scale)
    if held is not None:
        back = replace(parts.back, held=held)
    return Coordinates(mode, field, back, span, outside), field.pack(start.b, W, Ht, behind)


def _shapes(*parts: Array) -> tuple[tuple[int, int], ...]:
    return tuple((part.shape[0], part.shape[1]) for part in parts)


def _trace(B: Array) -> float:
    return float(array_namespace(B).sum(array_namespace(B).linalg.diagonal(B)))


def _root(B: Array) -> Array:
    """L (d x k) with L L' = B to round-off, B symmetric and not negative."""
    xp = array_namespace(B)
    values, vectors = eigh((B + B.T) / 2)
    kept = int(xp.sum(xp.astype(values > B.shape[0] * xp.finfo(B.dtype).eps * values[-1], xp.int64)))
    first = B.shape[0] - max(kept, 1)
    return vectors[:, first:] * xp.sqrt(xp.where(values[first:] > 0, values[first:], 0 * values[first:]))


def _has_rank(B: Array, rank: int) -> bool:
    """Whether a block of so many rows shows that B, symmetric and not negative, has this rank: cheaper than a root."""
    block = to_numpy(B[:rank, :rank])
    try:
        pivots = np.diagonal(np.linalg.cholesky(block)) ** 2
    except np.linalg.LinAlgError:
        return False
    return bool(pivots.min() > rank * np.finfo(block.dtype).eps * np.trace(block))


def _kept_span(rows: Array, B: Array) -> Array | None:
    """Orthonormal columns whose span holds the rows and is left to itself by B; None where it is the whole space."""
    xp, d = array_namespace(rows), rows.shape[1]
    if rows.shape[0] >= d:
        return None
    span, _ = xp.linalg.qr(rows.T)
    moved = B @ span
    leak = moved - span @ (span.T @ moved)
    small = 64 * float(xp.finfo(B.dtype).eps) * float(xp.sum(B * B)) ** 0.5
    if float(xp.sum(leak * leak)) ** 0.5 <= small:
        return span
    if _has_rank(B, d - rows.shape[0]):
        return None
    root = _root(B)
    if rows.shape[0] + root.shape[1] >= d:
        return None
    return xp.linalg.qr(xp.concat([rows.T, root], axis=1))[0]


def _choose(problem: Problem, start: State, mode: Mode, *, law: bool) -> str:
    if mode not in get_args(Mode):
        raise ProblemError("mode", mode, f"choose {', '.join(map(repr, get_args(Mode)))}.")
    free = problem.constraint is None or isinstance(problem.constraint, FixedClassifier)
    if not free and mode not in ("auto", "full", "collapsed"):
        raise ProblemError("mode", mode, "a constraint binds every sample by itself; use 'full'.")
    if not law and mode == "A":
        raise ProblemError("mode", mode, "its law is one of the free gradient flow; use 'S' or 'samples'.")
    if start.S is not None:
        return _choose_by_covariance(problem, mode, law=law)
    K, columns = problem.targets.columns.shape[1], start.H.shape[1]
    collapsed = columns != problem.N
    reduced = start.H.shape[0] + min(problem.m + 1, K)  # columns after rotation, at most
    saves = reduced < problem.N
    best = "collapsed" if collapsed else "samples" if saves and free and problem.loss == "mse" else "full"
    if mode in ("auto", best):
        return best
    if mode == "collapsed" and problem.N > K:
        raise ProblemError("mode", mode, "not exact for features that differ within a class: start from class means.")
    if collapsed:
        raise ProblemError("mode", mode, "the start is collapsed and stays so; give all N samples to use this mode.")
    if mode in ("full", "collapsed"):
        return "full"
    if problem.loss != "mse":
        raise ProblemError("mode", mode, "exact for the squared loss only; use 'full'.")
    if mode == "samples" and not saves:
        raise ProblemError("mode", mode, f"it needs N > {reduced} samples to save anything; use 'full'.")
    if seen_columns(problem) >= problem.N:
        raise ProblemError("mode", mode, "every sample sees a target of its own; use 'full'.")
    if mode == "A":
        _check_law(problem)
    return mode


def _choose_by_covariance(problem: Problem, mode: Mode, *, law: bool) -> str:
    equal = problem.p == 2 and float(problem.lam_W[0]) == float(problem.lam_H)
    if mode == "auto":
        return "A" if equal and law else "S"
    if mode == "A":
        _check_law(problem)
    elif mode == "collapsed":
        raise ProblemError("mode", mode, "not exact for features that differ within a class: start from class means.")
    elif mode in ("full", "propagator"):
        raise ProblemError("mode", mode, "it needs all N samples; give them as start.H, d x N, or use 'S'.")
    return mode


def _check_law(problem: Problem) -> None:
    if problem.p != 2:
        raise ProblemError("mode", "A", f"its law holds for p = 2, and here p = {problem.p}; use 'S' or 'samples'.")
    if float(problem.lam_W[0]) != float(problem.lam_H):
        weights = f"lam_W = {float(problem.lam_W[0])} and lam_H = {float(problem.lam_H)}"
        raise ProblemError("mode", "A", f"its law needs lam_W = lam_H, and here {weights}; use 'S' or 'samples'.")
