"""The layer-peeled model (arXiv 2101.12699): norm budgets, a convex relaxation, and minority collapse."""

import math

import numpy as np
import sympy as sp

from ufm import encodings
from ufm.catalogue import Among, Assumption, Citation, Domain, Equals, Integers, LogReals, Theorem
from ufm.catalogue.assumptions import ONE_HOT
from ufm.catalogue.domain import Point
from ufm.constraints import NormBudget
from ufm.problem import Problem, classes
from ufm.theorems.dang2023_gof import sizes

_MODEL = (
    r"$\min\frac1N\sum_i\mathrm{CE}(Wh_i,y_i)$ subject to $\frac1K\sum_k\|w_k\|^2\le E_W$ and "
    r"$\frac1K\sum_k\frac1{n_k}\sum_i\|h_{ki}\|^2\le E_H$: "
)


def _budgeted(counts: list[int], point: Point) -> Problem:
    return Problem(
        targets=classes(encodings.one_hot(len(counts)), counts),
        lam_W=0.0,
        lam_H=0.0,
        loss="cross_entropy",
        constraint=NormBudget(point["E_W"], point["E_H"]),
    )


def _any_sizes(point: Point) -> Problem:
    return _budgeted(sizes(point), point)


def _two_groups(point: Point) -> Problem:
    """K_A classes of R samples, K_B of one; R is `excess` times the least that is called high."""
    high = _high(point["K_A"], point["K_B"], point["E_W"] * point["E_H"])
    return _budgeted([math.ceil(point["excess"] * high)] * point["K_A"] + [1] * point["K_B"], point)


def smallest_pairs(problem: Problem) -> np.ndarray:
    """Pairs of classes of the smallest size (K x K)."""
    small = problem.classes.counts == problem.classes.counts.min()
    return small[:, None] & small[None, :]


_BUDGETS = Assumption("norm budgets, cross-entropy", lambda p: isinstance(p.constraint, NormBudget))


def _high(majority: int, minority: int, budgets: float) -> float:
    """1 + e^M/(K-1), M = K^2 sqrt(E_W E_H)/((K-1) K_A): the imbalance from which minority classes surely merge."""
    K = majority + minority
    return 1 + math.exp(K**2 * math.sqrt(budgets) / ((K - 1) * majority)) / (K - 1)


def _imbalanced(problem: Problem) -> bool:
    counts, constraint = problem.classes.counts, problem.constraint
    few, many = int(counts.min()), int(counts.max())
    minority = int((counts == few).sum())
    if len(set(counts)) != 2 or minority < 2 or not isinstance(constraint, NormBudget):
        return False
    return many >= few * _high(problem.K - minority, minority, constraint.E_W * constraint.E_H)


_IMBALANCED = Assumption(
    "two sizes of classes, n of the smaller, two at least, and Rn of the larger, K_A in number, with "
    "R >= 1 + exp(K^2 sqrt(E_W E_H)/((K-1) K_A))/(K-1)",
    _imbalanced,
)
_WIDE = Assumption("the width is at least K", lambda p: p.width is None or p.width >= p.K)

THEOREMS = (
    Theorem(
        name="relaxation",
        title="The convex relaxation of the layer-peeled model is exact",
        statement=_MODEL
        + r"the relaxation over $X\in S_+^{2K}$, $Z=X_{1:K,K+1:2K}$ for the logits, $\sum_{i\le K}X_{ii}\le "
        r"KE_H$, $\sum_{i>K}X_{ii}\le KE_W$, has the same minimum. What is asked of the optima: no gap to a dual bound "
        r"that holds for the relaxation. (Widths $d\ge K$; the paper's weights 1 and $1/R$ of the classes are "
        r"$n_k/N$ up "
        r"to a factor.)",
        citation=Citation("fang2021", "the section on the convex relaxation"),
        kind="structural",
        claims=(Equals("gap", sp.Integer(0)),),
        domain=Domain(
            {
                "K": Integers(2, 8, small=(2, 3)),
                "n": Integers(1, 1000, small=(1, 4)),
                "seed": Integers(1, 10**6, small=(1, 2)),
                "E_W": LogReals(0.2, 4.0, small=(1.0,)),
                "E_H": LogReals(0.2, 6.0, small=(1.0, 2.0)),
            }
        ),
        problem=_any_sizes,
        assumes=(_BUDGETS, ONE_HOT, _WIDE),
    ),
    Theorem(
        name="minority_collapse",
        title="Minority classifiers merge at high imbalance",
        statement=_MODEL + r"with two groups of classes, of $Rn$ and of $n$ samples, the minority classes' rows of $W$ "
        r"merge at high imbalance $R$. (High is, in our reading, $R\ge1+e^M/(K-1)$ with "
        r"$M=K^2\sqrt{E_WE_H}/((K-1)K_A)$ for $K_A$ majority classes: 17 for the ten classes and the budget $E_WE_H=5$ "
        r"of the paper's figure. The rows are one vector, which for small budgets is zero, so that no cosine tells.)",
        citation=Citation("fang2021", "the theorem on minority collapse, and the figure of cosines against R"),
        kind="limiting",
        claims=(
            Among("between minority classes", smallest_pairs, Equals("classifier_distances_squared", sp.Integer(0))),
        ),
        domain=Domain(
            {
                "K_A": Integers(2, 5, small=(2,)),
                "K_B": Integers(2, 5, small=(2,)),
                "excess": LogReals(1.0, 1e3, edges=(1.0,), small=(1.0,)),
                "E_W": LogReals(0.2, 2.2, small=(1.0,)),
                "E_H": LogReals(0.2, 2.2, small=(1.0,)),
            }
        ),
        problem=_two_groups,
        assumes=(_BUDGETS, ONE_HOT, _WIDE, _IMBALANCED),
    ),
)
