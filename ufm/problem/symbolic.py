"""Targets in letters: classes whose number or sizes are SymPy symbols, or a matrix symbol; what `ufm.derive` reads.

Nothing here has numbers: whoever asks for some is told to put numbers in first.
"""

from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from ufm.encodings import Encoding
from ufm.errors import ProblemError


def in_letters(value: Any) -> bool:
    """Whether a value is a SymPy expression with free symbols."""
    return bool(getattr(value, "free_symbols", None))


@dataclass(frozen=True, eq=False)
class SymbolicTargets:
    """What targets in letters have in common: sizes m and N, and no numbers."""

    def _without_numbers(self) -> NoReturn:
        raise ProblemError("targets", self, "these are letters: ufm.derive reads them; for numbers, put numbers in.")

    @property
    def columns(self) -> np.ndarray:
        """ProblemError: letters have no numbers."""
        self._without_numbers()

    @property
    def multiplicity(self) -> np.ndarray:
        """ProblemError: letters have no numbers."""
        self._without_numbers()

    @property
    def mean(self) -> np.ndarray:
        """ProblemError: letters have no numbers."""
        self._without_numbers()

    def matrix(self) -> np.ndarray:
        """ProblemError: letters have no numbers."""
        self._without_numbers()

    def to_dict(self) -> dict[str, Any]:
        """ProblemError: letters have no numbers."""
        self._without_numbers()


@dataclass(frozen=True, eq=False)
class SymbolicClasses(SymbolicTargets):
    """Classes of an encoding; counts: one size for all (a letter or a number), or a tuple with one a class."""

    encoding: Encoding
    counts: Any

    @property
    def m(self) -> Any:
        """Target dimension."""
        return self.encoding.shape[0]

    @property
    def K(self) -> Any:
        """Number of classes."""
        return self.encoding.shape[1]

    @property
    def balanced(self) -> bool:
        """Whether all classes have one size."""
        return not isinstance(self.counts, tuple) or len(set(self.counts)) == 1

    @property
    def size(self) -> Any:
        """The size of each class where it is one for all."""
        return self.counts[0] if isinstance(self.counts, tuple) else self.counts

    @property
    def N(self) -> Any:
        """Number of samples."""
        return sum(self.counts) if isinstance(self.counts, tuple) else self.K * self.counts

    def __repr__(self) -> str:
        counts = f"[{', '.join(map(str, self.counts))}]" if isinstance(self.counts, tuple) else self.counts
        return f"classes({self.encoding.name}, m={self.m}, K={self.K}, counts={counts})"


@dataclass(frozen=True, eq=False)
class SymbolicSamples(SymbolicTargets):
    """Regression targets that are a matrix symbol Y, m x N."""

    Y: Any

    @property
    def m(self) -> Any:
        """Target dimension."""
        return self.Y.shape[0]

    @property
    def N(self) -> Any:
        """Number of samples."""
        return self.Y.shape[1]

    def __repr__(self) -> str:
        return f"samples({self.Y}, m={self.m}, N={self.N})"
