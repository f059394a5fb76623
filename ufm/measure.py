"""The measured witness: the theory's observables and the field's metrics, read off arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from typing import Any

import numpy as np

from ufm.arrays import to_numpy
from ufm.errors import UfmError
from ufm.metrics.samples import of_classifier, of_features, of_regression
from ufm.metrics.split import split_classes
from ufm.metrics.state import invariants, labelled
from ufm.problem import ClassTargets, Problem, SampleTargets, Targets, objective
from ufm.record import Record

Values = dict[str, Any]


@dataclass(frozen=True, eq=False)
class _Truth:
    """Per class or per sample: labels (N) where there are classes, codes (m x K) or targets (m x N) where known."""

    labels: np.ndarray | None
    columns: np.ndarray | None


def measure(
    H: Any,
    labels_or_targets: Any,
    W: Any = None,
    b: Any = None,
    *,
    problem: Problem | None = None,
) -> Record:
    """Every observable that these arrays determine, as a record of the witness "measured".

    H: d x N, one column a sample, of any backend; float32 is accumulated in double precision.
    labels_or_targets: N labels of any kind; or `ufm.classes(...)`, whose samples stand class after class; or
    `ufm.samples(...)` or an m x N matrix for regression; or a problem, for its targets.
    W: classifier, m x d, or linear layers, last first, whose product it is; b: m, None for zero. Plain labels mean
    one-hot codes: label k is row k of W, or, where labels are not numbers below m, the k-th label in sorted order.
    problem: adds the objective's `value` and the invariants of critical points; the k-th label in sorted order has the
    k-th of its codes. Its value needs all of its layers.
    Raises UfmError where arrays do not fit, are not finite, or hold one class only.
    """
    if isinstance(labels_or_targets, Problem):
        problem, labels_or_targets = labels_or_targets, labels_or_targets.targets
    features = _matrix(H, "H", "d x N")
    layers = layers_of(W)
    classifier = reduce(np.matmul, layers) if layers else None
    truth = _truth(labels_or_targets, problem, classifier, features.shape[1])
    offset = _offset(b, classifier, features)
    values: Values = {}
    coords = None
    if truth.labels is not None:
        split = split_classes(features, truth.labels)
        values |= of_features(split)
        if classifier is not None and truth.columns is not None:
            values |= of_classifier(split, classifier, offset, truth.columns)
            ybar = truth.columns @ (split.counts / split.N)
            values |= _invariants(problem, classifier, split.mean, offset, ybar, split.N)
            if problem is not None:
                values["value"] = _value(problem, layers, features[:, split.order], offset)
        kinds = np.unique(truth.labels)
        coords = None if np.array_equal(kinds, np.arange(kinds.size)) else {"class": kinds}
    elif classifier is not None and truth.columns is not None:
        H, Y = features.astype(np.float64), truth.columns
        values |= of_regression(H, classifier, offset, Y)
        values |= _invariants(problem, classifier, H.mean(axis=1), offset, Y.mean(axis=1), H.shape[1])
        if problem is not None:
            values["value"] = _value(problem, layers, features, offset)
    else:
        raise UfmError("targets without W leave nothing to measure; give W (m x d), or labels.")
    return Record.of("measured", labelled(values), problem=problem, coords=coords)


def _invariants(
    problem: Problem | None, W: np.ndarray, hbar: np.ndarray, b: np.ndarray, ybar: np.ndarray, N: int
) -> Values:
    if problem is None or problem.loss != "mse":
        return {}
    return invariants(W, hbar, b, ybar, float(problem.lam_H), float(problem.lam_b), N)


def _value(problem: Problem, layers: Sequence[np.ndarray], H: np.ndarray, b: np.ndarray) -> float:
    if len(layers) != problem.p - 1:
        raise UfmError(f"W has {len(layers)} layers, the problem {problem.p - 1}; give each of them, last first.")
    return float(objective(problem, layers, H.astype(np.float64), b if problem.has_bias else None))


def layers_of(W: Any) -> tuple[np.ndarray, ...]:
    """The linear layers of W in double precision, last first: none for None, one for a matrix, else those listed."""
    if W is None:
        return ()
    listed = isinstance(W, list | tuple) and len(W) > 0 and all(np.ndim(layer) == 2 for layer in W)
    layers = tuple(_matrix(layer, "W", "m x d").astype(np.float64) for layer in (W if listed else (W,)))
    for above, below in pairwise(layers):
        if above.shape[1] != below.shape[0]:
            raise UfmError(
                f"layers of W are {above.shape} and {below.shape}; give them last first, so that they multiply."
            )
    return layers


def _truth(given: Any, problem: Problem | None, W: np.ndarray | None, N: int) -> _Truth:
    """Labels and codes, or regression targets, checked against N and the problem."""
    if isinstance(given, ClassTargets | SampleTargets):
        return _of_targets(given, N)
    array = to_numpy(given) if hasattr(given, "shape") else np.asarray(given)
    if array.ndim == 2:
        targets = problem.targets if problem is not None else None
        if targets is not None and not np.array_equal(targets.matrix(), array):
            raise UfmError("the targets differ from those of the problem; give the problem's own.")
        return _Truth(None, _columns(array, N))
    if array.shape != (N,):
        raise UfmError(f"labels have the shape {array.shape}; H has {N} columns, give one label for each.")
    if array.dtype.kind == "f" and not np.all(np.isfinite(array)):
        raise UfmError("some labels are not finite; give every sample a class.")
    kinds, counts = np.unique(array, return_counts=True)
    if problem is not None:
        if not np.array_equal(counts, problem.classes.counts):
            raise UfmError(f"the labels' class sizes are {counts}, the problem's {problem.classes.counts}.")
        return _Truth(array, problem.classes.codes)
    return _Truth(array, None if W is None else one_hot_codes(kinds, W.shape[0]))


def _of_targets(targets: Targets, N: int) -> _Truth:
    if targets.N != N:
        raise UfmError(f"the targets are for {targets.N} samples, H has {N} columns.")
    if isinstance(targets, ClassTargets):
        return _Truth(targets.labels(), targets.codes)
    return _Truth(None, targets.columns)


def _columns(array: np.ndarray, N: int) -> np.ndarray:
    if array.shape[1] != N:
        fix = f"give m x N with N = {N}, one column a sample"
        turned = f"{fix} (that is, transpose them); of classes, N labels" if array.shape[0] == N else fix
        raise UfmError(f"the targets are {array.shape}; {turned}.")
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


def _offset(b: Any, W: np.ndarray | None, H: np.ndarray) -> np.ndarray:
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


def _matrix(x: Any, name: str, shape: str) -> np.ndarray:
    array = _real(x, name)
    if array.ndim != 2 or 0 in array.shape:
        raise UfmError(f"{name} has the shape {array.shape}; give a matrix, {shape}.")
    if not np.all(np.isfinite(array)):
        raise UfmError(f"{name} has entries that are not finite; a diverged run has no geometry to measure.")
    return array


def _real(x: Any, name: str) -> np.ndarray:
    try:
        array = to_numpy(x) if hasattr(x, "shape") else np.asarray(x)
    except ValueError:
        raise UfmError(f"{name} is no array: its rows differ in length; give real numbers.") from None
    if array.dtype.kind not in "iuf":
        raise UfmError(f"{name} holds {array.dtype}; give real numbers.")
    return array
