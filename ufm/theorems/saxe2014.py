"""Exact learning curves of deep linear networks (arXiv 1312.6120), where the first layer is the features.

The paper's inputs are white and its loss is N times ours, so its time is t/N; its sigma are the singular values of Y.
"""

import math

import numpy as np
import sympy as sp
from scipy.integrate import quad
from scipy.optimize import brentq

from ufm import encodings
from ufm.catalogue import Along, Citation, Domain, Integers, LogReals, Motion, Theorem, Values
from ufm.catalogue.assumptions import NO_BIAS, SHALLOW
from ufm.catalogue.domain import Point
from ufm.catalogue.motion import along_path
from ufm.catalogue.starts import ALIGNED, BALANCED_START, aligned_layers, geometric, target_axes, time_unit
from ufm.catalogue.theorem import Assumption
from ufm.problem import Problem, classes
from ufm.symbols import N, sigma, time
from ufm.theorems.trajectories import s_start, sized_problem, starting_modes

tau = sp.Symbol("tau", positive=True)
_TAU = {s_start: starting_modes, tau: lambda motion: np.ones(1)}
_gain = sp.exp(2 * sigma * time / tau)
mode = sigma * _gain / (_gain - 1 + sigma / s_start)

UNREGULARISED = Assumption("nothing is regularised", lambda p: not any(map(float, (*p.lam_W, p.lam_H))))


def _stable(motion: Motion) -> np.ndarray:
    """The curve with both sides divided by e^{2 sigma t/tau}; tau = N in our time."""
    decay = sp.exp(-2 * sigma * time / N)
    return along_path(sigma / (1 - decay + sigma * decay / s_start), _TAU, motion)


def _shallow(point: Point) -> Problem:
    return sized_problem(point, 0.0)


def _aligned(point: Point) -> Motion:
    """Classifier `aspect` times as strong as the features, on every mode."""
    problem, rng = _shallow(point), np.random.default_rng(point["seed"])
    root = np.sqrt(point["scale"] * rng.uniform(0.5, 1.5, point["K"]))
    W, H = aligned_layers(problem, rng, root * point["aspect"], root / point["aspect"])
    return Motion(problem, W, H, geometric(0.05, 8.0, 8) * time_unit(problem))


def _deep(point: Point) -> Problem:
    """D factors: D - 1 layers over the features."""
    counts = [point["n"] + k * point["step"] for k in range(point["K"])]
    layers = (0.0,) * (point["D"] - 1)
    return Problem(
        targets=classes(encodings.one_hot(point["K"]), counts), lam_W=layers, lam_H=0.0, width=point["K"] + 1
    )


def _deep_aligned(point: Point) -> Motion:
    problem, rng = _deep(point), np.random.default_rng(point["seed"])
    strengths = point["scale"] * rng.uniform(0.5, 1.5, point["K"])
    W, H = aligned_layers(problem, rng, *[strengths ** (1 / point["D"])] * point["D"])
    least = float(target_axes(problem)[1][-1])
    unit = problem.N / (point["D"] * least ** (2 - 2 / point["D"]))
    return Motion(problem, W, H, geometric(0.2, 3.0, 4) * unit)


def depth_clock(z: float, start: float, sigma: float, D: int) -> float:
    """int_start^s du/(D u^(2 - 2/D) (sigma - u)), the paper's time at which s = sigma - (sigma - start) e^(-z).

    In u = sigma - (sigma - start) e^(-z') the integrand is 1/(D u^(2 - 2/D)), smooth and bounded.
    """

    def reached(z: float) -> float:
        return (sigma - (sigma - start) * math.exp(-z)) ** (2 / D - 2) / D

    return quad(reached, 0.0, z, epsabs=0, epsrel=1e-12, limit=200)[0]


def deep_mode(t: float, start: float, sigma: float, D: int) -> float:
    """The strength at the paper's time t: the root of depth_clock(z) = t, as dz/dt is at most D max(u)^(2 - 2/D)."""
    if t == 0 or start == sigma:
        return start
    latest = D * max(start, sigma) ** (2 - 2 / D) * t * (1 + 1e-9)
    z = brentq(lambda z: depth_clock(z, start, sigma, D) - t, 0.0, latest, xtol=1e-13)
    return sigma - (sigma - start) * math.exp(-float(z))  # pyright: ignore


def _deep_modes(motion: Motion) -> np.ndarray:
    problem, start = motion.problem, starting_modes(motion)[0]
    ends, D = target_axes(problem)[1], problem.p
    rows = [
        [deep_mode(float(t) / problem.N, float(s), float(end), D) for s, end in zip(start, ends, strict=True)]
        for t in motion.times
    ]
    return np.array(rows)


_SIZES = {
    "K": Integers(2, 4, small=(2, 3)),
    "n": Integers(1, 4, small=(1, 2)),
    "step": Integers(1, 3, small=(1,)),
    "seed": Integers(1, 10**6, small=(1,)),
    "scale": LogReals(1e-3, 3.0, small=(0.1,)),
}
_CURVE = r"$s(t)=\sigma e^{2\sigma t/\tau}/(e^{2\sigma t/\tau}-1+\sigma/s_0)$"
_DEPTH = sp.Function("s")(sigma, s_start, time)

THEOREMS = (
    Theorem(
        name="modes",
        title="The learning curve of a mode of a two-layer network",
        statement=rf"Two layers, no regularisation, aligned and balanced start: every mode follows {_CURVE}. "
        r"(With our $1/(2N)$ before the loss $\tau=N$.)",
        citation=Citation("saxe2014", "equation of the two-layer modes", "memory"),
        kind="tight",
        claims=(),
        along=(Along("modes", mode.subs(tau, 1), {s_start: starting_modes}, evaluate=_stable),),
        clock=1 / N,
        domain=Domain({**_SIZES, "aspect": Values((1.0,))}),
        problem=_shallow,
        motion=_aligned,
        assumes=(SHALLOW, NO_BIAS, UNREGULARISED),
        starts=(ALIGNED, BALANCED_START),
    ),
    Theorem(
        name="modes_any_start",
        title="The same curve, from an aligned start that is not balanced",
        statement=rf"Two layers, no regularisation, aligned start: every mode follows {_CURVE}. (The formula as it is "
        r"often quoted, without the paper's condition that both layers start with equal strength; what holds instead "
        r"is trajectories:unbalanced_mode.)",
        instead=("trajectories:unbalanced_mode",),
        citation=Citation("saxe2014", "equation of the two-layer modes, without its condition on the start", "memory"),
        kind="tight",
        claims=(),
        along=(Along("modes", mode.subs(tau, 1), {s_start: starting_modes}, evaluate=_stable),),
        clock=1 / N,
        domain=Domain({**_SIZES, "aspect": Values((1.0, 2.0, 0.5))}),
        problem=_shallow,
        motion=_aligned,
        assumes=(SHALLOW, NO_BIAS, UNREGULARISED),
        starts=(ALIGNED,),
        no_proof="It is refuted: a mode whose layers differ in strength grows faster.",
    ),
    Theorem(
        name="depth",
        title="The learning curve of a mode at depth D",
        statement=r"$D$ layers, no regularisation, aligned and balanced start: every mode obeys "
        r"$ds/dt=Ds^{2-2/D}(\sigma-s)$. (In units of $\tau$: with our $1/(2N)$ before the loss $\tau=N$. Checked "
        r"through its implicit solution $\int_{s_0}^s du/(Du^{2-2/D}(\sigma-u))=t$, from starts below and above "
        r"$\sigma$.)",
        citation=Citation("saxe2014", "equation of the deep modes", "memory"),
        kind="tight",
        claims=(),
        along=(Along("modes", _DEPTH, {s_start: starting_modes}, evaluate=_deep_modes),),
        clock=1 / N,
        domain=Domain({**_SIZES, "scale": LogReals(0.05, 4.0, small=(0.5,)), "D": Values((3, 4, 5))}),
        problem=_deep,
        motion=_deep_aligned,
        assumes=(NO_BIAS, UNREGULARISED),
        starts=(ALIGNED, BALANCED_START),
    ),
)
