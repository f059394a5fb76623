"""The measured witness: the theory's observables and the field's metrics, read off arrays."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ufm.arrays import to_numpy
from ufm.errors import UfmError
from ufm.metrics import bias, cdnv, duality, geometry, loss_parts, nc1, ncc, norms, rank, regression, uniformity, vci
from ufm.metrics.factors import energy_ratio
from ufm.metrics.isotropic_shift import isotropic_shift
from ufm.metrics.means import of_means
from ufm.metrics.spectrum import spectrum
from ufm.metrics.split import Split, split_classes
from ufm.metrics.state import geometry_of, invariants, labelled
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
    W: classifier, m x d; b: m, None for zero. Plain labels mean one-hot codes: label k is row k of W, or, where labels
    are not numbers below m, the k-th label in sorted order.
    problem: adds the objective's `value` and the invariants of critical points; the k-th label in sorted order has the
    k-th of its codes.
    Raises UfmError where arrays do not fit, are not finite, or hold one class only.
    """
    if isinstance(labels_or_targets, Problem):
        problem, labels_or_targets = labels_or_targets, labels_or_targets.targets
    features = _matrix(H, "H", "d x N")
    classifier = None if W is None else _matrix(W, "W", "m x d").astype(np.float64)
    truth = _truth(labels_or_targets, problem, classifier, features.shape[1])
    offset = _offset(b, classifier, features)
    values: Values = {}
    coords = None
    if truth.labels is not None:
        split = split_classes(features, truth.labels)
        values |= _of_features(split)
        if classifier is not None and truth.columns is not None:
            values |= _of_classifier(split, classifier, offset, truth.columns, problem)
            if problem is not None:
                values["value"] = _value(problem, classifier, features[:, split.order], offset)
        kinds = np.unique(truth.labels)
        coords = None if np.array_equal(kinds, np.arange(kinds.size)) else {"class": kinds}
    elif classifier is not None and truth.columns is not None:
        values |= _of_regression(features.astype(np.float64), classifier, offset, truth.columns, problem)
        if problem is not None:
            values["value"] = _value(problem, classifier, features, offset)
    else:
        raise UfmError("targets without W leave nothing to measure; give W (m x d), or labels.")
    return Record.of("measured", labelled(values), problem=problem, coords=coords)


def _of_features(split: Split) -> Values:
    """What features and labels alone determine."""
    values: Values = {
        "nc1": nc1.nc1(split),
        "nc1_ratio": nc1.nc1_ratio(split),
        "nc1_per_class": nc1.nc1_per_class(split),
        "cdnv": cdnv.cdnv(split),
        "vci": vci.vci(split),
        "feature_norm": _feature_norm(split),
        "stable_rank": rank.stable_rank(_triangle(split.mean[:, None] + split.centred())),
        **of_means(split.class_means, split.deviations),
    }
    if np.ptp(split.counts):  # unequal sizes: the other weighting says something else
        values["nc1_class_weighted"] = nc1.nc1(split, "classes")
        values["nc1_ratio_class_weighted"] = nc1.nc1_ratio(split, "classes")
    return values


def _of_classifier(split: Split, W: np.ndarray, b: np.ndarray, codes: np.ndarray, problem: Problem | None) -> Values:
    """What a classifier on these features adds: codes are m x K."""
    if codes.shape != (W.shape[0], split.K):
        raise UfmError(f"W has {W.shape[0]} rows and {split.K} classes are present, but the codes are {codes.shape}.")
    means, counts = split.class_means, split.counts
    values: Values = geometry_of(W, means, b)
    values |= spectrum(W, split.mean, split.centred(), np.ones(split.N), codes.shape)
    values |= {
        "bias_gap": np.linalg.norm(b - codes @ (counts / split.N)),
        "role_spread": geometry.role_spread(means, codes),
        "energy_ratio": energy_ratio(W, means, counts),
        "isotropic_shift": isotropic_shift(W, codes, counts),
    }
    values |= ncc.nearest_centre(split, W, b, codes) | _margins(split, W, b, codes)
    values |= {"bias_spread": bias.bias_spread(b), "nc3_balance": duality.balance(W, means, counts)}
    values |= loss_parts.loss_parts(split, W, b, codes)
    if W.shape[0] == split.K:
        values |= uniformity.uniform_duality(W, split.deviations)
        values["nc3"] = duality.self_duality(W, split.deviations)
        values["nc2_etf_classifier"] = geometry.frame_distance(geometry.gram(W.T), geometry.simplex_gram(split.K))
        values["nc3_etf"] = geometry.frame_distance(W @ split.deviations, geometry.simplex_gram(split.K))
        values["nc3_uncentred"] = duality.self_duality(W, means)
    return values | _invariants(problem, W, split.mean, b, codes @ (counts / split.N), split.N)


def _of_regression(H: np.ndarray, W: np.ndarray, b: np.ndarray, Y: np.ndarray, problem: Problem | None) -> Values:
    """Spectrum, bias and invariants for targets Y (m x N)."""
    N = H.shape[1]
    hbar = H.mean(axis=1)
    values: Values = {"classifier_norm": np.linalg.norm(W, axis=1), "bias": b, "bias_spread": bias.bias_spread(b)}
    values |= {"bias_gap": np.linalg.norm(b - Y.mean(axis=1)), "role_spread": geometry.role_spread(H, Y)}
    values |= {"feature_norm": norms.feature_norm(H), "stable_rank": rank.stable_rank(_triangle(H))}
    if min(H.shape) >= Y.shape[0]:
        values["nrc1"] = regression.nrc1(H, Y.shape[0])
    values |= {"nrc2": regression.nrc2(H, W), "nrc3": regression.nrc3(W, Y)[0]}
    values |= spectrum(W, hbar, H - hbar[:, None], np.ones(N), Y.shape)
    return values | _invariants(problem, W, hbar, b, Y.mean(axis=1), N)


def _margins(split: Split, W: np.ndarray, b: np.ndarray, codes: np.ndarray) -> Values:
    """Margins of arg max, for one-hot codes: other codes decide by distance."""
    if not np.array_equal(np.sort(codes, axis=0)[-2:], np.repeat([[0.0], [1.0]], split.K, axis=1)) or np.any(codes < 0):
        return {}
    found = uniformity.margins(
        W @ split.centred() + (W @ split.mean + b)[:, None], np.repeat(np.argmax(codes, axis=0), split.counts)
    )
    return {"margin_least": float(np.min(found)), "margin_mean": float(np.mean(found))}


def _feature_norm(split: Split) -> float:
    return norms.feature_norm(split.mean[:, None] + split.centred())


def _triangle(H: np.ndarray) -> np.ndarray:
    """A matrix with the singular values of H (d x N) that is no longer than wide."""
    return np.asarray(np.linalg.qr(H.T, mode="r")) if H.shape[1] > H.shape[0] else H


def _invariants(
    problem: Problem | None, W: np.ndarray, hbar: np.ndarray, b: np.ndarray, ybar: np.ndarray, N: int
) -> Values:
    if problem is None or problem.loss != "mse":
        return {}
    return invariants(W, hbar, b, ybar, float(problem.lam_H), float(problem.lam_b), N)


def _value(problem: Problem, W: np.ndarray, H: np.ndarray, b: np.ndarray) -> float:
    return float(objective(problem, W, H.astype(np.float64), b if problem.has_bias else None))


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
        raise UfmError(f"the targets are {array.shape}; give m x N with N = {N}, one column a sample.")
    return array.astype(np.float64)


def one_hot_codes(kinds: np.ndarray, m: int) -> np.ndarray:
    """One-hot codes of the classes present (m x K): by value where labels are 0..m-1, else by rank."""
    rows = kinds.astype(int) if kinds.dtype.kind in "iufb" and np.all(np.isin(kinds, np.arange(m))) else None
    if rows is None and kinds.size == m:
        rows = np.arange(m)
    if rows is None:
        raise UfmError(
            f"W has {m} rows, the labels {kinds.size} kinds: one-hot codes do not fit; "
            "give targets made with ufm.classes(codes, counts), or labels 0..m-1."
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
    offset = np.zeros(W.shape[0]) if b is None else np.asarray(to_numpy(b), dtype=np.float64).reshape(-1)
    if offset.shape != (W.shape[0],) or not np.all(np.isfinite(offset)):
        raise UfmError(f"b has {offset.size} entries; give {W.shape[0]} finite numbers, one per row of W.")
    return offset


def _matrix(x: Any, name: str, shape: str) -> np.ndarray:
    array = to_numpy(x) if hasattr(x, "shape") else np.asarray(x)
    if array.ndim != 2 or 0 in array.shape:
        raise UfmError(f"{name} has the shape {array.shape}; give a matrix, {shape}.")
    if array.dtype.kind not in "iuf":
        raise UfmError(f"{name} holds {array.dtype}; give real numbers.")
    if not np.all(np.isfinite(array)):
        raise UfmError(f"{name} has entries that are not finite; a diverged run has no geometry to measure.")
    return array
