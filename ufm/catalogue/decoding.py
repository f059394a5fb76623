"""Claims about decisions: is the output at a class mean nearest to the code of its own class?"""

from dataclasses import dataclass

import numpy as np

from ufm.catalogue.claims import Oracle, Units, Violation
from ufm.problem import Problem
from ufm.record import Record
from ufm.tolerance import FAR, tolerance


def margins(logits: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """||z_k - c_l||^2 - ||z_k - c_k||^2 (K x K) for outputs z_k and codes c_k, both m x K; inf for k = l."""
    away = np.sum((logits[:, :, None] - codes[:, None, :]) ** 2, axis=0)
    lead = away - np.diag(away)[:, None]
    return np.where(np.eye(codes.shape[1], dtype=bool), np.inf, lead)


@dataclass(frozen=True)
class NearestCode:
    """The output at every class mean is nearest to the code of its class; `right` False: at some it is not."""

    right: bool = True

    @property
    def observable(self) -> str:
        """What is decided on: the outputs."""
        return "logits"

    def seen(self, record: Record, problem: Problem) -> np.ndarray:
        """The margins, flat."""
        return np.ravel(margins(np.asarray(record["logits"].values), problem.classes.codes))

    def violation(self, problem: Problem, oracle: Oracle) -> Violation:
        """How far the least margin is on the wrong side of zero, in tolerances; `right` False: a thousand over that."""
        record = oracle(problem)
        found = self.seen(record, problem)
        worst = int(np.argmin(found))
        beyond = -float(found[worst]) / tolerance(record.witness, self.observable).allowed(1.0)
        if self.right:
            return Violation(max(0.0, beyond), float(found[worst]), 0.0, worst)
        return Violation(FAR / beyond if beyond > 0 else float("inf"), float(found[worst]), 0.0, worst)

    def rewritten(self, units: Units) -> "NearestCode":
        """The same claim: no weight enters it."""
        return self

    def text(self) -> str:
        """The claim in one line."""
        return f"the output at every class mean is {'' if self.right else 'not '}nearest to its own code"
