"""Exact learning dynamics with prior knowledge: the Riccati solution in a form that holds at late times."""

import numpy as np

from ufm import encodings
from ufm.catalogue import Along, Citation, Domain, Integers, LogReals, Motion, StartAssumption, Tends, Theorem, Values
from ufm.catalogue.assumptions import NO_BIAS, SHALLOW
from ufm.catalogue.domain import Point
from ufm.catalogue.starts import BALANCED_START, COLLAPSED_START, geometric, target_axes, time_unit
from ufm.problem import Problem, classes
from ufm.symbols import N, sigma
from ufm.theorems.saxe2014 import UNREGULARISED
from ufm.theorems.trajectories import RICCATI, balanced_factors, riccati_at, riccati_of


def _problem(point: Point) -> Problem:
    """Codes of any shape: F may be singular."""
    codes = encodings.random(point["K"], point["m"], point["seed"])
    counts = [1 + (point["seed"] + k) % 3 for k in range(point["K"])]
    width = min(point["K"], point["m"]) + point["spare"]
    return Problem(targets=classes(codes, counts), lam_W=0.0, lam_H=0.0, width=width)


def _motion(point: Point) -> Motion:
    problem, rng = _problem(point), np.random.default_rng(point["seed"])
    W, H = balanced_factors(problem, rng, point["scale"], saddle=point["saddle"])
    return Motion(problem, W, H, geometric(0.1, point["until"], 6) * time_unit(problem))


_REACHES_ALL = StartAssumption(
    "the start overlaps every growing direction: B = U'W + V'H' is nonsingular",
    lambda m: not riccati_of(m).saddle_bound,
)
_SHAPES = {
    "K": Integers(2, 4, small=(2, 3)),
    "m": Integers(2, 4, small=(2, 3)),
    "spare": Integers(1, 3, small=(1,)),
    "seed": Integers(1, 10**6, small=(1,)),
    "scale": LogReals(0.1, 0.7, small=(0.3,)),
}
_RESCALED = (
    r"Two layers, no regularisation, balanced start, any shape of the targets, $B$ nonsingular: with the reduced "
    r"singular value decomposition $Y=U\Sigma V'$ the Riccati solution is a product in which $e^{-\Sigma t}$ alone "
    r"stands, so it stays finite at late times"
)

THEOREMS = (
    Theorem(
        name="riccati",
        title="The product of the weights, in exponentials that decay",
        statement=_RESCALED
        + r". (Units of $\tau$; $\tau=N$ with our $1/(2N)$. What is compared is its value, by an evaluation of the "
        r"same kind.)",
        citation=Citation("braun2022", "Theorem 3.1", "memory"),
        kind="tight",
        claims=(),
        along=(Along("factors_gram", RICCATI, evaluate=riccati_at),),
        clock=1 / N,
        domain=Domain({**_SHAPES, "until": Values((4.0, 12.0)), "saddle": Values((False,))}),
        problem=_problem,
        motion=_motion,
        assumes=(SHALLOW, NO_BIAS, UNREGULARISED),
        starts=(BALANCED_START, COLLAPSED_START, _REACHES_ALL),
    ),
    Theorem(
        name="limit",
        title="The flow ends at the least-squares solution",
        statement=_RESCALED + r", and the modes of $WH$ tend to $\Sigma$.",
        citation=Citation("braun2022", "convergence of the exact solution", "memory"),
        kind="limiting",
        claims=(),
        along=(Tends("modes", sigma, {sigma: lambda m: target_axes(m.problem)[1][None]}),),
        domain=Domain({**_SHAPES, "until": Values((400.0,)), "saddle": Values((False,))}),
        problem=_problem,
        motion=_motion,
        assumes=(SHALLOW, NO_BIAS, UNREGULARISED),
        starts=(BALANCED_START, COLLAPSED_START, _REACHES_ALL),
    ),
)
