"""A loss: one function of a logit column and its target column, and its slope."""

from collections.abc import Callable
from dataclasses import dataclass

from ufm.arrays import Array


@dataclass(frozen=True)
class Loss:
    """`value(Z, T)`: one number per column (m x j, m x j -> j); `slope(Z, T)`: its derivative by Z (m x j)."""

    name: str
    value: Callable[[Array, Array], Array]
    slope: Callable[[Array, Array], Array]
