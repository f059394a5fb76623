"""Symmetry of the data: equal codes are one role; classes of equal size under C = alpha I + beta 11' are a group.

Inside a group of K_g classes of n_g samples every direction orthogonal to the group's mean decouples: its singular
value is |alpha| sqrt(n_g), K_g - 1 times, and no bias touches it. What is left acts on the group means, a G x G
problem (theory: section 3), whatever K is.
"""

import math
from dataclasses import dataclass

import numpy as np

from ufm.problem import Problem, Reduction, reduce_problem
from ufm.problem.targets import ClassTargets

LEAST_SAVED = 2.0  # a reduction pays where it at least halves the number of columns


@dataclass(frozen=True, eq=False)
class Groups:
    """Exchangeable classes: `member` (K) is each one's group; group g has number[g] classes of size[g] samples."""

    alpha: float
    beta: float
    member: np.ndarray
    number: np.ndarray
    size: np.ndarray
    N: int

    @property
    def G(self) -> int:
        """Number of groups: of distinct class sizes."""
        return self.number.size

    @property
    def within(self) -> np.ndarray:
        """Singular value of a direction inside each group, in mean-square units (G); there are number - 1 of them."""
        return abs(self.alpha) * np.sqrt(self.size / self.N)

    @property
    def means(self) -> tuple[np.ndarray, np.ndarray]:
        """Targets (G x G) and ones (G) of the group means, in the orthonormal basis of normalised group indicators."""
        root = np.sqrt(self.size / self.N)
        A = np.diag(self.alpha * root) + self.beta * np.sqrt(np.outer(self.number, self.number)) * root
        return A, np.sqrt(self.number) * root


def find_groups(problem: Problem, *, least_saved: float = 1.0, turned: bool = False) -> Groups | None:
    """The groups of a problem whose codes are alpha I + beta 11', by name or by inspection (O(K^2)); else None.

    least_saved: None as well where the groups are more than K over this. turned: codes that are a rotation of such
    ones will do (simplex codes, orthogonal ones), which their inner products show to round-off.
    """
    targets = problem.targets
    if not isinstance(targets, ClassTargets):
        return None
    if least_saved > 1 and least_saved * len(set(targets.counts.tolist())) > targets.K:
        return None
    exchangeable = targets.encoding.exchangeable
    if exchangeable is None:
        exchangeable = _exchangeable(targets.codes) or (_turned(targets.codes) if turned else None)
    if exchangeable is None:
        return None
    size, member, number = np.unique(targets.counts, return_inverse=True, return_counts=True)
    return Groups(*exchangeable, member, number, size, targets.N)


def _exchangeable(codes: np.ndarray) -> tuple[float, float] | None:
    """(alpha, beta) where the codes are alpha I + beta 11' exactly."""
    K = codes.shape[1]
    if codes.shape[0] != K or K < 2:
        return None
    own, other = codes[0, 0], codes[0, 1]
    expected = np.full((K, K), other)
    np.fill_diagonal(expected, own)
    return (float(own - other), float(other)) if np.array_equal(codes, expected) else None


def _turned(codes: np.ndarray) -> tuple[float, float] | None:
    """(alpha, beta) where C'C is (alpha I + beta 11')^2 to round-off: C is that up to a rotation."""
    K, gram = codes.shape[1], codes.T @ codes
    if K < 2:
        return None
    own, other = float(np.mean(np.diag(gram))), float(np.sum(gram) - np.trace(gram)) / (K * (K - 1))
    expected = np.full((K, K), other)
    np.fill_diagonal(expected, own)
    if own <= other or np.max(np.abs(gram - expected)) > 1e3 * np.finfo(float).eps * own:
        return None
    alpha = math.sqrt(own - other)
    return alpha, (math.sqrt(max(0.0, own + (K - 1) * other)) - alpha) / K


def reduce_roles(problem: Problem) -> Reduction:
    """`reduce_problem` with classes of equal codes merged into one role: their sizes add, their features agree."""
    reduction = reduce_problem(problem)
    targets = problem.targets
    if not isinstance(targets, ClassTargets) or targets.encoding.exchangeable or reduction.A.shape[1] < targets.K:
        return reduction
    role = _roles(targets.codes)
    first = np.flatnonzero(role == np.arange(targets.K))
    if first.size == targets.K:
        return reduction
    index = np.searchsorted(first, role)
    root = np.sqrt(np.bincount(index, weights=targets.counts))
    basis = np.zeros((first.size, targets.K))
    basis[index, np.arange(targets.K)] = 1 / root[index]
    return Reduction(targets.codes[:, first] * root, root, basis)


def _roles(codes: np.ndarray) -> np.ndarray:
    """The first class with the same code (K): only columns that agree in one random combination are compared."""
    combination = np.sum(np.sin(np.arange(1, codes.shape[0] + 1))[:, None] * codes, axis=0)
    _, first, inverse = np.unique(combination, return_index=True, return_inverse=True)
    role = first[inverse]
    same = np.all(codes == codes[:, role], axis=0)
    return np.where(same, role, np.arange(codes.shape[1]))
