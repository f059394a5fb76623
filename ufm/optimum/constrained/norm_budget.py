"""The layer-peeled model: norm budgets are a nuclear-norm ball of the class logits, certified by its dual.

If d >= K the budgets allow exactly the logits Z (K x K) with ||Z||_* <= K sqrt(E_W E_H) (fang2021: section 4). So the
problem is min f(Z) = sum_k (n_k/N) CE(z_k) over that ball; the multiplier of the ball is the root of a scalar equation,
each evaluation the penalised problem f(Z) + mu ||Z||_*. For any probabilities p (columns), weak duality gives
f >= sum_k (n_k/N) entropy(p_k) - K sqrt(E_W E_H) ||G||_op, column k of G being (n_k/N)(p_k - t_k).
"""

import math

import numpy as np
from scipy.optimize import root_scalar

from ufm.constraints import NormBudget
from ufm.errors import ProblemError
from ufm.optimum.constrained import referee
from ufm.optimum.constrained.point import optimum_at
from ufm.optimum.entropy.solve import solve_entropy
from ufm.optimum.optimum import Optimum
from ufm.optimum.referees import solver_of
from ufm.optimum.status import OptimumStatus
from ufm.optimum.symmetry import find_groups
from ufm.problem import Problem, classes

_EVALUATIONS = 60
_TIGHT = 1e-8


def solve_norm_budget(problem: Problem, method: str = "auto") -> Optimum:
    """The optimum of the layer-peeled model; W and H spend their budgets exactly."""
    budget = problem.constraint
    if not isinstance(budget, NormBudget):
        raise ProblemError("constraint", budget, "this solver needs a NormBudget.")
    groups = find_groups(problem)
    if groups is None or (groups.alpha, groups.beta) != (1.0, 0.0) or problem.K < 2:
        raise ProblemError("targets", problem.targets, "the layer-peeled model has one-hot codes, K >= 2.")
    if float(problem.lam_W[0]) != 0 or float(problem.lam_H) != 0:
        weights = (float(problem.lam_W[0]), float(problem.lam_H))
        raise ProblemError("lam_W, lam_H", weights, "budgets take the place of penalties; set both to 0.")
    K = problem.K
    width = problem.width if problem.width is not None else K
    if width < K:
        raise ProblemError("width", width, f"the convex relaxation is exact for width >= K = {K}; raise it.")
    share = problem.classes.counts / problem.N
    radius = K * math.sqrt(budget.E_W * budget.E_H)
    if (solver := solver_of(method)) is not None:
        Z, work, found_by = referee.norm_budget(share, budget, solver), 1, method
        Z = Z * (radius / float(np.linalg.norm(Z, "nuc")))
    else:
        Z, work, found_by = *_on_the_ball(share, radius), "nuclear-norm ball, root of its multiplier"
    value, bound, p = _value_and_bound(Z, share, radius)
    U, s, Vt = np.linalg.svd(Z)
    ratio = (budget.E_W / budget.E_H) ** 0.25
    W, H = np.zeros((K, width)), np.zeros((width, K))
    W[:, :K], H[:K] = U * np.sqrt(s) * ratio, np.sqrt(s)[:, None] / ratio * Vt
    open_gap = OptimumStatus.BEST_KNOWN if method == "auto" else OptimumStatus.OPEN_GAP
    return optimum_at(
        problem,
        W,
        H,
        np.zeros(K),
        status=OptimumStatus.CERTIFIED if value - bound <= _TIGHT * max(1.0, value) else open_gap,
        method=found_by,
        value=value,
        lower_bound=bound,
        stationarity=abs(float(np.sum(W**2)) / (K * budget.E_W) - 1),
        convex=True,
        dual=p,
        work=work,
    )


def minority_collapse_threshold(
    majority: int, minority: int, E_W: float, E_H: float, largest: float = 1e6, rel: float = 1e-9
) -> float:
    """The size ratio n_majority/n_minority from which the minority classifiers are one vector (fang2021: section 4).

    majority, minority: numbers of classes (minority >= 2); rel: relative accuracy; inf where it is above `largest`.
    Where they are one, the slope G of the fit is -(n_minority/N) I on differences of minority classes; so they are one
    as long as n_minority/N is at most the multiplier ||G||_op of the ball, and the threshold is a root of that.
    For fang2021's own figure (five and five classes, E_H = 5, E_W = 1) it is 12.19245.
    """
    if majority < 1 or minority < 2:
        raise ProblemError("majority, minority", (majority, minority), "give at least 1 and at least 2 classes.")
    NormBudget(E_W, E_H)  # checks the budgets
    radius = (majority + minority) * math.sqrt(E_W * E_H)

    def apart(log_ratio: float) -> float:
        share = np.concatenate([np.full(majority, math.exp(log_ratio)), np.ones(minority)])
        share = share / share.sum()
        Z, _ = _on_the_ball(share, radius)
        return math.log(float(share[-1]) / _multiplier(Z, share))

    if apart(math.log(largest)) > 0:
        return math.inf
    if apart(0.0) <= 0:
        return 1.0
    found = root_scalar(apart, bracket=(0.0, math.log(largest)), method="brentq", xtol=rel, rtol=rel)
    return math.exp(found.root)


def _on_the_ball(share: np.ndarray, radius: float) -> tuple[np.ndarray, int]:
    """argmin sum_k share_k CE(z_k) over ||Z||_* <= radius, K x K, and the Newton steps spent.

    A class of weight w is a target of mass w: scaled one-hot codes with one sample each make the penalised problem.
    """
    K = share.size
    targets, work = classes(np.diag(share * K), 1), 0

    def at(mu: float) -> np.ndarray:
        nonlocal work
        found = solve_entropy(Problem(targets=targets, lam_W=mu, lam_H=mu, loss="cross_entropy"), "auto")
        work += found.certificate.work
        return found.logits

    def excess(log_mu: float) -> float:
        nonlocal Z
        Z = at(math.exp(log_mu))
        return math.log(max(float(np.linalg.norm(Z, "nuc")) / radius, 1e-3))

    # ||Z||_* falls from infinity to 0 as mu rises to the norm of the slope at Z = 0.
    Z = np.zeros((K, K))
    high = math.log(float(np.linalg.norm((np.full((K, K), 1 / K) - np.eye(K)) * share, 2)))
    low = high - math.log(4)
    while excess(low) < 0:
        high, low = low, low - math.log(4)
    found = root_scalar(excess, bracket=(low, high), method="brentq", xtol=1e-14, rtol=1e-14, maxiter=_EVALUATIONS)
    excess(found.root)
    return Z * (radius / float(np.linalg.norm(Z, "nuc"))), work


def _multiplier(Z: np.ndarray, share: np.ndarray) -> float:
    """||G||_op, column k of G being share_k (p_k - t_k): the slope of the fit at these logits."""
    p = np.exp(Z - Z.max(axis=0))
    return float(np.linalg.norm((p / p.sum(axis=0) - np.eye(share.size)) * share, 2))


def _value_and_bound(Z: np.ndarray, share: np.ndarray, radius: float) -> tuple[float, float, np.ndarray]:
    top = Z.max(axis=0)
    log_sum = top + np.log(np.exp(Z - top).sum(axis=0))
    value = float(share @ (log_sum - np.diag(Z)))
    log_p = Z - log_sum
    p = np.exp(log_p)
    entropy = -np.sum(p * log_p, axis=0)
    G = (p - np.eye(share.size)) * share
    return value, float(share @ entropy) - radius * float(np.linalg.norm(G, 2)), p
