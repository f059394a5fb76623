"""Neural collapse with unconstrained features (arXiv 2011.11619): what the flow keeps, and where it leads."""

import math

import numpy as np
import sympy as sp

from ufm import encodings
from ufm.catalogue import Along, Citation, Conserved, Domain, Integers, Motion, Theorem, Values
from ufm.catalogue.assumptions import BALANCED, FREE_BIAS, SHALLOW
from ufm.catalogue.domain import Point
from ufm.catalogue.starts import collapsed_means, geometric, over_samples, time_unit
from ufm.problem import Problem, classes
from ufm.symbols import N, n, time
from ufm.theorems.saxe2014 import UNREGULARISED

_SMALL = 1e-6


def _any_problem(point: Point) -> Problem:
    codes = encodings.random(point["K"], point["m"], point["seed"])
    counts = [1 + (point["seed"] + k) % 3 for k in range(point["K"])]
    return Problem(targets=classes(codes, counts), lam_W=0.0, lam_H=0.0, lam_b=point["lam_b"], width=3)


def _any(point: Point) -> Motion:
    problem, rng = _any_problem(point), np.random.default_rng(point["seed"])
    W, H = (rng.standard_normal(shape) for shape in ((problem.m, 3), (3, problem.N)))
    return Motion(problem, (W,), H, geometric(0.1, 3.0, 5) * time_unit(problem))


def _one_hot(point: Point) -> Problem:
    codes = encodings.one_hot(point["K"])
    return Problem(targets=classes(codes, point["n"]), lam_W=0.0, lam_H=0.0, lam_b=0.0, width=point["K"] + 1)


def _small_start(point: Point) -> Motion:
    """Random weights and features near zero, the bias at the mean label, where a constant predictor has it."""
    problem, rng = _one_hot(point), np.random.default_rng(point["seed"])
    d = problem.width or 1
    W, H = (_SMALL * rng.standard_normal(shape) for shape in ((problem.K, d), (d, problem.N)))
    b = np.full(problem.K, 1 / problem.K)
    return Motion(problem, (W,), H, geometric(0.1, 4.0, 6) * problem.N / math.sqrt(point["n"]), b)


def _parts(motion: Motion) -> tuple[float, float, float]:
    """Squares of what stays, grows and shrinks in the linearised flow."""
    means = collapsed_means(motion.problem, motion.H)
    within = motion.H - over_samples(motion.problem, means)
    Wt = motion.W[0].T
    centred = [part - part.mean(axis=1, keepdims=True) for part in (Wt, means)]
    off_centre = [part - c for part, c in zip((Wt, means), centred, strict=True)]
    stays = float(sum(np.sum(part**2) for part in (*off_centre, within)))
    grows, shrinks = (float(np.sum((centred[0] + sign * centred[1]) ** 2)) / 2 for sign in (1, -1))
    return stays, grows, shrinks


_stays, _grows, _shrinks = sp.symbols("S_0 S_+ S_-", positive=True)
_LETTERS = {
    letter: lambda motion, i=i: np.array([_parts(motion)[i]]) for i, letter in enumerate((_stays, _grows, _shrinks))
}
_rate = sp.sqrt(n) / N
_left = _stays + _shrinks * sp.exp(-2 * _rate * time)
gap = sp.sqrt(_left / (_left + _grows * sp.exp(2 * _rate * time)))

THEOREMS = (
    Theorem(
        name="conserved",
        title="The unregularised flow keeps HH' - W'W",
        statement=r"Squared loss, no regularisation, with or without a bias: $HH'-W'W$ is constant along the flow.",
        citation=Citation("mixon2020", "invariant of the gradient flow", "memory"),
        kind="structural",
        claims=(),
        along=(Conserved("grams_difference"),),
        domain=Domain(
            {
                "K": Integers(2, 4, small=(2,)),
                "m": Integers(2, 4, small=(2,)),
                "seed": Integers(1, 10**6, small=(1,)),
                "lam_b": Values((0.0, 1.0, math.inf)),
            }
        ),
        problem=_any_problem,
        motion=_any,
        assumes=(SHALLOW, UNREGULARISED),
    ),
    Theorem(
        name="linearised",
        title="Near zero the flow leads to the subspace of strong neural collapse",
        statement=r"Balanced one-hot classes, no regularisation, free bias at the mean label: linearised at $W=0$, "
        r"$H=0$, the flow approaches the subspace of strong neural collapse, $H_w=0$, $\sqrt n\bar H=W'$, $W'1=0$, "
        r"as told by the angle to it: what is in it grows as $e^{\sigma t/N}$, $\sigma=\sqrt n$; $W'-\sqrt n\bar H$ "
        r"shrinks as $e^{-\sigma t/N}$; the within-class part and the means off centre stay as they are. (Typed from "
        r"memory, with the rates filled in. The subspace asks nothing of the angles between the class means: of "
        r"NC1 to NC3 it lacks the simplex.)",
        citation=Citation("mixon2020", "linearised dynamics and strong neural collapse", "memory"),
        kind="limiting",
        claims=(),
        along=(Along("strong_nc_gap", gap, _LETTERS),),
        domain=Domain(
            {
                "K": Integers(2, 4, small=(2,)),
                "n": Integers(1, 4, small=(1, 2)),
                "seed": Integers(1, 10**6, small=(1,)),
            }
        ),
        problem=_one_hot,
        motion=_small_start,
        assumes=(SHALLOW, BALANCED, FREE_BIAS, UNREGULARISED),
    ),
)
