"""Trajectories in closed form under weight decay: our own results on the gradient flow of the squared loss."""

import math
from functools import reduce

import numpy as np
import sympy as sp

from ufm import encodings
from ufm.catalogue import Along, Citation, Conserved, Domain, Integers, LateSlope, LogReals, Motion, Theorem, Values
from ufm.catalogue.assumptions import BALANCED, NO_BIAS, SHALLOW, WIDE
from ufm.catalogue.domain import Point
from ufm.catalogue.motion import x
from ufm.catalogue.riccati import Riccati
from ufm.catalogue.starts import (
    ALIGNED,
    BALANCED_START,
    COLLAPSED_START,
    aligned_layers,
    collapsed_means,
    geometric,
    mode_strengths,
    over_samples,
    semi_orthogonal,
    stacked_factors,
    stacked_targets,
    target_axes,
    time_unit,
)
from ufm.catalogue.theorem import Assumption
from ufm.problem import Problem, classes
from ufm.symbols import N, lam_H, sigma, time

s_start = sp.Symbol("s_i(0)", positive=True)
delta = sp.Symbol("delta_i", positive=True)
s_inf = sigma - N * lam_H
rate = 2 * s_inf / N
mode = s_inf / (1 + (s_inf / s_start - 1) * sp.exp(-rate * time))

EQUAL_WEIGHTS = Assumption("lam_W = lam_H = l", lambda p: p.p == 2 and float(p.lam_W[0]) == float(p.lam_H))
_FREE = Assumption("nothing is regularised", lambda p: not any(map(float, (*p.lam_W, p.lam_H))))


def starting_modes(motion: Motion) -> np.ndarray:
    """s_i(0), one row."""
    return mode_strengths(motion.problem, reduce(np.matmul, motion.W), motion.H)[None]


def modes_at(motion: Motion) -> np.ndarray:
    """The logistic modes (T x r), stable also where s_inf is zero or negative, and at any time."""
    problem = motion.problem
    end = target_axes(problem)[1] - problem.N * float(problem.lam_H)
    a, t, start = 2 * end / problem.N, motion.times[:, None], starting_modes(motion)
    passed = np.exp(-np.abs(a) * t)
    gained = np.where(end == 0, 2 * t / problem.N, -np.expm1(-np.abs(a) * t) / np.where(end == 0, 1.0, np.abs(end)))
    return start * np.where(a < 0, passed, 1.0) / (np.where(a < 0, 1.0, passed) + start * gained)


def sized_problem(point: Point, l: float) -> Problem:
    """One-hot classes of sizes n, n + step, n + 2 step, .., lam_W = lam_H = l in units of sigma_1/N."""
    counts = [point["n"] + k * point.get("step", 0) for k in range(point["K"])]
    weight = l * math.sqrt(max(counts)) / sum(counts)
    width = point["K"] + point.get("spare", 0)
    return Problem(targets=classes(encodings.one_hot(point["K"]), counts), lam_W=weight, lam_H=weight, width=width)


def _decaying(point: Point) -> Problem:
    return sized_problem(point, point["l_rel"])


def _aligned(point: Point) -> Motion:
    """An aligned balanced start whose modes differ, watched from early growth to saturation."""
    problem, rng = _decaying(point), np.random.default_rng(point["seed"])
    strengths = point["scale"] * rng.uniform(0.5, 1.5, point["K"])
    W, H = aligned_layers(problem, rng, *[np.sqrt(strengths)] * 2)
    return Motion(problem, W, H, geometric(0.05, 8.0, 8) * time_unit(problem))


def _to_half(point: Point) -> Motion:
    """One strength for all modes, watched at the time of half saturation alone."""
    problem, rng = _decaying(point), np.random.default_rng(point["seed"])
    end = math.sqrt(point["n"]) - problem.N * float(problem.lam_H)
    strength = end * point["scale"]
    W, H = aligned_layers(problem, rng, *[np.full(point["K"], math.sqrt(strength))] * 2)
    return Motion(problem, W, H, np.array([math.log(end / strength - 1) * problem.N / (2 * end)]))


def _early(point: Point) -> Motion:
    """A start so small that it still grows exponentially at the times it is watched."""
    problem, rng = _decaying(point), np.random.default_rng(point["seed"])
    W, H = aligned_layers(problem, rng, *[np.full(point["K"], 1e-4)] * 2)
    return Motion(problem, W, H, np.array([1.0, 3.0]) * time_unit(problem))


def _with_spread(point: Point) -> Motion:
    """An aligned balanced start with a within-class part too small to move the classifier."""
    problem, rng = _decaying(point), np.random.default_rng(point["seed"])
    W, H = aligned_layers(problem, rng, *[np.full(point["K"], math.sqrt(point["scale"]))] * 2)
    noise = 1e-4 * rng.standard_normal(H.shape)
    noise -= over_samples(problem, collapsed_means(problem, noise))
    return Motion(problem, W, H + noise, geometric(0.05, 8.0, 6) * time_unit(problem))


def _inside(motion: Motion) -> float:
    """||P Hw|| at the start, P the projection on the row space of W."""
    within = motion.H - over_samples(motion.problem, collapsed_means(motion.problem, motion.H))
    rows = np.linalg.qr(motion.W[0].T)[0]
    return float(np.linalg.norm(rows.T @ within))


def _outside(motion: Motion) -> float:
    within = motion.H - over_samples(motion.problem, collapsed_means(motion.problem, motion.H))
    rows = np.linalg.qr(motion.W[0].T)[0]
    return float(np.linalg.norm(within - rows @ (rows.T @ within)))


_inside_start, _outside_start = sp.symbols("w_in(0) w_out(0)", positive=True)
_SPREAD = {
    _inside_start: lambda motion: np.array([_inside(motion)]),
    _outside_start: lambda motion: np.array([_outside(motion)]),
    s_start: lambda motion: starting_modes(motion)[:, 0],
    sigma: lambda motion: target_axes(motion.problem)[1][:1],
}


def _generic(point: Point) -> Motion:
    """A random start, all samples different; watched late."""
    problem, rng = _decaying(point), np.random.default_rng(point["seed"])
    d, l = problem.width or 1, float(problem.lam_H)
    W, H = (rng.standard_normal(shape) / math.sqrt(d) for shape in ((point["K"], d), (d, problem.N)))
    late = 2.0 / min(l, 2 * (time_unit(problem) ** -1 - l))
    return Motion(problem, (W,), H, np.array([2.5, 3.5]) * late)


def _any_problem(point: Point) -> Problem:
    """Any targets and sizes, both losses, with or without a bias."""
    counts = [1 + (point["seed"] * (k + 3)) % 3 for k in range(point["K"])]
    encoding = encodings.one_hot if point["loss"] == "cross_entropy" else encodings.random
    codes = encoding(point["K"]) if point["loss"] == "cross_entropy" else encoding(point["K"], 2, point["seed"])
    weight = point["l"]
    return Problem(
        targets=classes(codes, counts),
        lam_W=weight,
        lam_H=weight,
        lam_b=point["lam_b"],
        loss=point["loss"],
        width=point["K"] + 1,
    )


def _any(point: Point) -> Motion:
    problem, rng = _any_problem(point), np.random.default_rng(point["seed"])
    d = problem.width or 1
    W, H = (rng.standard_normal(shape) / math.sqrt(d) for shape in ((problem.m, d), (d, problem.N)))
    return Motion(problem, (W,), H, geometric(0.1, 1.0, 5) / point["l"])


def balanced_factors(
    problem: Problem, rng: np.random.Generator, scale: float, *, saddle: bool = False
) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """A random collapsed start with W'W = HH', aligned with nothing; saddle: it misses one direction that grows."""
    U, _, Vt = target_axes(problem)
    d, r = problem.width or U.shape[1], U.shape[1]
    root = scale * rng.standard_normal((r, d))
    left, right = semi_orthogonal(rng, r, r), semi_orthogonal(rng, r, r)
    if np.linalg.det(left.T @ right) < 0:  # W + H' must be able to grow everywhere
        right[:, 0] *= -1
    if saddle:
        right[:, 0] *= -1
    W, means = U @ left @ root, (Vt.T @ right @ root).T
    return (W,), over_samples(problem, means)


def _balanced_motion(point: Point) -> Motion:
    problem, rng = _decaying(point), np.random.default_rng(point["seed"])
    W, H = balanced_factors(problem, rng, point["scale"], saddle=point["saddle"])
    return Motion(problem, W, H, geometric(0.1, 4.0, 6) * time_unit(problem))


def riccati_of(motion: Motion) -> Riccati:
    """The Riccati flow of Q = [W; sqrt(n_k) hbar_k'] under weight decay."""
    problem = motion.problem
    F = stacked_targets(problem)
    F -= float(problem.lam_H) * np.eye(F.shape[0])
    return Riccati.of(F, stacked_factors(problem, motion.W[0], motion.H), problem.N)


def riccati_at(motion: Motion) -> np.ndarray:
    """QQ' at the times of the motion (T x q x q)."""
    flow = riccati_of(motion)
    return np.stack([flow.at(float(t)) for t in motion.times])


_q, _d = sp.symbols("q d", integer=True, positive=True)
_GROWTH, _START = sp.MatrixSymbol("e^{Ft}", _q, _q), sp.MatrixSymbol("Q_0", _q, _d)
_INNER = sp.MatrixSymbol("(I+Q_0'GQ_0/N)^{-1}", _d, _d)
RICCATI = _GROWTH * _START * _INNER * _START.T * _GROWTH


def _unbalanced(point: Point) -> Motion:
    """Aligned, unregularised, with a classifier and features of different strength."""
    problem, rng = sized_problem(point, 0.0), np.random.default_rng(point["seed"])
    sizes = point["scale"] * rng.uniform(0.5, 1.5, point["K"])
    W, H = aligned_layers(problem, rng, sizes * point["aspect"], sizes / point["aspect"])
    return Motion(problem, W, H, geometric(0.05, 8.0, 8) * time_unit(problem))


def imbalances(motion: Motion) -> np.ndarray:
    """delta_i = |u_i'WW'u_i - v_i'H'H v_i| at the start, one row."""
    U, _, Vt = target_axes(motion.problem)
    means = collapsed_means(motion.problem, motion.H)
    return np.abs(np.sum((motion.W[0].T @ U) ** 2, axis=0) - np.sum((means @ Vt.T) ** 2, axis=0))[None]


# s = (delta/2) sinh(theta): the flow of theta, d theta/dt = (2/N)(sigma - (delta/2) sinh theta), in closed form
_hypotenuse = sp.sqrt(delta**2 + 4 * sigma**2)
_angle = sp.asinh(2 * s_start / delta)
_half = sp.tanh(_hypotenuse * time / (2 * N))
_v0 = sp.tanh(_angle / 2)
_v = (_v0 * _hypotenuse + (2 * sigma - delta * _v0) * _half) / (_hypotenuse + (delta + 2 * sigma * _v0) * _half)
unbalanced_mode = delta * _v / (1 - _v**2)

_SIZES = {
    "K": Integers(2, 4, small=(2, 3)),
    "n": Integers(1, 4, small=(1, 2)),
    "seed": Integers(1, 10**6, small=(1,)),
}
_MODES = {
    **_SIZES,
    "step": Integers(1, 3, small=(1,)),
    "scale": LogReals(1e-3, 3.0, small=(0.1,)),
    "l_rel": LogReals(1e-2, 2.0, edges=(0.0, 1.0), small=(0.5,)),
}
_BELOW = {
    **_SIZES,
    "scale": LogReals(1e-6, 0.4, small=(0.1,)),
    "l_rel": LogReals(1e-2, 0.9, edges=(0.0,), small=(0.5,)),
}
_OWN = "theory of the flow"

THEOREMS = (
    Theorem(
        name="logistic_modes",
        title="Every mode of an aligned balanced start is logistic",
        statement=(
            r"Squared loss, no bias, $\lambda_W=\lambda_H=l$, any one-hot class sizes: from an aligned balanced start "
            r"every mode follows $s(t)=s_\infty/(1+(s_\infty/s(0)-1)e^{-at})$ with $s_\infty=\sigma-Nl$ and "
            r"$a=2s_\infty/N$. The formula holds for $s_\infty<0$, where the mode dies out, and in the limit "
            r"$s_\infty\to0$, where $s(t)=s(0)/(1+2s(0)t/N)$."
        ),
        citation=Citation("ufm", f"{_OWN}, logistic modes", "own"),
        kind="tight",
        claims=(),
        along=(Along("modes", mode, {s_start: starting_modes}, evaluate=modes_at),),
        domain=Domain(_MODES),
        problem=_decaying,
        motion=_aligned,
        assumes=(SHALLOW, NO_BIAS, WIDE, EQUAL_WEIGHTS),
        starts=(ALIGNED, BALANCED_START),
    ),
    Theorem(
        name="saturation",
        title="When a mode is half saturated",
        statement=(
            r"As there, with $0<s(0)<s_\infty/2$: the mode reaches $s_\infty/2$ at exactly "
            r"$T=\log(s_\infty/s(0)-1)/(2(\sigma/N-l))$."
        ),
        citation=Citation("ufm", f"{_OWN}, saturation", "own"),
        kind="tight",
        claims=(),
        along=(Along("modes", s_inf / 2),),
        domain=Domain(_BELOW),
        problem=_decaying,
        motion=_to_half,
        assumes=(SHALLOW, BALANCED, NO_BIAS, WIDE, EQUAL_WEIGHTS),
        starts=(ALIGNED, BALANCED_START),
    ),
    Theorem(
        name="early_growth",
        title="A small mode grows exponentially",
        statement=(
            r"As there, while $s\ll s_\infty$: $d\log s/dt$ is $2(\sigma/N-l)$, to first order in $s/s_\infty$; so "
            r"$W$ and $H$ grow at $\sigma/N-l$."
        ),
        citation=Citation("ufm", f"{_OWN}, early growth", "own"),
        kind="limiting",
        claims=(),
        along=(LateSlope("modes", 2 * (sigma / N - lam_H), reading=sp.log(x)),),
        domain=Domain({**_SIZES, "l_rel": LogReals(1e-2, 0.7, edges=(0.0,), small=(0.5,))}),
        problem=_decaying,
        motion=_early,
        assumes=(SHALLOW, BALANCED, NO_BIAS, WIDE, EQUAL_WEIGHTS),
        starts=(ALIGNED, BALANCED_START),
    ),
    Theorem(
        name="within_class",
        title="How features collapse within their class",
        statement=(
            r"Squared loss, no bias, $\lambda_W=\lambda_H=l$, balanced one-hot classes, an aligned balanced start with "
            r"equal modes and an infinitesimal within-class part $H_w$: inside the row space of $W$ it decays as "
            r"$e^{-lt}[1+(s(0)/s_\infty)(e^{at}-1)]^{-1/2}$, at the late rate $\sigma/N$; outside it as $e^{-lt}$."
        ),
        citation=Citation("ufm", f"{_OWN}, within-class decay", "own"),
        kind="limiting",
        claims=(),
        along=(
            Along("within_outside", _outside_start * sp.exp(-lam_H * time), _SPREAD),
            Along(
                "within_inside",
                _inside_start * sp.exp(-lam_H * time) / sp.sqrt(1 + s_start / s_inf * (sp.exp(rate * time) - 1)),
                _SPREAD,
            ),
        ),
        domain=Domain({**_BELOW, "n": Integers(2, 4, small=(2,)), "spare": Integers(1, 3, small=(1,))}),
        problem=_decaying,
        motion=_with_spread,
        assumes=(SHALLOW, BALANCED, NO_BIAS, WIDE, EQUAL_WEIGHTS),
    ),
    Theorem(
        name="late_collapse",
        title="Two measures of collapse fall at two rates",
        statement=(
            r"Squared loss, no bias, $\lambda_W=\lambda_H=l$ with $t_{rel}=Nl/\sigma<1$, balanced one-hot classes of "
            r"at least two samples, $d>K$: from a random start $tr\,S_W/tr\,S_B$ falls as $e^{-2lt}$, while "
            r"$tr(S_W S_B^+)$, which sees within-class parts only in the span of the class means, falls as "
            r"$e^{-2\min(\sigma/N,3l)t}$: outside that span the features decay at $l$, and the span itself still turns "
            r"by $e^{-2lt}$. (From an aligned balanced start it does not turn, and the rate is $2\sigma/N$.)"
        ),
        citation=Citation("ufm", f"{_OWN}, late rates of NC1", "own"),
        kind="limiting",
        claims=(),
        along=(
            LateSlope("nc1_ratio", -2 * lam_H, reading=sp.log(x)),
            LateSlope("nc1", -2 * sp.Min(sigma / N, 3 * lam_H), _SPREAD, reading=sp.log(x)),
        ),
        domain=Domain(
            {
                **_SIZES,
                "n": Integers(2, 3, small=(2,)),
                "spare": Integers(1, 2, small=(1,)),
                "l_rel": Values((0.1, 0.2, 0.5)),
            }
        ),
        problem=_decaying,
        motion=_generic,
        assumes=(SHALLOW, BALANCED, NO_BIAS, WIDE, EQUAL_WEIGHTS),
        no_proof="The eigenvalues behind both rates are proved (hessian_spectrum:no_bias). Missing is the step to the "
        "traces: that what turns the span of the class means enters tr(S_W S_B^+) in its square alone, and that random "
        "starts have a part along each of the slowest modes.",
    ),
    Theorem(
        name="grams",
        title="The difference of the Gram matrices decays at the rate of the weights",
        statement=(
            r"Any targets, any loss, any bias, two factors, $\lambda_W=\lambda_H=l$: "
            r"$W'W-HH'=e^{-2lt}(W_0'W_0-H_0H_0')$ at all times, so a balanced start stays balanced."
        ),
        citation=Citation("ufm", f"{_OWN}, Gram matrices", "own"),
        kind="structural",
        claims=(),
        along=(Conserved("grams_difference", sp.exp(2 * lam_H * time) * x),),
        domain=Domain(
            {
                "K": Integers(2, 4, small=(2,)),
                "seed": Integers(1, 10**6, small=(1,)),
                "l": LogReals(0.02, 0.3, small=(0.1,)),
                "lam_b": LogReals(0.1, 10.0, edges=(0.0, math.inf), small=(math.inf,)),
                "loss": Values(("mse", "cross_entropy")),
            }
        ),
        problem=_any_problem,
        motion=_any,
        assumes=(EQUAL_WEIGHTS,),
    ),
    Theorem(
        name="riccati",
        title="A balanced start in closed form, whatever its directions",
        statement=(
            r"Squared loss, no bias, $\lambda_W=\lambda_H=l$, $W'W=HH'$, features equal within classes, "
            r"$Q=[W;\sqrt{n_k}\bar h_k']$, $F=\frac1N[[0,A],[A',0]]-lI$ with $A=C\,diag\sqrt{n_k}$: "
            r"$QQ'(t)=e^{Ft}Q_0(I+\frac1NQ_0'GQ_0)^{-1}Q_0'e^{Ft}$, $G=\int_0^te^{2Fs}ds$. Where $Q_0$ misses a "
            r"growing direction of $F$ the formula still holds and ends at a saddle."
        ),
        citation=Citation("ufm", f"{_OWN}, Riccati", "own"),
        kind="tight",
        claims=(),
        along=(Along("factors_gram", RICCATI, evaluate=riccati_at),),
        domain=Domain(
            {
                **_MODES,
                "scale": LogReals(0.05, 0.5, small=(0.3,)),
                "l_rel": LogReals(1e-2, 2.0, edges=(0.0,), small=(0.5,)),
                "spare": Integers(1, 3, small=(1,)),
                "saddle": Values((False, True)),
            }
        ),
        problem=_decaying,
        motion=_balanced_motion,
        assumes=(SHALLOW, NO_BIAS, WIDE, EQUAL_WEIGHTS),
        starts=(BALANCED_START, COLLAPSED_START),
    ),
    Theorem(
        name="unbalanced_mode",
        title="An aligned start that is not balanced",
        statement=(
            r"Squared loss, no bias, nothing regularised, an aligned start with "
            r"$\delta=\bigl||W'u|^2-|Hv|^2\bigr|>0$ on a mode, which is conserved: "
            r"$ds/dt=\frac1N\sqrt{4s^2+\delta^2}(\sigma-s)$, solved by $s=\delta v/(1-v^2)$ with "
            r"$v=(v_0h+(2\sigma-\delta v_0)T)/(h+(\delta+2\sigma v_0)T)$, "
            r"$h=\sqrt{\delta^2+4\sigma^2}$, $T=\tanh(ht/(2N))$, $v_0=\tanh(\frac12 arsinh(2s(0)/\delta))$."
        ),
        citation=Citation("ufm", f"{_OWN}, unbalanced modes", "own"),
        kind="tight",
        claims=(),
        along=(Along("modes", unbalanced_mode, {s_start: starting_modes, delta: imbalances}),),
        domain=Domain(
            {
                **_SIZES,
                "step": Integers(1, 3, small=(1,)),
                "scale": LogReals(0.05, 2.0, small=(1.0,)),
                "aspect": Values((2.0, 0.5, 1.2, 5.0)),
            }
        ),
        problem=lambda point: sized_problem(point, 0.0),
        motion=_unbalanced,
        assumes=(SHALLOW, NO_BIAS, WIDE, _FREE),
        starts=(ALIGNED,),
    ),
)
