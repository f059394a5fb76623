"""What a user hands over, checked: matrices, linear layers, a bias, labels or targets, of any backend."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from ufm.arrays import to_numpy
from ufm.errors import UfmError
from ufm.metrics.split import demand_range
from ufm.problem import ClassTargets, Problem, SampleTargets, Targets


@dataclass(frozen=True, eq=False)
class Truth:
    """Per class or per sample: labels (N) where there are classes, codes (m x K) or targets (m x N) where known."""

    labels: np.ndarray | None
    columns: np.ndarray | None


def truth_of(given: Any, problem: Problem | None, W: np.ndarray | None, N: int) -> Truth:
    """Labels and codes, or regression targets, checked against N and the problem."""
    if isinstance(given, ClassTargets | SampleTargets):
        return _of_targets(given, problem, N)
    array = _host(given, "labels_or_targets")
    if array.ndim == 2:
        targets = problem.targets if problem is not None else None
        if targets is not None and not np.array_equal(targets.matrix(), array):
            raise UfmError("the targets differ from those of the problem; give the problem's own.")
        return Truth(None, _columns(array, N))
    if array.shape != (N,):
        raise UfmError(f"labels have the shape {array.shape}; H has {N} columns, give one label for each.")
    if array.dtype.kind == "f" and not np.all(np.isfinite(array)):
        raise UfmError("some labels are not finite; give every sample a class.")
    kinds, counts = _kinds(array)
    if problem is not None:
        if not np.array_equal(counts, problem.classes.counts):
            raise UfmError(f"the labels' class sizes are {counts}, the problem's {problem.classes.counts}.")
        return Truth(array, problem.classes.codes)
    return Truth(array, None if W is None else one_hot_codes(kinds, W.shape[0]))


def _kinds(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The labels that occur, sorted, and how often each does."""
    try:
        kinds, counts = np.unique(labels, return_counts=True)
    except TypeError:
        raise UfmError("labels hold objects that do not sort, such as None among strings; give one kind.") from None
    return kinds, counts


def _of_targets(targets: Targets, problem: Problem | None, N: int) -> Truth:
    if targets.N != N:
        raise UfmError(f"the targets are for {targets.N} samples, H has {N} columns.")
    of = problem.targets if problem is not None else targets
    if not (np.array_equal(of.columns, targets.columns) and np.array_equal(of.multiplicity, targets.multiplicity)):
        raise UfmError("the targets differ from those of the problem; give the problem's own.")
    if isinstance(targets, ClassTargets):
        return Truth(targets.labels(), targets.codes)
    return Truth(None, targets.columns)


def _columns(array: np.ndarray, N: int) -> np.ndarray:
    if array.shape[1] != N:
        fix = f"give m x N with N = {N}, one column a sample"
        turned = f"{fix} (that is, transpose them); of classes, N labels" if array.shape[0] == N else fix
        raise UfmError(f"the targets are {array.shape}; {turned}.")
    if array.dtype.kind not in "iufb" or not np.all(np.isfinite(array)):
        raise UfmError(f"the targets ({array.dtype}) have entries that are no finite numbers; give m x N real ones.")
    return array.astype(np.float64)


def one_hot_codes(kinds: np.ndarray, m: int) -> np.ndarray:
    """One-hot codes of the classes present (m x K): by value where labels are 0..m-1, else by rank."""
    rows = kinds.astype(int) if kinds.dtype.kind in "iufb" and np.all(np.isin(kinds, np.arange(m))) else None
    if rows is None and kinds.size == m:
        rows = np.arange(m)
    if rows is None:
        raise UfmError(
            f"W has {m} rows, the labels {kinds.size} kinds: one-hot codes do not fit; "
            "give targets made with ufm.classes(codes, counts), labels 0..m-1, or those of a regression as m x N."
        )
    return np.eye(m)[:, rows]


def layers_of(W: Any) -> tuple[np.ndarray, ...]:
    """The linear layers of W in double precision, last first: none for None, one for a matrix, else those listed."""
    if W is None:
        return ()
    listed = isinstance(W, list | tuple) and len(W) > 0 and all(np.ndim(layer) == 2 for layer in W)
    layers = tuple(matrix(layer, "W", "m x d").astype(np.float64) for layer in (W if listed else (W,)))
    for layer in layers:
        demand_range(float(np.max(np.abs(layer))), "W has")
    for above, below in pairwise(layers):
        if above.shape[1] != below.shape[0]:
            raise UfmError(
                f"layers of W are {above.shape} and {below.shape}; give them last first, so that they multiply."
            )
    return layers


def bias_of(b: Any, W: np.ndarray | None, H: np.ndarray) -> np.ndarray:
    """Bias b (m) in double precision, zeros for None, checked together with W's shape."""
    if W is None:
        if b is not None:
            raise UfmError("b without W says nothing; give W (m x d) too.")
        return np.zeros(0)
    if W.shape[1] != H.shape[0]:
        raise UfmError(f"W is {W.shape} and H {H.shape}; W needs {H.shape[0]} columns (m x d), H is d x N.")
    offset = np.zeros(W.shape[0]) if b is None else _real(b, "b").astype(np.float64).reshape(-1)
    if offset.shape != (W.shape[0],) or not np.all(np.isfinite(offset)):
        raise UfmError(f"b has {offset.size} entries; give {W.shape[0]} finite numbers, one per row of W.")
    return offset


def outside_of(outside: Any, d: int) -> np.ndarray | None:
    """Features of other data (d x N') in double precision, as wide as H."""
    if outside is None:
        return None
    given = matrix(outside, "outside", "d x N'").astype(np.float64)
    if given.shape[0] != d:
        turned = "transpose it" if given.shape[1] == d else "give features of the same layer"
        raise UfmError(f"outside is {given.shape}, one row a feature; H has {d} rows: {turned}.")
    return given


def gram_of(gram: Any, K: int) -> np.ndarray | None:
    """A predicted Gram matrix of K class means, not zero."""
    if gram is None:
        return None
    given = matrix(gram, "gram", "K x K").astype(np.float64)
    if given.shape != (K, K) or not np.any(given):
        raise UfmError(f"gram is {given.shape}; give a matrix that is not zero, {K} x {K}: one row and column a class.")
    return given


def matrix(x: Any, name: str, shape: str) -> np.ndarray:
    """A matrix of finite real numbers, in the precision that it came in."""
    array = _real(x, name)
    if array.ndim != 2 or 0 in array.shape:
        raise UfmError(f"{name} has the shape {array.shape}; give a matrix, {shape}.")
    if not np.all(np.isfinite(array)):
        raise UfmError(f"{name} has entries that are not finite; a diverged run has no geometry to measure.")
    return array


def precision_of(x: Any) -> float:
    """The relative spacing of the numbers that x is made of: what rounding it has hidden."""
    if "bfloat16" in str(getattr(x, "dtype", "")):
        return 2.0**-7  # seven bits; NumPy has no such numbers and holds them as float32
    dtype = _host(x, "H").dtype
    return float(np.finfo(dtype if dtype.kind == "f" else np.float64).eps)


def _real(x: Any, name: str) -> np.ndarray:
    array = _host(x, name)
    if isinstance(x, np.ma.MaskedArray) and np.ma.is_masked(x):
        raise UfmError(f"{name} has masked entries; leave out the samples or features that are missing.")
    if array.dtype.kind not in "iuf":
        raise UfmError(f"{name} holds {array.dtype}; give real numbers.")
    return array


def _host(x: Any, name: str) -> np.ndarray:
    try:
        return to_numpy(x) if hasattr(x, "shape") else np.asarray(x)
    except ValueError:
        raise UfmError(f"{name} is no array: its rows differ in length; give real numbers.") from None
