"""A named table of class codes, one column a class."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ufm.errors import ProblemError

LARGEST = 2**28  # entries of a table that is written out on demand: 2 GiB


@dataclass(frozen=True, eq=False)
class Encoding:
    """Class codes C (m x K) with the name and the parameters that made them, so that files can say it again.

    table: C itself, or None where it is alpha I + beta 11' with `exchangeable` = (alpha, beta) and `shape`: then
    classes can be told apart by their sizes only, and C is written out when somebody asks for it.
    """

    name: str
    table: np.ndarray | None
    parameters: dict[str, Any] = field(default_factory=dict)
    shape: tuple[int, int] = (0, 0)
    exchangeable: tuple[Any, Any] | None = None

    def __post_init__(self) -> None:
        if self.table is not None:
            object.__setattr__(self, "shape", self.codes.shape)

    @cached_property
    def codes(self) -> np.ndarray:
        """C, m x K, read-only; ProblemError where it would not fit into memory."""
        codes = self._exchangeable_codes() if self.table is None else np.array(self.table, dtype=float)
        codes.flags.writeable = False
        return codes

    @property
    def letters(self) -> tuple[Any, ...]:
        """The SymPy letters in the shape or in the codes; none where everything is a number."""
        parts = (*self.shape, *(self.exchangeable or ()))
        found = {letter for part in parts for letter in getattr(part, "free_symbols", ())}
        return tuple(sorted(found, key=str))

    def _exchangeable_codes(self) -> np.ndarray:
        if self.exchangeable is None:
            raise ProblemError("table", None, "give the codes, or exchangeable = (alpha, beta) with their shape.")
        if self.letters:
            shown = ", ".join(map(str, self.letters))
            wanted = f"these codes hold the letters {shown}: ufm.derive reads them; for numbers, put numbers in."
            raise ProblemError("codes", self.name, wanted)
        if self.shape[0] * self.shape[1] > LARGEST:
            fix = "too many entries to write out; the squared loss and one-layer cross-entropy have method='groups'."
            raise ProblemError("codes", self.shape, fix)
        alpha, beta = self.exchangeable
        return alpha * np.eye(self.shape[1]) + beta

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.codes, dtype=dtype) if copy or dtype else self.codes


def positive_integer(value: Any, field_name: str, least: int = 1) -> int:
    """`value` as an int of at least `least`, or a ProblemError that says so; a SymPy letter stays what it is."""
    if getattr(value, "free_symbols", None):
        if value.is_integer is False or value.is_positive is False:
            raise ProblemError(field_name, value, f"give a letter for integers of at least {least}.")
        return value
    if isinstance(value, bool) or not float(value).is_integer() or value < least:
        raise ProblemError(field_name, value, f"give an integer of at least {least}.")
    return int(value)
