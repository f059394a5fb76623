"""The squared loss at p = 2 of all classes from that of their group means: solution, dual, and what lies within."""

import math

import numpy as np

from ufm.optimum.squared.shrinkage import ShrinkageProblem, ShrinkageSolution
from ufm.optimum.symmetry import Groups


def between(groups: Groups, threshold: float, lam_b: float) -> ShrinkageProblem:
    """The problem of the group means (G x G)."""
    return ShrinkageProblem(*groups.means, threshold, lam_b)


def expand(groups: Groups, between: ShrinkageSolution, threshold: float) -> ShrinkageSolution:
    """The solution of all K classes from that of the group means (K x K arrays)."""
    sign, indicator = math.copysign(1.0, groups.alpha), _indicator(groups)
    kept = [g for g in range(groups.G) if groups.within[g] > threshold and groups.number[g] > 1]
    inside = [_inside(groups.member == g) for g in kept]
    s = np.concatenate([between.s, *(np.full(groups.number[g] - 1, groups.within[g] - threshold) for g in kept)])
    U = np.hstack([indicator @ between.U, *(sign * basis for basis in inside)])
    V = np.hstack([indicator @ between.V, *inside])
    order = np.argsort(-s, kind="stable")
    return ShrinkageSolution(
        U[:, order], s[order], V[:, order], indicator @ between.b, expand_dual(groups, between.E, threshold)
    )


def expand_dual(groups: Groups, E: np.ndarray, threshold: float) -> np.ndarray:
    """The residual of all K classes (K x K) from that of the group means (G x G)."""
    indicator = _indicator(groups)
    clipped = math.copysign(1.0, groups.alpha) * np.minimum(groups.within, threshold)
    full = indicator @ (E - np.diag(clipped)) @ indicator.T
    full[np.diag_indices(groups.member.size)] += clipped[groups.member]
    return full


def within_value(groups: Groups, threshold: float | np.ndarray) -> np.ndarray:
    """What the directions inside the groups add to the value, and to its bound, at each threshold."""
    clipped = np.minimum(groups.within, np.asarray(threshold)[..., None])
    return np.sum((groups.number - 1) * clipped * (groups.within - clipped / 2), axis=-1)


def _indicator(groups: Groups) -> np.ndarray:
    """Orthonormal columns: the normalised indicator of each group (K x G)."""
    indicator = np.zeros((groups.member.size, groups.G))
    indicator[np.arange(groups.member.size), groups.member] = 1 / np.sqrt(groups.number[groups.member])
    return indicator


def _inside(chosen: np.ndarray) -> np.ndarray:
    """An orthonormal basis (K x K_g - 1), by a reflection, of the vectors on these classes that sum to zero."""
    size = int(chosen.sum())
    v = np.full(size, 1 / math.sqrt(size))
    v[0] += 1  # v/|v| reflects the first unit vector onto minus the mean direction
    reflection = np.eye(size) - np.outer(v, v) * (2 / float(v @ v))
    basis = np.zeros((chosen.size, size - 1))
    basis[chosen] = reflection[:, 1:]
    return basis
