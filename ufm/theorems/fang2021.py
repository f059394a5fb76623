"""The layer-peeled model (arXiv 2101.12699): norm budgets, a convex relaxation, and minority collapse."""

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
    """K_A classes of R samples, K_B of one."""
    return _budgeted([point["R"]] * point["K_A"] + [1] * point["K_B"], point)


def smallest_pairs(problem: Problem) -> np.ndarray:
    """Pairs of classes of the smallest size (K x K)."""
    small = problem.classes.counts == problem.classes.counts.min()
    return small[:, None] & small[None, :]


_BUDGETS = Assumption("norm budgets, cross-entropy", lambda p: isinstance(p.constraint, NormBudget))
_IMBALANCED = Assumption(
    "two sizes of classes, two classes of the smaller at least, in a ratio of 10^4 or more",
    lambda p: (
        len(set(p.classes.counts)) == 2
        and p.classes.counts.max() >= 10**4 * p.classes.counts.min()
        and (p.classes.counts == p.classes.counts.min()).sum() >= 2
    ),
)
_SMALL = Assumption(
    "E_W E_H is at most 5, as in the paper's figure",
    lambda p: p.constraint.E_W * p.constraint.E_H <= 5,  # _BUDGETS comes first
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
        r"merge at high imbalance $R$. (Judged at $R\ge10^4$ with $E_WE_H\le5$, which is the budget of the paper's "
        r"figure: they are one vector, which for small budgets is zero, so that no cosine tells.)",
        citation=Citation("fang2021", "the theorem on minority collapse, and the figure of cosines against R"),
        kind="limiting",
        claims=(
            Among("between minority classes", smallest_pairs, Equals("classifier_distances_squared", sp.Integer(0))),
        ),
        domain=Domain(
            {
                "K_A": Integers(2, 5, small=(2,)),
                "K_B": Integers(2, 5, small=(2,)),
                "R": Integers(10**4, 10**6, small=(10**4,)),
                "E_W": LogReals(0.2, 5.0, small=(1.0,)),
                "E_H": LogReals(0.2, 5.0, small=(1.0, 5.0)),
            }
        ),
        problem=_two_groups,
        assumes=(_BUDGETS, ONE_HOT, _WIDE, _IMBALANCED, _SMALL),
        no_proof="At a given R it depends on the multiplier of the budget, for which there is no formula; with "
        "penalties in place of budgets the threshold is hong2023:minority_collapse.",
    ),
)
