"""Neural collapse under the squared loss (arXiv 2106.02073): the loss in three parts, and flow on the central path.

Balanced one-hot classes, no regularisation; w_j are the singular values of Sigma_W^{-1/2} (class means, centred).
"""

from typing import Any

import numpy as np
import sympy as sp

from ufm import encodings
from ufm.catalogue import Along, AtLeast, Citation, Domain, Equals, Motion, Tends, Theorem
from ufm.catalogue.arrays import FEATURES, SIZES, Arrays, class_features
from ufm.catalogue.domain import LogReals, Point
from ufm.catalogue.motion import x
from ufm.catalogue.theorem import Assumption
from ufm.metrics.loss_parts import loss_parts
from ufm.metrics.split import split_classes
from ufm.problem import Problem, classes
from ufm.symbols import K, N, time

a = sp.Symbol("a_j", real=True)
c1, c2, c3 = N * K, N, N / (4 * K)
clock = c1 * sp.log(x) + c2 * x**2 + c3 * x**4
_NO_WITNESS = r"(No witness moves this way, as the flow is held on $\Sigma_W=I$: the verdict rests on the proof alone.)"
_PROJECTED = (
    r"The flow of the features at the least-squares classifier, projected on $\Sigma_W=I$ at all times "
    r"(as 'renormalised' is read here): "
)


def _with_classifier(point: Point) -> Arrays:
    """Features of any kind, and a classifier that has nothing to do with them."""
    case, rng = class_features(point), np.random.default_rng(point["seed"] + 1)
    size = int(case["labels"].max()) + 1
    W, b = rng.standard_normal((size, case["H"].shape[0])), rng.standard_normal(size)
    return case.replace(W=W, b=b, lam=np.array([point["lam"]]))


def _parts(case: Arrays) -> dict[str, float]:
    split = split_classes(case["H"], case["labels"])
    return loss_parts(split, case["W"], case["b"], np.eye(split.K), float(case["lam"][0]))


def _loss(case: Arrays) -> float:
    """1/(2N) ||WH + b1' - Y||^2 + lam/2 ||W||^2, sample by sample."""
    targets = np.eye(case["W"].shape[0])[:, np.searchsorted(np.unique(case["labels"]), case["labels"])]
    residual = case["W"] @ case["H"] + case["b"][:, None] - targets
    return float(np.sum(residual**2) / (2 * residual.shape[1]) + case["lam"][0] / 2 * np.sum(case["W"] ** 2))


def _relative_gap(case: Arrays) -> float:
    parts = _parts(case)
    return (sum(parts.values()) - _loss(case)) / _loss(case)


def _ten_classes(point: Point) -> Problem:
    return Problem(targets=classes(encodings.one_hot(10), 500), lam_W=0.0, lam_H=0.0)


def _course(name: str, title: str, words: str, *claims: Along, **changed: Any) -> Theorem:
    fields = {
        "kind": "tight",
        "claims": (),
        "along": claims,
        "domain": Domain(),
        "problem": _ten_classes,
        "citation": Citation("han2022", "central path dynamics"),
        **changed,
    }
    return Theorem(name=name, title=title, statement=f"{words} {_NO_WITNESS}", **fields)


def _no_start(motion: Motion) -> np.ndarray:
    return np.zeros(1)


THEOREMS = (
    Theorem(
        name="loss_split",
        title="The squared loss in three parts",
        statement=r"For any features, classifier and bias the loss is $L_{NC1}+L_{NC2/3}+L_{LS}^\perp$, none of them "
        r"negative: with the least-squares classifier $W_{LS}$, what it loses by spread within classes, what it loses "
        r"at the class means, and what $W$ loses against it. (With a penalty of $W$; the bias is free of it here.)",
        citation=Citation("han2022", "decomposition of the loss"),
        kind="structural",
        claims=(
            Equals("relative_gap", sp.Integer(0)),
            AtLeast("loss_nc1", sp.Integer(0)),
            AtLeast("loss_nc23", sp.Integer(0)),
            AtLeast("loss_off_ls", sp.Integer(0)),
        ),
        domain=Domain({**FEATURES, **SIZES, "lam": LogReals(1e-3, 10.0, small=(1.0,))}),
        problem=_with_classifier,
        measures={
            "relative_gap": _relative_gap,
            **{name: lambda case, name=name: _parts(case)[name] for name in ("loss_nc1", "loss_nc23", "loss_off_ls")},
        },
        assumes=(
            Assumption("there are two classes at least", lambda case: np.unique(case["labels"]).size > 1),
            Assumption("the penalty is positive", lambda case: bool(case["lam"][0] > 0)),
        ),
    ),
    _course(
        "dynamics",
        "The renormalised flow in closed form",
        _PROJECTED + r"$c_1\log w_j+c_2w_j^2+c_3w_j^4=a_j+t$ with $c_1,c_2,c_3>0$ common to all $j$. (With our "
        r"$1/(2N)$: $c_1=NK$, $c_2=N$, $c_3=N/(4K)$.)",
        Along("snr", a + time, {a: _no_start}, reading=clock),
    ),
    _course(
        "growth",
        "All signal-to-noise ratios grow alike",
        _PROJECTED + r"$w_j\sim(t/c_3)^{1/4}$ and $\max_jw_j/\min_jw_j\to1$.",
        Tends("snr", sp.Integer(1), reading=x / (time / c3) ** sp.Rational(1, 4)),
        Tends("snr_max_over_min", sp.Integer(1)),
        kind="limiting",
    ),
    _course(
        "growth_by_map",
        "Renormalised by a linear map instead, they grow faster",
        r"If the flow is not projected, but each step is followed by $H\mapsto\Sigma_W^{-1/2}H$, the shrinking "
        r"within-class part counts as well: $c_1\log w_j+\frac{c_2}2w_j^2=a_j+t$, without a fourth power, and "
        r"$w_j\sim\sqrt{2t/c_2}$. (Ours: what the other reading of 'renormalised' gives.)",
        Along("snr", a + time, {a: _no_start}, reading=c1 * sp.log(x) + c2 * x**2 / 2),
        citation=Citation("ufm", "renormalised flow, the other reading", "own"),
    ),
)
