"""What a constraint is: fields that say it again, and a check that a problem has room for it."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ufm.errors import ProblemError


@dataclass(frozen=True)
class Facts:
    """What a constraint may ask of its problem: m, N, the number of target columns (K or N), p, width, loss, lam_b."""

    m: int
    N: int
    columns: int
    p: int
    width: int | None
    loss: object
    lam_b: Any


class Constraint(Protocol):
    """A frozen dataclass; `check` raises ProblemError where the problem has no room for it."""

    def check(self, facts: Facts) -> None:
        """Raise ProblemError, which names field, value and fix, where this cannot constrain such a problem."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """The fields, as plain numbers and lists."""
        ...


def matrix(value: Any, field: str, shape: str) -> np.ndarray:
    """A read-only finite 2-D array, or a ProblemError."""
    try:
        array = np.array(value, dtype=float)
    except (TypeError, ValueError):
        raise ProblemError(field, value, f"give a matrix of numbers, {shape}.") from None
    if array.ndim != 2 or array.size == 0 or not np.all(np.isfinite(array)):
        raise ProblemError(field, value, f"give a matrix of finite numbers, {shape}.")
    array.flags.writeable = False
    return array


def positive(value: Any, field: str) -> float:
    """A finite number > 0, or a ProblemError."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 < float(value) < np.inf:
        raise ProblemError(field, value, "give a finite number > 0.")
    return float(value)


def one_layer(facts: Facts, name: str) -> None:
    """These models have one linear layer."""
    if facts.p != 2:
        raise ProblemError("lam_W", f"{facts.p - 1} layers", f"{name} is a model with one layer; give one number.")
