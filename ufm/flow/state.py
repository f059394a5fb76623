"""A point of the flow, and whether a user's arrays are one."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

import numpy as np

from ufm.arrays import Array, Namespace, array_namespace, to_numpy
from ufm.constraints import FixedClassifier
from ufm.errors import ProblemError
from ufm.problem import Problem
from ufm.problem.targets import ClassTargets


@dataclass(frozen=True, eq=False)
class State:
    """W (layers, last first; m x d for one), H (d x N, or d x K: one column for all samples of a class), b (m or None).

    S: the within-class covariance Hw Hw'/N (d x d), or None. With it the N samples themselves are not kept, and H holds
    the class means (d x K). For regression S is that of what the targets do not see of H, and H what they see, d x r in
    the basis of `ufm.problem.reduce_problem(problem)`, whose `features(H)` are d x N.
    Arrays of one backend, all on one device. A single matrix is accepted for W.
    """

    W: Array | tuple[Array, ...]  # always the tuple once made
    H: Array
    b: Array = None
    S: Array = None

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
        xp, ends = array_namespace(self.H), np.cumsum(targets.counts).tolist()
        if targets.balanced:
            return xp.mean(xp.reshape(self.H, (self.H.shape[0], targets.K, -1)), axis=2)
        return xp.stack([xp.mean(self.H[:, i:j], axis=1) for i, j in zip([0, *ends], ends, strict=False)], axis=1)

    def each(self, give: Callable[[Array], Array]) -> "State":
        """The same state with every array passed through a function."""
        b, S = (None if x is None else give(x) for x in (self.b, self.S))
        return State(tuple(map(give, self.W)), give(self.H), b, S)

    def numpy(self) -> "State":
        """The same state as NumPy arrays on the host."""
        return self.each(to_numpy)

    def __repr__(self) -> str:
        shapes = ", ".join("x".join(map(str, layer.shape)) for layer in self.W)
        return f"State(W {shapes}; H {'x'.join(map(str, self.H.shape))}{'' if self.S is None else ', S'})"


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
    if start.S is not None:
        _check_covariance(problem, start)
    elif start.H.shape[1] not in (columns, problem.N):
        wanted = f"N = {problem.N}" if columns == problem.N else f"N = {problem.N} or K = {columns}"
        raise ProblemError("start.H", tuple(start.H.shape), f"this is its shape; it needs {wanted} columns.")
    if start.b is not None and tuple(start.b.shape) != (problem.m,):
        raise ProblemError("start.b", tuple(start.b.shape), f"this is its shape; give {problem.m} numbers, or None.")
    try:
        xp = array_namespace(*start.W, start.H, start.b, start.S)
    except TypeError:
        kinds = sorted({type(x).__module__ for x in (*start.W, start.H, start.b, start.S) if x is not None})
        raise ProblemError("start", ", ".join(kinds), "give W, H and b as arrays of one backend.") from None
    b = start.b if start.b is not None else device_array(xp, np.zeros(problem.m), start.H)
    for name, array in [("W", layer) for layer in start.W] + [("H", start.H), ("b", b), ("S", start.S)]:
        if array is not None and not bool(xp.all(xp.isfinite(array))):
            raise ProblemError(f"start.{name}", "NaN or inf", "every entry must be a finite number.")
    if not problem.has_bias and bool(xp.any(b != 0)):
        raise ProblemError("start.b", b, "lam_b = inf means no bias; give zeros or None.")
    if start.S is not None:
        _check_psd(to_numpy(start.S))
    return State(start.W, start.H, b, start.S)


def seen_columns(problem: Problem) -> int:
    """How many columns hold what the squared loss sees of H: K for classes, at most m + 1 for regression."""
    if isinstance(problem.targets, ClassTargets):
        return problem.K
    return min(problem.m + 1, problem.N)


def _check_covariance(problem: Problem, start: State) -> None:
    """Shapes, and the losses that a covariance says enough to."""
    if problem.loss != "mse":
        raise ProblemError("start.S", problem.loss, "this loss moves every sample by itself; give all of H, d x N.")
    if problem.constraint is not None and not isinstance(problem.constraint, FixedClassifier):
        bound = type(problem.constraint).__name__
        raise ProblemError("start.S", bound, "this constraint binds every sample by itself; give all of H, d x N.")
    d, columns = start.H.shape[0], seen_columns(problem)
    if tuple(getattr(start.S, "shape", ())) != (d, d):
        shape = tuple(getattr(start.S, "shape", ()))
        raise ProblemError("start.S", shape, f"this is its shape; a covariance of {d} features is {d} x {d}.")
    if start.H.shape[1] != columns:
        what = "class means" if isinstance(problem.targets, ClassTargets) else "columns in the reduced basis"
        raise ProblemError("start.H", tuple(start.H.shape), f"this is its shape; with S it holds {columns} {what}.")
    if columns == problem.N:
        raise ProblemError("start.S", tuple(start.S.shape), "no class has two samples; leave it out.")


def _check_psd(S: np.ndarray) -> None:
    size, eps = float(np.abs(S).max()), float(np.finfo(S.dtype).eps)
    if float(np.abs(S - S.T).max()) > 64 * eps * size:
        raise ProblemError("start.S", "not symmetric", "a covariance is; give (S + S')/2.")
    allowed = 64 * S.shape[0] * eps * size
    try:
        np.linalg.cholesky(S + allowed * np.eye(S.shape[0]))  # says the same sooner
    except np.linalg.LinAlgError:
        if float(np.linalg.eigvalsh(S)[0]) < -allowed:
            raise ProblemError("start.S", "a negative eigenvalue", "a covariance has none; give Hw Hw'/N.") from None


def device_array(xp: Namespace, host: np.ndarray, like: Array) -> Array:
    """A host array with the dtype and on the device of `like`."""
    place = {"dtype": like.dtype, "device": getattr(like, "device", None)}
    try:
        return xp.asarray(host, **place)
    except (TypeError, ValueError):  # strict namespaces take Python numbers only
        return xp.asarray(host.tolist(), **place)


def on_backend(xp: Namespace, state: State) -> State:
    """A host state in the namespace's double precision, on its default device."""
    return state.each(lambda x: xp.asarray(x, dtype=xp.float64))
