"""What shows that an optimum is one: a bound from below, and the residuals of what every critical point satisfies."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, overload

import numpy as np

from ufm.constraints import NonNegative
from ufm.optimum.cancellation import cancellation
from ufm.optimum.curvature import Curvature
from ufm.problem import Problem, gradient

T = TypeVar("T")
_SMALLEST, _LARGEST = 1e-280, 1e300
_CRITICAL = 1e-10  # a stationarity up to which nobody asks how much of it is round-off


class Residual(Generic[T]):
    """A field that is given as a value, or as a function without arguments which is called when it is first read.

    A value and its bound never need the residuals of the point; a solve is faster without, and nothing else changes.
    """

    def __init__(self, *default: T) -> None:
        self.default = default

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> "Residual[T]": ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: Any, owner: type) -> "Residual[T] | T":
        if instance is None:
            if self.default:
                return self.default[0]
            raise AttributeError(self.name)  # tells the dataclass that the field has no default
        found: Any = instance.__dict__[self.name]
        if callable(found):
            found = instance.__dict__[self.name] = found()
        return found

    def __set__(self, instance: object, value: T | Callable[[], T]) -> None:
        instance.__dict__[self.name] = value


@dataclass(frozen=True, eq=False)
class Certificate:
    """Evidence for one point of one problem.

    value: the objective there (the infimum where it is not attained); lower_bound: no point is below it (-inf where no
    bound is known); dual: the dual point it was recomputed from, in the coordinates of the engine that made it;
    stationarity: largest norm of the gradient by a factor, relative to the norms of its terms; balance: largest
    difference between neighbouring factors, lam_W W'W against lam_H HH', relative to its terms (under a constraint what
    that leaves of it, NaN for a fixed classifier); rank: of the product; unique: of the logits and b, None where
    undecided; second_order: the least curvature over the directions that the problem leaves (`ufm.optimum.curvature`),
    or the reason in words why there is none; work: decompositions or iterations spent. Residuals and second order are
    computed from the point's own arrays when they are first read.
    """

    value: float
    lower_bound: float
    stationarity: Residual[float] = Residual()
    balance: Residual[float] = Residual()
    rank: int = 0
    unique: Residual[bool | None] = Residual(None)
    dual: np.ndarray | None = None
    second_order: Residual[Curvature | str] = Residual("not looked at: this certificate has a value, and no factors")
    work: int = 0

    @property
    def curvature(self) -> float | None:
        """The least curvature over the directions that are left; None where second_order says why there is none."""
        return self.second_order.least if isinstance(self.second_order, Curvature) else None

    @property
    def gap(self) -> float:
        """value - lower_bound."""
        return self.value - self.lower_bound

    @property
    def relative_gap(self) -> float:
        """gap / max(1, |value|)."""
        return self.gap / max(1.0, abs(self.value))


def stationarity(problem: Problem, W: tuple[np.ndarray, ...], H: np.ndarray, b: np.ndarray) -> float:
    """Largest norm of the gradient by W_l, H and b, each relative to the sum of the norms of its own terms.

    H: class means (d x K) or samples (d x N). Round-off is not counted: where terms that cancel leave nothing else, as
    where no weight is positive, it is 0. Where the infimum is not attained it is not small: that point is not critical.
    """
    slope = gradient(problem, W, H, b if problem.has_bias else None)
    weights = problem.targets.multiplicity if H.shape[1] != problem.N else np.ones(problem.N)
    penalties = [float(lam) * layer for lam, layer in zip(problem.lam_W, W, strict=True)]
    parts = [*zip(slope.W, penalties, strict=True), (slope.H, float(problem.lam_H) * weights * H)]
    sizes = [(_norm(g), _norm(penalty) + _norm(g - penalty)) for g, penalty in parts]
    if isinstance(problem.constraint, NonNegative):  # features at zero may only grow
        sizes[-1] = (_norm(np.where(H > 0, slope.H, np.minimum(slope.H, 0))), sizes[-1][1])
    if problem.has_bias:  # the slope's own terms are the mean output and the mean target
        penalty = float(problem.lam_b) * b
        terms = _norm(penalty) + _norm(slope.b - penalty) + _norm(problem.targets.mean)
        sizes.append((_norm(slope.b), terms))
    relative = max(_ratio(size, terms) for size, terms in sizes)
    if relative <= _CRITICAL:
        return relative
    noise = cancellation(problem, W, H, b)
    return max(_ratio(max(0.0, size - n), terms) for (size, terms), n in zip(sizes, noise, strict=False))


def balance(problem: Problem, W: tuple[np.ndarray, ...], H: np.ndarray) -> float:
    """Largest ||lam_left L'L - lam_right R R'|| over neighbouring factors L R of the product, relative to its terms."""
    root = np.sqrt(problem.targets.multiplicity) if H.shape[1] != problem.N else 1.0
    factors = [*zip(map(float, problem.lam_W), W, strict=True), (float(problem.lam_H), H * root)]
    differences = []
    for (lam, left), (mu, right) in itertools.pairwise(factors):
        a, b = lam * left.T @ left, mu * right @ right.T
        if right is factors[-1][1] and isinstance(problem.constraint, NonNegative):  # only feature by feature
            a, b = np.diag(a), np.diag(b)
        differences.append(_relative(a - b, a, b))
    return max(differences)


def closed(bound: Any, value: Any) -> Any:
    """The bound, lowered to the value where round-off alone put it above; a bound further above is a bug, and shows.

    Two numbers, or two arrays.
    """
    if isinstance(value, float):
        slack = 1e3 * math.ulp(max(1.0, abs(value)))
        return value if value < bound <= value + slack else bound
    slack = 1e3 * np.spacing(np.maximum(1.0, np.abs(value)))
    return np.where((value < bound) & (bound <= value + slack), value, bound)


def _relative(difference: np.ndarray, *terms: np.ndarray) -> float:
    return _ratio(_norm(difference), sum(_norm(term) for term in terms))


def _ratio(size: float, scale: float) -> float:
    return size / scale if scale > 0 else 0.0


def _norm(a: np.ndarray) -> float:
    """||a||, the root of one inner product; the library's norm, which costs more calls, where squares leave doubles."""
    flat = a.ravel()
    square = float(flat @ flat)
    return math.sqrt(square) if _SMALLEST < square < _LARGEST else float(np.linalg.norm(a))
