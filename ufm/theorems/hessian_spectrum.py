"""The Hessian at the optimum of balanced one-hot classes, and the rate at which the flow comes to rest: our own result.

Modes i, j = 1..K-1 are centred, 0 is the mean direction u = 1/sqrt(K); the optimum has the strengths s and s_0 on them,
residuals -l (times N) on kept modes and -e on the mean direction. Each pair of modes is a block of its own.
"""

import math

import numpy as np
import sympy as sp

from ufm import encodings
from ufm.catalogue import Citation, Domain, Integers, LateSlope, Motion, Theorem, Values
from ufm.catalogue.assumptions import BALANCED, NO_BIAS, SHALLOW, WIDE
from ufm.catalogue.domain import Point
from ufm.catalogue.motion import x
from ufm.catalogue.theorem import Assumption
from ufm.problem import Problem, classes
from ufm.symbols import N, lam_H, n
from ufm.theorems.class_encoding import relative_regularisation
from ufm.theorems.trajectories import EQUAL_WEIGHTS

s_over_N = sp.sqrt(n) / N - lam_H
slowest = sp.Min(lam_H, 2 * s_over_N)
slowest_collapsed = 2 * sp.Min(lam_H, s_over_N)
_WEAK = Assumption("t_rel < 1", lambda p: relative_regularisation(p) < 1)
_ROOM = Assumption("the width exceeds K", lambda p: p.width is None or p.width > p.K)
_APART = Assumption(
    "the least eigenvalue is 1.4 times smaller than the next, so that it can be read off",
    lambda p: bool(np.divide(*eigenvalues(p, within=False)[[1, 0]]) > 1.4),
)
_SAMPLES = Assumption("there are two samples a class at least", lambda p: p.classes.counts.min() > 1)


def _problem(point: Point) -> Problem:
    size, per_class, t = point["K"], point["n"], point["t_rel"]
    l = t / (size * math.sqrt(per_class))
    lam_b = point["lam_b_ratio"] * t / (1 - t)
    targets = classes(encodings.one_hot(size), per_class)
    return Problem(targets=targets, lam_W=l, lam_H=l, lam_b=lam_b, width=size + point["spare"])


def eigenvalues(problem: Problem, *, within: bool = True) -> np.ndarray:
    """The distinct eigenvalues of the Hessian at the optimum, those of rotations (zero) left out; d > K.

    within: also those of features that differ within their class.
    """
    K, n, N, l = problem.K, problem.classes.counts[0], problem.N, float(problem.lam_H)
    lam_b, sigma = float(problem.lam_b), math.sqrt(n)
    s = sigma - N * l
    has_bias, mean_weight = math.isfinite(lam_b), problem.rho
    s_0 = max(0.0, sigma - N * l / mean_weight) if mean_weight > 0 else 0.0
    e = l if s_0 > 0 else mean_weight * sigma / N
    found = [2 * s / N, 2 * l, l + e, l - e]  # pairs of kept modes; the mean direction against what is outside
    if K > 2:
        found.append(2 * sigma / N)
    if n > 1 and within:
        found += [l, l + s / N, l + s_0 / N]  # within classes: outside the rows of W, and inside
    found += list(np.linalg.eigvalsh(_mixed(s, s_0, e, l, N, lam_b if has_bias else None)))
    found += list(np.linalg.eigvalsh(_mean(s_0, e, l, N, lam_b if has_bias else None)))
    values = np.array(found)
    return np.unique(values[values > 1e-9 * values.max()].round(14))


def _mixed(s: float, s_0: float, e: float, l: float, N: int, lam_b: float | None) -> np.ndarray:
    """The block of a centred mode i and the mean direction: dW_i0, dW_0i, dH_i0, dH_0i, and db_i."""
    root, root_0 = math.sqrt(s), math.sqrt(s_0)
    first = np.array([root_0, 0.0, root, 0.0, math.sqrt(N)])  # d(WH)_i0 with the bias
    second = np.array([0.0, root, 0.0, root_0, 0.0])  # d(WH)_0i
    block = (np.outer(first, first) + np.outer(second, second)) / N + l * np.diag([1.0, 1, 1, 1, 0])
    block[0, 3] -= l  # residual of mode i between dW_i0 and dH_0i
    block[3, 0] -= l
    block[1, 2] -= e  # of the mean direction between dW_0i and dH_i0
    block[2, 1] -= e
    return block[:4, :4] if lam_b is None else block + np.diag([0.0, 0, 0, 0, lam_b])


def _mean(s_0: float, e: float, l: float, N: int, lam_b: float | None) -> np.ndarray:
    """The block of the mean direction itself: dW_00, dH_00 and db_0."""
    first = np.array([math.sqrt(s_0), math.sqrt(s_0), math.sqrt(N)])
    block = np.outer(first, first) / N + np.array([[l, -e, 0.0], [-e, l, 0.0], [0.0, 0.0, 0.0]])
    return block[:2, :2] if lam_b is None else block + np.diag([0.0, 0, lam_b])


def _motion(point: Point) -> Motion:
    """A random start, watched when the slowest mode alone is left."""
    problem, rng = _problem(point), np.random.default_rng(point["seed"])
    d = problem.width or 1
    W = rng.standard_normal((problem.K, d)) / math.sqrt(d)
    H = rng.standard_normal((d, problem.N)) / math.sqrt(d)
    if point["collapsed"]:
        H = np.repeat(H[:, :: point["n"]], point["n"], axis=1)
    rate = eigenvalues(problem, within=not point["collapsed"])[0]
    b = np.zeros(problem.K) if problem.has_bias else None
    return Motion(problem, (W,), H, np.array([13.0, 15.0]) / rate, b)


def _least(motion: Motion) -> np.ndarray:
    return eigenvalues(motion.problem, within=False)[:1]


_least_rate = sp.Symbol("least eigenvalue", positive=True)
_SIZES = {
    "K": Integers(2, 4, small=(2, 3)),
    "n": Integers(2, 3, small=(2,)),
    "spare": Integers(1, 2, small=(1,)),
    "seed": Integers(1, 10**6, small=(1,)),
}
_NO_BIAS = {"lam_b_ratio": Values((math.inf,))}
_SPECTRUM = (
    r"Balanced one-hot classes, squared loss, no bias, $\lambda_W=\lambda_H=l$, $t_{rel}<1$: the Hessian at the "
    r"optimum has the eigenvalues $2s/N$, $2l$, $2\sigma/N$ among the kept modes ($s=\sigma-Nl$, $\sigma=\sqrt n$), "
    r"$2l$ outside the row space, $\sigma/N$ and $l$ for features within classes inside and outside it, and "
    r"zero along rotations. "
)

THEOREMS = (
    Theorem(
        name="no_bias",
        title="The slowest rate from a random start, without a bias",
        statement=_SPECTRUM
        + r"With $d>K$ and $n\ge2$ the flow from a random start comes to rest at the rate $\min(l,2s/N)$: at $l$ for "
        r"$t_{rel}\le\frac23$, at $2(\sigma/N-l)$ above, where $l$ is no longer the least.",
        citation=Citation("ufm", "Hessian at the optimum", "own"),
        kind="limiting",
        claims=(),
        along=(LateSlope("gradient_norm", slowest, reading=-sp.log(x)),),
        domain=Domain({**_SIZES, **_NO_BIAS, "t_rel": Values((0.3, 0.5, 0.8)), "collapsed": Values((False,))}),
        problem=_problem,
        motion=_motion,
        assumes=(SHALLOW, BALANCED, NO_BIAS, WIDE, EQUAL_WEIGHTS, _WEAK, _ROOM, _SAMPLES),
    ),
    Theorem(
        name="collapsed",
        title="The slowest rate from a collapsed start, without a bias",
        statement=_SPECTRUM + r"From a collapsed start, which has no part within classes, the rate is $2\min(l,s/N)$.",
        citation=Citation("ufm", "Hessian at the optimum", "own"),
        kind="limiting",
        claims=(),
        along=(LateSlope("gradient_norm", slowest_collapsed, reading=-sp.log(x)),),
        domain=Domain({**_SIZES, **_NO_BIAS, "t_rel": Values((0.2, 0.7)), "collapsed": Values((True,))}),
        problem=_problem,
        motion=_motion,
        assumes=(SHALLOW, BALANCED, NO_BIAS, WIDE, EQUAL_WEIGHTS, _WEAK, _ROOM),
    ),
    Theorem(
        name="penalised_bias",
        title="The slowest rate from a collapsed start, with a bias",
        statement=r"Balanced one-hot classes, squared loss, $\lambda_W=\lambda_H=l$, $t_{rel}<1$, "
        r"$\lambda_b\ne\lambda_b^*$, $d>K$: the flow from a collapsed start comes to rest at the least eigenvalue "
        r"other than zero of the Hessian at the optimum, whose blocks of at most five are written out in this "
        r"file; below $\lambda_b^*$ the mean direction adds $l(1\pm\rho/t_{rel})$, which vanishes at $\lambda_b^*$.",
        citation=Citation("ufm", "Hessian at the optimum", "own"),
        kind="limiting",
        claims=(),
        along=(LateSlope("gradient_norm", _least_rate, {_least_rate: _least}, reading=-sp.log(x)),),
        domain=Domain(
            {
                **_SIZES,
                "K": Integers(2, 3, small=(2, 3)),
                "lam_b_ratio": Values((0.5, 0.0, 3.0)),
                "t_rel": Values((0.2, 0.5)),
                "collapsed": Values((True,)),
            }
        ),
        problem=_problem,
        motion=_motion,
        assumes=(SHALLOW, BALANCED, WIDE, EQUAL_WEIGHTS, _WEAK, _ROOM, _APART),
        no_proof="The rate is the least root of polynomials of degree two to five, which has no closed form; that the "
        "second-order part of the loss falls into exactly these blocks is proved without a bias only.",
    ),
)
