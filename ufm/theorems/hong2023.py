"""Neural collapse under cross-entropy with unequal classes (arXiv 2309.09725), its threshold, and its limit."""

import math
from typing import Any

import numpy as np
import sympy as sp

from ufm import encodings
from ufm.catalogue import (
    Among,
    Assumption,
    AtLeast,
    AtMost,
    Citation,
    Differs,
    Domain,
    Equals,
    Integers,
    LogReals,
    Theorem,
    Values,
)
from ufm.catalogue.assumptions import NO_BIAS, ONE_HOT
from ufm.catalogue.claims import Approaches
from ufm.catalogue.domain import Point
from ufm.problem import Problem, classes, samples
from ufm.problem.scaling import scaling
from ufm.symbols import K, N, delta_kl, lam_H, lam_W
from ufm.theorems.dang2023_gof import sizes

_OBJECTIVE = (
    r"$\frac1N\sum_kn_k\mathrm{CE}(z_k+b)+\lambda_Z\|Z\,\mathrm{diag}(n)^{1/2}\|_*+\lambda_b\|b\|^2$, "
    r"$\lambda_Z=2\sqrt{\lambda_W\lambda_H}$, unequal classes: "
)

lam_Z = 2 * sp.sqrt(lam_W * lam_H)
K_A, K_B = sp.symbols("K_A K_B", integer=True, positive=True)
n_A, n_B = sp.symbols("n_A n_B", integer=True, positive=True)


def _problem(counts: list[int], lam_Z: float, point: Point) -> Problem:
    paper = {"lam_W": lam_Z / 2 * point["aspect"], "lam_H": lam_Z / 2 / point["aspect"], "lam_b": point["lam_b"]}
    ours = scaling("hong2023").to_ours(paper, len(counts), sum(counts))
    return Problem(targets=classes(encodings.one_hot(len(counts)), counts), loss="cross_entropy", **ours)


def _groups(point: Point) -> list[int]:
    return [point["n"] * point["R"]] * point["K_A"] + [point["n"]] * point["K_B"]


def _two_groups(point: Point) -> Problem:
    """lam_Z is `level` times the threshold sqrt(n_B)/N of the minority."""
    counts = _groups(point)
    return _problem(counts, point["level"] * math.sqrt(point["n"]) / sum(counts), point)


def _unequal(point: Point) -> Problem:
    counts = sizes(point)
    return _problem(counts, point["level"] * math.sqrt(min(counts)) / sum(counts), point)


def _as_samples(point: Point) -> Problem:
    problem = _unequal(point)
    return problem.replace(targets=samples(problem.targets.matrix()))


def _many(point: Point) -> Problem:
    """lam_Z stays, the classes grow."""
    return _problem(_groups(point), point["lam_Z"], point)


def weight(problem: Problem) -> float:
    """The paper's lam_Z: ours is the weight of the same nuclear norm."""
    return math.sqrt(float(problem.lam_W[0]) * float(problem.lam_H))


def _two_sizes(problem: Problem) -> tuple[int, int, int, int]:
    """(K_A, n_A, K_B, n_B)."""
    counts = problem.classes.counts
    low, high = int(counts.min()), int(counts.max())
    return int((counts == high).sum()), high, int((counts == low).sum()), low


_GROUPS: dict[Any, Any] = {
    K_A: lambda p: _two_sizes(p)[0],
    n_A: lambda p: _two_sizes(p)[1],
    K_B: lambda p: _two_sizes(p)[2],
    n_B: lambda p: _two_sizes(p)[3],
}


def _off_threshold(problem: Problem) -> bool:
    return abs(math.sqrt(problem.classes.counts.min()) / problem.N / weight(problem) - 1) > 1e-3


_ENTROPY = Assumption("the loss is cross-entropy", lambda p: p.loss == "cross_entropy" and p.p == 2)
_TWO_GROUPS = Assumption(
    "two sizes, each of two classes at least",
    lambda p: (
        _two_sizes(p)[0] >= 2
        and _two_sizes(p)[2] >= 2
        and set(p.classes.counts) == {_two_sizes(p)[1], _two_sizes(p)[3]}
        and _two_sizes(p)[1] > _two_sizes(p)[3]
    ),
)
_FAR_BELOW = Assumption(
    "lam_Z is at most a hundredth of the threshold sqrt(n_B)/N where the path starts",
    lambda p: weight(p) <= 0.01 * (1 + 1e-9) * math.sqrt(p.classes.counts.min()) / p.N,
)
_OFF = Assumption("lam_Z is not at the threshold itself", _off_threshold)
_UNEQUAL = Assumption("some classes differ in size", lambda p: not p.classes.balanced)
_ALIVE = Assumption(
    "lam_Z < sqrt(n_k)/N for every class", lambda p: weight(p) < math.sqrt(p.classes.counts.min()) / p.N * (1 - 1e-9)
)
_MANY = Assumption("N >= 2/lam_Z^2", lambda p: p.N * weight(p) ** 2 >= 2)
_SCARCE = Assumption("lam_Z > sqrt(n_A)/N", lambda p: weight(p) > math.sqrt(p.classes.counts.max()) / p.N * (1 + 1e-9))

_ASPECT = LogReals(0.1, 10.0, small=(1.0,))
_LAM_B = LogReals(1e-3, 10.0, edges=(0.0, math.inf), small=(math.inf, 1.0, 0.0))
_TWO = {
    "K_A": Integers(2, 5, small=(2,)),
    "K_B": Integers(2, 5, small=(2,)),
    "R": Integers(2, 50, small=(2, 4)),
    "n": Integers(1, 20, small=(1,)),
    "aspect": _ASPECT,
    "lam_b": _LAM_B,
}
_ANY = {
    "K": Integers(2, 8, small=(2, 3)),
    "n": Integers(2, 60, small=(2, 3)),
    "seed": Integers(1, 10**6, small=(1, 2)),
    "level": LogReals(1e-2, 0.5, small=(0.1,)),
    "aspect": _ASPECT,
    "lam_b": _LAM_B,
}
_GROWING = {**_TWO, "lam_Z": LogReals(3e-2, 0.3, small=(0.1, 0.2)), "n": Integers(10, 10**6, small=(20, 40))}

THEOREMS = (
    Theorem(
        name="nc1",
        title="Unequal classes: the features of a class coincide",
        statement=_OBJECTIVE + r"NC1 holds: all samples of a class have one feature.",
        citation=Citation("hong2023", "Theorem on NC1"),
        kind="structural",
        claims=(Equals("role_spread", sp.Integer(0)),),
        domain=Domain({**_ANY, "n": Integers(2, 8, small=(2, 3)), "K": Integers(2, 5, small=(2, 3))}),
        problem=_as_samples,
        assumes=(_ENTROPY,),
        scaling="hong2023",
    ),
    Theorem(
        name="no_etf",
        title="Unequal classes: the class means are no simplex ETF",
        statement=_OBJECTIVE
        + r"the mean features form no ETF. (Judged where no class is lost, $\lambda_Z<\sqrt{n_k}/N$, for $K\ge3$: "
        r"their Gram matrix is no multiple of $KI-11'$. Equal angles alone do occur: of classes of 2, 1 and 1 samples "
        r"without a bias all cosines are $-\frac12$ at $\lambda_Z=0.0458157$, where the norms are as 1 to 1.068.)",
        citation=Citation("hong2023", "main theorem"),
        kind="structural",
        claims=(Differs(Equals("gram", K * delta_kl - 1), up_to_scale=True),),
        domain=Domain({**_ANY, "K": Integers(3, 8, small=(3, 4))}),
        problem=_unequal,
        assumes=(_ENTROPY, ONE_HOT, _UNEQUAL, _ALIVE),
        scaling="hong2023",
        no_proof="Equal norms and equal angles are two conditions on the optimum. One of them can be met by the weight "
        "alone; that for unequal sizes no weights and no bias meet both has been asked, not derived.",
    ),
    Theorem(
        name="minority_collapse",
        title="Two groups of sizes: the sharp threshold of minority collapse",
        statement=_OBJECTIVE
        + r"with $K_A$ classes of $n_A$ samples and $K_B\ge2$ of $n_B<n_A$ there is a sharp threshold of "
        r"minority collapse. (Its value is ours: the $K_B-1$ directions that tell minority classes apart are lost iff "
        r"$\lambda_Z\ge\sqrt{n_B}/N$, with or without a bias. What is asked: the rank, $K_A+K_B-1$ below the "
        r"threshold and at most $K_A$ above it: the direction between the two sizes may still be there, until a larger "
        r"weight ends it or a bias that is free or cheap takes it over.)",
        citation=Citation("hong2023", "the section on minority collapse; the value is ours"),
        kind="structural",
        claims=(
            AtLeast("rank", sp.Piecewise((0, lam_Z >= sp.sqrt(n_B) / N), (K_A + K_B - 1, True)), _GROUPS),
            AtMost("rank", sp.Piecewise((K_A, lam_Z >= sp.sqrt(n_B) / N), (K_A + K_B - 1, True)), _GROUPS),
        ),
        domain=Domain({**_TWO, "R": Integers(4, 50, small=(4,)), "level": LogReals(0.2, 1.3, small=(0.5, 1.2))}),
        problem=_two_groups,
        assumes=(_ENTROPY, ONE_HOT, _TWO_GROUPS, _OFF),
        scaling="hong2023",
    ),
    Theorem(
        name="many_samples",
        title="As the classes grow the ETF returns",
        statement=_OBJECTIVE
        + r"with $N\to\infty$ the ETF returns: the mean features become a simplex ETF. (As given here: the "
        r"weights stay as they are. Two groups of sizes, $N\ge2/\lambda_Z^2$. An ETF has means that are not zero; "
        r"all that "
        r"is asked is $\|\bar h_k\|^2\ge10^{-3}\sqrt{\lambda_W/\lambda_H}$.)",
        instead=("hong2023:many_samples_null", "hong2023:many_samples_rescaled"),
        citation=Citation("hong2023", "the section on large samples"),
        kind="limiting",
        claims=(
            Among(
                "for every class",
                lambda problem: np.eye(problem.K, dtype=bool),
                AtLeast("gram", sp.Rational(1, 1000) * sp.sqrt(lam_W / lam_H)),
            ),
        ),
        domain=Domain(_GROWING),
        problem=_many,
        assumes=(_ENTROPY, ONE_HOT, _MANY),
        scaling="hong2023",
        no_proof="It is refuted as given here: with fixed weights enough samples leave nothing but the bias.",
    ),
    Theorem(
        name="many_samples_null",
        title="With fixed weights enough samples leave nothing but the bias",
        statement=_OBJECTIVE
        + r"$W=0$ and $H=0$ at the optimum as soon as $N\ge2/\lambda_Z^2$, whatever the sizes and the "
        r"bias. (Our correction: $\lambda_Z$ must fall faster than $1/\sqrt N$ for anything to be left.)",
        citation=Citation("hong2023", "the section on large samples, corrected here", "own"),
        kind="tight",
        claims=(Equals("gram", sp.Integer(0)), Equals("classifier_gram", sp.Integer(0))),
        domain=Domain(_GROWING),
        problem=_many,
        assumes=(_ENTROPY, ONE_HOT, _MANY),
        scaling="hong2023",
    ),
    Theorem(
        name="many_samples_rescaled",
        title="With weights that fall faster than 1/sqrt(N) the logits become a simplex, at any imbalance",
        statement=_OBJECTIVE
        + r"no bias, and $\lambda_Z\sqrt N\to0$ at a fixed ratio of sizes: the logits tend to a simplex in "
        r"direction, $Z/\|Z\|\to(I-\frac1K11')/\sqrt{K-1}$. (Our reading of the limit; $W$ and $H$ tend to the "
        r"geometry of "
        r"thrampoulidis2022, an ETF for equal sizes only.)",
        citation=Citation("hong2023", "the section on large samples, read here", "own"),
        kind="limiting",
        claims=(
            Approaches(
                "logit_directions", (delta_kl - 1 / K) / sp.sqrt(K - 1), ("lam_W", "lam_H"), (1.0, 1e-2, 1e-4, 1e-6)
            ),
        ),
        domain=Domain({**_TWO, "lam_b": Values((math.inf,)), "level": LogReals(1e-3, 1e-2, small=(1e-2,))}),
        problem=_two_groups,
        assumes=(_ENTROPY, ONE_HOT, NO_BIAS, _TWO_GROUPS, _FAR_BELOW),
        scaling="hong2023",
    ),
)
