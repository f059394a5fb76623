"""Perturbation analysis of neural collapse (arXiv 2210.16658): the central path, and features tied to given ones."""

import math

import numpy as np
import sympy as sp

from ufm import encodings
from ufm.catalogue import (
    AtLeast,
    AtMost,
    Citation,
    Domain,
    Equals,
    Falls,
    Integers,
    LogReals,
    Motion,
    Rises,
    StartAssumption,
    Tends,
    Theorem,
    Values,
)
from ufm.catalogue.arrays import Arrays
from ufm.catalogue.assumptions import BALANCED, NO_BIAS, SHALLOW
from ufm.catalogue.domain import Point
from ufm.catalogue.motion import x
from ufm.catalogue.starts import collapsed_means, over_samples, semi_orthogonal
from ufm.catalogue.theorem import Assumption
from ufm.metrics.nc1 import nc1_ratio
from ufm.metrics.split import split_classes
from ufm.problem import Problem, classes
from ufm.problem.scaling import scaling
from ufm.symbols import N, lam_H, time

_FLOW = (
    r"$L=\frac1{2Kn}\|WH-Y\|^2+\frac{\lambda_W}{2K}\|W\|^2+\frac{\lambda_H}{2Kn}\|H\|^2$, "
    r"$dH/dt=-Kn\nabla L(H)$ at $W^*(H)=YH'(HH'+n\lambda_WI)^{-1}$, "
)
_CONDITIONS = r"$\lambda_W>0$, $\lambda_H\ge0$, $\Sigma_W(H_0)\ne0$: "


def _problem(point: Point) -> Problem:
    K, n = point["K"], point["n"]
    ours = scaling("tirer2023").to_ours({"lam_W": point["lam_W"], "lam_H": point["lam_H"]}, K, K * n)
    return Problem(targets=classes(encodings.one_hot(K), n), width=point["d"], **ours)


def _features(problem: Problem, point: Point) -> np.ndarray:
    """Random features; "within": none of it between the classes; "apart": within-class parts that no mean can see."""
    rng = np.random.default_rng(point["seed"])
    H = rng.standard_normal((point["d"], problem.N))
    kind = point["start"]
    means = over_samples(problem, collapsed_means(problem, H))
    if kind == "within":
        return H - means + H.mean(axis=1, keepdims=True)
    if kind == "faint":
        return 0.05 * H + means
    return H


def _motion(point: Point) -> Motion:
    """In the paper's time up to `until`; the classifier is the best one at all times, so that none is given."""
    problem = _problem(point)
    times = np.array([0.0, *np.geomspace(0.02, 1.0, 8)]) * point["until"] * problem.N
    nothing = np.zeros((problem.K, point["d"]))
    return Motion(problem, (nothing,), _features(problem, point), times, law="central")


def _late(point: Point) -> Motion:
    problem = _problem(point)
    times = np.array([0.5, 1.0]) * 16 / point["lam_H"] * problem.N
    nothing = np.zeros((problem.K, point["d"]))
    return Motion(problem, (nothing,), _features(problem, point), times, law="central")


def _within(motion: Motion) -> np.ndarray:
    return motion.H - over_samples(motion.problem, collapsed_means(motion.problem, motion.H))


def _between(motion: Motion) -> np.ndarray:
    means = collapsed_means(motion.problem, motion.H)
    return means - means.mean(axis=1, keepdims=True)


def _matters(part: np.ndarray, motion: Motion) -> bool:
    return bool(np.abs(part).max() > 1e-9 * np.abs(motion.H).max())


_SPREAD = StartAssumption("Sigma_W(H0) is not zero", lambda motion: _matters(_within(motion), motion))
_APART = StartAssumption("Sigma_B(H0) is not zero", lambda motion: _matters(_between(motion), motion))
_PENALISED = Assumption("lam_W > 0", lambda p: float(p.lam_W[0]) > 0)
_ALIVE = Assumption(
    "0 < lam_H lam_W < 1",
    lambda p: 0 < float(p.lam_W[0]) * float(p.lam_H) * p.K * p.N < 1,
)
_ASSUMES = (SHALLOW, BALANCED, NO_BIAS, _PENALISED)

_SIZES = {
    "K": Integers(2, 4, small=(2, 3)),
    "n": Integers(2, 4, small=(2,)),
    "d": Integers(1, 5, small=(1, 2)),
    "seed": Integers(1, 10**6, small=(1,)),
}
_DOMAIN = Domain(
    {
        **_SIZES,
        "lam_W": LogReals(0.05, 3.0, small=(1.0, 0.5)),
        "lam_H": LogReals(0.05, 3.0, edges=(0.0,), small=(0.5, 1.0)),
        "until": Values((2.0,)),
        "start": Values(("random", "faint")),
    }
)
_DEGENERATE = Domain({**_DOMAIN.ranges, "start": Values(("random", "faint", "within"))})
_LATE = Domain(
    {
        **_SIZES,
        "lam_W": LogReals(0.05, 1.0, small=(1.0, 0.5)),
        "lam_H": LogReals(0.2, 0.9, small=(0.5,)),
        "start": Values(("random", "faint")),
    }
)

_free_of_decay = sp.exp(2 * lam_H * time) * x


def _statement(name: str, title: str, words: str, *claims: Falls | Tends, **changed: object) -> Theorem:
    fields = {
        "kind": "structural",
        "claims": (),
        "along": claims,
        "clock": 1 / N,
        "domain": _DOMAIN,
        "problem": _problem,
        "motion": _motion,
        "assumes": _ASSUMES,
        "starts": (_SPREAD,),
        "scaling": "tirer2023",
        "citation": Citation("tirer2023", "Theorem 3.1"),
        **changed,
    }
    return Theorem(name=name, title=title, statement=_FLOW + _CONDITIONS + words, **fields)  # pyright: ignore[reportArgumentType]


# features tied to given ones


def _optimal_features(sizes: tuple[int, int, int], lam_W: float, lam_H: float, seed: int) -> np.ndarray:
    """H* (d x Kn) of tirer2022's Theorem 3.1: orthogonal class means of squared length (1 - c) sqrt(lam_W/lam_H)."""
    K, n, d = sizes
    length = math.sqrt((1 - math.sqrt(lam_W * lam_H)) * math.sqrt(lam_W / lam_H))
    frame = semi_orthogonal(np.random.default_rng(seed), d, K)
    return length * np.repeat(frame, n, axis=1)


def _case(point: Point) -> Arrays:
    """Sizes K, n, d and the weights lam_W = c aspect, lam_H = c/aspect, beta."""
    K, n = point["K"], point["n"]
    weights = [point["c"] * point["aspect"], point["c"] / point["aspect"], point["beta"]]
    return Arrays({"sizes": np.array([K, n, K + point["spare"]]), "weights": np.array(weights)})


def _read(case: Arrays) -> tuple[int, int, int, float, float, float]:
    K, n, d = (int(size) for size in case["sizes"])
    return K, n, d, *(float(weight) for weight in case["weights"])  # pyright: ignore[reportReturnType]


def _tied_optimum(case: Arrays) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Y (K x Kn), H* and W*."""
    K, n, d, lW, lH, _ = _read(case)
    H = _optimal_features((K, n, d), lW, lH, 0)
    Y = np.repeat(np.eye(K), n, axis=1)
    return Y, H, Y @ H.T @ np.linalg.inv(H @ H.T + n * lW * np.eye(d))


def _response(case: Arrays) -> np.ndarray:
    """(beta/Kn)(H_hh - H_hw H_ww^{-1} H_wh)^{-1} at the optimum, sample after sample (dKn square): Theorem 4.1."""
    K, n, d, lW, lH, beta = _read(case)
    Y, H, W = _tied_optimum(case)
    E = W @ H - Y
    steps = np.eye(d * K * n).reshape(-1, K * n, d).transpose(0, 2, 1)
    moved = W @ steps @ H.T + E @ steps.transpose(0, 2, 1)  # Kn d(dL/dW)
    dW = -moved @ np.linalg.inv(H @ H.T + n * lW * np.eye(d))
    slope = W.T @ (W @ steps + dW @ H) + dW.transpose(0, 2, 1) @ E + (lH + beta) * steps
    schur = slope.transpose(0, 2, 1).reshape(d * K * n, -1)
    return beta * np.linalg.inv(schur)


def _descend(case: Arrays, H0: np.ndarray, H: np.ndarray, steps: int = 2000) -> np.ndarray:
    """The features at which exact minimisations of W and of H in turn end, tied to H0."""
    K, n, d, lW, lH, beta = _read(case)
    Y = np.repeat(np.eye(K), n, axis=1)
    for _ in range(steps):
        W = Y @ H.T @ np.linalg.inv(H @ H.T + n * lW * np.eye(d))
        before, H = H, np.linalg.solve(W.T @ W + (lH + beta) * np.eye(d), W.T @ Y + beta * H0)
        if np.abs(H - before).max() < 1e-15:
            break
    return H


def _value(case: Arrays, H: np.ndarray, H0: np.ndarray) -> float:
    """The objective at the best classifier of H."""
    K, n, d, lW, lH, beta = _read(case)
    Y = np.repeat(np.eye(K), n, axis=1)
    W = Y @ H.T @ np.linalg.inv(H @ H.T + n * lW * np.eye(d))
    squares = np.sum((W @ H - Y) ** 2) + n * lW * np.sum(W**2) + lH * np.sum(H**2) + beta * np.sum((H - H0) ** 2)
    return float(squares) / (2 * K * n)


def _least_value(case: Arrays) -> float:
    H = _tied_optimum(case)[1]
    return _value(case, H, H)


def _excess(case: Arrays) -> float:
    """How far the lowest of some descents from random features ends above (W*, H*)."""
    H0, rng = _tied_optimum(case)[1], np.random.default_rng(0)
    ends = [_value(case, _descend(case, H0, rng.standard_normal(H0.shape), 50), H0) for _ in range(4)]
    return min(ends) - _least_value(case)


def _ratio_change(case: Arrays) -> float:
    """NC1~ at the minimiser tied to a random H0 with beta = 1e4, less that of H0, over the latter."""
    K, n, d, *_ = _read(case)
    labels, H0 = np.repeat(np.arange(K), n), np.random.default_rng(K + n + d).standard_normal((d, K * n))
    tied = case.replace(weights=np.array([*case["weights"][:2], 1e4]))
    moved = _descend(tied, H0, H0)
    before, after = (nc1_ratio(split_classes(H, labels)) for H in (H0, moved))
    return (after - before) / before


def _response_by_moving(case: Arrays) -> np.ndarray:
    """The same by moving H0, one entry at a time."""
    K, n, d, *_ = _read(case)
    H0, step, columns = _tied_optimum(case)[1], 1e-5, []
    for k in range(d * K * n):
        change = np.zeros(d * K * n)
        change[k] = step
        change = change.reshape(K * n, d).T
        moved = (_descend(case, H0 + change, H0) - _descend(case, H0 - change, H0)) / (2 * step)
        columns.append(moved.T.ravel())
    return np.array(columns).T


def _blocks(case: Arrays, response: np.ndarray) -> dict[str, float]:
    """Least and largest singular values of F_11 and of F_12, and the second of F_12."""
    _, n, d, *_ = _read(case)
    own, other = (np.linalg.svd(response[: d * n, at : at + d * n], compute_uv=False) for at in (0, d * n))
    return {"own_largest": own[0], "own_least": own[-1], "other_largest": other[0], "other_second": other[1]}


_BLOCKS = ("own_largest", "own_least", "other_largest", "other_second")
_MEASURES = {name: lambda case, name=name: _blocks(case, _response(case))[name] for name in _BLOCKS}
_BY_MOVING = "moving H0 and minimising again"
_CONFIRMS = {
    name: (_BY_MOVING, lambda case, name=name: _blocks(case, _response_by_moving(case))[name]) for name in _BLOCKS
}
_lW, _lH, _beta = sp.symbols("lambda_W lambda_H beta", positive=True)
_WEIGHTS = {letter: lambda case, i=i: np.asarray(case["weights"][i]) for i, letter in enumerate((_lW, _lH, _beta))}
_c = sp.sqrt(_lW * _lH)
_STRONG_TIE = Assumption(
    "lam_H lam_W < 1, d > K, beta > 0",
    lambda case: bool(
        np.all(case["weights"] > 0)
        and case["weights"][0] * case["weights"][1] < 1
        and case["sizes"][2] > case["sizes"][0]
    ),
)
_TWO_SAMPLES = Assumption("there are two samples a class at least", lambda case: bool(case["sizes"][1] > 1))
_CASES = Domain(
    {
        "K": Integers(2, 4, small=(2, 3)),
        "n": Integers(1, 3, small=(1, 2)),
        "spare": Integers(1, 2, small=(1,)),
        "c": LogReals(0.02, 0.95, small=(0.25,)),
        "aspect": LogReals(0.2, 5.0, small=(1.0, 2.0)),
        "beta": LogReals(1.0, 1e4, small=(10.0,)),
    }
)
_RESPONSE = (
    r"$\frac1{2Kn}\|WH-Y\|^2+\frac{\lambda_W}{2K}\|W\|^2+\frac{\lambda_H}{2Kn}\|H\|^2+\frac\beta{2Kn}\|H-H_0\|^2$, "
    r"$H_0$ collapsed and optimal for $\beta=0$, $c=\sqrt{\lambda_H\lambda_W}<1$, $d>K$; $F_{kl}$ the $dn\times dn$ "
    r"blocks of the response of the minimiser to $H_0$: "
)


def _of_response(name: str, title: str, words: str, *claims: Equals, **changed: object) -> Theorem:
    fields = {
        "kind": "tight",
        "claims": claims,
        "domain": _CASES,
        "problem": _case,
        "measures": _MEASURES,
        "confirms": _CONFIRMS,
        "assumes": (_STRONG_TIE,),
        "citation": Citation("tirer2023", "Theorem 4.2"),
        **changed,
    }
    return Theorem(name=name, title=title, statement=_RESPONSE + words, **fields)  # pyright: ignore[reportArgumentType]


THEOREMS = (
    _statement(
        "thm3_1_within",
        "Along the central path the within-class spread falls, decay left out",
        r"$e^{2\lambda_Ht}\,tr\,\Sigma_W$ decreases.",
        Falls("trace_within", _free_of_decay),
    ),
    _statement(
        "thm3_1_between",
        "Along the central path the class means part, decay left out",
        r"$e^{2\lambda_Ht}\,tr\,\Sigma_B$ strictly increases.",
        Rises("trace_between", _free_of_decay, strict=True),
        domain=_DEGENERATE,
        no_proof="It is refuted: class means that coincide at the start coincide for ever.",
        instead=("tirer2023:thm3_1_between_corrected",),
    ),
    _statement(
        "thm3_1_between_corrected",
        "The same, where the class means differ at the start",
        r"if $\Sigma_B(H_0)\ne0$ too, $e^{2\lambda_Ht}\,tr\,\Sigma_B$ strictly increases. (Our correction. It needs no "
        r"$\Sigma_W(H_0)\ne0$.)",
        Rises("trace_between", _free_of_decay, strict=True),
        domain=_DEGENERATE,
        starts=(_APART,),
        citation=Citation("tirer2023", "Theorem 3.1, corrected here", "own"),
    ),
    _statement(
        "thm3_1_ratio",
        "Along the central path NC1 falls at all times",
        r"$\widetilde{NC}_1=tr\,\Sigma_W/tr\,\Sigma_B$ strictly decreases. (Where it is defined, $\Sigma_B(H_0)\ne0$.)",
        Falls("nc1_ratio", strict=True),
        starts=(_SPREAD, _APART),
    ),
    _statement(
        "thm3_1_limit",
        "Along the central path NC1 tends to zero",
        r"$\widetilde{NC}_1\to0$. (Asked of flows with $0<\lambda_H\lambda_W<1$. For $\lambda_H=0$ nothing holds the "
        r"features, and the ratio falls like $t^{-1/2}$ only; above 1 features and their differences all die out.)",
        Tends("nc1_ratio", sp.Integer(0)),
        kind="limiting",
        domain=_LATE,
        motion=_late,
        assumes=(*_ASSUMES, _ALIVE),
        starts=(_SPREAD, _APART),
    ),
    _of_response(
        "cor2_2",
        "Features that are optimal already stay where they are",
        r"the unique minimiser is $(W^*,H^*)$, and the least value is that of $\beta=0$, $c-c^2/2$. (What is asked: no "
        r"descent, by exact steps in $W$ and $H$ in turn, ends below it.)",
        Equals("value", _c - _c**2 / 2, _WEIGHTS),
        AtLeast("excess", sp.Integer(0)),
        measures={"value": _least_value, "excess": _excess},
        confirms={},
        citation=Citation("tirer2023", "Corollary 2.2"),
    ),
    _of_response(
        "cor3_2",
        "Features tied to given ones are more collapsed than these",
        r"for any other $H_0$ with $\Sigma_W,\Sigma_B\ne0$ and $\beta$ large enough, "
        r"$\widetilde{NC}_1(H)<\widetilde{NC}_1(H_0)$ at the minimiser. (Asked of random $H_0$ at $\beta=10^4$.)",
        AtMost("nc1_ratio_change", sp.Integer(0)),
        kind="limiting",
        measures={"nc1_ratio_change": _ratio_change},
        confirms={},
        assumes=(_STRONG_TIE, _TWO_SAMPLES),
        citation=Citation("tirer2023", "Corollary 3.2"),
    ),
    _of_response(
        "thm4_1",
        "The response of the minimiser to the features it is tied to",
        r"$vec(\delta H)\approx\frac\beta{Kn}(H_{hh}-H_{hw}H_{ww}^{-1}H_{wh})^{-1}vec(\delta H_0)$, the blocks of the "
        r"Hessian with $\beta$. (Asked at $\beta\ge10$, against minimisers for moved $H_0$.)",
        Equals("response_gap", sp.Integer(0)),
        kind="limiting",
        measures={"response_gap": lambda case: np.abs(_response(case) - _response_by_moving(case)).max()},
        confirms={},
        domain=Domain(
            {
                **_CASES.ranges,
                "K": Integers(2, 3, small=(2,)),
                "n": Integers(1, 2, small=(1, 2)),
                "spare": Integers(1, 2, small=(1,)),
                "c": LogReals(0.1, 0.9, small=(0.25,)),
                "beta": LogReals(10.0, 1e3, small=(10.0,)),
            }
        ),
        citation=Citation("tirer2023", "Theorem 4.1"),
    ),
    _of_response(
        "thm4_2",
        "The spectrum of the response to strongly tied features",
        r"$\sigma_{max}(F_{kk})=1$, $\sigma_{min}(F_{kk})=1-\beta^{-1}\sqrt{\lambda_H/\lambda_W}$, $F_{kl}$ has rank "
        r"one and $\sigma_{max}(F_{kl})=2\beta^{-1}\lambda_H(1-c)$. (Read as equations at a finite $\beta$, as "
        r"printed; to first order in $1/\beta$ they hold where $n\ge2$.)",
        Equals("own_largest", sp.Integer(1), _WEIGHTS),
        Equals("own_least", 1 - sp.sqrt(_lH / _lW) / _beta, _WEIGHTS),
        Equals("other_largest", 2 * _lH * (1 - _c) / _beta, _WEIGHTS),
        Equals("other_second", sp.Integer(0), _WEIGHTS),
        no_proof="It is refuted: both numbers are the first terms of series in 1/beta, and one needs n >= 2.",
        instead=("tirer2023:thm4_2_corrected",),
    ),
    _of_response(
        "thm4_2_corrected",
        "The same at every beta, for two samples a class or more",
        r"$\sigma_{max}(F_{kk})=1$, $\sigma_{min}(F_{kk})=\beta/(\beta+\sqrt{\lambda_H/\lambda_W})$ if $n\ge2$, "
        r"$F_{kl}$ has rank one and $\sigma_{max}(F_{kl})=2\lambda_H(1-c)/(\beta+4\lambda_H(1-c))$, for every "
        r"$\beta>0$. (Our correction. For $n=1$ there are no features within a class, and $\sigma_{min}(F_{kk})$ is "
        r"$\beta/(\beta+4\lambda_H(1-c))$.)",
        Equals("own_largest", sp.Integer(1), _WEIGHTS),
        Equals("own_least", _beta / (_beta + sp.sqrt(_lH / _lW)), _WEIGHTS),
        Equals("other_largest", 2 * _lH * (1 - _c) / (_beta + 4 * _lH * (1 - _c)), _WEIGHTS),
        Equals("other_second", sp.Integer(0), _WEIGHTS),
        assumes=(_STRONG_TIE, _TWO_SAMPLES),
        citation=Citation("tirer2023", "Theorem 4.2, corrected here", "own"),
    ),
)
