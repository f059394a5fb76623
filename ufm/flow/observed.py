"""What a state of the flow reports: the observables every witness reports, and its loss, gradient and collapse."""

import itertools
import math

import numpy as np

from ufm.arrays import Array, to_numpy
from ufm.flow.coordinates import Coordinates
from ufm.flow.within import Law, Scatter, collapse
from ufm.metrics.factors import energy_ratio
from ufm.metrics.isotropic_shift import isotropic_shift
from ufm.metrics.modes import Axes, mode_strengths, target_axes
from ufm.metrics.nc1 import nc1, nc1_ratio
from ufm.metrics.samples import Classified, Regressed, of_classified, of_regressed
from ufm.metrics.spectrum import singular_values
from ufm.metrics.split import split_classes
from ufm.metrics.state import invariants, labelled, observables
from ufm.metrics.streaming import Moments
from ufm.problem import Problem, reduce_problem
from ufm.problem.targets import ClassTargets

Labelled = dict[str, tuple[tuple[str, ...], np.ndarray]]

_NEEDS_EACH_SAMPLE = {"feature_norm", "cdnv", "nc1_per_class", "nc1_ratio_class_weighted"}  # of what moments report


def observed(
    problem: Problem, at: Coordinates, y: Array, t: float, axes: Axes | None = None, *, everything: bool = False
) -> Labelled:
    """Observables of the flat state y at time t, with the names of their dimensions.

    Beside those of `ufm.metrics.state.observables` (at the class means): value (L at the state itself), gradient_norm,
    modes (see `ufm.metrics.modes`; axes: theirs, if known already), and for features that may differ within a class
    nc1 and nc1_ratio, over all N samples in every mode. Regression by S alone leaves out what needs each sample, as its
    Gram matrix does. From the law of A-mode nc1 is good to about round-off times ||W||^2/N, in units of the
    between-class scatter: below that it is noise, or zero.
    balance_drift: how far W_1'W_1 - HH', and W_(l+1)'W_(l+1) - W_l W_l', of equal weights l are from e^(-2lt) times
    what they were at the start, over the sum of the factors' squared norms: an estimate of the error, where neither the
    mode nor the path imposes or breaks the law.
    everything: all that `ufm.measure` would say of the N samples; where the mode knows the unseen ones by S alone, all
    that S determines.
    """
    field, targets = at.field, problem.targets
    seen = _of_means(problem, at, y, t) if isinstance(targets, ClassTargets) else _of_samples(problem, at, y, t)
    if everything:
        seen |= _everything(problem, at, y, t)
    seen["modes"] = _modes(problem, at, y, t, axes or axes_of(problem, at))
    seen["value"] = np.asarray(field.loss(y, t))
    seen["gradient_norm"] = np.asarray(field.gradient_norm(y, field(y, t), t))
    drift = balance_drift(problem, at, y, t)
    return labelled(seen if drift is None else seen | {"balance_drift": np.asarray(drift)})


def axes_of(problem: Problem, at: Coordinates) -> Axes:
    """The axes of the modes: of the target columns, or of regression by S of the reduced ones."""
    if _is_reduced(problem, at):
        return target_axes(reduce_problem(problem).A, np.ones(1))
    return target_axes(problem.targets.columns, problem.targets.multiplicity)


def _is_reduced(problem: Problem, at: Coordinates) -> bool:
    return not isinstance(problem.targets, ClassTargets) and at.mode in ("A", "S")


def _modes(problem: Problem, at: Coordinates, y: Array, t: float, axes: Axes) -> np.ndarray:
    P, targets = to_numpy(at.classifier(y)), problem.targets
    if at.columns.scale is not None:
        return mode_strengths(P, to_numpy(at.means(y)), targets.multiplicity, axes)
    state = at.state(y, t).numpy()
    H = state.class_means(problem) if isinstance(targets, ClassTargets) else state.H
    return mode_strengths(P, H, np.ones(1) if state.S is not None else targets.multiplicity, axes)


def _everything(problem: Problem, at: Coordinates, y: Array, t: float) -> dict[str, np.ndarray]:
    state, targets = at.state(y, t).numpy(), problem.targets
    W, b = state.product, np.zeros(problem.m) if state.b is None else state.b
    if state.S is None:
        if not isinstance(targets, ClassTargets):
            regressed = Regressed(state.H, targets.columns, tuple(state.W), b, problem)
            return {k: np.asarray(v) for k, v in of_regressed(regressed).items()}
        if targets.K == 1:
            return {}
        labels = targets.labels()
        H = state.H if state.H.shape[1] == problem.N else state.H[:, labels]
        found = of_classified(Classified(split_classes(H, labels), tuple(state.W), b, targets.codes, problem, H))
        return {k: np.asarray(v) for k, v in found.items()}
    if not isinstance(targets, ClassTargets) or targets.K == 1:
        return {}
    N, spread = problem.N, np.full(targets.K, float(np.trace(state.S)))
    scale = max(float(np.abs(state.H).max()), float(np.sqrt(spread[0])))
    moments = Moments(np.arange(targets.K), targets.counts, state.H, N * state.S, targets.counts * spread, 0.0, scale)
    known = moments.record(W, b, targets.codes).values
    return {str(k): v.values for k, v in known.data_vars.items() if k not in _NEEDS_EACH_SAMPLE}


def balance_drift(problem: Problem, at: Coordinates, y: Array, t: float) -> float | None:
    """See `observed`; None where no such law holds, or the coordinates impose it."""
    weights = [float(lam) for lam in (*problem.lam_W, problem.lam_H)]
    equal = [l for l, (above, below) in enumerate(itertools.pairwise(weights)) if above == below]
    if at.first is None or isinstance(at.field.within, Law) or not equal:
        return None
    now, start = _balances(at, y), _balances(at, at.first)
    off = [now[l] - math.exp(-2 * weights[l] * t) * start[l] for l in equal]
    size = sum(x**2 for x in at.field.norms(y, t))
    return math.sqrt(sum(float(np.sum(x**2)) for x in off)) / size if size > 0 else 0.0


def _balances(at: Coordinates, y: Array) -> list[np.ndarray]:
    """W_(l+1)'W_(l+1) - W_l W_l' from the last layer down, and W_1'W_1 - HH' over all samples, in the kept span."""
    _, W, Ht = at.field.unpack(y)
    layers, features = [to_numpy(layer) for layer in W], to_numpy(Ht)
    below = [layer @ layer.T for layer in layers[1:]] + [features.T @ features]
    if isinstance(at.field.within, Scatter):
        below[-1] = below[-1] + to_numpy(at.field.within.matrix(y[at.field.seen :]))
    return [layer.T @ layer - gram for layer, gram in zip(layers, below, strict=True)]


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
