"""What a state of the flow reports: the observables every witness reports, and its loss, gradient and collapse."""

import numpy as np

from ufm.arrays import Array, to_numpy
from ufm.flow.coordinates import Coordinates
from ufm.flow.within import collapse
from ufm.metrics.factors import energy_ratio
from ufm.metrics.isotropic_shift import isotropic_shift
from ufm.metrics.nc1 import nc1, nc1_ratio
from ufm.metrics.spectrum import singular_values
from ufm.metrics.split import split_classes
from ufm.metrics.state import invariants, labelled, observables
from ufm.problem import Problem, reduce_problem
from ufm.problem.targets import ClassTargets

Labelled = dict[str, tuple[tuple[str, ...], np.ndarray]]


def observed(problem: Problem, at: Coordinates, y: Array, t: float) -> Labelled:
    """Observables of the flat state y at time t, with the names of their dimensions.

    Beside those of `ufm.metrics.state.observables` (at the class means): value (L at the state itself), gradient_norm,
    and for features that may differ within a class nc1 and nc1_ratio, over all N samples in every mode. Regression by
    S alone leaves out what needs each sample, as its Gram matrix does. From the law of A-mode nc1 is good to about
    round-off times ||W||^2/N, in units of the between-class scatter: below that it is noise, or zero.
    """
    field, targets = at.field, problem.targets
    seen = _of_means(problem, at, y, t) if isinstance(targets, ClassTargets) else _of_samples(problem, at, y, t)
    seen["value"] = np.asarray(field.loss(y, t))
    seen["gradient_norm"] = np.asarray(field.gradient_norm(y, field(y, t), t))
    return labelled(seen)


def _of_means(problem: Problem, at: Coordinates, y: Array, t: float) -> dict[str, np.ndarray]:
    """Observables at the class means, and how far samples are from them."""
    targets, weights = problem.classes, _weights(problem)
    in_classes = at.columns.scale is not None
    state = None if in_classes else at.state(y, t).numpy()  # the minimal basis mixes classes
    b = at.field.unpack(y)[0]
    means = to_numpy(at.means(y)) if state is None else state.class_means(problem)
    P = at.classifier(y) if state is None else state.product
    b = to_numpy(b) if b.shape[0] else np.zeros(problem.m)
    seen = dict(observables(to_numpy(P), means, b, targets.counts, targets.codes, **weights))
    if at.mode == "collapsed" or targets.K == 1:
        return seen
    if state is not None:
        split = split_classes(state.H, targets.labels())
        return seen | {"nc1": np.asarray(nc1(split)), "nc1_ratio": np.asarray(nc1_ratio(split))}
    factor = at.factor(y)
    factor = None if factor is None else to_numpy(factor)
    S = None if factor is not None else to_numpy(at.covariance(y, t))
    return seen | {k: np.asarray(v) for k, v in collapse(means, targets.counts, S, factor).items()}


def _of_samples(problem: Problem, at: Coordinates, y: Array, t: float) -> dict[str, np.ndarray]:
    """Observables of a regression: at every sample where the mode keeps them, else through reduced columns and S."""
    state, targets, weights = at.state(y, t).numpy(), problem.targets, _weights(problem)
    W, b = state.product, np.zeros(problem.m) if state.b is None else state.b
    if state.S is None:
        return dict(observables(W, state.H, b, targets.multiplicity, targets.columns, **weights))
    q, N = reduce_problem(problem).q, problem.N
    hbar, ybar = state.H @ q / N, targets.mean
    values, vectors = np.linalg.eigh(state.S)
    root_of_B = vectors * np.sqrt(N * np.maximum(values, 0))
    columns = np.hstack([state.H - np.outer(hbar, q), root_of_B])
    root = np.concatenate([q, np.zeros(values.size)])
    mean = W @ hbar
    seen = {
        "singular_values": singular_values(W @ columns + np.outer(mean, root), min(problem.m, N)),
        "singular_values_centred": singular_values(W @ columns, max(1, min(problem.m, N - 1))),
        "singular_value_mean": np.sqrt(N) * np.linalg.norm(mean),
        "classifier_norm": np.linalg.norm(W, axis=1),
        "classifier_gram": W @ W.T,
        "energy_ratio": energy_ratio(W, np.hstack([state.H, root_of_B]), np.ones(q.size + values.size)),
        "isotropic_shift": isotropic_shift(W, targets.columns, targets.multiplicity),
        "bias": b,
        "bias_gap": np.linalg.norm(b - ybar),
    }
    return {k: np.asarray(v) for k, v in (seen | invariants(W, hbar, b, ybar, N=N, **weights)).items()}


def _weights(problem: Problem) -> dict[str, float]:
    return {"lam_H": float(problem.lam_H), "lam_b": float(problem.lam_b)}


def stacked(rows: list[Labelled]) -> Labelled:
    """The same observables along a first dimension `t`."""
    return {name: (("t", *dims), np.stack([row[name][1] for row in rows])) for name, (dims, _) in rows[0].items()}
