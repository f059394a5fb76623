"""Critical slowing down at lam_b = lam_b*: our own result on how the mean mode dies out there."""

import math

import numpy as np

from ufm import encodings
from ufm.catalogue import Citation, Domain, Integers, LateSlope, LogReals, Motion, Theorem, Values
from ufm.catalogue.assumptions import BALANCED, SHALLOW, WIDE
from ufm.catalogue.domain import Point
from ufm.catalogue.motion import x
from ufm.catalogue.starts import over_samples, semi_orthogonal
from ufm.catalogue.theorem import Assumption
from ufm.problem import Problem, classes
from ufm.symbols import N, c, lam_b, lam_H, lam_W
from ufm.theorems.class_encoding import relative_regularisation

rho = 1 / (1 + 1 / lam_b)
general = 4 * rho * c / (N * (lam_W + lam_H))
equal_weights = 2 * rho / N


def _is_critical(problem: Problem) -> bool:
    t_rel = relative_regularisation(problem)
    return t_rel < 1 and math.isclose(float(problem.lam_b), t_rel / (1 - t_rel), rel_tol=1e-12)


_CRITICAL = Assumption("lam_b = lam_b* = t_rel/(1 - t_rel), t_rel < 1", _is_critical)


def _problem(point: Point) -> Problem:
    K, n, t = point["K"], point["n"], point["t_rel"]
    strength = t / (K * math.sqrt(n))
    return Problem(
        targets=classes(encodings.one_hot(K), n),
        lam_W=strength * point["aspect"],
        lam_H=strength / point["aspect"],
        lam_b=t / (1 - t),
        width=K,
    )


def _motion(point: Point) -> Motion:
    """The optimum, with a mean mode of a tenth of the others' strength in unequal shares; watched late."""
    problem, rng = _problem(point), np.random.default_rng(point["seed"])
    K, n, t = point["K"], point["n"], point["t_rel"]
    s = math.sqrt(n) * (1 - t)
    mean = np.full((K, K), 1 / K)
    strengths = math.sqrt(s) * (np.eye(K) - mean) + math.sqrt(s / 10) * mean
    gamma = (float(problem.lam_W[0]) / float(problem.lam_H)) ** 0.25
    R = semi_orthogonal(rng, K, K)
    tilt = np.eye(K) + point["tilt"] * mean  # the shares of W and H on the mean mode
    W, means = strengths @ tilt @ R.T / gamma, gamma * R @ np.linalg.inv(tilt) @ strengths
    weights = float(problem.lam_W[0]) + float(problem.lam_H)
    growth = 4 * t * math.sqrt(float(problem.lam_W[0]) * float(problem.lam_H)) / (problem.N * weights)
    return Motion(
        problem, (W,), over_samples(problem, means), np.array([400.0, 800.0]) / (growth * s), np.full(K, (1 - t) / K)
    )


def _domain(*aspects: float) -> Domain:
    return Domain(
        {
            "K": Integers(2, 4, small=(2, 3)),
            "n": Integers(1, 3, small=(1, 2)),
            "t_rel": LogReals(0.2, 0.7, small=(0.5,)),
            "aspect": Values(aspects),
            "tilt": Values((0.0, 0.5)),
            "seed": Integers(1, 1000, small=(1,)),
        }
    )


_SETTING = (
    r"Balanced one-hot classes, squared loss, $t_{rel}<1$, at $\lambda_b=\lambda_b^*$: the mean mode relaxes "
    r"algebraically, "
)

THEOREMS = (
    Theorem(
        name="general",
        title="At the transition the mean mode dies out like 1/t",
        statement=_SETTING + r"$d(1/s_0)/dt\to4\rho c/(N(\lambda_W+\lambda_H))$, $\rho=\lambda_b/(1+\lambda_b)$, "
        r"$c=\sqrt{\lambda_W\lambda_H}$.",
        citation=Citation("ufm", "theory of the flow, critical slowing down", "own"),
        kind="limiting",
        claims=(),
        along=(LateSlope("singular_value_mean", general, reading=1 / x),),
        domain=_domain(1.0, 3.0, 0.25),
        problem=_problem,
        motion=_motion,
        assumes=(SHALLOW, BALANCED, WIDE, _CRITICAL),
    ),
    Theorem(
        name="equal_weights",
        title="The same law as it stands for equal weights",
        statement=_SETTING
        + r"$s_0\sim N/(2\rho t)$. (Our first version, stated without the condition $\lambda_W=\lambda_H$ under which "
        r"it holds.)",
        instead=("critical_slowing:general",),
        citation=Citation("ufm", "theory of the flow, critical slowing down, first version", "own"),
        kind="limiting",
        claims=(),
        along=(LateSlope("singular_value_mean", equal_weights, reading=1 / x),),
        domain=_domain(1.0, 30.0),
        problem=_problem,
        motion=_motion,
        assumes=(SHALLOW, BALANCED, WIDE, _CRITICAL),
        no_proof="It is refuted where the weights differ; critical_slowing:general is what holds.",
    ),
)
