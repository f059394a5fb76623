"""The metrics NC1 to NC3 (arXiv 2008.08186, and in the form of 2105.02375), read as claims about any arrays."""

from typing import Any

import numpy as np
import sympy as sp

from ufm.catalogue import Assumption, AtLeast, AtMost, Citation, Domain, Equals, Integers, Theorem
from ufm.catalogue.arrays import CLEAR_RANK, FEATURES, SIZES, Arrays, class_features, class_means, deviations
from ufm.catalogue.domain import Point
from ufm.metrics.geometry import frame_distance, simplex_gram
from ufm.metrics.nc1 import nc1
from ufm.metrics.split import split_classes
from ufm.symbols import K, N

_NC1 = r"$\mathrm{NC1}=\frac1K\mathrm{tr}(\Sigma_W\Sigma_B^+)$ "
_NC2 = r"$\mathrm{NC2}=\left\|\frac{WW'}{\|WW'\|_F}-\frac{I-11'/K}{\sqrt{K-1}}\right\|_F$ "

energy = sp.Symbol("||B^+ H_w||^2", nonnegative=True)  # B = (Hbar - hbar 1') diag(sqrt(n_k/N)), so Sigma_B = B B'
overlap = sp.Symbol("o", nonnegative=True)  # ||(I - 11'/K) W||^2 / ||WW'||


def _nc1(case: Arrays) -> float:
    return nc1(split_classes(case["H"], case["labels"]))


def _within(case: Arrays) -> np.ndarray:
    """H_w: the samples less their class means."""
    return case["H"] - class_means(case)[0][:, np.unique(case["labels"], return_inverse=True)[1]]


def _energy(case: Arrays) -> float:
    B = deviations(case) * np.sqrt(class_means(case)[1] / case["labels"].size)
    return float(np.sum((np.linalg.pinv(B, rcond=1e-9) @ _within(case)) ** 2))


def _within_share(case: Arrays) -> float:
    """tr Sigma_W/tr Sigma_T."""
    H = case["H"]
    return float(np.sum(_within(case) ** 2) / np.sum((H - H.mean(axis=1, keepdims=True)) ** 2))


def _exact_share(case: Arrays) -> float:
    """The same from sums of squares of whole numbers: 1 - sum n_k |hbar_k - hbar|^2 / sum |h_i - hbar|^2."""
    H: Any = sp.Matrix([[sp.nsimplify(x) for x in row] for row in case["H"].tolist()])
    labels = case["labels"].tolist()
    columns = {k: [i for i, label in enumerate(labels) if label == k] for k in labels}
    mean: Any = sum((H[:, i] for i in range(H.cols)), sp.zeros(H.rows, 1)) / H.cols
    total = sum(((H[:, i] - mean).dot(H[:, i] - mean) for i in range(H.cols)), sp.Integer(0))
    between = sp.Integer(0)
    for chosen in columns.values():
        gap: Any = sum((H[:, i] for i in chosen), sp.zeros(H.rows, 1)) / len(chosen) - mean
        between += len(chosen) * gap.dot(gap)
    return float(1 - between / total)


def _across(point: Point) -> Arrays:
    """Class k at the unit vector e_k, its two samples `spread` away along one further axis: NC1 is 0 for any spread."""
    size = point["K"]
    means = np.repeat(np.eye(size), 2, axis=1)
    spread = point["spread"] * np.tile([1.0, -1.0], size)
    return Arrays({"H": np.vstack([means, spread]), "labels": np.repeat(np.arange(size), 2)})


def _classifier(point: Point) -> Arrays:
    """A classifier W (K x d), one row a class."""
    return Arrays({"W": class_features({**point, "n": 1})["H"].T})


def _nc2_squared(case: Arrays) -> float:
    W = case["W"]
    return frame_distance(W @ W.T, simplex_gram(W.shape[0])) ** 2


def _overlap(case: Arrays) -> float:
    W = case["W"]
    return float(np.sum((W - W.mean(axis=0)) ** 2) / np.linalg.norm(W @ W.T))


_ZERO = Assumption("NC1 = 0", lambda case: _nc1(case) < 1e-12)
_NONZERO = Assumption("W is not zero", lambda case: float(np.max(np.abs(case["W"]))) > 1e-6)

_ACROSS = Domain({"K": Integers(2, 8, small=(2, 3)), "spread": Integers(1, 9, small=(1, 2))})
_LETTERS: dict[Any, Any] = {
    energy: _energy,
    N: lambda case: case["labels"].size,
    K: lambda case: np.unique(case["labels"]).size,
}
_ROWS: dict[Any, Any] = {overlap: _overlap, K: lambda case: case["W"].shape[0]}

THEOREMS = (
    Theorem(
        name="nc1_zero",
        title="The metric NC1 vanishes only where the features of each class coincide",
        statement=_NC1 + r"measures variability collapse, $\Sigma_W\to0$. (Read as: where it is 0, $\Sigma_W=0$.)",
        instead=("papyan2020:nc1_zero_corrected",),
        citation=Citation("papyan2020", "NC1 and its metric"),
        kind="structural",
        claims=(Equals("within_share", 0),),
        domain=_ACROSS,
        problem=_across,
        assumes=(_ZERO,),
        measures={"within_share": _within_share},
        confirms={"within_share": ("SymPy in rational numbers", _exact_share)},
        no_proof="It is refuted: the pseudo-inverse does not see spread outside the span of the class means.",
    ),
    Theorem(
        name="nc1_zero_corrected",
        title="The metric NC1 sees the spread inside the span of the centred class means, and no other",
        statement=_NC1 + r"$=\frac1{NK}\|B^+H_w\|^2$ with $\Sigma_B=BB'$, $H_w$ the samples less their class means: it "
        r"vanishes exactly where $H_w$ has no part in the span of the centred class means. (Our correction.)",
        citation=Citation("papyan2020", "NC1 and its metric, corrected here", "own"),
        kind="tight",
        claims=(Equals("nc1", energy / (N * K), _LETTERS),),
        domain=Domain({**FEATURES, **SIZES}),
        problem=class_features,
        assumes=(CLEAR_RANK,),
        measures={"nc1": _nc1},
    ),
    Theorem(
        name="nc2",
        title="The metric NC2 is one of overlap with the simplex, between 0 and the root of 2",
        statement=_NC2
        + r"has $\mathrm{NC2}^2=2-\frac{2o}{\sqrt{K-1}}$, $o=\|(I-11'/K)W\|^2/\|WW'\|$, between 0 (for a "
        "simplex ETF alone) and 2. (Ours: the range of the printed metric.)",
        citation=Citation("papyan2020", "NC2, in the form of zhu2021", "own"),
        kind="tight",
        claims=(
            Equals("nc2_squared", 2 - 2 * overlap / sp.sqrt(K - 1), _ROWS),
            AtMost("nc2_squared", 2),
            AtLeast("nc2_squared", 0),
        ),
        domain=Domain(FEATURES),
        problem=_classifier,
        assumes=(_NONZERO,),
        measures={"nc2_squared": _nc2_squared},
    ),
)
