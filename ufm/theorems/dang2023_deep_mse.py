"""Neural collapse in deep linear networks (arXiv 2301.00437), squared loss, and a correction of ours."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp
from scipy.optimize import root_scalar

from ufm import encodings
from ufm.catalogue import (
    Assumption,
    Citation,
    Domain,
    Equals,
    Integers,
    LogReals,
    Named,
    Theorem,
    Unbeaten,
    Values,
)
from ufm.catalogue.assumptions import BALANCED, FREE_BIAS, NO_BIAS, ONE_HOT, WIDE
from ufm.catalogue.domain import Point
from ufm.problem import Problem, classes
from ufm.symbols import K, N, Total, delta_kl, lam_H, n_k
from ufm.theorems.dang2023_gof import sizes

_OBJECTIVE = (
    r"$\frac1{2N}\|W_M\cdots W_1H-Y\|^2+\frac12\sum_j\lambda_{W_j}\|W_j\|^2+\frac{\lambda_H}2\|H\|^2$, one-hot, no "
    r"bias, width at least $K$: "
)
_ROOT = (
    r"$b_k=MN(N\lambda_{W_M}\cdots\lambda_{W_1}\lambda_H)^{1/M}/n_k$, $x_k$ the largest real root of "
    r"$Mx^{M-1}/(x^M+1)^2=b_k$"
)
_SPECTRUM = (
    r"$s_k=(N\lambda_Hx_k^M)^{1/(2M)}$, the minimiser has $(W_M\cdots W_1)(W_M\cdots W_1)'=\mathrm{diag}(s_k^{2M})$, "
    r"$\bar H'\bar H=\mathrm{diag}(s_k^{2M}/(s_k^{2M}+N\lambda_H)^2)$ and "
    r"$W_M\cdots W_1\bar H=\mathrm{diag}(s_k^{2M}/(s_k^{2M}+N\lambda_H))$."
)

M = sp.Symbol("M", integer=True, positive=True)  # linear layers
x_printed = sp.Symbol("x_k", nonnegative=True)  # the largest root, or 0 where there is none
x = sp.Symbol("x_k^*", nonnegative=True)  # the largest root where x^M > M - 1, or 0


def layers_of(problem: Problem) -> int:
    """The paper's M."""
    return problem.p - 1


def strength(problem: Problem) -> np.ndarray:
    """The paper's b_k: M N (N lam_WM..lam_W1 lam_H)^(1/M)/n_k, one number a class."""
    layers = layers_of(problem)
    product = problem.N * math.prod(map(float, problem.lam_W)) * float(problem.lam_H)
    return layers * problem.N * product ** (1 / layers) / problem.classes.counts


def coexistence(layers: int) -> float:
    """The b_k at which zero and the root's point have one value: (M-1)^((M-1)/M)/M."""
    return (layers - 1) ** ((layers - 1) / layers) / layers


def _largest_root(b: float, layers: int) -> float:
    """Of M x^(M-1)/(x^M + 1)^2 = b; 0 where there is none."""
    if layers == 1:
        return max(0.0, 1 / math.sqrt(b) - 1)
    top = ((layers - 1) / (layers + 1)) ** (1 / layers)

    def excess(y: float) -> float:
        return math.log(layers / b) + (layers - 1) * y - 2 * math.log1p(math.exp(layers * y))

    low, high = math.log(top), max(math.log(top), math.log(layers / b) / (layers + 1)) + 1e-9
    return 0.0 if excess(low) < 0 else math.exp(_root_of(excess, low, high))


def _root_of(function: Callable[[float], float], low: float, high: float) -> float:
    found = root_scalar(function, bracket=(low, high), method="brentq", xtol=1e-15, rtol=1e-15)
    return float(found.root)


def roots(problem: Problem) -> np.ndarray:
    """x_k as printed, one number a class."""
    return np.array([_largest_root(float(b), layers_of(problem)) for b in strength(problem)])


def kept_root(b: float, layers: int) -> float:
    """The largest root where it is the global minimum, that is, where its M-th power is above M - 1; else 0."""
    found = _largest_root(b, layers)
    return found if found**layers > layers - 1 else 0.0


def kept_roots(problem: Problem) -> np.ndarray:
    """x_k where it is the global minimum, one number a class."""
    return np.array([kept_root(float(b), layers_of(problem)) for b in strength(problem)])


def _point(problem: Problem, root: np.ndarray) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """Diagonal layers and class means with s_k of these roots, for equal lam_W."""
    layers, unit = layers_of(problem), problem.N * float(problem.lam_H)
    s = (unit * root**layers) ** (1 / (2 * layers))
    return (np.diag(s),) * layers, np.diag(s**layers / (s ** (2 * layers) + unit))


PREDICTED = Named("the predicted minimiser", lambda problem: _point(problem, roots(problem)))
ZERO = Named("zero", lambda problem: _point(problem, np.zeros(problem.K)))


def weights(problem_b: float, largest: int, N: int, point: Point) -> dict[str, Any]:
    """lam_W, lam_H at which the largest class has b_k = problem_b; aspect tilts the features, tilt the layers."""
    layers = point["M"]
    product = (problem_b * largest / (layers * N)) ** layers / N  # lam_WM..lam_W1 lam_H
    unit = product ** (1 / (layers + 1))
    tilts = np.linspace(-1, 1, layers) if layers > 1 else np.zeros(1)
    lam_W = [unit * point["aspect"] * point.get("tilt", 1.0) ** float(t) for t in tilts]
    return {"lam_W": tuple(lam_W), "lam_H": unit / point["aspect"] ** layers}


def _unequal(point: Point) -> Problem:
    """Classes of any sizes; `level` times the value at which the largest class is lost."""
    counts = sizes(point)
    b = point["level"] * coexistence(point["M"])
    return Problem(
        targets=classes(encodings.one_hot(point["K"]), counts), **weights(b, max(counts), sum(counts), point)
    )


def _equal(point: Point, lam_b: float) -> Problem:
    counts = point["n"]
    b = point["level"] * coexistence(point["M"])
    ours = weights(b, counts, point["K"] * counts, point)
    return Problem(targets=classes(encodings.one_hot(point["K"]), counts), lam_b=lam_b, **ours)


def no_bias(point: Point) -> Problem:
    """Balanced classes without a bias."""
    return _equal(point, math.inf)


def _free_bias(point: Point) -> Problem:
    return _equal(point, 0.0)


def printed_threshold(problem: Problem) -> float:
    """K (K n lam_WM..lam_W1 lam_H)^(1/M) over (M-1)^((M-1)/M)/M^2: below 1 the theorem says orthogonal frames."""
    layers, n = layers_of(problem), int(problem.classes.counts[0])
    product = math.prod(map(float, problem.lam_W)) * float(problem.lam_H)
    left = problem.K * (problem.K * n * product) ** (1 / layers)
    return left / ((layers - 1) ** ((layers - 1) / layers) / layers**2)


SQUARED = Assumption("the loss is squared", lambda p: p.loss == "mse")
DEEP = Assumption("there are at least two linear layers", lambda p: p.p >= 3)
_ONE_WEIGHT = Assumption("all layers have one weight", lambda p: len(set(map(float, p.lam_W))) == 1)
_BELOW = Assumption(
    "K (K n lam_WM..lam_W1 lam_H)^{1/M} < (M-1)^{(M-1)/M}/M^2", lambda p: printed_threshold(p) < 1 - 1e-9
)
_ABOVE = Assumption(
    "K (K n lam_WM..lam_W1 lam_H)^{1/M} > (M-1)^{(M-1)/M}/M^2", lambda p: printed_threshold(p) > 1 + 1e-9
)

_COUNT = {M: layers_of}
_PRINTED = {x_printed: roots, **_COUNT}
LETTERS = {x: kept_roots, **_COUNT}


def spectrum(root: Any) -> tuple[Any, Any, Any]:
    """(classifier_gram, gram, logits) of the classes, in s_k^{2M} = N lam_H x_k^M."""
    s2M = N * lam_H * root**M
    return s2M * delta_kl, s2M / (s2M + N * lam_H) ** 2 * delta_kl, s2M / (s2M + N * lam_H) * delta_kl


def _claims(root: Any, letters: Any) -> tuple[Equals, ...]:
    names = ("classifier_gram", "gram", "logits")
    return tuple(Equals(name, formula, letters) for name, formula in zip(names, spectrum(root), strict=True))


_kappa = x**M / (x**M + 1)  # w_k'h_k of the product
_ASPECT = LogReals(1e-1, 10.0, edges=(1.0,), small=(1.0,))
_DEPTHS = Values((2, 3, 6))
_UNEQUAL = {
    "M": Values((2, 1, 3, 6)),
    "K": Integers(2, 12, small=(2, 3)),
    "n": Integers(1, 500, small=(1, 2)),
    "seed": Integers(1, 10**6, small=(1, 2)),
    "level": LogReals(1e-3, 1.5, small=(1.1, 0.5)),
    "aspect": _ASPECT,
}
_BALANCED = {
    "M": _DEPTHS,
    "K": Integers(2, 20, small=(2, 3)),
    "n": Integers(1, 500, small=(1, 2)),
    "level": LogReals(1e-3, 0.999, edges=(0.5, 0.999), small=(0.5,)),
    "aspect": _ASPECT,
    "tilt": LogReals(0.5, 2.0, small=(1.0,)),
}
_STRONG = {**_BALANCED, "level": LogReals(1.001, 1e2, edges=(1.001, 1.2), small=(1.1, 2.0))}


def _off_coexistence(problem: Problem) -> bool:
    """Whether no class's b_k meets (M-1)^{(M-1)/M}/M to round-off: there zero and the root are equally low."""
    return not np.isclose(strength(problem), coexistence(layers_of(problem)), rtol=1e-9, atol=0).any()


_NO_TIE = Assumption(r"no class is where two minima tie, b_k = (M-1)^{(M-1)/M}/M", _off_coexistence)

THEOREMS = (
    Theorem(
        name="released_code",
        title="Unequal classes: each on the largest root, even where zero is better",
        statement=_OBJECTIVE + _ROOT + r", or 0 where there is none, " + _SPECTRUM + r" (Equal $\lambda_{W_j}$; the "
        r"code leaves the first matrix up to a factor, which is 1.)",
        instead=("dang2023_deep_mse:released_code_corrected",),
        citation=Citation("dang2023", "released code, the expected spectrum of imbalanced deep linear runs", "code"),
        kind="tight",
        claims=(Unbeaten(PREDICTED, (ZERO,)), *_claims(x_printed, _PRINTED)),
        domain=Domain(_UNEQUAL),
        problem=_unequal,
        assumes=(SQUARED, ONE_HOT, NO_BIAS, WIDE, _ONE_WEIGHT),
        scaling="dang2023",
        no_proof="It is refuted: where x_k^M < M - 1 the root is a local minimum only, and zero lies lower.",
    ),
    Theorem(
        name="released_code_corrected",
        title="Unequal classes: each on the largest root where that is the global minimum",
        statement=_OBJECTIVE
        + _ROOT
        + r" where $x_k^M>M-1$, or 0 otherwise, that is, where $b_k\ge(M-1)^{(M-1)/M}/M$; "
        + _SPECTRUM
        + r" (Our correction. The $\lambda_{W_j}$ may differ.) The minimum is "
        r"$\frac1{2N}\sum_kn_k(1-\kappa_k)(1+M\kappa_k)$ with $\kappa_k=x_k^M/(x_k^M+1)$.",
        citation=Citation("dang2023", "released code, corrected here", "own"),
        kind="tight",
        claims=(
            *_claims(x, LETTERS),
            Equals("value", Total(n_k * (1 - _kappa) * (1 + M * _kappa)) / (2 * N), LETTERS),  # pyright: ignore
        ),
        domain=Domain({**_UNEQUAL, "tilt": LogReals(0.5, 2.0, small=(1.0,))}),
        flow_domain=Domain(
            {
                "M": Values((2, 3)),
                "K": Integers(2, 4),
                "n": Integers(2, 6),
                "seed": Integers(1, 10**6),
                "level": LogReals(0.02, 0.1),
                "aspect": LogReals(0.7, 1.4),
                "tilt": LogReals(0.7, 1.4),
            }
        ),
        problem=_unequal,
        assumes=(SQUARED, ONE_HOT, NO_BIAS, WIDE, _NO_TIE),
        scaling="dang2023",
    ),
    Theorem(
        name="thm3_1",
        title="Balanced classes, no bias: orthogonal frames in every layer",
        statement=_OBJECTIVE + r"balanced classes, $M\ge2$: if $K(Kn\lambda_{W_M}\cdots\lambda_{W_1}\lambda_H)^{1/M}<"
        r"\frac{(M-1)^{(M-1)/M}}{M^2}$, all of $W_M\cdots W_j$ and $H$ are orthogonal frames, aligned across layers. "
        r"(Their lengths are ours, in terms of the root $x$ of $Mx^{M-1}/(x^M+1)^2=b$; aligned is read as "
        r"$\lambda_{W_{j+1}}W_{j+1}'W_{j+1}=\lambda_{W_j}W_jW_j'$, and the same for $W_1$ and $H$.)",
        citation=Citation("dang2023", "Theorem 3.1", "memory"),
        kind="tight",
        claims=(*_claims(x, LETTERS), Equals("balance", sp.Integer(0))),
        domain=Domain(_BALANCED),
        problem=no_bias,
        assumes=(SQUARED, DEEP, BALANCED, NO_BIAS, WIDE, _BELOW),
        scaling="dang2023",
    ),
    Theorem(
        name="thm3_1_null",
        title="Balanced classes, no bias: zero above the threshold",
        statement=_OBJECTIVE + r"balanced classes, $M\ge2$: if $K(Kn\lambda_{W_M}\cdots\lambda_{W_1}\lambda_H)^{1/M}>"
        r"\frac{(M-1)^{(M-1)/M}}{M^2}$, the minimiser is 0.",
        citation=Citation("dang2023", "Theorem 3.1", "memory"),
        kind="tight",
        claims=(Equals("gram", sp.Integer(0)), Equals("classifier_gram", sp.Integer(0))),
        domain=Domain(_STRONG),
        problem=no_bias,
        assumes=(SQUARED, DEEP, BALANCED, NO_BIAS, _ABOVE),
        scaling="dang2023",
    ),
    Theorem(
        name="thm3_2",
        title="Balanced classes, free bias: simplex frames in every layer",
        statement=_OBJECTIVE.replace("no bias", r"with an unregularised bias $b$ beside $W_M\cdots W_1H$")
        + r"balanced classes, $M\ge2$, and the threshold of Theorem 3.1: below it $I_K-\frac1K11'$ takes the place of "
        r"$I_K$, and $b=\frac1K$. (The lengths are those of Theorem 3.1.)",
        citation=Citation("dang2023", "Theorem 3.2", "memory"),
        kind="tight",
        claims=(
            *(
                Equals(claim.observable, claim.expression.xreplace({delta_kl: delta_kl - 1 / K}), LETTERS)
                for claim in _claims(x, LETTERS)[:2]
            ),
            Equals("logits", spectrum(x)[2].xreplace({delta_kl: delta_kl - 1 / K}) + 1 / K, LETTERS),
            Equals("bias", 1 / K),
        ),
        domain=Domain(_BALANCED),
        problem=_free_bias,
        assumes=(SQUARED, DEEP, BALANCED, FREE_BIAS, WIDE, _BELOW),
        scaling="dang2023",
    ),
    Theorem(
        name="thm3_2_null",
        title="Balanced classes, free bias: only the bias above the threshold",
        statement=_OBJECTIVE.replace("no bias", r"with an unregularised bias $b$ beside $W_M\cdots W_1H$")
        + r"balanced classes, $M\ge2$: above the threshold of Theorem 3.1 the minimiser is 0, with $b=\frac1K$.",
        citation=Citation("dang2023", "Theorem 3.2", "memory"),
        kind="tight",
        claims=(Equals("gram", sp.Integer(0)), Equals("classifier_gram", sp.Integer(0)), Equals("bias", 1 / K)),
        domain=Domain(_STRONG),
        problem=_free_bias,
        assumes=(SQUARED, DEEP, BALANCED, FREE_BIAS, _ABOVE),
        scaling="dang2023",
    ),
)
