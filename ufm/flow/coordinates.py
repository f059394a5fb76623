"""Lossless coordinates for the flow: what of (W, H) moves by itself, and the way back.

The squared loss sees samples only through A = Y Q and q = Q'1 (theory: section 6, H-mode): rotating the samples leaves
r columns of H that see a target, and N - r that see none. Of the latter only their span moves: QR leaves at most d.
If W_1 and H together have fewer rows and columns than d, their span in feature space is kept, and only it moves.
Both are rotations, so norms, gradients and steps are those of the full flow.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ufm.arrays import Array, array_namespace
from ufm.errors import ProblemError
from ufm.flow.field import Field, field_of
from ufm.flow.state import State, device_array
from ufm.problem import Problem, reduce_problem

Mode = Literal["auto", "full", "collapsed", "samples"]


@dataclass(frozen=True, eq=False)
class Coordinates:
    """Flat state <-> State. mode: "full", "collapsed" (class means only) or "samples" (rotated, unseen columns QR-ed).

    rows: r x columns, reduced features @ rows = the part of H that sees the targets. rest: k x N, or None: the
    directions of the samples that see no target. span: d x w, or None: the kept span in feature space.
    """

    mode: str
    field: Field
    rows: Array | None
    rest: Array | None
    span: Array | None

    def state(self, y: Array) -> State:
        """The full state, in the shapes of the start."""
        xp = self.field.xp
        b, W, Ht = self.field.unpack(y)
        if self.span is not None:
            W, Ht = [*W[:-1], W[-1] @ self.span.T], Ht @ self.span.T
        H = Ht.T
        if self.rows is not None:
            r = self.rows.shape[0]
            H = H[:, :r] @ self.rows if self.rest is None else H[:, :r] @ self.rows + H[:, r:] @ self.rest
        return State(tuple(W), H, b if self.field.m else xp.zeros_like(W[0][:, 0]))

    @property
    def description(self) -> str:
        """The mode and the size of what moves, for provenance."""
        return self.mode + ("" if self.span is None else "+span") + f", {self.field.size} unknowns"


def coordinates(problem: Problem, start: State, mode: Mode) -> tuple[Coordinates, Array]:
    """The coordinates of a checked start, and its flat state. "auto" takes the smallest that is exact."""
    xp, like, N = array_namespace(*start.W, start.H), start.H, problem.N
    collapsed = start.H.shape[1] != N
    chosen = _choose(problem, start, mode, collapsed)
    rows = rest = None
    columns = start.H
    if chosen == "samples":
        reduction = reduce_problem(problem)
        A, q = device_array(xp, reduction.A, like), device_array(xp, reduction.q, like)
        rows = device_array(xp, np.repeat(reduction.basis, problem.targets.multiplicity, axis=1), like)
        seen = start.H @ rows.T
        rest, R = xp.linalg.qr((start.H - seen @ rows).T)
        rest, columns = rest.T, xp.concat([seen, R.T], axis=1)
        unseen = columns.shape[1] - q.shape[0]
        A = xp.concat([A, xp.zeros_like(columns[:1, :unseen] + A[:, :1])], axis=1)
        q = xp.concat([q, xp.zeros_like(columns[0, :unseen])])
    else:
        root = np.sqrt(problem.targets.multiplicity) if collapsed else np.ones(N)
        targets = problem.targets.columns if collapsed else problem.targets.matrix()
        A, q = device_array(xp, targets * root, like), device_array(xp, root, like)
        if collapsed:
            columns, rows = columns * q, device_array(xp, np.diag(1 / root), like)
    return _in_span(problem, chosen, start, columns, A, q, rows, rest)


def _in_span(
    problem: Problem,
    mode: str,
    start: State,
    columns: Array,
    A: Array,
    q: Array,
    rows: Array | None,
    rest: Array | None,
) -> tuple[Coordinates, Array]:
    xp, W, Ht = array_namespace(columns), list(start.W), columns.T
    span = None
    if W[-1].shape[0] + Ht.shape[0] < columns.shape[0]:
        span, R = xp.linalg.qr(xp.concat([W[-1], Ht], axis=0).T)
        W[-1], Ht = R[:, : W[-1].shape[0]].T, R[:, W[-1].shape[0] :].T
    shapes = tuple((part.shape[0], part.shape[1]) for part in (*W, Ht))
    field = field_of(problem, shapes, A, q)
    return Coordinates(mode, field, rows, rest, span), field.pack(start.b, W, Ht)


def _choose(problem: Problem, start: State, mode: Mode, collapsed: bool) -> str:
    K = problem.targets.columns.shape[1]
    reduced = start.H.shape[0] + min(problem.m + 1, K)  # columns after rotation, at most
    saves = reduced < problem.N
    best = "collapsed" if collapsed else "samples" if saves and problem.loss == "mse" else "full"
    if mode == "auto" or mode == best:
        return best
    if mode not in ("full", "collapsed", "samples"):
        raise ProblemError("mode", mode, "choose 'auto', 'full', 'collapsed' or 'samples'.")
    if mode == "collapsed" and problem.N > K:
        raise ProblemError("mode", mode, "not exact for features that differ within a class: start from class means.")
    if collapsed:
        raise ProblemError("mode", mode, "the start is collapsed and stays so; give all N samples to use this mode.")
    if mode == "samples" and problem.loss != "mse":
        raise ProblemError("mode", mode, "exact for the squared loss only; use 'full'.")
    if mode == "samples" and not saves:
        raise ProblemError("mode", mode, f"it needs N > {reduced} samples to save anything; use 'full'.")
    return "full" if mode == "collapsed" else mode
