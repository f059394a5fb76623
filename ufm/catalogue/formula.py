"""A formula of a statement and its numbers for a problem: a scalar, one number an index, or a matrix."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, reduce
from typing import Any

import numpy as np
import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

from ufm.errors import UfmError
from ufm.problem import Problem
from ufm.symbols import VALUES, SoftThreshold, Total

Letters = Mapping[Any, Callable[[Any], Any]]  # of a problem, or of the arrays of a statement about metrics


@dataclass(frozen=True)
class Formula:
    """A formula in the letters of `ufm.symbols`, evaluated through lambdify only.

    letters: the statement's own letters, each with the function of the problem that evaluates it in a stable way.
    """

    expression: Any
    letters: Letters = field(default_factory=dict)

    @cached_property
    def _scalar(self) -> Callable[[Problem], Any]:
        return _function(self.expression, self.letters)

    def __call__(self, problem: Problem) -> Any:
        """The number for this problem (float), or an array with the observable's indices."""
        if isinstance(self.expression, MatrixExpr):
            return _matrix(self.expression, problem, self.letters)
        return self._scalar(problem)


def _function(expression: Any, letters: Letters) -> Callable[[Problem], Any]:
    totals = {total: sp.Dummy("total") for total in expression.atoms(Total)}
    outer = expression.xreplace(totals)
    arguments = sorted(outer.free_symbols - set(totals.values()), key=str)
    inner = [_function(total.args[0], letters) for total in totals]
    evaluate = sp.lambdify([*arguments, *totals.values()], outer, modules="numpy")  # pyright: ignore

    def number(problem: Problem) -> Any:
        values = _aligned([_value(letter, problem, letters) for letter in arguments])
        sums = [np.sum(np.broadcast_to(summand(problem), problem.m)) for summand in inner]
        with np.errstate(all="ignore"):  # lam_b = 0 and inf are ordinary ends: 1/0 and 1/inf are meant
            found = np.asarray(evaluate(*np.broadcast_arrays(*values, *sums)), dtype=float)
        return float(found) if found.ndim == 0 else found

    return number


def _value(letter: Any, problem: Problem, letters: Letters) -> np.ndarray:
    """What the problem gives to a letter; UfmError where it gives it nothing."""
    evaluate = letters.get(letter) or VALUES.get(letter.name)
    if evaluate is None:
        raise UfmError(f"no value is known for the letter {letter}; give one in `letters`.")
    return np.asarray(evaluate(problem), dtype=float)


def _aligned(values: list[np.ndarray]) -> list[np.ndarray]:
    """Vectors carry the first index: beside a matrix they become columns."""
    if not any(value.ndim == 2 for value in values):
        return values
    return [value[:, None] if value.ndim == 1 else value for value in values]


def _matrix(expression: Any, problem: Problem, letters: Letters) -> np.ndarray:
    """A matrix expression, letter by letter."""
    if isinstance(expression, sp.MatrixSymbol):
        return _value(expression, problem, letters)
    if isinstance(expression, sp.Identity | sp.ZeroMatrix):
        rows, cols = (int(_function(size, letters)(problem)) for size in expression.shape)
        return np.eye(rows) if isinstance(expression, sp.Identity) else np.zeros((rows, cols))
    if isinstance(expression, SoftThreshold):
        matrix, threshold = expression.args
        U, s, Vt = np.linalg.svd(_matrix(matrix, problem, letters), full_matrices=False)
        return (U * np.maximum(0, s - _function(threshold, letters)(problem))) @ Vt
    parts: list[Any] = [
        _matrix(arg, problem, letters) if isinstance(arg, MatrixExpr) else _function(arg, letters)(problem)
        for arg in expression.args
    ]
    if isinstance(expression, sp.Transpose):
        return parts[0].T
    if isinstance(expression, sp.MatAdd):
        return reduce(np.add, parts)
    if isinstance(expression, sp.MatMul):
        return reduce(lambda left, right: left @ right if np.ndim(left) and np.ndim(right) else left * right, parts)
    raise UfmError(f"cannot evaluate the matrix expression {expression}.")
