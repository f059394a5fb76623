"""Numbers of derived formulae: one each, or one a class, a pair of classes, a direction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from ufm.derivation.derivation import Derivation
from ufm.errors import UfmError
from ufm.problem import ClassTargets, Problem
from ufm.problem.symbolic import SymbolicTargets
from ufm.symbols import K, Total, cov, delta_kl, lam_b, lam_H, lam_W, n_k, n_l, sigma, sigma_0, sigma_c

_PYTHON_NAMES = {"K": K, "lam_W": lam_W, "lam_H": lam_H, "lam_b": lam_b}
_WITH_AN_INDEX = (n_k, sigma, sigma_c, cov)  # one number a class, or a direction


def numbers(derivation: Derivation, values: Mapping[Any, Any]) -> dict[str, Any]:
    """Every scalar formula of the derivation at these values; matrix expressions in Y are left out."""
    formulae = derivation.formulae
    scalars = {name: sp.sympify(each) for name, each in formulae.items() if not isinstance(each, MatrixExpr)}
    classes = sp.sympify(derivation.put_in.get(K, K))  # pairs of classes need their number, where one was put in
    used = {letter for each in scalars.values() for letter in each.free_symbols}
    known = _letters(used, values, derivation.problem)
    if derivation.problem is not None:
        known |= _of_targets(derivation.problem, used - known.keys())
    if classes.is_Integer:
        known.setdefault(K, np.asarray(int(classes)))
    elif classes in known:
        known.setdefault(K, known[classes])
    return {name: _number(name, formula, known) for name, formula in scalars.items()}


def _letters(used: set[Any], values: Mapping[Any, Any], problem: Problem | None) -> dict[Any, np.ndarray]:
    """Letter -> number or array; a letter may be given by its name, or as Python writes it (lam_W).

    The problem's own letters are welcome even where no formula depends on them.
    """
    allowed = used | {K} | (problem.letters if problem is not None else set())
    by_name = {name: letter for name, letter in _PYTHON_NAMES.items() if letter in allowed}
    by_name |= {letter.name: letter for letter in allowed}
    found: dict[Any, np.ndarray] = {}
    for key, value in values.items():
        letter = by_name.get(key) if isinstance(key, str) else key
        if letter is None or letter not in allowed:
            shown = ", ".join(sorted(str(each) for each in used - {delta_kl}))
            raise UfmError(f"values[{key}]: the formulae have no such letter; they have {shown}.")
        found[letter] = _checked(key, letter, value)
    return found


def _of_targets(problem: Problem, wanted: set[Any]) -> dict[Any, np.ndarray]:
    """Class sizes, singular values and the covariance's eigenvalues of targets that are numbers."""
    targets = problem.targets
    if isinstance(targets, SymbolicTargets):
        return {}
    found = (
        {n_k: np.asarray(targets.counts, dtype=float)} if n_k in wanted and isinstance(targets, ClassTargets) else {}
    )
    root = np.sqrt(targets.multiplicity)
    if sigma in wanted:
        found[sigma] = np.linalg.svd(targets.columns * root, compute_uv=False)
    if sigma_0 in wanted:
        found[sigma_0] = np.sqrt(targets.N) * np.linalg.norm(targets.mean)
    if wanted & {sigma_c, cov}:
        centred = np.linalg.svd((targets.columns - targets.mean[:, None]) * root, compute_uv=False)
        centred = centred[: root.size - 1]  # one direction less than columns
        found |= {sigma_c: centred, cov: centred**2 / targets.N}
    return found


def _checked(key: Any, letter: Any, value: Any) -> np.ndarray:
    """The value of a letter as floats: finite, not negative, an array only where the letter has an index."""
    try:
        number = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        number = np.asarray(np.nan)
    if not np.all(np.isfinite(number)):
        raise UfmError(f"values[{key}] = {value}: give numbers.")
    if number.ndim > (1 if letter in _WITH_AN_INDEX else 0):
        raise UfmError(f"values[{key}] = {value}: give one number; only a letter with an index takes a list of them.")
    if letter.is_integer and np.any(number != np.round(number)):
        raise UfmError(f"values[{key}] = {value}: give an integer.")
    if np.any(number < 0) or (letter.is_positive and np.any(number == 0)):
        raise UfmError(f"values[{key}] = {value}: give {'a positive number' if letter.is_positive else '0 or more'}.")
    return number


def _number(name: str, formula: Any, known: Mapping[Any, np.ndarray]) -> Any:
    """A float, K x K numbers where the formula speaks of pairs of classes, one a direction where of directions."""
    totals = {total: sp.Dummy("total") for total in formula.atoms(Total)}
    inner = {dummy: float(np.sum(_number(name, total.args[0], known))) for total, dummy in totals.items()}
    outer = formula.xreplace(totals)
    at: dict[Any, Any] = {**known, **inner}
    if outer.has(delta_kl):
        at |= _pairs(known, name)
    arguments = sorted(outer.free_symbols, key=str)
    missing = [str(letter) for letter in arguments if letter not in at]
    if missing:
        raise UfmError(f"{name}: give numbers for {', '.join(missing)} as well.")
    floats = outer.evalf(17)  # exact rationals may be too long for NumPy
    evaluate = sp.lambdify(arguments, floats, modules="numpy")  # pyright: ignore
    with np.errstate(all="ignore"):  # the cases that do not apply may divide by zero
        found = np.asarray(evaluate(*np.broadcast_arrays(*(at[letter] for letter in arguments))), dtype=float)
    return float(found) if found.ndim == 0 else found


def _pairs(known: Mapping[Any, np.ndarray], name: str) -> dict[Any, Any]:
    """delta_kl, and n_k and n_l as column and row, for the K of the values or as many classes as there are sizes."""
    sizes = np.asarray(known.get(n_k, 1.0))
    if sizes.ndim == 0 and K not in known:
        raise UfmError(f"{name} has one number a pair of classes: give K as well, or all class sizes n_k.")
    classes = int(known[K]) if K in known else sizes.size
    if sizes.shape not in ((), (classes,)):
        raise UfmError(f"values[{n_k}] has {sizes.size} sizes for K = {classes} classes: give one a class.")
    column = np.broadcast_to(sizes, (classes,))[:, None]
    return {delta_kl: np.eye(classes), **({n_k: column, n_l: column.T} if n_k in known else {})}
