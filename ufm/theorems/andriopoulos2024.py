"""Neural multivariate regression collapse (arXiv 2409.04180), and two corrections of ours.

The paper's n, the target dimension, is m here, and its M, the number of samples, is N.
"""

import math
from typing import Any

import numpy as np
import sympy as sp

from ufm.catalogue import Assumption, Citation, Domain, Equals, Integers, LogReals, Theorem
from ufm.catalogue.assumptions import FREE_BIAS, FULL_RANK, NO_BIAS, SHALLOW, WIDE, covariance_spectrum
from ufm.catalogue.domain import Point
from ufm.problem import Problem, samples
from ufm.problem.scaling import scaling
from ufm.symbols import (
    COV_INVERSE_ROOT,
    COV_ROOT,
    VALUES,
    Y_CENTRED,
    Y_MEAN,
    N,
    SoftThreshold,
    Total,
    Y,
    cov,
    lam_H,
    lam_W,
    m,
    sigma_c,
)

_OBJECTIVE = (
    r"$\frac1{2M}\|WH+b1'-Y\|^2+\frac{\lambda_H}{2M}\|H\|^2+\frac{\lambda_W}2\|W\|^2$, $c=\lambda_H\lambda_W$, "
    r"$A=\Sigma^{1/2}-\sqrt c\,I$: "
)
_CITED = "Theorem 4.1"

c = lam_H * lam_W
M = N


def _strength(problem: Problem) -> float:
    """The paper's c."""
    ours = {"lam_W": float(problem.lam_W[0]), "lam_H": float(problem.lam_H)}
    paper = scaling("andriopoulos2024").from_ours(ours, 1, problem.N)
    return paper["lam_W"] * paper["lam_H"]


def _least(problem: Problem) -> float:
    return float(covariance_spectrum(problem)[-1])


def _largest(problem: Problem) -> float:
    return float(covariance_spectrum(problem)[0])


_BELOW_ALL = Assumption("0 < c < lam_min", lambda p: 0 < _strength(p) < _least(p))
_BELOW_ONE = Assumption("0 < c < lam_max", lambda p: 0 < _strength(p) < _largest(p))
_ABOVE_ALL = Assumption("c > lam_max", lambda p: _strength(p) > _largest(p))
_REGRESSION = (SHALLOW, FREE_BIAS, WIDE, FULL_RANK)


def _targets(point: Point) -> np.ndarray:
    """Small integer targets, more samples than dimensions."""
    rng = np.random.default_rng(point["seed"])
    return rng.integers(-3, 4, (point["m"], point["m"] + point["more"]))


def _problem(point: Point, size: Any) -> Problem:
    """lam_H, lam_W with c = c_rel times the eigenvalue of the target covariance that `size` picks."""
    Y = _targets(point)
    unit = size(Problem(targets=samples(Y), lam_W=0.0, lam_H=0.0))
    root = math.sqrt(point["c_rel"] * max(unit, 1e-6))
    paper = {"lam_W": root * point["aspect"], "lam_H": root / point["aspect"]}
    return Problem(targets=samples(Y), lam_b=0.0, **scaling("andriopoulos2024").to_ours(paper, 1, Y.shape[1]))


def _relative_to_largest(point: Point) -> Problem:
    return _problem(point, _largest)


def _relative_to_least(point: Point) -> Problem:
    return _problem(point, _least)


def _unregularised(point: Point) -> Problem:
    return Problem(targets=samples(_targets(point)), lam_W=0.0, lam_H=0.0)


def _kept_columns(problem: Problem) -> np.ndarray:
    """[A^{1/2}]_{j*}: the first j* columns of the root of A, the others zero.

    A is a matrix in the coordinates of the targets, and so is its root; where A is indefinite the negative eigenvalues'
    roots, imaginary, are left out.
    """
    strength, root = _strength(problem), VALUES["Sigma^{1/2}"](problem)
    values, vectors = np.linalg.eigh(root - math.sqrt(strength) * np.eye(problem.m))
    A_root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    kept = int(np.sum(covariance_spectrum(problem) >= strength))
    return np.where(np.arange(problem.m) < kept, A_root, 0.0)


_KEPT = sp.MatrixSymbol("[A^{1/2}]_{j*}", m, m)
_LETTERS = {_KEPT: _kept_columns}
_POSITIVE_PART = SoftThreshold(COV_ROOT, sp.sqrt(c))
_A = COV_ROOT - sp.sqrt(c) * sp.Identity(m)
_eta = sp.Max(0, sigma_c - sp.sqrt(M * lam_W * lam_H))
_sum: Any = Total
_d1_value = _sum((_eta - sigma_c) ** 2) / 2 + sp.sqrt(M * lam_W * lam_H) * _sum(_eta)

_SIZES = {
    "m": Integers(1, 6, small=(2, 1)),
    "more": Integers(1, 20, small=(1, 2)),
    "seed": Integers(1, 10**6, small=(1, 2, 3)),
    "aspect": LogReals(1e-2, 1e2, small=(1.0,)),
}
_DOMAIN = Domain({**_SIZES, "c_rel": LogReals(1e-3, 0.99, small=(0.25, 0.5))})
_FLOW_SIZES = {
    "m": Integers(1, 4),
    "more": Integers(2, 8),
    "seed": Integers(1, 10**6),
    "aspect": LogReals(0.5, 2.0),
}
_FLOWS = Domain({**_FLOW_SIZES, "c_rel": LogReals(0.05, 0.5)})


def _corollary(name: str, title: str, words: str, *claims: Equals, assumes: tuple[Assumption, ...] = ()) -> Theorem:
    """A claim of Corollary 4.2, for 0 < c < lam_min."""
    return Theorem(
        name=f"cor4_2_{name}",
        title=title,
        statement=_OBJECTIVE + r"if $0<c<\lambda_{min}$, at every global minimiser " + words,
        citation=Citation("andriopoulos2024", "Corollary 4.2"),
        kind="tight",
        claims=claims,
        domain=_DOMAIN,
        flow_domain=_FLOWS,
        problem=_relative_to_least,
        assumes=(*_REGRESSION, _BELOW_ALL, *assumes),
        scaling="andriopoulos2024",
    )


_MINIMISERS = (
    r"if $0<c<\lambda_{max}$, the global minimisers are $W=(\lambda_H/\lambda_W)^{1/4}[A^{1/2}]_{j*}R$, "
    r"$H=\sqrt{\lambda_W/\lambda_H}\,W'\Sigma^{-1/2}(Y-\bar Y)$, $b=\bar y$, $RR'=I$, "
    r"$j^*=\max\{j:\lambda_j\ge c\}$"
)

THEOREMS = (
    Theorem(
        name="thm4_1",
        title="The global minimisers, with the first columns of a matrix root",
        statement=_OBJECTIVE
        + _MINIMISERS
        + r" and $[\cdot]_j$ keeps the first $j$ columns and zeroes the rest. (Read as printed: $A^{1/2}$ is the "
        r"symmetric root, a matrix in the coordinates of the targets, without its imaginary part where "
        r"$c>\lambda_{min}$.)",
        instead=("andriopoulos2024:thm4_1_corrected",),
        citation=Citation("andriopoulos2024", _CITED),
        kind="tight",
        claims=(
            Equals("classifier_gram", sp.sqrt(lam_H / lam_W) * _KEPT * _KEPT.T, _LETTERS),
            Equals("logits", Y_MEAN + _KEPT * _KEPT.T * COV_INVERSE_ROOT * Y_CENTRED, _LETTERS),
            Equals("bias_gap", sp.Integer(0)),
        ),
        domain=_DOMAIN,
        problem=_relative_to_largest,
        assumes=(*_REGRESSION, _BELOW_ONE),
        scaling="andriopoulos2024",
        no_proof="It is refuted: the first columns of the root are not its leading directions.",
    ),
    Theorem(
        name="thm4_1_corrected",
        title="The global minimisers, with the positive part of A",
        statement=_OBJECTIVE
        + _MINIMISERS
        + r" where $[A^{1/2}]_{j*}=U[(\Lambda^{1/2}-\sqrt c\,I)_+]^{1/2}$ for $\Sigma=U\Lambda U'$: the columns that "
        r"are "
        r"kept are those along the leading eigenvectors. (Our correction; for $c<\lambda_{min}$ it is the statement "
        r"as printed.)",
        citation=Citation("andriopoulos2024", _CITED + ", corrected here", "own"),
        kind="tight",
        claims=(
            Equals("classifier_gram", sp.sqrt(lam_H / lam_W) * _POSITIVE_PART),
            Equals("logits", Y_MEAN + _POSITIVE_PART * COV_INVERSE_ROOT * Y_CENTRED),
            Equals("bias_gap", sp.Integer(0)),
        ),
        domain=_DOMAIN,
        flow_domain=_FLOWS,
        problem=_relative_to_largest,
        assumes=(*_REGRESSION, _BELOW_ONE),
        scaling="andriopoulos2024",
    ),
    Theorem(
        name="thm4_1_null",
        title="Too much regularisation: only the bias is left",
        statement=_OBJECTIVE + r"if $c>\lambda_{max}$, the global minimiser is $(0,0,\bar y)$.",
        citation=Citation("andriopoulos2024", _CITED),
        kind="tight",
        claims=(
            Equals("classifier_gram", sp.Integer(0)),
            Equals("gram", sp.Integer(0)),
            Equals("bias_gap", sp.Integer(0)),
        ),
        domain=Domain({**_SIZES, "c_rel": LogReals(1.001, 1e2, small=(2.0,))}),
        flow_domain=Domain({**_FLOW_SIZES, "c_rel": LogReals(1.5, 5.0)}),
        problem=_relative_to_largest,
        assumes=(*_REGRESSION, _ABOVE_ALL),
        scaling="andriopoulos2024",
    ),
    Theorem(
        name="thm4_1_saddles",
        title="Every other critical point is a strict saddle",
        statement=_OBJECTIVE
        + r"every critical point that is not a global minimiser is a strict saddle. What is asked of the flows: from "
        r"random starts they end at the global value, $\sum_i \frac c2+\sqrt c(\sqrt{\lambda_i}-\sqrt c)$ over "
        r"$\lambda_i\ge c$ and $\sum_i\lambda_i/2$ over the others.",
        citation=Citation("andriopoulos2024", _CITED),
        kind="structural",
        claims=(
            Equals(
                "value",
                Total(sp.Piecewise((c / 2 + sp.sqrt(c) * (sp.sqrt(cov) - sp.sqrt(c)), cov >= c), (cov / 2, True))),
            ),
        ),
        domain=Domain({**_SIZES, "c_rel": LogReals(1e-3, 2.0, small=(0.25, 0.5))}),
        flow_domain=Domain({**_FLOW_SIZES, "c_rel": LogReals(0.05, 2.0)}),
        problem=_relative_to_largest,
        assumes=_REGRESSION,
        scaling="andriopoulos2024",
    ),
    _corollary(
        "rows", "Features lie in the row space of W", r"$h_i\in\mathrm{rowspace}(W)$.", Equals("outside_rows", 0)
    ),
    _corollary(
        "classifier",
        "The classifier's Gram matrix is the shifted root of the target covariance",
        r"$WW'=\sqrt{\lambda_H/\lambda_W}\,(\Sigma^{1/2}-\sqrt c\,I)$.",
        Equals("classifier_gram", sp.sqrt(lam_H / lam_W) * _A),
    ),
    _corollary(
        "energy",
        "Features and classifier share the penalty",
        r"$\lambda_H\|H\|^2=M\lambda_W\|W\|^2$.",
        Equals("energy_ratio", M * lam_W / lam_H),
    ),
    _corollary(
        "value",
        "The minimum value",
        r"$L^*=\frac{nc}2+\sqrt c\,\|A^{1/2}\|_F^2$.",
        Equals("value", m * c / 2 + sp.sqrt(c) * Total(sp.sqrt(cov) - sp.sqrt(c))),  # ||A^{1/2}||_F^2 = tr A
    ),
    _corollary(
        "residual",
        "The residual is the whitened target",
        r"$WH+b1'-Y=-\sqrt c\,\Sigma^{-1/2}(Y-\bar Y)$.",
        Equals("logits", Y - sp.sqrt(c) * COV_INVERSE_ROOT * Y_CENTRED),
    ),
    Theorem(
        name="lemma_d1_product",
        title="The product is the soft-thresholded centred target matrix",
        statement=_OBJECTIVE + r"at a global minimum $WH=U[\tilde S-\sqrt{M\lambda_W\lambda_H}]_+V'$, "
        r"$Y-\bar Y=U\tilde SV'$.",
        citation=Citation("andriopoulos2024", "Lemma D.1"),
        kind="tight",
        claims=(
            Equals("singular_values_centred", _eta),
            Equals("logits", Y_MEAN + SoftThreshold(Y_CENTRED, sp.sqrt(M * lam_W * lam_H))),
        ),
        domain=Domain({**_SIZES, "c_rel": LogReals(1e-3, 2.0, small=(0.25, 0.5))}),
        flow_domain=_FLOWS,
        problem=_relative_to_largest,
        assumes=_REGRESSION,
        scaling="andriopoulos2024",
    ),
    Theorem(
        name="lemma_d1_value",
        title="The minimum value, without the objective's 1/M",
        statement=_OBJECTIVE + r"the minimum value is $\frac12\sum(\eta-\sigma)^2+\sqrt{M\lambda_W\lambda_H}\sum\eta$, "
        r"$\eta=(\sigma-\sqrt{M\lambda_W\lambda_H})_+$. (Read as the value of the objective above; it is that of $M$ "
        r"times the objective.)",
        instead=("andriopoulos2024:lemma_d1_value_corrected",),
        citation=Citation("andriopoulos2024", "Lemma D.1"),
        kind="tight",
        claims=(Equals("value", _d1_value),),
        domain=Domain({**_SIZES, "c_rel": LogReals(1e-3, 2.0, small=(0.25, 0.5))}),
        problem=_relative_to_largest,
        assumes=_REGRESSION,
        scaling="andriopoulos2024",
        no_proof="It is refuted: the formula is M times the minimum of the objective.",
    ),
    Theorem(
        name="lemma_d1_value_corrected",
        title="The minimum value of the objective",
        statement=_OBJECTIVE
        + r"the minimum value is $\frac1M\left(\frac12\sum(\eta-\sigma)^2+\sqrt{M\lambda_W\lambda_H}\sum\eta\right)$. "
        r"(Our correction.)",
        citation=Citation("andriopoulos2024", "Lemma D.1, corrected here", "own"),
        kind="tight",
        claims=(Equals("value", _d1_value / M),),
        domain=Domain({**_SIZES, "c_rel": LogReals(1e-3, 2.0, small=(0.25, 0.5))}),
        flow_domain=_FLOWS,
        problem=_relative_to_largest,
        assumes=_REGRESSION,
        scaling="andriopoulos2024",
    ),
    Theorem(
        name="thm4_3",
        title="Without regularisation nothing collapses",
        statement=r"$\frac1{2M}\|WH-Y\|^2$, no regularisation, no bias: the minimisers are full-rank $W$ with "
        r"$H=W^+Y+(I-W^+W)Z$, $Z$ arbitrary. What is asked of the optima: the value 0 and $WH=Y$, which they all "
        r"share.",
        citation=Citation("andriopoulos2024", "Theorem 4.3"),
        kind="structural",
        claims=(Equals("value", sp.Integer(0)), Equals("logits", Y)),
        domain=Domain({name: _SIZES[name] for name in ("m", "more", "seed")}),
        problem=_unregularised,
        assumes=(SHALLOW, NO_BIAS, WIDE, FULL_RANK),
        scaling="andriopoulos2024",
    ),
    Theorem(
        name="thmF_1",
        title="The shift that brings the root of the covariance closest to WW'",
        statement=r"If $\mathrm{tr}\,\Sigma^{1/2}>\mathrm{tr}\,WW'$, $\|WW'-\Sigma^{1/2}+\gamma^{1/2}I\|_F^2$ has the "
        r"unique minimum $\gamma^*=((\mathrm{tr}\,\Sigma^{1/2}-\mathrm{tr}\,WW')/n)^2$. What is asked of the optima: "
        r"$\sqrt{\gamma^*}$ at the $W$ of Corollary 4.2.",
        citation=Citation("andriopoulos2024", "Theorem F.1"),
        kind="tight",
        claims=(
            Equals(
                "isotropic_shift",
                Total(sp.sqrt(cov) - sp.sqrt(lam_H / lam_W) * (sp.sqrt(cov) - sp.sqrt(c))) / m,
            ),
        ),
        domain=_DOMAIN,
        flow_domain=_FLOWS,
        problem=_relative_to_least,
        assumes=(
            *_REGRESSION,
            _BELOW_ALL,
            Assumption("tr Sigma^{1/2} > tr WW' at the optimum", lambda p: _trace_gap(p) > 0),
        ),
        scaling="andriopoulos2024",
    ),
)


def _trace_gap(problem: Problem) -> float:
    """tr Sigma^{1/2} - tr WW' at the optimum."""
    ours = {"lam_W": float(problem.lam_W[0]), "lam_H": float(problem.lam_H)}
    paper = scaling("andriopoulos2024").from_ours(ours, 1, problem.N)
    roots = np.sqrt(np.maximum(0, covariance_spectrum(problem)))
    kept = np.maximum(0, roots - math.sqrt(_strength(problem)))
    return float(np.sum(roots) - math.sqrt(paper["lam_H"] / paper["lam_W"]) * np.sum(kept))
