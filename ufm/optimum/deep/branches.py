"""What each direction of a deep linear model can do: stay at zero, or sit on its nonzero branch (theory: section 4)."""

import math
from dataclasses import dataclass

import numpy as np

from ufm.errors import ProblemError
from ufm.optimum.deep.scalar import barrier, local_minimum, minimise, spinodal, threshold
from ufm.optimum.deep.spectral import DeepProblem, best_directions
from ufm.problem import Problem, reduce_problem


@dataclass(frozen=True, eq=False)
class Branches:
    """Local minima per singular direction of the targets, in the units of the data; one entry a direction.

    sigma: singular values of A, descending (of A(I - qq'/N) and the mean's where the mean is its own direction); mean:
    which one that is; tau: N Lam, N Lam/rho in the mean direction. s: at the global minimum. nonzero: the local minimum
    s > 0, NaN where tau >= spinodal. barrier: the maximum between it and 0. metastable: the local minimum that is not
    the global one, NaN where there is no second. excess: how much higher the objective is there than at s (for this
    direction alone), NaN with it. spinodal: the nonzero local minimum exists for tau below it; threshold: it is global
    for tau below it (zero is reported at equality).
    """

    sigma: np.ndarray
    mean: np.ndarray
    tau: np.ndarray
    s: np.ndarray
    nonzero: np.ndarray
    barrier: np.ndarray
    metastable: np.ndarray
    excess: np.ndarray
    spinodal: np.ndarray
    threshold: np.ndarray

    @property
    def in_band(self) -> np.ndarray:
        """Directions whose nonzero minimum exists but is not global: threshold <= tau < spinodal."""
        return (self.tau >= self.threshold) & (self.tau < self.spinodal)


def branches(problem: Problem, b: np.ndarray | None = None) -> Branches:
    """The local minima of every direction. Squared loss, any p >= 2 (p = 2 has no second one).

    Directions decouple with no bias, a free bias, or a mean that is a singular direction; otherwise give a bias b (m),
    such as `ufm.solve(problem).b`, and the directions are those of A - b q' with b held fixed.
    """
    if problem.loss != "mse" or problem.is_symbolic:
        raise ProblemError("problem", problem, "branches needs loss='mse' and numbers for the weights.")
    reduced = DeepProblem.of(problem, reduce_problem(problem))
    sigma, weight, mean = _directions(reduced, b)
    order = np.argsort(-sigma, kind="stable")
    sigma, weight, mean = sigma[order], weight[order], mean[order]
    t, p = reduced.t / weight, problem.p
    best = minimise(sigma, t, p)
    kept = best_directions(weight * best.gain, best.s, reduced.d)
    other = minimise(sigma, t, p, local=True)
    nonzero = local_minimum(sigma, t, p)
    height = np.abs(weight * other.gain)
    second = ~np.isnan(nonzero) & (p > 2)
    s = np.where(kept, best.s, 0.0)
    unit, tau_unit = math.sqrt(problem.N), problem.N ** (1 - 1 / p)  # tau in data units is t N^(1 - 1/p)
    return Branches(
        sigma=sigma * unit,
        mean=mean,
        tau=t * tau_unit,
        s=s * unit,
        nonzero=nonzero * unit,
        barrier=barrier(sigma, t, p) * unit,
        metastable=np.where(second, np.where(s > 0, 0.0, nonzero), np.nan) * unit,
        excess=np.where(second, height, np.nan),
        spinodal=spinodal(sigma, p) * tau_unit,
        threshold=threshold(sigma, p) * tau_unit,
    )


def _directions(problem: DeepProblem, b: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Singular values, the weight of each direction's fit, and which one is the mean."""
    if b is not None or math.isinf(problem.lam_b):
        M = problem.A if b is None else problem.A - np.outer(b, problem.u)
    elif problem.lam_b == 0:
        M = problem.centred
    elif problem.mean_is_singular_direction:
        sigma = np.linalg.svd(problem.centred, compute_uv=False)
        sigma = np.append(sigma[: max(1, min(problem.A.shape) - 1)], np.linalg.norm(problem.mean))
        weight = np.append(np.ones(sigma.size - 1), problem.rho)
        return sigma, weight, np.arange(sigma.size) == sigma.size - 1
    else:
        raise ProblemError("b", None, "the target mean is not a singular direction; give b = ufm.solve(problem).b.")
    sigma = np.linalg.svd(M, compute_uv=False)
    return sigma, np.ones(sigma.size), np.zeros(sigma.size, dtype=bool)
