"""A counterexample in plainer numbers, as long as it remains one: weights of one digit, starts of integers."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from typing import TypeVar

import numpy as np

from ufm.catalogue import Motion
from ufm.errors import UfmError
from ufm.problem import Problem

_DIGITS = (1, 2)  # significant ones of weights, the plainest first
Candidate = TypeVar("Candidate")
Found = TypeVar("Found")
_STEPS = (1.0, 0.5, 0.1, 0.01)  # to whose multiples the numbers of a start are rounded


def plainer_problems(problem: Problem) -> Iterator[Problem]:
    """The problem with weights of few digits, the plainest first: all weights, then all but that of the bias."""
    for digits, with_bias in product(_DIGITS, (True, False)):
        lam_b = float(problem.lam_b)
        weights = {
            "lam_W": tuple(_rounded(float(weight), digits) for weight in problem.lam_W),
            "lam_H": _rounded(float(problem.lam_H), digits),
            "lam_b": _rounded(lam_b, digits) if with_bias else lam_b,
        }
        yield problem.replace(**weights)


def plainer_motions(motion: Motion) -> Iterator[Motion]:
    """The start with rounded numbers: as it is, and after a rotation of the features that makes W triangular.

    No factor is rounded to zero as a whole: from there a flow does not move, which is another matter.
    """
    for step, turned in product(_STEPS, (motion, _turned(motion))):
        plain = replace(
            turned,
            W=tuple(_to_multiples(layer, step) for layer in turned.W),
            H=_to_multiples(turned.H, step),
            b=None if turned.b is None else _to_multiples(turned.b, step),
        )
        before, after = ((*each.W, each.H) for each in (turned, plain))
        if all(now.any() or not then.any() for then, now in zip(before, after, strict=True)):
            yield plain


def first_broken(candidates: Iterator[Candidate], judge: Callable[[Candidate], Found | None]) -> Found | None:
    """What `judge` finds at the first candidate where it finds something; one that is no problem is passed over."""
    for candidate in candidates:
        try:
            found = judge(candidate)
        except UfmError:
            continue
        if found is not None:
            return found
    return None


def _rounded(x: float, digits: int) -> float:
    return x if x == 0 or math.isinf(x) else float(f"{x:.{digits}g}")


def _to_multiples(A: np.ndarray, step: float) -> np.ndarray:
    """Multiples of the step, without minus zero and without the dust of a product."""
    return np.round(np.round(A / step) * step, 12) + 0.0


def _turned(motion: Motion) -> Motion:
    """The same flow in other coordinates of the features: W R and R'H, R orthogonal, W R lower triangular."""
    R = np.linalg.qr(motion.W[-1].T, mode="complete")[0]
    return replace(motion, W=(*motion.W[:-1], motion.W[-1] @ R), H=R.T @ motion.H)
