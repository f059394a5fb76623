"""Exact dynamics from lambda-balanced weights (arXiv 2409.14623): between lazy and rich learning."""

import numpy as np

from ufm import encodings
from ufm.catalogue import Along, Citation, Conserved, Domain, Integers, LogReals, Motion, Theorem
from ufm.catalogue.assumptions import NO_BIAS, SHALLOW
from ufm.catalogue.domain import Point
from ufm.catalogue.riccati import Riccati
from ufm.catalogue.starts import (
    COLLAPSED_START,
    LAMBDA_BALANCED,
    geometric,
    lambda_of,
    over_samples,
    semi_orthogonal,
    stacked_factors,
    stacked_targets,
    time_unit,
)
from ufm.problem import Problem, classes
from ufm.symbols import N
from ufm.theorems.saxe2014 import UNREGULARISED
from ufm.theorems.trajectories import RICCATI


def _problem(point: Point) -> Problem:
    """No wider than either side of the targets: only then can W'W - HH' be a multiple of the identity."""
    codes = encodings.random(point["K"], point["m"], point["seed"])
    counts = [1 + (point["seed"] + k) % 3 for k in range(point["K"])]
    width = max(1, min(point["K"], point["m"]) - point["less"])
    return Problem(targets=classes(codes, counts), lam_W=0.0, lam_H=0.0, width=width)


def _motion(point: Point) -> Motion:
    """Singular values w and h of the two factors with w^2 - h^2 = lambda, in one basis of the features."""
    problem, rng = _problem(point), np.random.default_rng(point["seed"])
    d = problem.width or 1
    weak = point["scale"] * rng.uniform(0.5, 1.5, d)
    strong = np.sqrt(weak**2 + abs(point["lambda"]))
    w, h = (strong, weak) if point["lambda"] > 0 else (weak, strong)
    basis = semi_orthogonal(rng, d, d)
    W = (semi_orthogonal(rng, problem.m, d) * w) @ basis.T
    means = basis @ (semi_orthogonal(rng, problem.K, d) * h).T
    return Motion(problem, (W,), over_samples(problem, means), geometric(0.1, 4.0, 6) * time_unit(problem))


def _riccati(motion: Motion) -> np.ndarray:
    """QQ'(t) for F = [[lambda/2, A], [A', -lambda/2]]/N, rows of W first."""
    problem, half = motion.problem, lambda_of(motion) / 2
    signs = np.concatenate([np.full(problem.m, half), np.full(problem.K, -half)])
    F = stacked_targets(problem) + np.diag(signs) / problem.N
    flow = Riccati.of(F, stacked_factors(problem, motion.W[0], motion.H), problem.N)
    return np.stack([flow.at(float(t)) for t in motion.times])


_DOMAIN = Domain(
    {
        "K": Integers(2, 4, small=(2, 3)),
        "m": Integers(2, 4, small=(2, 3)),
        "less": Integers(1, 2, small=(1, 2)),
        "seed": Integers(1, 10**6, small=(1,)),
        "scale": LogReals(0.1, 1.0, small=(0.5,)),
        "lambda": LogReals(0.05, 3.0, edges=(-0.5, -2.0), small=(1.0,)),
    }
)
_STARTS = r"Two layers, no regularisation, $W_2'W_2-W_1W_1'=\lambda I$ at the start ($W_2=W$, $W_1=H$): "

THEOREMS = (
    Theorem(
        name="conserved",
        title="A lambda-balanced start stays so",
        statement=_STARTS + r"it stays so.",
        citation=Citation("domine2024", "lambda-balanced weights", "code"),
        kind="structural",
        claims=(),
        along=(Conserved("grams_difference"),),
        domain=_DOMAIN,
        problem=_problem,
        motion=_motion,
        assumes=(SHALLOW, NO_BIAS, UNREGULARISED),
        starts=(LAMBDA_BALANCED,),
    ),
    Theorem(
        name="riccati",
        title="The product of the weights from a lambda-balanced start",
        statement=_STARTS + r"$QQ'(t)$ for $Q=[W_1';W_2]$ is the Riccati solution with "
        r"$F=[[-\frac\lambda2I,S'],[S,\frac\lambda2I]]$, in units of $\tau$ ($\tau=N$ with our $1/(2N)$).",
        citation=Citation("domine2024", "main theorem, and the released code", "code"),
        kind="tight",
        claims=(),
        along=(Along("factors_gram", RICCATI, evaluate=_riccati),),
        clock=1 / N,
        domain=_DOMAIN,
        problem=_problem,
        motion=_motion,
        assumes=(SHALLOW, NO_BIAS, UNREGULARISED),
        starts=(LAMBDA_BALANCED, COLLAPSED_START),
    ),
)
