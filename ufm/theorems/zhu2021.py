"""A geometric analysis of neural collapse with unconstrained features (arXiv 2105.02375): balanced cross-entropy."""

import math
from dataclasses import replace

import sympy as sp

from ufm import encodings
from ufm.catalogue import Assumption, Citation, Domain, Equals, Integers, LogReals, Theorem, Values
from ufm.catalogue.assumptions import BALANCED
from ufm.catalogue.domain import Point
from ufm.problem import Problem, classes
from ufm.symbols import K, c, delta_kl, lam_H, lam_W, n

_OBJECTIVE = (
    r"$\frac1N\sum_i\mathrm{CE}(Wh_i+b,y_i)+\frac{\lambda_W}2\|W\|^2+\frac{\lambda_H}2\|H\|^2+\frac{\lambda_b}2\|b\|^2$"
    r", balanced one-hot, $d\ge K-1$: "
)

alpha = sp.Piecewise((sp.log(1 / (c * sp.sqrt(n)) - (K - 1)), c * K * sp.sqrt(n) < 1), (0, True))  # logit margin
_frame = delta_kl - 1 / K
_w = sp.sqrt(lam_H / lam_W) * sp.sqrt(n) * alpha * _frame  # w_k'w_l
_duality = sp.sqrt(lam_W / (lam_H * n))  # h_ki = _duality * w_k


def _problem(point: Point) -> Problem:
    """K classes of n samples; t_rel = c K sqrt(n), lam_W/lam_H = aspect^2."""
    strength = point["t_rel"] / (point["K"] * math.sqrt(point["n"]))
    return Problem(
        targets=classes(encodings.one_hot(point["K"]), point["n"]),
        lam_W=strength * point["aspect"],
        lam_H=strength / point["aspect"],
        lam_b=point["lam_b"],
        loss="cross_entropy",
        width=point["K"] - 1 + point["spare"],
    )


ENTROPY = Assumption(
    "the loss is cross-entropy, with one linear layer", lambda p: p.loss == "cross_entropy" and p.p == 2
)
_WIDE = Assumption("d >= K - 1", lambda p: p.width is None or p.width >= p.K - 1)
_WIDER = Assumption("d > K", lambda p: p.width is not None and p.width > p.K)
_PENALISED = Assumption("lam_b > 0", lambda p: float(p.lam_b) > 0)

_LAM_B = LogReals(1e-3, 1e2, edges=(0.0, math.inf), small=(1.0, math.inf, 0.0))
_DOMAIN = Domain(
    {
        "K": Integers(2, 30, small=(2, 3)),
        "n": Integers(1, 500, small=(1, 2)),
        "t_rel": LogReals(1e-6, 2.0, edges=(0.999, 1.0, 1.001), small=(0.5, 2.0)),
        "aspect": LogReals(1e-2, 1e2, small=(1.0,)),
        "lam_b": _LAM_B,
        "spare": Values((0, 1, 3)),
    }
)
_FLOWS = Domain(
    {
        "K": Integers(2, 4),
        "n": Integers(1, 4),
        "t_rel": LogReals(0.1, 0.6),
        "aspect": LogReals(0.7, 1.4),
        "lam_b": LogReals(0.1, 10.0, edges=(math.inf,)),
        "spare": Values((2,)),
    }
)

_ETF = Theorem(
    name="etf",
    title="Balanced classes under cross-entropy: a simplex ETF, self-dual and centred",
    statement=_OBJECTIVE
    + r"every global minimiser has $h_{ki}=\sqrt{\lambda_W/(\lambda_Hn)}\,w_k$, $\sum_kw_k=0$, and "
    r"$WW'$ is a scaled simplex ETF. (The scale is ours: the logit margin is $\alpha=\log(1/(c\sqrt n)-(K-1))$ if "
    r"$cK\sqrt n<1$ with $c=\sqrt{\lambda_W\lambda_H}$, else 0.)",
    citation=Citation("zhu2021", "the theorem on global minimisers", "memory"),
    kind="tight",
    claims=(
        Equals("classifier_gram", _w),
        Equals("gram", _duality**2 * _w),
        Equals("logits", _duality * _w),  # w_k'h_l for h as stated; b adds nothing
    ),
    domain=_DOMAIN,
    flow_domain=Domain({**_FLOWS.ranges, "lam_b": Values((0.5, 5.0, math.inf))}),
    problem=_problem,
    assumes=(ENTROPY, BALANCED, _WIDE),
    scaling="zhu2021",
)

THEOREMS = (
    _ETF,
    replace(
        _ETF,
        name="bias",
        title="Balanced classes under cross-entropy: no bias is needed",
        statement=_OBJECTIVE + r"$b=0$ if $\lambda_b>0$, and $b$ is a multiple of $1$ if $\lambda_b=0$. (Of the free "
        r"biases, which differ by multiples of $1$, the one that sums to zero is asked for.)",
        claims=(Equals("bias", sp.Integer(0)),),
        flow_domain=_FLOWS,
    ),
    replace(
        _ETF,
        name="strict_saddles",
        title="Cross-entropy: every critical point that is not global is a strict saddle",
        statement=_OBJECTIVE
        + r"for $d>K$ every critical point that is not a global minimiser is a strict saddle. What is "
        r"asked of the flows: from random starts they end at the global value "
        r"$\log(1+(K-1)e^{-\alpha})+c\sqrt n(K-1)\alpha$.",
        citation=Citation("zhu2021", "the theorem on strict saddles", "memory"),
        kind="structural",
        claims=(Equals("value", sp.log(1 + (K - 1) * sp.exp(-alpha)) + c * sp.sqrt(n) * (K - 1) * alpha),),
        domain=Domain({**_DOMAIN.ranges, "spare": Values((2, 4))}),
        flow_domain=Domain({**_FLOWS.ranges, "lam_b": Values((0.5, math.inf))}),
        assumes=(ENTROPY, BALANCED, _WIDER),
    ),
)
