"""One network or several of one setting: features, labels or targets, layers and bias of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from ufm import encodings
from ufm.arrays import to_numpy
from ufm.errors import UfmError
from ufm.metrics.given import layers_of, matrix, one_hot_codes
from ufm.problem import ClassTargets, Problem, SampleTargets, classes, samples


@dataclass(frozen=True, eq=False)
class Network:
    """H (d x N), labels (N) or targets, linear layers last first (none without a classifier), and b as it was given."""

    H: np.ndarray
    labels: Any
    layers: tuple[np.ndarray, ...]
    b: Any

    @property
    def W(self) -> np.ndarray | None:
        """The product of the layers (m x d)."""
        return reduce(np.matmul, self.layers) if self.layers else None


def networks(H: Any, labels: Any, W: Any, b: Any) -> list[Network]:
    """The networks that these arrays are of: several where H is a list of matrices, and W and b are lists like it."""
    if not _listed(H):
        return [Network(matrix(H, "H", "d x N"), _targets(labels), layers_of(W), b)]
    count = len(H)
    own = isinstance(labels, list | tuple) and len(labels) == count and np.ndim(labels[0]) > 0
    each = labels if own else [labels] * count
    found = [
        Network(matrix(features, "H", "d x N"), _targets(told), layers_of(layers), offset)
        for features, told, layers, offset in zip(H, each, _each(W, "W", count), _each(b, "b", count), strict=True)
    ]
    widths = sorted({network.H.shape[0] for network in found})
    if len(widths) > 1:
        raise UfmError(f"H has {' and '.join(map(str, widths))} rows; networks of one setting have one width.")
    return found


def problem_of(network: Network, codes: Any, lam_W: Sequence[float], lam_H: float, lam_b: float, loss: str) -> Problem:
    """The problem of these labels: sizes counted, codes one-hot unless given, as wide as the features."""
    labels, W = network.labels, network.W
    if isinstance(labels, ClassTargets | SampleTargets):
        targets = labels
    else:
        kinds, counts = np.unique(labels, return_counts=True)
        if codes is None:
            m = kinds.size if W is None else W.shape[0]
            codes = encodings.one_hot(m) if m == kinds.size else one_hot_codes(kinds, m)
        targets = classes(codes, counts)
    # Beyond K (or m + 1) more width changes nothing, and None says so.
    width = network.H.shape[0]
    narrow = width < min(targets.m, targets.columns.shape[1])
    return Problem(targets, loss=loss, width=width if narrow else None, lam_W=tuple(lam_W), lam_H=lam_H, lam_b=lam_b)


def has_bias(network: Network) -> bool:
    """Whether a bias was given that is not zero."""
    return network.b is not None and bool(np.any(_host(network.b)))


def _listed(H: Any) -> bool:
    return isinstance(H, list | tuple) and len(H) > 0 and all(np.ndim(features) == 2 for features in H)


def _each(given: Any, name: str, count: int) -> Sequence[Any]:
    """One entry a network."""
    if given is None:
        return [None] * count
    if not isinstance(given, list | tuple) or len(given) != count:
        what = f"{len(given)} entries" if isinstance(given, list | tuple) else "no list"
        raise UfmError(f"H is a list of {count} networks, {name} has {what}; give one for each of them.")
    return given


def _targets(labels: Any) -> Any:
    """Labels as they are; a matrix as targets of a regression."""
    if isinstance(labels, ClassTargets | SampleTargets):
        return labels
    given = _host(labels)
    return samples(given) if given.ndim == 2 else given


def _host(x: Any) -> np.ndarray:
    return to_numpy(x) if hasattr(x, "shape") else np.asarray(x)
