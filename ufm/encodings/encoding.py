"""A named table of class codes, one column a class."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ufm.errors import ProblemError


@dataclass(frozen=True, eq=False)
class Encoding:
    """Class codes C (m x K) with the name and the parameters that made them, so that files can say it again."""

    name: str
    codes: np.ndarray
    parameters: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        codes = np.array(self.codes, dtype=float)
        codes.flags.writeable = False
        object.__setattr__(self, "codes", codes)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.codes, dtype=dtype) if copy or dtype else self.codes

    @property
    def shape(self) -> tuple[int, int]:
        """(m, K)."""
        return self.codes.shape  # pyright: ignore[reportReturnType]


def positive_integer(value: Any, field_name: str, least: int = 1) -> int:
    """`value` as an int of at least `least`, or a ProblemError that says so."""
    if isinstance(value, bool) or not float(value).is_integer() or value < least:
        raise ProblemError(field_name, value, f"give an integer of at least {least}.")
    return int(value)
