"""The answer of `solve(problem, method="groups")`: an optimum told by groups of exchangeable classes, for any K."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ufm.optimum.answer import Answer
from ufm.optimum.certificate import Certificate
from ufm.optimum.status import OptimumStatus
from ufm.problem import Problem
from ufm.record import Record


@dataclass(frozen=True, eq=False, repr=False)
class GroupedOptimum(Answer):
    """A minimiser in which the classes of one group look alike; nothing here is larger than K or G x G.

    member (K): the group of each class; number, size (G): classes of a group, samples of each of its classes;
    norm (G): of a class mean; cosine_within (G): of two class means of a group, NaN for a group of one;
    cosine_between (G x G): of class means of two groups, its diagonal is cosine_within; 0 where a mean is 0.
    logit_own, logit_within (G): of a class's own target and of another in its group; logit_between (G x G): row, the
    target's group, column, the class's; bias (G); of codes that are a rotation of alpha I + beta 11', such as simplex
    ones, logits and bias are those of the codes turned back. singular_values (descending) with multiplicities: of W H
    over all N samples, those that are not 0.
    """

    problem: Problem
    status: OptimumStatus
    method: str
    member: np.ndarray
    number: np.ndarray
    size: np.ndarray
    norm: np.ndarray
    cosine_within: np.ndarray
    cosine_between: np.ndarray
    logit_own: np.ndarray
    logit_within: np.ndarray
    logit_between: np.ndarray
    bias: np.ndarray
    singular_values: np.ndarray
    multiplicities: np.ndarray
    certificate: Certificate

    def record(self) -> Record:
        """What is known of each group, with value, bound and certificate, as a Record."""
        per_group = {
            "group_number": self.number,
            "group_size": self.size,
            "group_norm": self.norm,
            "group_cosine_within": self.cosine_within,
            "group_logit_own": self.logit_own,
            "group_logit_within": self.logit_within,
            "group_bias": self.bias,
        }
        pairs = {"group_cosine": self.cosine_between, "group_logit": self.logit_between}
        values = {name: (("group",), array) for name, array in per_group.items()}
        values |= {name: (("group", "other_group"), array) for name, array in pairs.items()}
        values |= {
            "distinct_singular_values": (("distinct_direction",), self.singular_values),
            "multiplicity": (("distinct_direction",), self.multiplicities),
        }
        return Record.of(
            "optimum", {**values, **self._certified()}, problem=self.problem, provenance=self._provenance()
        )

    def _rows(self) -> dict[str, Any]:
        groups = zip(self.number, self.size, self.norm, self.cosine_within, self.bias, strict=True)
        told = "{:,} with {:,} samples each: norm {:.4g}, cosine {:.4g}, bias {:.4g}"
        most = 8
        lines = [told.format(*group) for group in list(groups)[:most]]
        values = [f"{s:.4g} ({k:,} times)" for s, k in zip(self.singular_values, self.multiplicities, strict=True)]
        return {
            "classes": "; ".join(lines) + ("; ..." if self.number.size > most else ""),
            "singular values of W H": ", ".join(values[:most]) + (", ..." if len(values) > most else ""),
        }
