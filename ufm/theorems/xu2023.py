"""The variability collapse index (arXiv 2306.03440), as remembered: VCI = 1 - tr(Sigma_T^+ Sigma_B)/rank(Sigma_B)."""

from typing import Any

import numpy as np
import sympy as sp

from ufm.catalogue import Assumption, AtLeast, AtMost, Citation, Domain, Equals, Theorem
from ufm.catalogue.arrays import (
    CLEAR_RANK,
    EQUAL_SIZES,
    FEATURES,
    SIZES,
    Arrays,
    class_features,
    class_means,
    deviations,
    has_clear_rank,
)
from ufm.catalogue.domain import Point
from ufm.metrics.split import split_classes
from ufm.metrics.vci import vci as index
from ufm.symbols import K

_INDEX = r"$\mathrm{VCI}=1-\mathrm{tr}(\Sigma_T^+\Sigma_B)/\mathrm{rank}(\Sigma_B)$ "

vci = sp.Symbol("vci", real=True)


def _index(case: Arrays) -> float:
    return index(split_classes(case["H"], case["labels"]))


def _classes(case: Arrays) -> int:
    return np.unique(case["labels"]).size


def _moved(point: Point) -> Arrays:
    """Features and an invertible matrix A (d x d) to move them by."""
    case, rng = class_features(point), np.random.default_rng(point["seed"] + 1)
    d = case["H"].shape[0]
    return case.replace(A=np.linalg.qr(rng.standard_normal((d, d)))[0] * 10.0 ** rng.uniform(-1, 1, d))


def _of_moved(case: Arrays) -> float:
    return index(split_classes(case["A"] @ case["H"], case["labels"]))


def _probe_loss(case: Arrays, weights: np.ndarray) -> float:
    """min over W, b of (1/N)||W H + b 1' - Y||^2 for targets weights_k e_k, by least squares on [H; 1]."""
    _, index_of = np.unique(case["labels"], return_inverse=True)
    Y = np.diag(weights)[:, index_of]
    design = np.vstack([case["H"] - case["H"].mean(axis=1, keepdims=True), np.ones(index_of.size)]).T
    solution = np.linalg.lstsq(design, Y.T, rcond=1e-10)[0]
    return float(np.sum((design @ solution - Y.T) ** 2)) / index_of.size


def _one_hot_loss(case: Arrays) -> float:
    return _probe_loss(case, np.ones(_classes(case)))


def _weighted_loss(case: Arrays) -> float:
    return _probe_loss(case, np.sqrt(case["labels"].size / class_means(case)[1]))


def _exact_one_hot_loss(case: Arrays) -> float:
    """The same from the pseudo-inverse of [H; 1] in rational numbers."""
    labels = [int(k) for k in case["labels"]]
    H = sp.Matrix([[sp.nsimplify(x) for x in row] for row in case["H"].tolist()])
    design = H.col_join(sp.ones(1, len(labels))).T
    Y = sp.Matrix(len(labels), max(labels) + 1, lambda i, k: int(labels[i] == k))
    residual = Y - design * design.pinv() * Y
    return float((residual.T * residual).trace() / len(labels))


def _independent_means(case: Arrays) -> bool:
    return bool(np.linalg.matrix_rank(deviations(case)) == _classes(case) - 1)


_FULL = Assumption("the centred class means have rank K - 1", _independent_means)
_LETTERS: dict[Any, Any] = {vci: _index, K: _classes}
_DOMAIN = Domain({**FEATURES, **SIZES})
_LOSS = r"$\min_{W,b}\frac1N\|WH+b1'-Y\|^2"

THEOREMS = (
    Theorem(
        name="range",
        title="The index lies between 0 and 1",
        statement=_INDEX + "lies between 0 and 1. (Read for any features with class means that differ.)",
        citation=Citation("xu2023", "definition of the index", "memory"),
        kind="upper",
        claims=(AtMost("vci", 1), AtLeast("vci", 0)),
        domain=_DOMAIN,
        problem=class_features,
        assumes=(CLEAR_RANK,),
        measures={"vci": _index},
    ),
    Theorem(
        name="invariance",
        title="The index does not change under invertible linear maps of the features",
        statement=_INDEX + "is the same for $AH$ as for $H$, $A$ invertible.",
        citation=Citation("xu2023", "invariance of the index", "memory"),
        kind="tight",
        claims=(Equals("vci_moved", vci, _LETTERS),),
        domain=_DOMAIN,
        problem=_moved,
        assumes=(
            CLEAR_RANK,
            Assumption(
                "A is invertible, and the moved features have as clear a rank",
                lambda case: (
                    has_clear_rank(case["A"])
                    and np.linalg.matrix_rank(case["A"]) == case["A"].shape[0]
                    and CLEAR_RANK.holds(case.replace(H=case["A"] @ case["H"]))
                ),
            ),
        ),
        measures={"vci_moved": _of_moved},
    ),
    Theorem(
        name="probe",
        title="The index is the loss of a linear probe, for classes of any sizes",
        statement=_LOSS + r"=\frac{K-1}K\,\mathrm{VCI}$ for one-hot $Y$. (Read without a condition on the class sizes, "
        "the means of which may be any.)",
        instead=("xu2023:probe_balanced", "xu2023:probe_weighted"),
        citation=Citation("xu2023", "relation to the linear-probe loss", "memory"),
        kind="tight",
        claims=(Equals("probe_loss", (K - 1) / K * vci, _LETTERS),),
        domain=_DOMAIN,
        problem=class_features,
        assumes=(CLEAR_RANK,),
        measures={"probe_loss": _one_hot_loss},
        confirms={"probe_loss": ("SymPy in rational numbers", _exact_one_hot_loss)},
        no_proof="It is refuted: one-hot targets weigh large classes more than the index does.",
    ),
    Theorem(
        name="probe_balanced",
        title="For classes of one size the index is the loss of a linear probe, over that of the mean",
        statement=_LOSS + r"=\frac{K-1}K\,\mathrm{VCI}$ for one-hot $Y$, classes of one size and $K-1$ independent "
        r"class means; $\frac{K-1}K$ is what the best constant leaves. (Our correction.)",
        citation=Citation("xu2023", "relation to the linear-probe loss, corrected here", "own"),
        kind="tight",
        claims=(Equals("probe_loss", (K - 1) / K * vci, _LETTERS),),
        domain=Domain(FEATURES),
        problem=class_features,
        assumes=(CLEAR_RANK, EQUAL_SIZES, _FULL),
        measures={"probe_loss": _one_hot_loss},
    ),
    Theorem(
        name="probe_weighted",
        title="For classes of any sizes the index is the loss of a probe for weighted targets",
        statement=_LOSS + r"=(K-1)\,\mathrm{VCI}$ for $y_i=\sqrt{N/n_k}\,e_k$ in class $k$, classes of any sizes and "
        "$K-1$ independent class means. (Our correction.)",
        citation=Citation("xu2023", "relation to the linear-probe loss, corrected here", "own"),
        kind="tight",
        claims=(Equals("weighted_probe_loss", (K - 1) * vci, _LETTERS),),
        domain=_DOMAIN,
        problem=class_features,
        assumes=(CLEAR_RANK, _FULL),
        measures={"weighted_probe_loss": _weighted_loss},
    ),
)
