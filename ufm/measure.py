"""The measured witness: the theory's observables and the field's metrics, read off arrays."""

from collections.abc import Mapping
from functools import reduce
from typing import Any

import numpy as np

from ufm.errors import UfmError
from ufm.metrics.family import Keys
from ufm.metrics.given import bias_of, gram_of, layers_of, matrix, outside_of, precision_of, truth_of
from ufm.metrics.samples import Classified, Regressed, of_classified, of_regressed
from ufm.metrics.split import demand_range, split_classes
from ufm.metrics.state import labelled
from ufm.problem import Problem
from ufm.record import Record, stack


def measure(
    H: Any,
    labels_or_targets: Any,
    W: Any = None,
    b: Any = None,
    *,
    problem: Problem | None = None,
    outside: Any = None,
    gram: Any = None,
    keys: Keys = None,
) -> Record:
    """Every observable that these arrays determine, as a record of the witness "measured".

    H: d x N, one column a sample, of any backend; float32 is accumulated in double precision. Or {layer: such a
    matrix} for several layers of a network, whose record has the dimension `layer`; W is then {layer: the layer on top
    of it}, for the deep metrics of a regression only.
    labels_or_targets: N labels of any kind; or `ufm.classes(...)`, whose samples stand class after class; or
    `ufm.samples(...)` or an m x N matrix for regression; or a problem, for its targets.
    W: classifier, m x d, or linear layers, last first, whose product it is; b: m, None for zero. Plain labels mean
    one-hot codes: label k is row k of W, or, where labels are not numbers below m, the k-th label in sorted order.
    problem: adds the objective's `value`, the invariants of critical points and the balance of W and H; the k-th label
    in sorted order has the k-th of its codes. Its value needs all of its layers.
    outside: d x N', features of other data than these, for `nc5` and the NECO scores.
    gram: K x K, a Gram matrix of the class means that is predicted, up to scale, for `nc2_predicted`.
    keys: names of observables, to compute no others; "all" for all of them, those too that take long and are left out
    otherwise: `intrinsic_dimension` (TwoNN), which looks at all pairs of samples, and `one_vs_rest_means` and
    `one_vs_rest_classifier`, one quadratic program a class. What each is stands under "Observables" in the docs.
    Raises UfmError where arrays do not fit, are not finite, or hold one class only, and for a key that they do not
    determine.
    """
    if isinstance(labels_or_targets, Problem):
        problem, labels_or_targets = labels_or_targets, labels_or_targets.targets
    if isinstance(H, Mapping):
        if any(given is not None for given in (b, problem, outside, gram)):
            raise UfmError("b, problem, outside and gram belong to the last layer; measure it on its own.")
        return _of_network(H, labels_or_targets, W, keys)
    features = matrix(H, "H", "d x N")
    layers = layers_of(W)
    classifier = reduce(np.matmul, layers) if layers else None
    truth = truth_of(labels_or_targets, problem, classifier, features.shape[1])
    offset = bias_of(b, classifier, features)
    others = outside_of(outside, features.shape[0])
    coords = None
    if truth.labels is not None:
        split = split_classes(features, truth.labels)
        predicted = gram_of(gram, split.K)
        state = Classified(split, layers, offset, truth.columns, problem, features, precision_of(H), others, predicted)
        values = of_classified(state, keys)
        kinds = np.unique(truth.labels)
        coords = None if np.array_equal(kinds, np.arange(kinds.size)) else {"class": kinds}
    else:
        if others is not None or gram is not None:
            raise UfmError("outside, gram: NC2, NC5 and NECO are defined for classes; the targets are of a regression.")
        values = _of_regression(features, truth.columns, layers, offset, problem, precision_of(H), keys)
    found = labelled(values)
    named = coords if coords and any("class" in dims for dims, _ in found.values()) else None
    return Record.of("measured", found, problem=problem, coords=named)


def _of_regression(
    H: np.ndarray,
    Y: np.ndarray | None,
    layers: tuple[np.ndarray, ...],
    b: np.ndarray,
    problem: Problem | None,
    precision: float,
    keys: Keys,
    above: np.ndarray | None = None,
) -> dict[str, Any]:
    if Y is None:
        raise UfmError("neither labels nor targets are given; give N labels, or targets as m x N.")
    if layers and layers[0].shape[0] != Y.shape[0]:
        raise UfmError(f"W has {layers[0].shape[0]} rows, the targets {Y.shape[0]}; give one row of W a target.")
    features = H.astype(np.float64)
    demand_range(float(np.max(np.abs(features))), "H has")
    return of_regressed(Regressed(features, Y, layers, b, problem, precision, above), keys)


def _of_network(H: Mapping[str, Any], labels_or_targets: Any, W: Any, keys: Keys) -> Record:
    """Layer by layer; what one of them does not define, nan."""
    above = dict(W) if isinstance(W, Mapping) else {}
    if not H or (W is not None and not isinstance(W, Mapping)) or above.keys() - H.keys():
        raise UfmError(f"H has the layers {', '.join(H) or 'none'}; give W as {{layer: the layer on top of it}}.")
    records = {}
    for name, features in H.items():
        try:
            records[name] = _of_layer(features, labels_or_targets, above.get(name), keys)
        except UfmError as error:
            raise UfmError(f"layer {name!r}: {error}") from None
    known = {str(name) for record in records.values() for name in record.values.data_vars}
    filled = [
        Record.of("measured", {**dict.fromkeys(known - set(map(str, r.values)), np.nan), **_variables(r)})
        for r in records.values()
    ]
    coords = next(iter(records.values())).values.coords
    found = stack(filled, layer=list(records))
    return Record("measured", found.values.assign_coords(coords), provenance=found.provenance)


def _of_layer(features: Any, labels_or_targets: Any, above: Any, keys: Keys) -> Record:
    H = matrix(features, "H", "d x N")
    truth = truth_of(labels_or_targets, None, None, H.shape[1])
    if truth.labels is not None:
        if above is not None:
            raise UfmError("W on top of hidden layers says something for regression only; leave it out.")
        return measure(features, labels_or_targets, keys=keys)
    top = None if above is None else matrix(above, "W", "out x d").astype(np.float64)
    if top is not None and top.shape[1] != H.shape[0]:
        raise UfmError(f"the layer on top is {top.shape}; it reads these {H.shape[0]} features, so out x {H.shape[0]}.")
    values = _of_regression(H, truth.columns, (), np.zeros(0), None, precision_of(features), keys, top)
    return Record.of("measured", labelled(values))


def _variables(record: Record) -> dict[str, Any]:
    return {str(name): (tuple(map(str, v.dims)), v.values) for name, v in record.values.data_vars.items()}
