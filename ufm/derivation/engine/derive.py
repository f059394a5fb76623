"""`ufm.derive`: from a problem in letters to the closed form of its optimum over all regimes, step by step."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from types import MappingProxyType
from typing import Any

import sympy as sp

from ufm import encodings
from ufm.derivation.derivation import Derivation, Step
from ufm.derivation.engine.any_classes import any_classes
from ufm.derivation.engine.codes import Codes, balanced_classes
from ufm.derivation.engine.deep import Pi
from ufm.derivation.engine.deep_classes import deep_classes
from ufm.derivation.engine.deep_targets import deep_sizes, deep_targets
from ufm.derivation.engine.entropy import eps, simplex
from ufm.derivation.engine.mean_target import costs_nothing, place
from ufm.derivation.engine.refusal import OutOfReachError
from ufm.derivation.engine.samples import any_targets
from ufm.derivation.engine.shallow import Bias
from ufm.derivation.engine.sizes import unequal_classes, with_sizes
from ufm.derivation.proof import equation
from ufm.derivation.regimes import Regime, kappa
from ufm.derivation.signs import Sign, sign_of
from ufm.encodings import Encoding
from ufm.problem import ClassTargets, Problem, SampleTargets
from ufm.problem.symbolic import SymbolicClasses, SymbolicSamples
from ufm.symbols import K, N, Total, lam_b, lam_H, lam_W, n, n_k


def derive(problem: Problem) -> Derivation:
    """The closed form of the global optimum, derived from the loss: every step verified, by a lemma, or refused.

    problem: sizes and weights may be SymPy symbols (K in the encoding, class sizes, lam_W of each layer, lam_H, lam_b,
    label smoothing); numbers are put in at the end. Regression targets are a MatrixSymbol. The result holds `formulae`
    (Piecewise over the regimes, by observable), `.at({letter: number})`, `steps`, `.latex()`, `.markdown()` and
    `.text()`.
    Squared loss of any depth: equal classes of exchangeable codes, one-hot classes of any sizes without a bias, other
    classes and any targets in the singular values of the targets: without a bias, with a free one, and with a penalised
    one where the mean target is zero (or, in one layer, annihilated by the target covariance). From p = 3 on a
    share is a root, `LargestRoot`: in radicals by `sympy.expand_func` for p = 3 and 4. Cross-entropy: equal classes,
    one-hot labels, smoothed or not, one layer.
    Raises OutOfReachError for a problem whose optimum has no derivation here: it says what is missing.
    """
    _in_reach(problem)
    return replace(_closed_form(problem, _bias(problem)), problem=problem)


def _closed_form(problem: Problem, bias: Bias) -> Derivation:
    if problem.loss == "cross_entropy":
        return _entropy(problem, bias)
    if problem.p > 2:
        return _deep(problem, bias)
    targets = problem.targets
    if isinstance(targets, SymbolicSamples | SampleTargets):
        _wide(problem, sp.Min(targets.m, targets.N))
        return _put_in(_spectral(problem, bias, _any_targets), {N: targets.N, **_weights(problem)})
    codes = _codes(targets)
    if codes is None:
        return _without_symmetry(problem, bias, _weights(problem), _unequal)
    _wide(problem, codes.rank(bias).subs(K, targets.K))
    values = {K: targets.K, n: _sizes(targets), **_weights(problem)}
    return _put_in(_up_to_rotation(_balanced(codes, bias), targets.encoding), values)


def _entropy(problem: Problem, bias: Bias) -> Derivation:
    """Cross-entropy of equal classes: one-hot labels, smoothed or not, one linear layer."""
    targets = problem.targets
    if problem.p > 2:
        raise OutOfReachError(
            f"loss = 'cross_entropy' with lam_W of {problem.p - 1} layers: no global minimum is known in closed form, "
            "and from K = 6 on (K = 4 with three layers) low rank beats the simplex (`ufm check garrod2024:thm1`); one "
            "layer (a single lam_W) has a closed form, ufm.solve searches and bounds the others."
        )
    if isinstance(targets, SymbolicSamples | SampleTargets):
        raise OutOfReachError(
            f"targets = {targets!r} with loss = 'cross_entropy': only classes of equal size have a closed form; give "
            "ufm.classes(ufm.encodings.one_hot(K), n)."
        )
    sizes = _sizes(targets)
    if _one_a_class(sizes):
        raise OutOfReachError(
            f"counts = {sizes} with loss = 'cross_entropy': unequal classes leave a convex program without a closed "
            "form. Known are its limit of vanishing weights (`ufm check thrampoulidis2022`) and when the small classes "
            "collapse (`ufm check hong2023`); ufm.solve certifies its numbers."
        )
    smoothing = _smoothing(targets.encoding)
    _wide(problem, targets.K - 1)
    return _put_in(simplex(bias), {K: targets.K, n: sizes, eps: smoothing, **_weights(problem)})


def _smoothing(encoding: Encoding) -> Any:
    """The eps of one-hot labels: 0, or what smooths them."""
    if encoding.name == "one_hot":
        return sp.S.Zero
    inner = encoding.parameters.get("encoding")
    if encoding.name != "smoothed" or not isinstance(inner, Encoding) or inner.name != "one_hot":
        raise OutOfReachError(
            f"{encoding.name} codes with loss = 'cross_entropy': the closed form is that of one-hot labels, smoothed "
            "or not: ufm.encodings.one_hot(K) or ufm.encodings.smoothed(K, eps)."
        )
    return encoding.parameters["eps"]


def _deep(problem: Problem, bias: Bias) -> Derivation:
    """p >= 3 factors: the layers enter through the product of their weights."""
    targets, order = problem.targets, problem.p
    weights = {Pi: sp.prod(problem.lam_W), lam_H: problem.lam_H}
    if isinstance(targets, SymbolicSamples | SampleTargets):
        _wide(problem, sp.Min(targets.m, targets.N))
        return _put_in(_spectral(problem, bias, lambda each: _deep_targets(each, order)), {N: targets.N, **weights})
    codes = _codes(targets)
    if codes is None:
        return _without_symmetry(problem, bias, weights, lambda: _deep_sizes(order))
    _wide(problem, codes.rank(bias).subs(K, targets.K))
    if bias == "penalised":
        _symmetric(problem, targets, codes)
        weights[lam_b] = problem.lam_b
    found = _up_to_rotation(_deep_classes(codes, bias, order), targets.encoding)
    return _put_in(found, {K: targets.K, n: _sizes(targets), **weights})


def _symmetric(problem: Problem, targets: ClassTargets | SymbolicClasses, codes: Codes) -> None:
    """Refuse where the mean direction, weighed by rho, may exceed the others: no bias is known to be optimal there."""
    room = (codes.size**2 - _rho(problem.lam_b) * codes.mean_size**2).subs(K, sp.nsimplify(targets.K))
    if sign_of(room, {K: kappa + 2}) not in (Sign.POSITIVE, Sign.NONNEGATIVE, Sign.ZERO):
        raise OutOfReachError(
            f"lam_b = {problem.lam_b} with {targets.encoding.name} codes and {problem.p - 1} layers: that a symmetric "
            "bias is optimal is proved for codes alpha I + beta 11' with |alpha + K beta| sqrt(lam_b/(1 + lam_b)) <= "
            "|alpha|, such as one-hot and simplex codes. lam_b = 0 and lam_b = inf have a closed form for all of them, "
            "ufm.solve a bound."
        )


def _rho(lam_b: Any) -> Any:
    """lam_b/(1 + lam_b), or 1, its bound, for a letter."""
    value = sp.nsimplify(lam_b, rational=True)
    return sp.S.One if value.free_symbols else value / (1 + value)


def _spectral(problem: Problem, bias: Bias, general: Callable[[Bias], Derivation]) -> Derivation:
    """Any targets, direction by direction; a penalised bias leaves them apart only where the mean target allows it."""
    if bias != "penalised":
        return general(bias)
    if place(problem) == "zero":
        return costs_nothing(general("free"))
    if problem.p > 2:
        raise OutOfReachError(
            f"lam_b = {problem.lam_b} with targets = {problem.targets!r} and {problem.p - 1} layers: the target "
            "covariance takes the mean target to zero, but that no other bias is better has a proof for one layer, and "
            "for equal classes of symmetric codes. lam_b = 0 and lam_b = inf have a closed form, ufm.solve a bound."
        )
    return general(bias)


def _up_to_rotation(found: Derivation, encoding: Encoding) -> Derivation:
    """Simplex codes are given up to a rotation of the outputs: what it changes is left out."""
    if encoding.name != "simplex":
        return found
    left = {name: formula for name, formula in found.formulae.items() if name not in _OF_THE_OUTPUTS}
    return replace(found, formulae=MappingProxyType(left))


_OF_THE_OUTPUTS = {"classifier_norm", "classifier_gram", "logits"}


_balanced = cache(balanced_classes)
_any_targets = cache(any_targets)
_unequal = cache(unequal_classes)
_deep_classes = cache(deep_classes)
_deep_targets = cache(deep_targets)
_deep_sizes = cache(deep_sizes)


def _in_reach(problem: Problem) -> None:
    """Refuse what no step is carried for, naming the field."""
    if problem.constraint is not None:
        name = type(problem.constraint).__name__
        raise OutOfReachError(f"constraint = {name}: no closed form is carried for constrained optima; try ufm.solve.")
    if problem.loss not in ("mse", "cross_entropy"):
        raise OutOfReachError(
            f"loss = {problem.loss!r}: the engine derives 'mse' and 'cross_entropy'; ufm.solve gives numbers."
        )
    layers = {"lam_W" if problem.p == 2 else f"lam_W[{l}]": weight for l, weight in enumerate(problem.lam_W)}
    for name, weight in {**layers, "lam_H": problem.lam_H}.items():
        if sp.sympify(weight).is_zero:
            raise OutOfReachError(
                f"{name} = 0: the minimisers are not unique, so that there is no closed form of them."
            )


def _bias(problem: Problem) -> Bias:
    value = problem.lam_b
    if getattr(value, "free_symbols", None):
        return "penalised"
    number = float(value)
    return "none" if math.isinf(number) else "free" if number == 0 else "penalised"


def _wide(problem: Problem, needed: Any) -> None:
    if problem.width is not None and not (sp.sympify(problem.width) - needed).is_nonnegative:
        raise OutOfReachError(
            f"width = {problem.width}: below {needed}, the rank that the targets may have, no closed form is carried; "
            "leave width=None, or try ufm.solve."
        )


def _sizes(targets: ClassTargets | SymbolicClasses) -> Any:
    """One size for all, or the letter n_k, or one size a class."""
    if isinstance(targets, ClassTargets):
        return int(targets.counts[0]) if targets.balanced else tuple(int(size) for size in targets.counts)
    return targets.size if targets.balanced else targets.counts


def _one_a_class(sizes: Any) -> bool:
    """Whether the sizes are n_k, or a number for each class."""
    return sizes == n_k or isinstance(sizes, tuple)


def _codes(targets: ClassTargets | SymbolicClasses) -> Codes | None:
    """The two singular values of the targets as functions of the letter K; None where no permutation of classes does.

    That is so for classes of one size whose codes are alpha I + beta 11'.
    """
    encoding = targets.encoding
    if _one_a_class(_sizes(targets)) or encoding.name not in ("one_hot", "simplex", "one_vs_rest"):
        return None
    maker = encodings.available().get(encoding.name)
    if maker is None or set(encoding.parameters) != {"K"}:
        return None
    found = maker(K).exchangeable
    return None if found is None else Codes.of(*found)


def _without_symmetry(
    problem: Problem, bias: Bias, weights: Mapping[Any, Any], unequal: Callable[[], Derivation]
) -> Derivation:
    """Classes of other codes or of unequal sizes: one-hot ones without a bias decouple, others have a spectrum."""
    targets: Any = problem.targets
    sizes = _sizes(targets)
    if targets.encoding.name == "one_hot" and bias == "none":
        return _of_unequal(problem, sizes, unequal(), weights)
    _wide(problem, sp.Min(targets.m, targets.K))
    found = _spectral(problem, bias, lambda each: _any_classes(each, problem.p))
    return _put_in(found, weights if sizes == n_k else {N: targets.N, **weights})


@cache
def _any_classes(bias: Bias, order: int) -> Derivation:
    general = _any_targets(bias) if order == 2 else _deep_targets(bias, order)
    return any_classes(bias, general, shallow=order == 2)


def _of_unequal(problem: Problem, sizes: Any, derivation: Derivation, weights: Mapping[Any, Any]) -> Derivation:
    """One-hot classes of unequal sizes without a bias: they decouple."""
    targets: Any = problem.targets
    _wide(problem, targets.K)
    if isinstance(sizes, tuple):
        derivation = replace(derivation, formulae=MappingProxyType(with_sizes(derivation, sizes)))
        return _put_in(derivation, {N: sum(sizes), K: len(sizes), **weights})
    return _put_in(derivation, {K: targets.K, **weights})


def _weights(problem: Problem) -> dict[Any, Any]:
    found = {lam_W: problem.lam_W[0], lam_H: problem.lam_H}
    return found | ({lam_b: problem.lam_b} if _bias(problem) == "penalised" else {})


def _put_in(derivation: Derivation, values: Mapping[Any, Any]) -> Derivation:
    """The formulae with a problem's own letters and numbers for the letters of the derivation."""
    exact = {letter: sp.nsimplify(value, rational=True) for letter, value in values.items()}
    changed = {letter: value for letter, value in exact.items() if value != letter}
    if not changed:
        return derivation
    regimes = tuple(_still_there(derivation.regimes, changed))
    formulae = {name: _value(formula, changed) for name, formula in derivation.formulae.items()}
    step = Step(
        "this problem",
        "For this problem, put into the closed form:",
        (
            *(equation(letter, value) for letter, value in changed.items()),
            *(equation(sp.Symbol(name), formula) for name, formula in formulae.items() if _is_readable(formula)),
        ),
        "definition",
        "definition",
        "This problem",
    )
    return replace(derivation, steps=(*derivation.steps, step), formulae=MappingProxyType(formulae), regimes=regimes,
                   put_in=MappingProxyType(changed))  # fmt: skip


_READABLE = 50  # operations in a formula; a longer one is read in the letters in which it was derived


def _is_readable(formula: Any) -> bool:
    return not formula.is_Matrix and not formula.has(Total) and formula.count_ops() <= _READABLE


def _value(formula: Any, changed: Mapping[Any, Any]) -> Any:
    if isinstance(formula, sp.matrices.expressions.matexpr.MatrixExpr):
        return formula.xreplace(dict(changed)).doit()
    return sp.sympify(formula).xreplace(dict(changed))


def _still_there(regimes: tuple[Regime, ...], changed: Mapping[Any, Any]) -> tuple[Regime, ...]:
    """The pieces of the domain, as long as no number has narrowed it; none where one has."""
    return regimes if all(value.is_Symbol for value in changed.values()) else ()
