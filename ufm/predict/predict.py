"""A user's own arrays against the certified optimum of the same sizes and weights, in one call."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ufm.compare import Comparison, compare
from ufm.errors import UfmError
from ufm.measure import measure
from ufm.metrics.geometry import frame_distance
from ufm.optimum import Optimum
from ufm.predict.networks import Network, has_bias, networks, problem_of
from ufm.predict.reference import comparable, excess_loss, is_metastable, nearest_to, reached, reference
from ufm.predict.weights import anisotropy_note, balance_of, pair_of, total_weight, with_two_weights
from ufm.problem import ClassTargets, Problem
from ufm.record import Record, stack

# What is held against the theory, most telling first; the rest of the measured record stands beside it.
_TELLING = (
    "excess_loss",
    "singular_values",
    "singular_values_centred",
    "singular_value_mean",
    "cosine",
    "cosines",
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
    "residual_covariance",
    "lam_H_effective",
    "lam_H_mean",
    "lam_H_centred",
    "lam_H_anisotropy",
)
_ONE = (
    "one network: there is no seed-to-seed spread to measure differences in; give H, W and b as lists, one entry a "
    "network, to have them in its units."
)


def predict(
    H: Any,
    labels: Any,
    W: Any = None,
    b: Any = None,
    *,
    lam_W: float | Sequence[float],
    lam_H: float | Sequence[float] | None = None,
    lam_b: float = math.inf,
    codes: Any = None,
    loss: str = "mse",
) -> Comparison:
    """Hold features, classifier and bias against the global minimum of the problem with these weights and sizes.

    H: d x N, one column a sample; labels: N of any kind, sorted, or for regression the targets, m x N or
    `ufm.samples(Y)`; W: m x d, or linear layers, last first; b: m. Several networks of one setting, such as seeds: H a
    list of matrices, W and b lists of as many, labels one for all or such a list; differences then come in units of the
    seed-to-seed spread as well.
    lam_W (one for every layer, or each its own), lam_H, lam_b: weights of 1/2||W||^2, 1/2||H||^2, 1/2||b||^2 next to a
    loss averaged over samples (and summed over the m outputs). lam_H None is inferred from the balance
    lam_W ||W||^2 = lam_H ||H||^2, and the answer's `notes` say so; a pair is two weights, of the features' mean and of
    the rest, as `ufm.effective_weights` reads them off another run. codes: m x K, one column per label in sorted order
    (or an encoding); one-hot by default. Several layers are held against the global minimum or the metastable one,
    whichever is nearer.

    Reported besides the observables: `excess_loss`, measured value over certified minimum - 1, never negative;
    `nc2_predicted`, the distance of the class means' Gram matrix to that of theory, both of norm 1;
    `lam_H_effective` in total and `lam_H_anisotropy`, largest over smallest by direction. `records` holds the optimum
    and the measurement; the latter has `lam_H_by_direction` and `mean_share`, one number per singular direction of W H,
    `lam_H_mean` along the mean of the features and `lam_H_centred` of all centred directions together.
    Raises UfmError where arrays do not fit, or where lam_H is needed and cannot be inferred.
    """
    runs, pair, notes = networks(H, labels, W, b), pair_of(lam_H), []
    weights, inferred = _weights(lam_W, len(runs[0].layers)), lam_H is None
    if inferred:
        for run in runs if runs[0].layers else ():
            measure(run.H, run.labels, run.layers, run.b, keys=["feature_norm"])  # names what does not fit, first
        lam_H = total_weight(runs, weights[-1])
        notes.append(f"lam_H = {lam_H:.6g} is inferred from the balance lam_W ||W||^2 = lam_H ||H||^2.")
    plain = problem_of(runs[0], codes, weights, pair[1] if pair else lam_H, lam_b, loss)  # pyright: ignore
    problem = plain if pair is None else with_two_weights(plain, pair)
    measured = [_measured(run, plain, pair) for run in runs]
    optima = nearest_to(problem, measured)
    references = [reference(optimum, _TELLING, bool(runs[0].layers)) for optimum in optima]
    held = [_held(*one) for one in zip(runs, measured, optima, references, strict=True)]
    notes += _notes(runs, held, optima, problem)
    alike = all(optimum is optima[0] for optimum in optima)
    several = {"seed": range(len(runs))}
    said = references[0] if alike else stack(references, **several)
    found = held[0] if len(runs) == 1 else stack(held, **several)
    said, found = comparable(said, replace(found, problem=problem))
    shared = [name for name in _TELLING if name in said and name in found]
    if inferred and len(runs) == 1:
        shared.remove("lam_H_effective")  # it agrees with itself
    compared = compare(_only(said, shared), _only(found, shared))
    return replace(compared, records=(said, found), notes=tuple(note for note in notes if note))


def _weights(lam_W: float | Sequence[float], layers: int) -> tuple[float, ...]:
    """One weight a layer; one for all stands for each."""
    given = tuple(lam_W) if isinstance(lam_W, Sequence | np.ndarray) else (lam_W,)
    if len(given) == 1:
        given *= max(1, layers)
    if len(given) != max(1, layers):
        raise UfmError(f"lam_W = {lam_W}: W has {layers} layers; give one number, or {layers}, last layer first.")
    return given


def _measured(run: Network, problem: Problem, pair: tuple[float, float] | None) -> Record:
    """The metrics of one network, its value the objective with two weights where there are two."""
    record = measure(run.H, run.labels, run.layers or None, run.b, problem=problem)
    if pair is None or "value" not in record:
        return record
    of_mean = problem.N / 2 * float(np.sum(np.mean(run.H, axis=1, dtype=np.float64) ** 2))
    value = float(record["value"]) + (pair[0] - pair[1]) * of_mean
    kept = record.values.drop_vars("mean_invariant", errors="ignore")  # an identity of one weight
    return replace(record, values=kept.assign(value=value))


def _held(run: Network, record: Record, optimum: Optimum, said: Record) -> Record:
    """The measured record with what only theory at its side can tell."""
    extra: dict[str, Any] = {}
    if "nc2_predicted" in said:
        extra["nc2_predicted"] = frame_distance(record["gram"].values, said["gram"].values)
    if run.layers:
        extra["excess_loss"] = excess_loss(float(record["value"]), reached(optimum))
        extra |= balance_of(optimum, run, float(optimum.problem.lam_W[-1]))
    return replace(record, values=record.values.assign(extra))


def _notes(runs: Sequence[Network], held: Sequence[Record], optima: Sequence[Optimum], problem: Problem) -> list[str]:
    """What a reader has to know beside the table."""
    notes = [_ONE] if len(runs) == 1 else []
    if not problem.has_bias and any(map(has_bias, runs)):
        notes.append("b is not zero, but without lam_b the problem has no bias; give its weight (0: not penalised).")
    if not runs[0].layers:
        notes.append("W is not given: the classifier, the loss and the balance are left out.")
    else:
        solved = isinstance(problem.targets, ClassTargets) and problem.loss == "mse"  # with two weights
        mean = {name: _mean(held, name) for name in ("lam_H_by_direction", "mean_share")}
        mean |= {name: _mean(held, name)[1] for name in ("lam_H_mean", "lam_H_centred", "lam_H_anisotropy")}
        solved = solved and problem.constraint is None and problem.p == 2
        notes.append(anisotropy_note(mean, int(optima[0].certificate.rank), solved))
    stuck = sum(map(is_metastable, optima))
    if stuck:
        of = "" if len(runs) == 1 else f"{stuck} of {len(runs)} networks: "
        notes.append(f"{of}held against the metastable minimum, which is nearer than the global one.")
    open_ = [o for o in optima if not is_metastable(o) and not o.status.name.startswith(("CERTIFIED", "PROVED"))]
    return [*notes, f"optimum: {open_[0].status.value}"] if open_ else notes


def _mean(records: Sequence[Record], name: str) -> tuple[str, Any]:
    """The mean over networks of an observable, as an entry of a record."""
    return "balance_direction", np.mean([record[name].values for record in records], axis=0)


def _only(record: Record, names: list[str]) -> Record:
    return replace(record, values=record.values[names])
