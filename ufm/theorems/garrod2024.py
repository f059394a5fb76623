"""The persistence of neural collapse despite low-rank bias (arXiv 2410.23169): deep cross-entropy rewards low rank."""

import sympy as sp

from ufm.catalogue import Assumption, Beaten, Citation, Domain, Equals, Integers, LogReals, Theorem, Values
from ufm.catalogue.assumptions import BALANCED, NO_BIAS, WIDE
from ufm.catalogue.domain import Point
from ufm.problem import Problem
from ufm.theorems.dang2023_deep_ce import BLOCKS, COLLAPSE, ENTROPY, EXISTS, RANGES, deep
from ufm.theorems.dang2023_deep_mse import THEOREMS as DEEP_SQUARED

_OBJECTIVE = (
    r"$g(W_L\cdots W_1H)+\frac\lambda2\left(\sum_l\|W_l\|^2+\|H\|^2\right)$, $g$ the mean cross-entropy, balanced "
    r"classes, width at least $K$: "
)


def _one_weight(point: Point) -> Problem:
    """All L + 1 factors with one weight."""
    return deep({**point, "aspect": 1.0})


def _deep_enough(problem: Problem) -> bool:
    K, layers = problem.K, problem.p - 1
    return (K >= 4 and layers >= 3) or (K >= 6 and layers == 2)


def _blocks_win(problem: Problem) -> bool:
    m, layers = problem.K // 2, problem.p - 1
    return problem.K % 2 == 0 and layers >= 1 and m * 2 ** (2 / (layers + 1)) < 2 * m - 1


_DEEP_ENOUGH = Assumption("K >= 4 and L >= 3, or K >= 6 and L = 2", _deep_enough)
_BLOCKS_WIN = Assumption("K = 2m and m 2^{2/(L+1)} < 2m - 1", _blocks_win)
_ONE_WEIGHT = Assumption("all factors have one weight", lambda p: len({*map(float, p.lam_W), float(p.lam_H)}) == 1)
_RANGES = {name: each for name, each in RANGES.items() if name != "aspect"}
_CORRECTED = next(theorem for theorem in DEEP_SQUARED if theorem.name == "released_code_corrected")

THEOREMS = (
    Theorem(
        name="thm1",
        title="Deep neural collapse is no global minimum of the deep cross-entropy",
        statement=_OBJECTIVE + r"for $K\ge4$ and $L\ge3$, or $K\ge6$ and $L=2$, no deep-NC point is a global minimum. "
        r"(A minimum is critical along its own ray, so the best deep-NC point is the one to beat. For odd $K$ the "
        r"competitor has one block of three classes.)",
        citation=Citation("garrod2024", "Theorem 1"),
        kind="structural",
        claims=(Beaten(COLLAPSE, BLOCKS),),
        domain=Domain({**_RANGES, "K": Integers(4, 12, small=(4, 5)), "M": Values((3, 2, 4, 5, 7))}),
        problem=_one_weight,
        assumes=(ENTROPY, BALANCED, NO_BIAS, WIDE, _ONE_WEIGHT, _DEEP_ENOUGH, EXISTS),
        scaling="garrod2024",
    ),
    Theorem(
        name="thm1_blocks",
        title="Blocks of two classes beat deep neural collapse",
        statement=_OBJECTIVE + r"with $K=2m$, logits made of $2\times2$ blocks $\beta\begin{pmatrix}1&-1\\-1&1"
        r"\end{pmatrix}$ have a smaller loss than deep neural collapse when $m\,2^{2/(L+1)}<2m-1$. ($\beta$ is the "
        r"margin of the best deep-NC point.)",
        citation=Citation("garrod2024", "Theorem 1, its competitor"),
        kind="structural",
        claims=(Beaten(COLLAPSE, BLOCKS),),
        domain=Domain({**_RANGES, "K": Values((4, 6, 8, 10, 12)), "M": Values((3, 2, 4, 5, 7))}),
        problem=_one_weight,
        assumes=(ENTROPY, BALANCED, NO_BIAS, WIDE, _ONE_WEIGHT, _BLOCKS_WIN, EXISTS),
        scaling="garrod2024",
    ),
    Theorem(
        name="critical_loss",
        title="The penalty at a critical point is a Schatten quasi-norm of the logits",
        statement=_OBJECTIVE
        + r"at critical points the loss is $g(Z)+\frac\lambda2(L+1)\sum_is_i^{2/(L+1)}$, $s_i$ the "
        r"singular values of $Z$ over all samples. What is asked of the optima: the penalties are the last term. (The "
        r"identity knows nothing of $g$; the points it is read at are certified optima of the squared loss, class "
        r"sizes and weights of any kind, $\lambda$ for their geometric mean.)",
        citation=Citation("garrod2024", "Section on the reduction to singular values"),
        kind="structural",
        claims=(Equals("penalty_gap", sp.Integer(0)), Equals("balance", sp.Integer(0))),
        domain=Domain({**_CORRECTED.domain.ranges, "level": LogReals(1e-3, 0.9, small=(0.5,))}),
        problem=_CORRECTED.problem,
        assumes=(Assumption("the optimum is certified: squared loss", lambda p: p.loss == "mse"),),
    ),
)
