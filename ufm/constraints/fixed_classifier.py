"""A classifier that is given and stays."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ufm.constraints.constraint import Facts, matrix, one_layer
from ufm.errors import ProblemError


@dataclass(frozen=True, eq=False)
class FixedClassifier:
    """W (m x d) is fixed, a simplex frame, a hierarchy-aware one (haframe2023) or any other; H and b are left."""

    W: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "W", matrix(self.W, "constraint.W", "m x d"))

    def check(self, facts: Facts) -> None:
        """W has m rows, and as many columns as the width where that is given."""
        one_layer(facts, "FixedClassifier")
        if self.W.shape[0] != facts.m:
            raise ProblemError("constraint.W", self.W.shape, f"this is its shape; it needs m = {facts.m} rows.")
        if facts.width is not None and facts.width != self.W.shape[1]:
            raise ProblemError("width", facts.width, f"the fixed classifier has d = {self.W.shape[1]}; leave None.")

    def to_dict(self) -> dict[str, Any]:
        """W as rows."""
        return {"W": self.W.tolist()}


CONSTRAINT = FixedClassifier
