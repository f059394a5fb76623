"""The class-encoding transition: how the weight of the bias turns a simplex ETF into an orthogonal frame."""

import math
from collections.abc import Sequence

import numpy as np
import sympy as sp

from ufm import encodings
from ufm.catalogue import Citation, Domain, Equals, Integers, LogReals, Observed, Run, Theorem
from ufm.catalogue.domain import Point
from ufm.catalogue.theorem import Assumption
from ufm.problem import ClassTargets, Problem, classes
from ufm.symbols import K, c, lam_b, lam_H, lam_W, n

t_rel = c * K * sp.sqrt(n)
lam_b_star = t_rel / (1 - t_rel)
s = sp.sqrt(n) * sp.Max(0, 1 - t_rel)
s_0 = sp.sqrt(n) * sp.Max(0, 1 - t_rel - t_rel / lam_b)  # = s (1 - lam_b*/lam_b)_+
rho = 1 / (1 + 1 / lam_b)
spread = s * (1 - 1 / K) + s_0 / K  # diagonal of s (I - J/K) + s_0 J/K
# d(1/s_0)/dt at lam_b = lam_b*, where the mean mode has no exponential rate: on the slow manifold lam_W w^2 = lam_H h^2
# of its two factors, ds/dt = -4 rho c/(N (lam_W + lam_H)) s^2; N/(2 rho t) for equal weights.
critical_relaxation = 4 * rho * c / (K * n * (lam_W + lam_H))
value = ((K - 1) * (sp.sqrt(n) - s) ** 2 + rho * (sp.sqrt(n) - s_0) ** 2) / (2 * K * n) + c * ((K - 1) * s + s_0)


def relative_regularisation(problem: Problem) -> float:
    """t_rel of a balanced problem."""
    return math.sqrt(float(problem.lam_W[0]) * float(problem.lam_H) * float(problem.classes.counts[0])) * problem.K


def _one_hot(problem: Problem) -> bool:
    targets = problem.targets
    if not isinstance(targets, ClassTargets) or targets.m != targets.K or not targets.balanced:
        return False
    return bool((targets.codes == encodings.one_hot(targets.K).codes).all())


_SHALLOW = Assumption("the loss is squared and there is one linear layer", lambda p: p.loss == "mse" and p.p == 2)
_BALANCED = Assumption(
    "targets are one-hot, with at least two classes of equal size", lambda p: _one_hot(p) and p.K > 1
)
_WIDE = Assumption("the width is at least K", lambda p: p.width is None or p.width >= p.K)
_WEAK = Assumption("t_rel = c K sqrt(n) < 1", lambda p: relative_regularisation(p) < 1)
_STRONG = Assumption("t_rel = c K sqrt(n) >= 1", lambda p: relative_regularisation(p) >= 1)


def _balanced(point: Point) -> Problem:
    """K classes of n samples; lam_b in units of lam_b* where that is finite, lam_W/lam_H = aspect^2."""
    t = point["t_rel"]
    strength = t / (point["K"] * math.sqrt(point["n"]))
    unit = t / (1 - t) if t < 1 else 1.0
    return Problem(
        targets=classes(encodings.one_hot(point["K"]), point["n"]),
        lam_W=strength * point["aspect"],
        lam_H=strength / point["aspect"],
        lam_b=unit * point["lam_b_ratio"],
    )


_SIZES = {"K": Integers(2, 60, small=(2, 3, 4)), "n": Integers(1, 2000, small=(1, 2, 4))}
_WEIGHTS = {
    "lam_b_ratio": LogReals(1e-2, 1e2, edges=(0.0, 0.999, 1.0, 1.001, math.inf), small=(2.0, 0.5, 1.0, math.inf, 0.0)),
    "aspect": LogReals(1e-3, 1e3, edges=(1.0,), small=(1.0, 2.0)),
}
_FLOWS = Domain(
    {
        "K": Integers(2, 6),
        "n": Integers(1, 10),
        "t_rel": LogReals(0.1, 0.7),
        "lam_b_ratio": LogReals(1.1, 20.0, edges=(0.0, 0.5, 0.9, 1.1, math.inf)),
        "aspect": LogReals(0.5, 2.0),
    }
)


def _any_targets(point: Point) -> Problem:
    """Random codes and sizes: any encoding, any imbalance."""
    counts = [1 + (point["seed"] * (k + 3) * 7919) % point["n"] for k in range(point["K"])]
    N = sum(counts)
    return Problem(
        targets=classes(encodings.random(point["K"], point["m"], point["seed"]), counts),
        lam_W=point["strength"] / math.sqrt(N) * point["aspect"],
        lam_H=point["strength"] / math.sqrt(N) / point["aspect"],
        lam_b=point["lam_b"],
    )


_ANY = Domain(
    {
        "K": Integers(1, 12, small=(2, 3)),
        "m": Integers(1, 12, small=(2, 3)),
        "n": Integers(1, 500, small=(1, 2)),
        "seed": Integers(1, 10**6, small=(1,)),
        "strength": LogReals(1e-3, 1.0, small=(0.1,)),
        "aspect": LogReals(1e-2, 1e2, small=(1.0,)),
        "lam_b": LogReals(1e-3, 1e3, edges=(0.0, math.inf), small=(1.0, 0.5)),
    }
)

_ANY_FLOWS = Domain(
    {
        "K": Integers(2, 5),
        "m": Integers(1, 5),
        "n": Integers(1, 8),
        "seed": Integers(1, 10**6),
        "strength": LogReals(0.05, 0.3),
        "aspect": LogReals(0.5, 2.0),
        "lam_b": LogReals(0.1, 10.0, edges=(0.0, math.inf)),
    }
)

_CLASSES = 10  # of the image sets that networks were trained on
_CURVED = (-0.9 / (_CLASSES - 1), -0.1 / (_CLASSES - 1))  # cosines from which lam_b* is read: neither end of the curve


def _fitted_transition(runs: Sequence[Run]) -> float:
    """lam_b* from the cosines of networks between the ends: cos = -lam_b*/(K lam_b - lam_b*), solved for it."""
    found = []
    for run in runs:
        lam, cosine = np.asarray(run.values["lam_b"].values, dtype=float), run["cosine"]
        read = np.isfinite(lam) & (cosine > _CURVED[0]) & (cosine < _CURVED[1])
        found.extend(_CLASSES * lam[read] * cosine[read] / (cosine[read] - 1))
    return float(np.median(found)) if found else math.nan


def _off_the_curve(run: Run, critical: float) -> float:
    """The largest distance of a network's cosines from the theorem's curve with this lam_b*."""
    lam = np.asarray(run.values["lam_b"].values, dtype=float)
    with np.errstate(divide="ignore"):
        claimed = np.where(lam <= critical, -1 / (_CLASSES - 1), -1 / (_CLASSES * lam / critical - 1))
    return float(np.max(np.abs(run["cosine"] - claimed)))


THEOREMS = (
    Theorem(
        name="transition",
        title="From simplex ETF to orthogonal frame as the bias is penalised",
        statement=(
            r"Balanced one-hot labels, squared loss, $t_{rel} = \sqrt{\lambda_W\lambda_H}\,K\sqrt n < 1$, width at "
            r"least K. At the global minimum the features of a class coincide, and the uncentred class means are an "
            r"exact simplex ETF for every $\lambda_b \le \lambda_b^* = t_{rel}/(1-t_{rel})$; above it their cosine "
            r"rises continuously, with a kink at $\lambda_b^*$, towards 0: an orthogonal frame without a bias."
        ),
        citation=Citation("ufm", "class-encoding theorem", "own"),
        kind="tight",
        claims=(
            Equals("singular_values_centred", s),
            Equals("singular_value_mean", s_0),
            Equals("cosine", (s_0 - s) / (s_0 + (K - 1) * s)),
            Equals("class_mean_norm", sp.sqrt(sp.sqrt(lam_W / lam_H) * spread / n)),
            Equals("classifier_norm", sp.sqrt(sp.sqrt(lam_H / lam_W) * spread)),
            Equals("bias", sp.Min(1 / (1 + lam_b), t_rel / lam_b) / K),
            Equals("value", value),
        ),
        domain=Domain({**_SIZES, "t_rel": LogReals(1e-4, 0.99, edges=(0.999,), small=(0.5, 0.25)), **_WEIGHTS}),
        problem=_balanced,
        flow_domain=_FLOWS,
        assumes=(_SHALLOW, _BALANCED, _WIDE, _WEAK),
        campaign="class_encoding",
    ),
    Theorem(
        name="null",
        title="Too much regularisation: everything is zero but the bias",
        statement=(
            r"Balanced one-hot labels, squared loss, $t_{rel} = \sqrt{\lambda_W\lambda_H}\,K\sqrt n \ge 1$: the global "
            r"minimum is $W = 0$, $H = 0$, with every entry of the bias $1/(K(1+\lambda_b))$."
        ),
        citation=Citation("ufm", "class-encoding theorem, strong regularisation", "own"),
        kind="tight",
        claims=(
            Equals("singular_values_centred", sp.Integer(0)),
            Equals("singular_value_mean", sp.Integer(0)),
            Equals("bias", 1 / (K * (1 + lam_b))),
            Equals("value", (K - 1 + rho) / (2 * K)),
        ),
        domain=Domain({**_SIZES, "t_rel": LogReals(1.0, 1e3, edges=(1.0,), small=(2.0, 1.0)), **_WEIGHTS}),
        flow_domain=Domain({**_FLOWS.ranges, "t_rel": LogReals(1.3, 3.0)}),
        problem=_balanced,
        assumes=(_SHALLOW, _BALANCED, _STRONG),
    ),
    Theorem(
        name="bias_invariant",
        title="What the bias is at every critical point, for any encoding",
        statement=(
            r"Squared loss, any targets: at every critical point $(1+\lambda_b)\,b = \bar y - W\bar h$; "
            r"so $b$ centres the labels exactly only where $\lambda_b b = 0$."
        ),
        citation=Citation("ufm", "invariants, bias", "own"),
        kind="structural",
        claims=(Equals("bias_invariant", sp.Integer(0)),),
        domain=_ANY,
        flow_domain=_ANY_FLOWS,
        problem=_any_targets,
        assumes=(_SHALLOW,),
    ),
    Theorem(
        name="mean_invariant",
        title="Where the mean feature points at every critical point, for any encoding",
        statement=(
            r"Squared loss, any targets: at every critical point $N\lambda_H\bar h = \rho\,W'(\bar y - W\bar h)$ with "
            r"$\rho = \lambda_b/(1+\lambda_b)$, which is $\lambda_b W'b$ for a finite $\lambda_b$."
        ),
        citation=Citation("ufm", "invariants, mean feature", "own"),
        kind="structural",
        claims=(Equals("mean_invariant", sp.Integer(0)),),
        domain=_ANY,
        flow_domain=_ANY_FLOWS,
        problem=_any_targets,
        assumes=(_SHALLOW,),
    ),
    Theorem(
        name="networks",
        title="Trained networks follow the transition",
        statement=(
            r"Networks of 10 classes under the squared loss with penalties on features, classifier and bias: the "
            r"cosine of their uncentred class means is $-1/9$ up to one critical weight $\lambda_b^*$ of the bias and "
            r"$-\lambda_b^*/(10\lambda_b-\lambda_b^*)$ above it, to within 0.005, with a $\lambda_b^*$ that was read "
            r"off networks of other seeds."
        ),
        citation=Citation("ufm", "class-encoding theorem, trained networks", "own"),
        kind="statistical",
        claims=(),
        observed=(
            Observed(
                "distance_from_curve",
                _off_the_curve,
                most=0.005,
                fields=("cosine",),
                fit=_fitted_transition,
                apart=lambda run: run.setting,
            ),
        ),
        trained="class_encoding",
        domain=Domain(),
        problem=_balanced,
        no_proof="It is a claim about trained networks.",
    ),
)
