"""The answer of `solve(problem, method="groups")`: an optimum told by groups of exchangeable classes, for any K."""

from dataclasses import dataclass

import numpy as np

from ufm.optimum.certificate import Certificate
from ufm.optimum.status import OptimumStatus
from ufm.problem import Problem
from ufm.record import Record


@dataclass(frozen=True, eq=False)
class GroupedOptimum:
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

    @property
    def value(self) -> float:
        """The objective at this point (the infimum where it is not attained)."""
        return self.certificate.value

    @property
    def lower_bound(self) -> float:
        """No point has a smaller objective than this."""
        return self.certificate.lower_bound

    @property
    def gap(self) -> float:
        """Value - lower_bound."""
        return self.certificate.gap

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
        extra = {"value": self.value, "lower_bound": self.lower_bound, "gap": self.gap, "rank": self.certificate.rank}
        provenance = {"method": self.method, "status": self.status.name, "work": self.certificate.work}
        return Record.of("optimum", {**values, **extra}, problem=self.problem, provenance=provenance)

    def __repr__(self) -> str:
        return (
            f"GroupedOptimum(G={self.number.size}, value={self.value:.12g}, gap={self.gap:.1e}, "
            f"rank={self.certificate.rank}, method={self.method!r}, {self.status.name}: {self.status.value})"
        )
