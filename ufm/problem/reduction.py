"""What the squared loss sees of the data: A = Y Q and q = Q'1, Q an orthonormal basis of the rows of Y and 1'.

Rotating the samples, H -> H O, Y -> Y O, 1 -> O'1, leaves the objective unchanged; so N samples become r <= m + 1
columns (theory: section 2). Everything here is in the units of the data: sum of squares over samples, not means.
"""

from dataclasses import dataclass

import numpy as np

from ufm.problem.problem import Problem
from ufm.problem.targets import ClassTargets


@dataclass(frozen=True, eq=False)
class Reduction:
    """A (m x r) and q (r), with ||q||^2 = N; `basis` (r x columns) leads back from reduced to class or sample columns.

    For classes the columns are class means: Hbar = H_reduced @ basis (d x K); for regression, samples (d x N).
    """

    A: np.ndarray
    q: np.ndarray
    basis: np.ndarray
    diagonal: np.ndarray | None = None  # of the basis, where that is all of it

    def features(self, H: np.ndarray) -> np.ndarray:
        """Reduced features (d x r) as class means (d x K) or samples (d x N)."""
        return H @ self.basis if self.diagonal is None else H * self.diagonal


def reduce_problem(problem: Problem) -> Reduction:
    """The smaller of the class basis (r = K) and the minimal basis (r <= m + 1)."""
    targets = problem.targets
    root = np.sqrt(targets.multiplicity)
    if isinstance(targets, ClassTargets) and targets.m + 1 >= targets.K:
        A, basis = targets.codes * root, np.zeros((root.size, root.size))
        basis.flat[:: root.size + 1] = diagonal = 1 / root
        return Reduction(A, root, basis, diagonal)
    # Row space of [1; Y] with the weights of the columns: its first basis vector is the mean direction.
    rows = np.vstack([np.ones(root.size), targets.columns]) * root
    Q, R = np.linalg.qr(rows.T)
    sign = np.where(R[0, 0] < 0, -1.0, 1.0)
    A, q = sign * R[:, 1:].T, sign * R[:, 0]
    return Reduction(A, q, sign * Q.T / root)
