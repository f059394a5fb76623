"""Unit margins in place of a loss."""

from dataclasses import dataclass
from typing import Any

from ufm.constraints.constraint import Facts, one_layer
from ufm.errors import ProblemError


@dataclass(frozen=True)
class HardMargin:
    """z_y - z_j >= 1 for every sample and every j other than its class y, and only the penalties are minimised.

    The limit of the regularised cross-entropy as the weights vanish (thrampoulidis2022: (2)).
    """

    def check(self, facts: Facts) -> None:
        """Cross-entropy's limit, without bias."""
        one_layer(facts, "HardMargin")
        if facts.loss != "cross_entropy":
            raise ProblemError("loss", facts.loss, "unit margins are a limit of loss='cross_entropy'.")
        if facts.lam_b != float("inf"):
            raise ProblemError("lam_b", facts.lam_b, "the max-margin model has no bias; leave it infinite.")

    def to_dict(self) -> dict[str, Any]:
        """No fields."""
        return {}


CONSTRAINT = HardMargin
