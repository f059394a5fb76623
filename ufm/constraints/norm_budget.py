"""Norm budgets in place of penalties."""

from dataclasses import dataclass
from typing import Any

from ufm.constraints.constraint import Facts, one_layer, positive
from ufm.errors import ProblemError


@dataclass(frozen=True)
class NormBudget:
    """(1/K) sum ||w_k||^2 <= E_W and (1/K) sum_k (1/n_k) sum_i ||h_ki||^2 <= E_H, no penalties (fang2021: (5))."""

    E_W: float
    E_H: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "E_W", positive(self.E_W, "constraint.E_W"))
        object.__setattr__(self, "E_H", positive(self.E_H, "constraint.E_H"))

    def check(self, facts: Facts) -> None:
        """Cross-entropy without bias; budgets replace the penalties."""
        one_layer(facts, "NormBudget")
        if facts.loss != "cross_entropy":
            raise ProblemError("loss", facts.loss, "the layer-peeled model has loss='cross_entropy'.")
        if facts.lam_b != float("inf"):
            raise ProblemError("lam_b", facts.lam_b, "the layer-peeled model has no bias; leave it infinite.")

    def to_dict(self) -> dict[str, Any]:
        """Both budgets."""
        return {"E_W": self.E_W, "E_H": self.E_H}


CONSTRAINT = NormBudget
