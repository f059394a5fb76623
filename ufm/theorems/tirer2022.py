"""Extended unconstrained features model (arXiv 2202.08087): balanced one-hot classes, without and with a bias."""

import math

import sympy as sp

from ufm import encodings
from ufm.catalogue import Assumption, Citation, Domain, Equals, Integers, LogReals, Theorem
from ufm.catalogue.assumptions import BALANCED, FREE_BIAS, NO_BIAS, SHALLOW, WIDE
from ufm.catalogue.domain import Point
from ufm.problem import Problem, classes, samples
from ufm.problem.scaling import scaling
from ufm.symbols import K, delta_kl, lam_H, lam_W

_OBJECTIVE = (
    r"$\frac{1}{2Kn}\|WH-Y\|^2+\frac{\lambda_W}{2K}\|W\|^2+\frac{\lambda_H}{2Kn}\|H\|^2$, $Y=I_K\otimes 1_n'$: "
)

c = sp.sqrt(lam_H * lam_W)
rho = (1 - c) * sp.sqrt(lam_W / lam_H)


def _strength(problem: Problem) -> float:
    """The paper's c = sqrt(lam_H lam_W)."""
    ours = {"lam_W": float(problem.lam_W[0]), "lam_H": float(problem.lam_H)}
    paper = scaling("tirer2022").from_ours(ours, problem.K, problem.N)
    return math.sqrt(paper["lam_W"] * paper["lam_H"])


_SQUARED = Assumption("the loss is squared", lambda p: p.loss == "mse")
_WEAK = Assumption("c = sqrt(lam_H lam_W) <= 1", lambda p: _strength(p) <= 1)
_STRICTLY_WEAK = Assumption("c = sqrt(lam_H lam_W) < 1", lambda p: _strength(p) < 1)
_ALIVE = Assumption(
    "the minimiser is not zero: 2 N Lam < sqrt(n) (sqrt(n)/2)^(1/3), Lam the cube root of the weights' product",
    lambda p: p.p == 3 and 2 * p.tau < math.sqrt(p.classes.counts[0]) * (math.sqrt(p.classes.counts[0]) / 2) ** (1 / 3),
)
_STRONG = Assumption("c = sqrt(lam_H lam_W) > 1", lambda p: _strength(p) > 1)


def _problem(point: Point, lam_b: float) -> Problem:
    K, n = point["K"], point["n"]
    paper = {"lam_W": point["c"] * point["aspect"], "lam_H": point["c"] / point["aspect"]}
    ours = scaling("tirer2022").to_ours(paper, K, K * n)
    return Problem(targets=classes(encodings.one_hot(K), n), lam_b=lam_b, **ours)


def _no_bias(point: Point) -> Problem:
    return _problem(point, math.inf)


def _free_bias(point: Point) -> Problem:
    return _problem(point, 0.0)


def _as_samples(point: Point) -> Problem:
    """The same data, sample by sample: nothing forces the features of a class to coincide."""
    problem = _no_bias(point)
    return problem.replace(targets=samples(problem.targets.matrix()))


def _two_layers(point: Point) -> Problem:
    """W_2 W_1 H with the first layer's weight equal to the last's, far from where the optimum is zero."""
    problem = _no_bias(point)
    lam_W = float(problem.lam_W[0])
    return problem.replace(lam_W=(lam_W, lam_W))


_SIZES = {"K": Integers(2, 30, small=(2, 3)), "n": Integers(1, 500, small=(1, 2))}
_ASPECT = LogReals(1e-2, 1e2, edges=(1.0,), small=(1.0, 2.0))
_DOMAIN = Domain({**_SIZES, "c": LogReals(1e-3, 0.99, edges=(1.0,), small=(0.5, 0.25)), "aspect": _ASPECT})
_OPEN = Domain({**_DOMAIN.ranges, "c": LogReals(1e-3, 0.99, small=(0.5, 0.25))})
_SMALL = Domain(
    {**_DOMAIN.ranges, "K": Integers(2, 6, small=(2, 3)), "n": Integers(1, 10, small=(1, 2))},
)
_FLOWS = Domain({"K": Integers(2, 5), "n": Integers(1, 6), "c": LogReals(0.1, 0.7), "aspect": LogReals(0.5, 2.0)})

THEOREMS = (
    Theorem(
        name="thm3_1",
        title="Without a bias, balanced classes have an orthogonal frame",
        statement=_OBJECTIVE
        + r"if $c=\sqrt{\lambda_H\lambda_W}\le1$, every global minimiser has $\bar H'\bar H=\rho I_K$ with "
        r"$\rho=(1-c)\sqrt{\lambda_W/\lambda_H}$ and $w_k=\sqrt{\lambda_H/\lambda_W}\,\bar h_k$.",
        citation=Citation("tirer2022", "Theorem 3.1"),
        kind="tight",
        claims=(
            Equals("gram", rho * delta_kl),
            Equals("classifier_gram", lam_H / lam_W * rho * delta_kl),  # w_k'w_l and w_k'h_l for w_k as stated
            Equals("logits", sp.sqrt(lam_H / lam_W) * rho * delta_kl),
        ),
        domain=_DOMAIN,
        flow_domain=_FLOWS,
        problem=_no_bias,
        assumes=(SHALLOW, BALANCED, NO_BIAS, WIDE, _WEAK),
        scaling="tirer2022",
    ),
    Theorem(
        name="thm3_1_collapse",
        title="The features of a class coincide",
        statement=_OBJECTIVE + r"every global minimiser has $h_{ki}=\bar h_k$ for all samples $i$ of class $k$.",
        citation=Citation("tirer2022", "Theorem 3.1"),
        kind="structural",
        claims=(Equals("role_spread", sp.Integer(0)),),
        domain=_SMALL,
        flow_domain=_FLOWS,
        problem=_as_samples,
        assumes=(SHALLOW, NO_BIAS),
        scaling="tirer2022",
    ),
    Theorem(
        name="thm3_1_null",
        title="Too much regularisation: the minimiser is zero",
        statement=_OBJECTIVE + r"if $c=\sqrt{\lambda_H\lambda_W}>1$, the global minimiser is $(0,0)$.",
        citation=Citation("tirer2022", "Theorem 3.1"),
        kind="tight",
        claims=(Equals("gram", sp.Integer(0)), Equals("classifier_gram", sp.Integer(0))),
        domain=Domain({**_DOMAIN.ranges, "c": LogReals(1.001, 1e2, small=(2.0,))}),
        flow_domain=Domain({**_FLOWS.ranges, "c": LogReals(1.3, 3.0)}),
        problem=_no_bias,
        assumes=(SHALLOW, BALANCED, NO_BIAS, _STRONG),
        scaling="tirer2022",
    ),
    Theorem(
        name="free_bias",
        title="With an unregularised bias the class means are a simplex ETF",
        statement=_OBJECTIVE
        + r"with an unregularised bias, $WH+b1'$ for $WH$, the class means are centred: a simplex ETF, $b=1/K$. "
        r"(Read with $c<1$: for larger $c$ there are no class means to speak of.)",
        citation=Citation("tirer2022", "the section on an unregularised bias", "memory"),
        kind="tight",
        claims=(Equals("cosine", -1 / (K - 1)), Equals("bias", 1 / K)),
        domain=_OPEN,
        flow_domain=_FLOWS,
        problem=_free_bias,
        assumes=(SHALLOW, BALANCED, FREE_BIAS, WIDE, _STRICTLY_WEAK),
        scaling="tirer2022",
    ),
    Theorem(
        name="two_layers",
        title="A further linear layer keeps orthogonal frames",
        statement=r"With $W_2W_1H$ for $WH$, each factor regularised, the class means of $H$ are still an orthogonal "
        r"frame wherever the minimiser is not zero.",
        citation=Citation("tirer2022", "the section on two linear layers", "memory"),
        kind="structural",
        claims=(Equals("cosine", sp.Integer(0)),),
        domain=Domain(
            {
                "K": Integers(2, 10, small=(2, 3)),
                "n": Integers(1, 50, small=(1, 2)),
                "c": LogReals(1e-3, 0.05, small=(0.01,)),
                "aspect": LogReals(0.5, 2.0, small=(1.0,)),
            }
        ),
        problem=_two_layers,
        assumes=(_SQUARED, BALANCED, NO_BIAS, WIDE, _ALIVE),
        scaling="tirer2022",
    ),
)
