"""Perturbation analysis of neural collapse (arXiv 2210.16658): the central path, and features tied to given ones."""

import numpy as np
import sympy as sp

from ufm import encodings
from ufm.catalogue import (
    Citation,
    Domain,
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
from ufm.catalogue.assumptions import BALANCED, NO_BIAS, SHALLOW
from ufm.catalogue.domain import Point
from ufm.catalogue.motion import x
from ufm.catalogue.starts import collapsed_means, over_samples
from ufm.catalogue.theorem import Assumption
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
        no_proof="That it falls is thm3_1_ratio. For lam_H > 0 the features stay bounded, so tr Sigma_B gains on "
        "exp(-2 lam_H t) at a rate bounded below and the ratio falls exponentially; not formalised.",
    ),
)
