"""The matrix Riccati solution of batch learning from balanced weights, as first given."""

import numpy as np

from ufm.catalogue import Along, Citation, Domain, Integers, LogReals, Motion, Theorem, Values
from ufm.catalogue.assumptions import NO_BIAS, SHALLOW, WIDE
from ufm.catalogue.domain import Point
from ufm.catalogue.starts import BALANCED_START, COLLAPSED_START, geometric, stacked_targets, time_unit
from ufm.catalogue.theorem import Assumption
from ufm.problem import Problem
from ufm.symbols import N
from ufm.theorems.saxe2014 import UNREGULARISED
from ufm.theorems.trajectories import RICCATI, balanced_factors, riccati_at, sized_problem


def _problem(point: Point) -> Problem:
    return sized_problem(point, 0.0)


def motion(point: Point) -> Motion:
    """A random balanced start."""
    problem, rng = _problem(point), np.random.default_rng(point["seed"])
    W, H = balanced_factors(problem, rng, point["scale"])
    return Motion(problem, W, H, geometric(0.1, point["until"], 6) * time_unit(problem))


def _is_invertible(problem: Problem) -> bool:
    size = np.abs(np.linalg.eigvalsh(stacked_targets(problem)))
    return bool(size.min() > 1e-12 * size.max())


_INVERTIBLE = Assumption("F = [[0, Y], [Y', 0]] is invertible: square targets of full rank", _is_invertible)

_SIZES = {
    "K": Integers(2, 4, small=(2, 3)),
    "n": Integers(1, 4, small=(1, 2)),
    "step": Integers(1, 3, small=(1,)),
    "spare": Integers(1, 3, small=(1,)),
    "seed": Integers(1, 10**6, small=(1,)),
    "scale": LogReals(0.05, 0.7, small=(0.3,)),
}
DOMAIN = Domain({**_SIZES, "until": Values((4.0,))})

THEOREMS = (
    Theorem(
        name="riccati",
        title="The product of the weights from a balanced start",
        statement=r"Two layers, no regularisation, $W'W=HH'$, $Q=[W;H']$, $F=[[0,Y],[Y',0]]$ invertible: "
        r"$QQ'(t)=e^{Ft}Q_0\bigl(I+\frac12Q_0'(e^{Ft}F^{-1}e^{Ft}-F^{-1})Q_0\bigr)^{-1}Q_0'e^{Ft}$ in units of $\tau$ "
        r"($\tau=N$ with our $1/(2N)$), that is, with $G=\int_0^te^{2Fs}ds$. (In the class basis of the targets, with "
        r"features equal within classes; over all samples $F$ is never invertible.)",
        citation=Citation("fukumizu1998", "exact solution of the batch dynamics", "memory"),
        kind="tight",
        claims=(),
        along=(Along("factors_gram", RICCATI, evaluate=riccati_at),),
        clock=1 / N,
        domain=DOMAIN,
        problem=_problem,
        motion=motion,
        assumes=(SHALLOW, NO_BIAS, WIDE, UNREGULARISED, _INVERTIBLE),
        starts=(BALANCED_START, COLLAPSED_START),
    ),
)
