"""What the theory says that a measurement says too: an optimum's record with the metrics of its own state."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ufm.constraints import FeatureMetric
from ufm.errors import UfmError
from ufm.measure import measure
from ufm.metrics.regression import nrc3, residual_covariance
from ufm.optimum import Optimum, solve
from ufm.problem import Problem, SampleTargets, classes
from ufm.record import Record
from ufm.tolerance import roundoff

_ALIVE = 1e-6  # of the longest class mean, below which one is zero


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
    return optimum.value if is_metastable(optimum) else optimum.lower_bound


def nearest(optima: Sequence[Optimum], strongest: float) -> Optimum:
    """The optimum whose largest singular value is nearest."""
    return min(optima, key=lambda optimum: abs(optimum.singular_values[0] - strongest))


def nearest_to(problem: Problem, records: Sequence[Record]) -> list[Optimum]:
    """For each measured record the global optimum; with several layers, the metastable one where that is nearer."""
    optimum = solve(problem)
    if problem.p == 2:
        return [optimum] * len(records)
    candidates = [optimum, solve(problem, method="metastable")]
    chosen = []
    for record in records:
        found = nearest(candidates, float(np.max(record["singular_values"].values)))
        below = is_metastable(found) and float(record["value"]) < found.value  # on its way down from there
        chosen.append(optimum if below else found)
    return chosen


def is_metastable(optimum: Optimum) -> bool:
    """Whether there is a lower one."""
    return optimum.status.name == "METASTABLE"


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
        "residual_covariance": (
            ("target", "other_target"),
            residual_covariance(optimum.H, optimum.product, optimum.b, Y),
        ),
    }
    return Record.of("optimum", values, problem=optimum.problem)


def reference(optimum: Optimum, telling: Sequence[str], with_W: bool) -> Record:
    """The optimum's record, with those metrics of its own state that are telling, where they have a prediction."""
    extra: dict[str, Any] = {}
    problem = optimum.problem
    if isinstance(problem.targets, SampleTargets):
        record = observed_of_samples(optimum)
    else:
        record, metrics = optimum.record(), metrics_of(optimum).values
        extra = {str(k): v for k, v in metrics.items() if str(k) not in record and str(k) in telling}
        if np.any(optimum.H):
            extra["nc2_predicted"] = 0.0
    if with_W:
        extra |= {"excess_loss": 0.0} | _weights(problem)
    if problem.p > 2 or isinstance(problem.constraint, FeatureMetric):
        extra.pop("nc3_balance", None)  # of neighbours with one weight
    return replace(record, values=record.values.assign(extra))


def comparable(theory: Record, found: Record) -> tuple[Record, Record]:
    """Both records, with cosine 0 where theory has a class mean of zero: it has no direction to compare."""
    if "cosines" not in theory or "cosines" not in found:
        return theory, found
    alive = theory["class_mean_norm"] > _ALIVE * theory["class_mean_norm"].max("class")
    both = alive & alive.rename({"class": "other_class"})
    masked = (r.values.assign(cosines=r["cosines"].where(both, 0.0)) for r in (theory, found))
    said, seen = masked
    return replace(theory, values=said), replace(found, values=seen)


def _weights(problem: Problem) -> dict[str, float]:
    """Effective weights at every critical point: one of all features, or one of their mean and one of the rest."""
    lam_H = float(problem.lam_H)
    if not isinstance(problem.constraint, FeatureMetric):
        return {"lam_H_effective": lam_H, "lam_H_anisotropy": 1.0}
    on_mean = lam_H * float(np.sum(problem.constraint.inverse)) / problem.N
    return {"lam_H_mean": on_mean, "lam_H_centred": lam_H}
