"""A point of the flow, and the starts: random, collapsed, balanced, or a user's own arrays."""

from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from ufm.arrays import Array, Namespace, array_namespace, to_numpy
from ufm.errors import ProblemError
from ufm.problem import Problem

__all__ = ["State", "balanced_start", "random_start"]

Seed = int | np.random.Generator


@dataclass(frozen=True, eq=False)
class State:
    """W (layers, last first; m x d for one), H (d x N, or d x K: one column for all samples of a class), b (m or None).

    Arrays of one backend, all on one device. A single matrix is accepted for W.
    """

    W: Array | tuple[Array, ...]  # always the tuple once made
    H: Array
    b: Array = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "W", tuple(self.W) if isinstance(self.W, tuple | list) else (self.W,))

    @property
    def product(self) -> Array:
        """W_{p-1}..W_1, m x d."""
        return reduce(lambda left, right: left @ right, self.W)

    def class_means(self, problem: Problem) -> Array:
        """Hbar, d x K: the mean feature of every class."""
        targets = problem.classes
        if self.H.shape[1] == targets.K != targets.N:
            return self.H
        xp = array_namespace(self.H)
        pick = np.repeat(np.eye(targets.K) / targets.counts, targets.counts, axis=1)
        return self.H @ device_array(xp, pick.T, self.H)

    def numpy(self) -> "State":
        """The same state as NumPy arrays on the host."""
        return State(tuple(map(to_numpy, self.W)), to_numpy(self.H), None if self.b is None else to_numpy(self.b))

    def __repr__(self) -> str:
        shapes = ", ".join("x".join(map(str, layer.shape)) for layer in self.W)
        return f"State(W {shapes}; H {'x'.join(map(str, self.H.shape))})"


def random_start(problem: Problem, seed: Seed, *, scale: float = 1.0, collapsed: bool = False) -> State:
    """W_l and H with independent entries N(0, scale^2/d), b = 0, drawn in that order from the seed's generator.

    collapsed: d x K class means with the same law, shared by all samples of a class. d is the problem's width, or the
    classifier's rows and the means' columns together, which no start can outgrow.
    """
    if not np.isfinite(scale) or scale < 0:
        raise ProblemError("scale", scale, "give a finite number >= 0.")
    rng, d = _generator(seed), _width(problem)
    columns = problem.targets.columns.shape[1] if collapsed else problem.N
    rows = [problem.m, *[d] * (problem.p - 2)]
    W = tuple(scale * rng.standard_normal((r, d)) / np.sqrt(d) for r in rows)
    return State(W, scale * rng.standard_normal((d, columns)) / np.sqrt(d), np.zeros(problem.m))


def balanced_start(problem: Problem, seed: Seed, *, scale: float = 1.0) -> State:
    """A collapsed random start with W'W = HH' (lam_W = lam_H keeps it so), p = 2, and W along the targets' own axes.

    W = scale R' and Hbar = scale R' V' diag(n_k)^(-1/2) with R semi-orthogonal: W Hbar overlaps positively with the
    targets, so that no mode has to pass a saddle.
    """
    if problem.p != 2:
        raise ProblemError("p", problem.p, "a balanced start is defined for p = 2; use random_start.")
    root = np.sqrt(problem.targets.multiplicity)
    U, _, Vt = np.linalg.svd(problem.targets.columns * root, full_matrices=False)
    d, r = _width(problem), U.shape[1]
    if d < r:
        raise ProblemError("width", d, f"a balanced start needs at least min(m, K) = {r}.")
    R = np.linalg.qr(_generator(seed).standard_normal((d, r)))[0]
    return State((scale * U @ R.T,), scale * (R @ Vt) / root, np.zeros(problem.m))


def checked(problem: Problem, start: State) -> State:
    """The state with b filled in, or a ProblemError that names the field."""
    problem_p, layers = problem.p - 1, len(start.W)
    if layers != problem_p:
        raise ProblemError("start.W", f"{layers} layers", f"this problem has {problem_p}, last layer first.")
    rows = problem.m
    for l, array in enumerate((*start.W, start.H)):
        name = "start.H" if l == layers else "start.W" if layers == 1 else f"start.W[{l}]"
        shape = tuple(getattr(array, "shape", ()))
        if len(shape) != 2 or 0 in shape or shape[0] != rows:
            raise ProblemError(name, shape, f"this is its shape; give a matrix with {rows} rows.")
        rows = shape[1]
    if problem.width is not None and start.H.shape[0] != problem.width:
        raise ProblemError(
            "start.H", tuple(start.H.shape), f"this is its shape; the problem's width is {problem.width}."
        )
    columns = problem.targets.columns.shape[1]
    if start.H.shape[1] not in (columns, problem.N):
        wanted = f"N = {problem.N}" if columns == problem.N else f"N = {problem.N} or K = {columns}"
        raise ProblemError("start.H", tuple(start.H.shape), f"this is its shape; it needs {wanted} columns.")
    if start.b is not None and tuple(start.b.shape) != (problem.m,):
        raise ProblemError("start.b", tuple(start.b.shape), f"this is its shape; give {problem.m} numbers, or None.")
    try:
        xp = array_namespace(*start.W, start.H, start.b)
    except TypeError:
        kinds = sorted({type(x).__module__ for x in (*start.W, start.H, start.b) if x is not None})
        raise ProblemError("start", ", ".join(kinds), "give W, H and b as arrays of one backend.") from None
    b = start.b if start.b is not None else device_array(xp, np.zeros(problem.m), start.H)
    for name, array in [("W", layer) for layer in start.W] + [("H", start.H), ("b", b)]:
        if not bool(xp.all(xp.isfinite(array))):
            raise ProblemError(f"start.{name}", "NaN or inf", "every entry must be a finite number.")
    if not problem.has_bias and bool(xp.any(b != 0)):
        raise ProblemError("start.b", b, "lam_b = inf means no bias; give zeros or None.")
    return State(start.W, start.H, b)


def device_array(xp: Namespace, host: np.ndarray, like: Array) -> Array:
    """A host array with the dtype and on the device of `like`."""
    place = {"dtype": like.dtype, "device": getattr(like, "device", None)}
    try:
        return xp.asarray(host, **place)
    except (TypeError, ValueError):  # strict namespaces take Python numbers only
        return xp.asarray(host.tolist(), **place)


def on_backend(xp: Namespace, state: State) -> State:
    """A host state in the namespace's double precision, on its default device."""
    give: Any = lambda x: xp.asarray(x, dtype=xp.float64)  # noqa: E731
    return State(tuple(map(give, state.W)), give(state.H), None if state.b is None else give(state.b))


def _width(problem: Problem) -> int:
    return problem.m + problem.targets.columns.shape[1] if problem.width is None else int(problem.width)


def _generator(seed: Any) -> np.random.Generator:
    if isinstance(seed, np.random.Generator):
        return seed
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ProblemError("start", seed, "give a State, a non-negative integer seed or a NumPy Generator.")
    return np.random.default_rng(int(seed))
