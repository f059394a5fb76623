"""A user's own arrays against the certified optimum of the same sizes and weights, in one call."""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np

from ufm import encodings
from ufm.arrays import to_numpy
from ufm.compare import Comparison, compare
from ufm.errors import UfmError
from ufm.measure import measure
from ufm.metrics.geometry import frame_distance
from ufm.metrics.given import layers_of, one_hot_codes
from ufm.metrics.regression import nrc3
from ufm.metrics.weight_balance import direction_balance, effective_lam_H, two_weights
from ufm.optimum import Optimum, solve
from ufm.problem import ClassTargets, Problem, SampleTargets, classes, samples
from ufm.record import Record
from ufm.tolerance import roundoff

# What is held against the theory, most telling first; the rest of the measured record stands beside it.
_TELLING = (
    "excess_loss",
    "singular_values",
    "singular_values_centred",
    "singular_value_mean",
    "cosine",
    "cosine_centred",
    "class_mean_norm",
    "classifier_norm",
    "bias",
    "nc1",
    "nc2_predicted",
    "nc2_etf",
    "nc3",
    "nc3_balance",
    "nrc1",
    "nrc2",
    "nrc3",
    "lam_H_effective",
    "lam_H_anisotropy",
)


_ISOTROPIC = 1.5  # anisotropy up to which one weight describes the features


def predict(
    H: Any,
    labels: Any,
    W: Any = None,
    b: Any = None,
    *,
    lam_W: float | Sequence[float],
    lam_H: float | None = None,
    lam_b: float = math.inf,
    codes: Any = None,
    loss: str = "mse",
) -> Comparison:
    """Hold features, classifier and bias against the global minimum of the problem with these weights and sizes.

    H: d x N, one column a sample; labels: N of any kind, sorted, or for regression the targets, m x N or
    `ufm.samples(Y)`; W: m x d, or linear layers, last first; b: m. lam_W (one for every layer, or each its own), lam_H,
    lam_b: weights of 1/2||W||^2, 1/2||H||^2, 1/2||b||^2 next to a loss averaged over samples (and summed over the m
    outputs). Several layers are held against the global minimum or the metastable one, whichever is nearer. lam_H None
    is inferred from the balance lam_W ||W||^2 = lam_H ||H||^2, and the answer's `notes` say so. codes: m x K, one
    column per label in sorted order (or an encoding); one-hot by default.

    Reported besides the observables: `excess_loss`, measured value over certified minimum - 1, never negative;
    `nc2_predicted`, the distance of the class means' Gram matrix to that of theory, both of norm 1;
    `lam_H_effective` in total and `lam_H_anisotropy`, largest over smallest by direction. `records` holds the optimum
    and the measurement; the latter has `lam_H_by_direction` and `mean_share`, one number per singular direction of W H,
    `lam_H_mean` along the mean of the features and `lam_H_centred` of all centred directions together.
    Raises UfmError where arrays do not fit, or where lam_H is needed and cannot be inferred.
    """
    features, layers, labels = _host(H), layers_of(W), _targets(labels)
    classifier = reduce(np.matmul, layers) if layers else None
    weights = _weights(lam_W, len(layers))
    notes: list[str] = []
    inferred = lam_H is None
    if lam_H is None:
        if classifier is None:
            raise UfmError("lam_H is neither given nor, without W, to be inferred; give one of them.")
        measure(features, labels, classifier, b)  # so that what does not fit is named before anything is inferred
        lam_H = effective_lam_H(layers[-1], features, weights[-1])
        notes.append(f"lam_H = {lam_H:.6g} is inferred from the balance lam_W ||W||^2 = lam_H ||H||^2.")
    problem = _problem(features, labels, classifier, codes, {"lam_W": weights, "lam_H": lam_H, "lam_b": lam_b}, loss)
    record = measure(features, labels, layers or None, b, problem=problem)
    optimum = _nearest(problem, record)
    if not problem.has_bias and b is not None and np.any(_host(b)):
        notes.append("b is not zero, but without lam_b the problem has no bias; give its weight (0: not penalised).")
    reference = _reference(optimum, classifier is not None)
    if "gram" in reference and np.any(optimum.H):
        distance = frame_distance(record["gram"].values, reference["gram"].values)
        reference, record = (_with(r, nc2_predicted=x) for r, x in ((reference, 0.0), (record, distance)))
    if classifier is None:
        notes.append("W is not given: the classifier, the loss and the balance are left out.")
    else:
        record = _with(
            record,
            excess_loss=excess_loss(float(record["value"]), reached(optimum)),
            lam_H_effective=effective_lam_H(layers[-1], features, weights[-1]),
        )
    if classifier is not None and len(layers) == 1:
        found = _by_direction(optimum, features, classifier, weights[0])
        record = _with(record, **found)
        solved = isinstance(problem.targets, ClassTargets) and problem.loss == "mse"  # with two weights
        notes.append(_anisotropy_note(found, int(optimum.certificate.rank), solved))
    if _is_metastable(optimum):
        notes.append("held against the metastable minimum, which is nearer than the global one.")
    elif not optimum.status.name.startswith(("CERTIFIED", "PROVED")):
        notes.append(f"optimum: {optimum.status.value}")
    shared = [name for name in _TELLING if name in reference and name in record]
    if inferred:
        shared.remove("lam_H_effective")  # it agrees with itself
    compared = compare(_only(reference, shared), _only(record, shared))
    return replace(compared, records=(reference, record), notes=tuple(note for note in notes if note))


def excess_loss(value: float, minimum: float) -> float:
    """value/minimum - 1 for a value that cannot be below the minimum: never negative, inf where the minimum is 0.

    Raises UfmError where the value is below the minimum by more than round-off: one of them is then wrong.
    """
    if minimum <= 0:
        return math.inf if value > roundoff() else 0.0
    excess = value / minimum - 1
    if excess < -1e3 * roundoff():
        raise UfmError(f"the value {value} lies below the certified minimum {minimum}; do loss and codes belong to it?")
    return max(0.0, excess)


def reached(optimum: Optimum) -> float:
    """What no state near this optimum is below: the certified bound, or the value of a metastable minimum."""
    return optimum.value if _is_metastable(optimum) else optimum.lower_bound


def nearest(optima: Sequence[Optimum], strongest: float) -> Optimum:
    """The optimum whose largest singular value is nearest."""
    return min(optima, key=lambda optimum: abs(optimum.singular_values[0] - strongest))


def _nearest(problem: Problem, record: Record) -> Optimum:
    """The global optimum; with several layers, the metastable one where the network is nearer to that."""
    optimum = solve(problem)
    if problem.p == 2:
        return optimum
    found = nearest([optimum, solve(problem, method="metastable")], float(np.max(record["singular_values"].values)))
    below = _is_metastable(found) and float(record["value"]) < found.value  # on its way down from there
    return optimum if below else found


def _is_metastable(optimum: Optimum) -> bool:
    return optimum.status.name == "METASTABLE"


def _weights(lam_W: float | Sequence[float], layers: int) -> tuple[float, ...]:
    """One weight a layer; one for all stands for each."""
    given = tuple(lam_W) if isinstance(lam_W, Sequence) else (lam_W,) * max(1, layers)
    if len(given) != max(1, layers):
        raise UfmError(f"lam_W = {lam_W}: W has {layers} layers; give one number, or {layers}, last layer first.")
    return given


def metrics_of(optimum: Optimum) -> Record:
    """What `ufm.measure` says of an optimum whose features are class means."""
    targets = optimum.problem.classes
    # The metrics of collapsed features depend on the proportions of the classes only.
    few = classes(targets.encoding, targets.counts // np.gcd.reduce(targets.counts))
    return measure(np.repeat(optimum.H, few.counts, axis=1), few, optimum.product, optimum.b)


def observed_of_samples(optimum: Optimum) -> Record:
    """What an optimum for N samples is held against: its whole record would have a Gram matrix of N x N.

    Its features lie in the row space of W, which has at most m directions: NRC1 and NRC2 are zero.
    """
    Y = optimum.problem.targets.columns
    values = {
        "singular_values": (("direction",), optimum.singular_values[: optimum.problem.m]),
        "classifier_norm": (("target",), np.linalg.norm(optimum.product, axis=1)),
        "bias": (("target",), optimum.b),
        "nrc1": 0.0,
        "nrc2": 0.0,
        "nrc3": nrc3(optimum.product, Y)[0],
    }
    return Record.of("optimum", values, problem=optimum.problem)


def _targets(labels: Any) -> Any:
    """Labels as they are; a matrix as targets of a regression."""
    if isinstance(labels, ClassTargets | SampleTargets):
        return labels
    given = _host(labels)
    return samples(given) if given.ndim == 2 else given


def _problem(
    H: np.ndarray, labels: Any, W: np.ndarray | None, codes: Any, weights: dict[str, Any], loss: str
) -> Problem:
    """The problem of these labels: sizes counted, codes one-hot unless given, as wide as the features."""
    if isinstance(labels, ClassTargets | SampleTargets):
        targets = labels
    else:
        kinds, counts = np.unique(labels, return_counts=True)
        if codes is None:
            m = kinds.size if W is None else W.shape[0]
            codes = encodings.one_hot(m) if m == kinds.size else one_hot_codes(kinds, m)
        targets = classes(codes, counts)
    # Beyond K (or m + 1) more width changes nothing, and None says so.
    narrow = H.shape[0] < min(targets.m, targets.columns.shape[1])
    return Problem(targets, loss=loss, width=H.shape[0] if narrow else None, **weights)


def _reference(optimum: Optimum, with_W: bool) -> Record:
    """The optimum's record, with the metrics of its own state where they have a prediction."""
    extra: dict[str, Any] = {}
    if isinstance(optimum.problem.targets, SampleTargets):
        record = observed_of_samples(optimum)
    else:
        record, metrics = optimum.record(), metrics_of(optimum).values
        extra = {str(k): v for k, v in metrics.items() if str(k) not in record and str(k) in _TELLING}
    if with_W:
        extra |= {"excess_loss": 0.0, "lam_H_effective": float(optimum.problem.lam_H), "lam_H_anisotropy": 1.0}
    if optimum.problem.p > 2:
        extra.pop("nc3_balance", None)  # of the last layer's neighbours, which the product is not
    return _with(record, **extra)


def _by_direction(optimum: Optimum, H: np.ndarray, W: np.ndarray, lam_W: float) -> dict[str, Any]:
    """Weight balance of the measured state, direction by direction."""
    balance = direction_balance(W, H, lam_W)
    hbar = H.mean(axis=1, dtype=np.float64)
    apart = two_weights(W @ W.T, W @ hbar, W @ (H - hbar[:, None]), H.shape[1], lam_W)
    rank = int(optimum.certificate.rank)  # what theory sets to zero has no weight to compare
    anisotropy, ratio = balance.anisotropy(rank), apart[0] / apart[1]
    if _has_mean(optimum) and math.isfinite(ratio):
        anisotropy = float(np.fmax(anisotropy, max(ratio, 1 / ratio)))
    return {
        "lam_H_anisotropy": anisotropy,
        "lam_H_by_direction": ("balance_direction", balance.lam_H),
        "mean_share": ("balance_direction", balance.mean_share),
        "lam_H_mean": apart[0],
        "lam_H_centred": apart[1],
    }


def _has_mean(optimum: Optimum) -> bool:
    """Whether the optimum's features have a mean that its classifier sees."""
    targets, H = optimum.problem.targets, optimum.H
    mean = optimum.product @ (H @ (targets.multiplicity / targets.N))
    return math.sqrt(targets.N) * float(np.linalg.norm(mean)) > 1e-3 * float(optimum.singular_values[0])


def _anisotropy_note(found: dict[str, Any], rank: int, solved: bool) -> str:
    """Effective weights by direction in one line, and what to state instead of one weight where that is solved."""
    by_direction = np.asarray(found["lam_H_by_direction"][1][:rank])
    if not np.any(np.isfinite(by_direction)):
        return ""
    text = f"effective lam_H by singular direction: {np.nanmin(by_direction):.4g} to {np.nanmax(by_direction):.4g}"
    ratio = found["lam_H_mean"] / found["lam_H_centred"]
    if not math.isfinite(ratio):
        return f"{text}."
    text = f"{text}; {found['lam_H_mean']:.4g} along the mean, {found['lam_H_centred']:.4g} for centred features."
    if not found["lam_H_anisotropy"] > _ISOTROPIC or not solved:
        return text
    return (
        f"{text} One weight does not describe these features. Two do better: lam_H = {found['lam_H_centred']:.4g} with "
        f"constraint = FeatureMetric.mean_apart(counts, {ratio:.3g}), that is {found['lam_H_mean']:.4g} on the mean."
    )


def _with(record: Record, **values: Any) -> Record:
    return replace(record, values=record.values.assign(values))


def _only(record: Record, names: list[str]) -> Record:
    return replace(record, values=record.values[names])


def _host(x: Any) -> np.ndarray:
    return to_numpy(x) if hasattr(x, "shape") else np.asarray(x)
