"""Features that stay near given ones."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ufm.constraints.constraint import Facts, matrix, one_layer, positive
from ufm.errors import ProblemError


@dataclass(frozen=True, eq=False)
class Near:
    """The objective gains beta/(2N) ||H - H0||^2, H0 (d x N): features that the layers below allow (tirer2023: (2))."""

    H0: np.ndarray
    beta: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "H0", matrix(self.H0, "constraint.H0", "d x N, one column a sample"))
        object.__setattr__(self, "beta", positive(self.beta, "constraint.beta"))

    def check(self, facts: Facts) -> None:
        """H0 has N columns, and as many rows as the width where that is given."""
        one_layer(facts, "Near")
        if self.H0.shape[1] != facts.N:
            raise ProblemError("constraint.H0", self.H0.shape, f"this is its shape; it needs N = {facts.N} columns.")
        if facts.width is not None and facts.width != self.H0.shape[0]:
            raise ProblemError("width", facts.width, f"H0 has d = {self.H0.shape[0]} rows; leave None.")
        if facts.loss != "mse":
            raise ProblemError("loss", facts.loss, "Near is a model of the squared loss; take loss='mse'.")

    def to_dict(self) -> dict[str, Any]:
        """H0 as rows, and beta."""
        return {"H0": self.H0.tolist(), "beta": self.beta}


CONSTRAINT = Near
