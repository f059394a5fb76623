"""What a state of the flow reports: the observables every witness reports, and its loss, gradient and collapse."""

import numpy as np

from ufm.arrays import Array
from ufm.flow.coordinates import Coordinates
from ufm.metrics.nc1 import nc1, nc1_ratio
from ufm.metrics.split import split_classes
from ufm.metrics.state import labelled, observables
from ufm.problem import Problem
from ufm.problem.targets import ClassTargets

Labelled = dict[str, tuple[tuple[str, ...], np.ndarray]]


def observed(problem: Problem, at: Coordinates, y: Array) -> Labelled:
    """Observables of the flat state y, with the names of their dimensions.

    Beside those of `ufm.metrics.state.observables` (at the class means): value (L at the state itself), gradient_norm,
    and for features that may differ within a class nc1 and nc1_ratio.
    """
    state, targets = at.state(y).numpy(), problem.targets
    classes = isinstance(targets, ClassTargets)
    means = state.class_means(problem) if classes else state.H
    W = state.product
    seen = dict(
        observables(
            W,
            means,
            state.b,
            targets.multiplicity,
            targets.columns,
            lam_H=float(problem.lam_H),
            lam_b=float(problem.lam_b),
        )
    )
    slope = at.field(y)
    seen["value"] = np.asarray(float(at.field.loss(y)))
    seen["gradient_norm"] = np.asarray(float(slope @ slope) ** 0.5)
    if isinstance(targets, ClassTargets) and at.mode != "collapsed" and targets.K > 1:
        split = split_classes(state.H, targets.labels())
        seen |= {"nc1": np.asarray(nc1(split)), "nc1_ratio": np.asarray(nc1_ratio(split))}
    return labelled(seen)


def stacked(rows: list[Labelled]) -> Labelled:
    """The same observables along a first dimension `t`."""
    return {name: (("t", *dims), np.stack([row[name][1] for row in rows])) for name, (dims, _) in rows[0].items()}
