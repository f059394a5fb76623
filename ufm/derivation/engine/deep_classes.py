"""Deep linear models of equal classes, C = alpha I + beta 11': two directions, each with its share; any K, n, weights.

The order p is a number here and a letter in the carried proof; the layers enter through the product of their weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sympy as sp

from ufm.derivation.derivation import Derivation
from ufm.derivation.engine import direction, roots
from ufm.derivation.engine.codes import SENTENCES, Codes, entries, lam_b_star, spectrum, t_rel
from ufm.derivation.engine.deep import Lam, Pi, deep
from ufm.derivation.engine.pieces import Conditions, Kept, over_pieces
from ufm.derivation.engine.shallow import BIAS, Bias
from ufm.derivation.exchangeable import Exchangeable
from ufm.derivation.proof import Proof
from ufm.derivation.regimes import Regime, kappa
from ufm.derivation.signs import Sign
from ufm.symbols import K, N, delta_kl, lam_b, lam_H, n

t_mean = sp.Symbol("t_0", positive=True)
t_c, t_s = sp.symbols("t_c t_s", positive=True)
share, share_mean = (1 / (1 + letter) for letter in sp.symbols("v v_0", positive=True))  # between 0 and 1


@dataclass(frozen=True)
class DeepClasses:
    """Codes, bias and order: what the two directions are, and when they are kept."""

    codes: Codes
    bias: Bias
    order: int

    @property
    def power(self) -> Any:
        """2 - 2/p: tau is compared with sigma to this power."""
        return 2 - 2 / sp.sympify(self.order)

    @property
    def relative(self) -> Any:
        """tau/sigma^(2-2/p) for sigma = |alpha| sqrt(n), in Lambda."""
        return K * n ** (1 / sp.sympify(self.order)) * Lam / self.codes.size**self.power

    @property
    def weight(self) -> Any:
        """rho: what the mean direction keeps."""
        return lam_b / (1 + lam_b) if self.bias == "penalised" else sp.S.One

    @property
    def has_mean(self) -> bool:
        """Whether there is a mean direction to keep."""
        return self.bias != "free" and not self.codes.is_centred

    @property
    def is_one(self) -> bool:
        """Whether the mean direction is one of the others."""
        return self.bias == "none" and self.codes.is_even

    @property
    def mean_ratio(self) -> Any:
        """(|alpha|/|alpha + K beta|)^(2-2/p)/rho, t_0 over t_rel."""
        return (self.codes.size / self.codes.mean_size) ** self.power / self.weight

    @property
    def edge(self) -> Any:
        """t_c, the relative shrinkage at coexistence."""
        return roots.coexistence(self.order)

    @property
    def kept_mean(self) -> Any:
        """The share of the mean direction where it is kept, as a root."""
        return self.kept if self.is_one else roots.LargestRoot(t_mean, self.order)

    @property
    def kept(self) -> Any:
        """The share of the centred directions where they are kept, as a root."""
        return roots.LargestRoot(t_rel, self.order)

    @cached_property
    def cases(self) -> tuple[Kept, ...]:
        """Which directions can be kept together."""
        if not self.has_mean:
            return ((True, False), (False, False))
        if self.is_one:
            return ((True, True), (False, False))
        if self.codes.is_even:
            return ((True, True), (True, False), (False, False))
        return ((True, True), (True, False), (False, True), (False, False))

    @property
    def conditions(self) -> Conditions:
        """Kept for t_rel < t_c; the mean direction for t_0 < t_c, without dividing by what may vanish."""
        ratio = self.codes.size**self.power
        above = t_rel * ratio < t_c * self.weight * self.codes.mean_size**self.power
        return Conditions(t_rel < t_c, t_rel >= t_c, above, lam_b <= lam_b_star)


def deep_classes(codes: Codes, bias: Bias, order: int) -> Derivation:
    """Every observable of the global minimum for classes of one size, and the metastable band above it."""
    model = DeepClasses(codes, bias, order)
    proof = Proof(
        f"The optimum of equal classes with {order} factors",
        f"Squared loss, $p = {order}$ factors of any positive weights, {BIAS[bias]}, $K \\ge 2$ classes of "
        "$n$ samples with the codes "
        f"$\\alpha I + \\beta \\mathbf{{1}}\\mathbf{{1}}'$, $\\alpha = {sp.latex(codes.alpha)}$ and "
        f"$\\alpha + K\\beta = {sp.latex(codes.mean)}$, widths of at least ${codes.rank(bias)}$.",
    )
    proof.carry(deep(bias))
    direction.radicals(proof, order)
    spectrum(proof, codes)
    _parameters(proof, model)
    entries(proof)
    formulae = _observables(proof, model)
    claims = {
        **deep(bias).claims,
        "collapse": "at every global minimum all features of a class coincide",
        "coexistence": "at t_c zero and the kept point have one value; the formulae give zero there",
    }
    return proof.conclude(formulae, claims, tuple(_regime(proof, model, case) for case in model.cases))


def _parameters(proof: Proof, model: DeepClasses) -> None:
    """Relative shrinkage of both directions, and where the mean direction is lost."""
    codes, order = model.codes, sp.sympify(model.order)
    proof.define("mean weight of the classes", "", Lam, (Pi * lam_H) ** (1 / order), shown=False)
    proof.define(
        "relative regularisation", "The relative shrinkage of the centred directions is", t_rel, model.relative
    )
    proof.equal(
        "as carried",
        "as $\\tau/\\sigma^{2-2/p}$ with $\\tau = N\\Lambda$, $N = Kn$;",
        K * n * Lam / (sp.sqrt(n) * codes.size) ** model.power,
        t_rel,
    )
    proof.define("edge", "and it is kept below", t_c, model.edge)
    if not model.has_mean or model.is_one:
        return
    proof.define(
        "relative regularisation of the mean", "That of the mean direction is", t_mean, t_rel * model.mean_ratio
    )
    if model.bias == "penalised" and codes.is_even:
        star = t_rel / (t_c - t_rel)
        proof.define("threshold", "The mean direction is kept for $t_0 < t_c$, that is, above", lam_b_star, star)
        proof.equal("at the threshold", "where indeed", (t_rel * model.mean_ratio).subs(lam_b, star), t_c)


def _regime(proof: Proof, model: DeepClasses, case: Kept) -> Regime:
    """The piece in which these directions are kept: roots are letters there, and its inequalities settle conditions."""
    conditions = model.conditions
    below, zero = Sign.NEGATIVE, Sign.NONNEGATIVE
    signs = {_difference(proof, conditions.keep): below if case[0] else zero}
    slack = {proof.full(model.kept): share, K: kappa + 2}
    name, condition = "kept" if case[0] else "zero", "t_{rel} < t_c" if case[0] else "t_{rel} \\ge t_c"
    if model.has_mean and not model.is_one:
        slack[proof.full(model.kept_mean)] = share_mean
        signs[_difference(proof, conditions.above)] = below if case[1] else zero
        signs[_difference(proof, conditions.plateau)] = Sign.POSITIVE if case[1] else Sign.NONPOSITIVE
        name += f", mean {'kept' if case[1] else 'zero'}"
        condition += ", t_0 < t_c" if case[1] else ", t_0 \\ge t_c"
    return Regime(name, condition, slack, signs)


def _difference(proof: Proof, condition: Any) -> Any:
    full = proof.full(condition)
    return full.lhs - full.rhs


_SENTENCES = SENTENCES | {
    "singular_values_centred": "On the $K - 1$ centred directions the product of all factors has the singular values",
    "classifier_norm": "the norm of a row of the product $P$ of all layers,",
    "classifier_gram": "and of rows of $P$,",
}


def _observables(proof: Proof, model: DeepClasses) -> dict[str, Any]:
    """One formula for each observable, equal in every regime to what the directions leave there."""
    regimes = {case: _regime(proof, model, case) for case in model.cases}
    formulae = {"t_rel": proof.full(t_rel), "coexistence": model.edge, "spinodal": roots.spinodal(model.order)}
    if model.bias == "penalised" and model.has_mean and model.codes.is_even:
        formulae["lam_b_star"] = sp.Piecewise((proof.full(lam_b_star), proof.full(t_rel) < model.edge))
    for name, sentence in _SENTENCES.items():
        if model.bias == "none" and name == "bias":
            continue
        numbers = {case: _written(name, model, case) for case in model.cases}
        formula = over_pieces(numbers, model.conditions)
        derived = {regimes[case]: _carried(name, model, case) for case in model.cases}
        formulae[name] = proof.closed_form(name, sentence, formula, derived)
    proof.section("The metastable band")
    left = sp.sqrt(n) * model.codes.size
    proof.define("end of the band", "A relative shrinkage has a kept point below the spinodal", t_s,
                 roots.spinodal(model.order))  # fmt: skip
    band = (t_rel >= t_c) & (t_rel < t_s)
    metastable = sp.Piecewise((left * model.kept, band))
    formulae["metastable"] = proof.closed_form(
        "metastable",
        "Between the two the kept point of the centred directions is still a local minimum, above zero: $s$ there is",
        metastable,
        {_band(proof, model): left * share},
    )
    return formulae


def _band(proof: Proof, model: DeepClasses) -> Regime:
    full = proof.full(t_rel)
    signs = {full - model.edge: Sign.NONNEGATIVE, full - roots.spinodal(model.order): Sign.NEGATIVE}
    return Regime("metastable", "t_c \\le t_{rel} < t_s", {proof.full(model.kept): share}, signs)


def _written(name: str, model: DeepClasses, case: Kept) -> Any:
    """The observable as it is printed, in roots."""
    codes, rho = model.codes, model.weight
    x = model.kept if case[0] else sp.S.Zero
    x_0 = model.kept_mean if case[1] else sp.S.Zero
    size, mean = codes.size, codes.mean_size
    if name == "cosine" and not any(case):
        return sp.nan
    spread, spread_mean = size**2 * x * (1 - x), rho * mean**2 * x_0 * (1 - x_0)
    rows, rows_mean = x / (1 - x), x_0 / (rho * (1 - x_0))
    features = Exchangeable(spread, spread_mean)
    classifier = Exchangeable(rows, rows_mean)
    signed = Exchangeable(codes.alpha * x, codes.mean * x_0)
    cost = (K - 1) * size**2 * (1 - x) * (1 + (model.order - 1) * x)
    cost += _cost_of_the_mean(model, x_0)
    found: dict[str, Callable[[], Any]] = {
        "singular_values_centred": lambda: sp.sqrt(n) * size * x,
        "singular_value_mean": lambda: sp.sqrt(n) * mean * x_0 if model.has_mean else sp.S.Zero,
        "cosine": lambda: _cosine(spread, spread_mean),
        "class_mean_norm": lambda: sp.sqrt(features.diagonal / (K * n * lam_H)),
        "classifier_norm": lambda: sp.sqrt(K * n * lam_H * classifier.diagonal),
        "gram": lambda: _pair(features) / (K * n * lam_H),
        "classifier_gram": lambda: K * n * lam_H * _pair(classifier),
        "logits": lambda: _pair(signed) + _bias_entry(model, x_0),
        "bias": lambda: _bias_entry(model, x_0),
        "value": lambda: cost / (2 * K),
    }
    return found[name]()


def _cosine(spread: Any, spread_mean: Any) -> Any:
    """Off the diagonal over on it; a number where only one of the two is kept."""
    if spread == 0 or spread_mean == 0:
        spread, spread_mean = sp.Integer(spread != 0), sp.Integer(spread_mean != 0)
    return (spread_mean - spread) / (spread_mean + (K - 1) * spread)


def _cost_of_the_mean(model: DeepClasses, x_0: Any) -> Any:
    """Its part of the minimum: nothing where a free bias fits it."""
    if model.bias == "free":
        return sp.S.Zero
    return model.weight * model.codes.mean_size**2 * (1 - x_0) * (1 + (model.order - 1) * x_0)


def _pair(matrix: Exchangeable) -> Any:
    """The entry of classes k and l: the diagonal one where delta_kl = 1."""
    return matrix.off_diagonal + matrix.centred * delta_kl


def _bias_entry(model: DeepClasses, x_0: Any) -> Any:
    if model.bias == "none":
        return sp.S.Zero
    return model.codes.mean / K * (1 if model.bias == "free" else (1 - x_0) / (1 + lam_b))


def _carried(name: str, model: DeepClasses, case: Kept) -> Any:
    """The same from the carried formulae of a direction, in the letters of the regime."""
    general = deep(model.bias).formulae
    codes, rho = model.codes, model.weight
    x = share if case[0] else sp.S.Zero
    x_0 = (share if model.is_one else share_mean) if case[1] else sp.S.Zero
    lengths = {False: sp.sqrt(n) * codes.size, True: sp.sqrt(n) * codes.mean_size}

    def value(formula: str, mean: bool) -> Any:
        at = {direction.share: x_0 if mean else x, direction.p: model.order, N: K * n}
        return general[formula].xreplace({direction.sigma: lengths[mean]}).xreplace(at)

    if name == "cosine" and not any(case):
        return sp.nan
    on_mean = model.has_mean
    features = Exchangeable(value("features", False), rho * value("features", True) if on_mean else sp.S.Zero)
    rows = Exchangeable(value("classifier", False), value("classifier", True) / rho if on_mean else sp.S.Zero)
    left, left_mean = value("shrunk", False), value("shrunk", True) if on_mean else sp.S.Zero
    signed = Exchangeable(left * (codes.sign(codes.alpha) or 0), left_mean * (codes.sign(codes.mean) or 0))
    part_mean = rho * value("part", True) if on_mean else sp.S.Zero
    entry: Any = sp.S.Zero
    if model.bias == "free":
        entry = codes.mean / K
    if model.bias == "penalised":  # b = e_0/(sqrt(N)(1 + lam_b)) along the mean target
        rest = lengths[True] - left_mean
        entry = (codes.sign(codes.mean) or 0) * rest / (sp.sqrt(K * n) * (1 + lam_b)) / sp.sqrt(K)
    found: dict[str, Callable[[], Any]] = {
        "singular_values_centred": lambda: left,
        "singular_value_mean": lambda: left_mean,
        "cosine": lambda: features.off_diagonal / features.diagonal,
        "class_mean_norm": lambda: sp.sqrt(features.diagonal / n),
        "classifier_norm": lambda: sp.sqrt(rows.diagonal),
        "gram": lambda: _pair(features) / n,
        "classifier_gram": lambda: _pair(rows),
        "logits": lambda: _pair(signed) / sp.sqrt(n) + entry,
        "bias": lambda: entry,
        "value": lambda: ((K - 1) * value("part", False) + part_mean) / (K * n),
    }
    return found[name]()
