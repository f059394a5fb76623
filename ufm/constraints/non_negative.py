"""Features behind a ReLU."""

from dataclasses import dataclass
from typing import Any

from ufm.constraints.constraint import Facts


@dataclass(frozen=True)
class NonNegative:
    """H >= 0 entrywise (dang2024: section 4), under any number of linear layers.

    With one of them it is convex in the product once the width is free, and `solve` certifies it; with more it is the
    best of many descents, with a bound that only sometimes meets it.
    """

    def check(self, facts: Facts) -> None:
        """Any problem may have non-negative features."""

    def to_dict(self) -> dict[str, Any]:
        """No fields."""
        return {}


CONSTRAINT = NonNegative
