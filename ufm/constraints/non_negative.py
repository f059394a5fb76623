"""Features behind a ReLU."""

from dataclasses import dataclass
from typing import Any

from ufm.constraints.constraint import Facts, one_layer


@dataclass(frozen=True)
class NonNegative:
    """H >= 0 entrywise (dang2024: section 4); convex in the product once the width is free, so `solve` certifies it."""

    def check(self, facts: Facts) -> None:
        """One linear layer above the features."""
        one_layer(facts, "NonNegative")

    def to_dict(self) -> dict[str, Any]:
        """No fields."""
        return {}


CONSTRAINT = NonNegative
