"""The role of class encoding in neural collapse (arXiv 2606.00344): the claims of its abstract."""

import math

import numpy as np
import sympy as sp

from ufm.catalogue import (
    Assumption,
    At,
    AtLeast,
    AtMost,
    Citation,
    Domain,
    Equals,
    Increases,
    Integers,
    LogReals,
    Theorem,
    Values,
)
from ufm.catalogue.assumptions import FREE_BIAS, NO_BIAS, SHALLOW, WIDE, covariance_spectrum
from ufm.catalogue.decoding import NearestCode
from ufm.catalogue.domain import Point
from ufm.encodings import available
from ufm.problem import Problem, classes, samples
from ufm.symbols import K, SoftThreshold, lam_H, lam_W, n
from ufm.theorems.class_encoding import THEOREMS as OUR_THEOREMS

_TRANSITION = OUR_THEOREMS[0]

_ENCODINGS = ("one_hot", "simplex", "one_vs_rest", "binary", "ordinal", "hadamard")


def _any_encoding(point: Point) -> Problem:
    """A named encoding with equal class sizes."""
    n, size = point["n"], point["K"]
    strength = point["strength"] / math.sqrt(n * size)
    codes = available()[point["encoding"]](size)
    return Problem(targets=classes(codes, n), lam_W=strength, lam_H=strength, lam_b=point["lam_b"])


def _unequal_weights(point: Point) -> Problem:
    """The same with lam_W four times lam_H."""
    problem = _any_encoding(point)
    return problem.replace(lam_W=2 * point["strength"] / math.sqrt(problem.N), lam_H=problem.lam_H / 2)


def _has_features(problem: Problem) -> bool:
    threshold = problem.N * math.sqrt(float(problem.lam_W[0]) * float(problem.lam_H))
    return math.sqrt(problem.N * covariance_spectrum(problem)[0]) > 1.1 * threshold


_ALIVE = Assumption("a centred direction of the targets is above the threshold, so that W is not zero", _has_features)


def _as_samples(point: Point) -> Problem:
    """The same data, sample by sample: nothing forces the features of a class to coincide."""
    problem = _any_encoding(point)
    return problem.replace(targets=samples(problem.targets.matrix()))


_ROOT = sp.MatrixSymbol("(C_c'C_c)^{1/2}", K, K)
_EQUAL = Assumption("all classes have one size", lambda p: p.classes.balanced)
_SEVERAL = Assumption("there are two classes at least", lambda p: p.K > 1)


def _share_of(problem: Problem) -> float:
    """tau over the least singular value of the centred targets that is not zero; inf where all are."""
    sigma = np.sqrt(problem.N * np.maximum(covariance_spectrum(problem), 0))
    kept = sigma[sigma > 1e-7 * sigma[0]]
    return problem.tau / float(kept.min()) if kept.size else math.inf


def _centred_codes(problem: Problem) -> np.ndarray:
    """C_c (m x K): the codes less their mean over samples."""
    return problem.classes.codes - problem.targets.mean[:, None]


def _root_of_centred_gram(problem: Problem) -> np.ndarray:
    """(C_c'C_c)^(1/2) (K x K), from singular values: roots of round-off would show."""
    _, s, Vt = np.linalg.svd(_centred_codes(problem), full_matrices=False)
    return (Vt.T * s) @ Vt


def _is_simplex_after_centring(problem: Problem) -> bool:
    """Whether C_c'C_c is a multiple of I - 11'/K, and C_c' ybar = 0."""
    centred, K = _centred_codes(problem), problem.K
    gram = centred.T @ centred
    simplex = gram[0, 0] * (K * np.eye(K) - 1) / (K - 1)
    size = max(1e-300, float(gram[0, 0]))
    return bool(np.abs(gram - simplex).max() <= 1e-9 * size and np.abs(centred.T @ problem.targets.mean).max() <= 1e-9)


_SIMPLEX = Assumption(
    "the centred codes are a simplex, and orthogonal to their mean: one-hot, simplex and one-vs-rest codes are",
    lambda p: p.classes.balanced and p.K > 1 and _is_simplex_after_centring(p),
)
_KEPT = Assumption("every centred direction of the targets is kept", lambda p: _share_of(p) < 1)
_BINARY = Assumption(
    "four classes of one size have the codes 00, 01, 10 and 11",
    lambda p: (
        p.classes.balanced and p.m == 2 and sorted(map(tuple, p.classes.codes.T)) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    ),
)
_LAST = (3 - math.sqrt(3)) / 2  # the share of a centred direction of these codes that may be shrunk
_MOST = Assumption(
    "more than (3 - sqrt(3))/2 of every centred direction is shrunk, but not all", lambda p: _LAST < _share_of(p) < 1
)
_LESS = Assumption("less than (3 - sqrt(3))/2 of every centred direction is shrunk", lambda p: _share_of(p) < _LAST)


def _shrunk(point: Point) -> Problem:
    """A named encoding; tau is `share` times the least centred singular value."""
    codes, n = available()[point["encoding"]](point["K"]), point["n"]
    problem = Problem(targets=classes(codes, n), lam_W=1.0, lam_H=1.0, lam_b=point["lam_b"])
    strength = point["share"] / _share_of(problem)
    return problem.replace(lam_W=strength * point["aspect"], lam_H=strength / point["aspect"])


def _decided(encodings: tuple[str, ...], K: Integers, share: LogReals, *lam_b: float) -> Domain:
    ends = LogReals(1e-2, 1e2, edges=(0.0, math.inf), small=(1.0, 0.0, math.inf))
    return Domain(
        {
            "encoding": Values(encodings),
            "K": K,
            "n": Integers(1, 200, small=(1, 2)),
            "share": share,
            "aspect": LogReals(0.1, 10.0, small=(1.0,)),
            "lam_b": Values(lam_b) if lam_b else ends,
        }
    )


def _domain(lam_b_edges: tuple[float, ...], largest_n: int) -> Domain:
    return Domain(
        {
            "encoding": Values(_ENCODINGS),
            "K": Integers(2, 10, small=(2, 3, 4)),
            "n": Integers(1, largest_n, small=(1, 2)),
            "strength": LogReals(1e-3, 1.0, small=(0.1,)),
            "lam_b": LogReals(1e-3, 1e3, edges=lam_b_edges, small=(1.0, 0.0, math.inf)),
        }
    )


_FLOWS = Domain(
    {
        "encoding": Values(_ENCODINGS),
        "K": Integers(2, 5),
        "n": Integers(1, 6),
        "strength": LogReals(0.05, 0.3),
        "lam_b": LogReals(0.1, 10.0, edges=(0.0, math.inf)),
    }
)

THEOREMS = (
    Theorem(
        name="etf_to_of",
        title="Uncentred class means go from a simplex ETF to an orthogonal frame",
        statement=(
            r"One-hot labels, balanced data, squared loss: as the regularisation of the classifier's bias grows, the "
            r"uncentred class-mean features go from a simplex ETF (free bias, cosine $-1/(K-1)$) to an orthogonal "
            r"frame (no bias, cosine 0)."
        ),
        citation=Citation("massion2026", "abstract", "abstract"),
        kind="limiting",
        claims=(
            At("lam_b", 0.0, Equals("cosine", -1 / (K - 1))),
            At("lam_b", math.inf, Equals("cosine", sp.Integer(0))),
            AtLeast("cosine", -1 / (K - 1)),
            AtMost("cosine", sp.Integer(0)),
            Increases("cosine", "lam_b"),
        ),
        domain=_TRANSITION.domain,
        flow_domain=Domain({**_TRANSITION.flow_domain.ranges, "lam_b_ratio": Values((0.0, 0.5, 2.0, math.inf))}),
        problem=_TRANSITION.problem,
        assumes=_TRANSITION.assumes,
    ),
    Theorem(
        name="bias_centring",
        title="The bias aims at centring the labels, whatever their encoding",
        statement=(
            r"Any encoding: the bias makes up for the gap between the global mean of the labels and the origin. As "
            r"stated here: a free bias is the mean label, $b = \bar y$, and under a penalty it carries the fraction "
            r"$1/(1+\lambda_b)$ of the gap that the features leave, $(1+\lambda_b) b = \bar y - W\bar h$."
        ),
        citation=Citation("massion2026", "abstract", "abstract"),
        kind="structural",
        claims=(
            At("lam_b", 0.0, Equals("bias_gap", sp.Integer(0))),
            Equals("bias_invariant", sp.Integer(0)),
        ),
        domain=_domain((0.0, math.inf), 1000),
        flow_domain=_FLOWS,
        problem=_any_encoding,
        assumes=(SHALLOW,),
    ),
    Theorem(
        name="nc1",
        title="The encoding does not keep the features of a class from collapsing",
        statement=r"Any encoding: at the global minimum, samples with equal targets have equal features (NC1).",
        citation=Citation("massion2026", "abstract (NC1 to NC4)", "abstract"),
        kind="structural",
        claims=(Equals("role_spread", sp.Integer(0)),),
        domain=_domain((0.0, math.inf), 20),
        flow_domain=_FLOWS,
        problem=_as_samples,
        assumes=(SHALLOW,),
    ),
    Theorem(
        name="nc3",
        title="Features and classifier share their directions and their energy, whatever the encoding",
        statement=(
            r"Any encoding: self-duality (NC3). The abstract says only that the encoding's role in it is discussed; as "
            r"stated here, for $m$ rows of $W$ and $K$ class means: $\lambda_W W'W=\lambda_H HH'$, of which "
            "the optima are "
            r"asked that features lie in the rows of $W$ and that $\|H\|^2/\|W\|^2=\lambda_W/\lambda_H$."
        ),
        citation=Citation("massion2026", "abstract (NC1 to NC4)", "abstract"),
        kind="structural",
        claims=(Equals("energy_ratio", lam_W / lam_H), Equals("outside_rows", 0)),
        domain=_domain((0.0, math.inf), 1000),
        flow_domain=_FLOWS,
        problem=_unequal_weights,
        assumes=(SHALLOW, _ALIVE),
    ),
    Theorem(
        name="nc2",
        title="With a free bias the frame is that of the centred codes, shrunk",
        statement=(
            r"Any encoding, balanced data: the geometry of the class means (NC2). The abstract says only that the "
            r"encoding's role in it is discussed; as stated here, with a free bias the Gram matrix of the class means "
            r"is $\sqrt{\lambda_W/(n\lambda_H)}$ times the root of the Gram matrix of the centred codes, its "
            r"eigenvalues shrunk by $\sqrt n\,K\sqrt{\lambda_W\lambda_H}$: a simplex ETF for one-hot, simplex and "
            r"one-vs-rest codes, and no ETF for binary or ordinal ones."
        ),
        citation=Citation("massion2026", "abstract (NC1 to NC4)", "abstract"),
        kind="tight",
        claims=(
            Equals(
                "gram",
                sp.sqrt(lam_W / (n * lam_H)) * SoftThreshold(_ROOT, K * sp.sqrt(n * lam_W * lam_H)),
                {_ROOT: _root_of_centred_gram},
            ),
        ),
        domain=_decided(_ENCODINGS, Integers(2, 10, small=(2, 3)), LogReals(1e-2, 3.0, small=(0.5,)), 0.0),
        problem=_shrunk,
        assumes=(SHALLOW, FREE_BIAS, WIDE, _SEVERAL, _EQUAL),
    ),
    Theorem(
        name="nc4",
        title="The nearest code decides as the nearest class mean does, for codes that are a simplex",
        statement=(
            r"Balanced data: the classifier decides for the nearest class mean (NC4). The abstract says only that the "
            r"encoding's role in it is discussed; as stated here, the output at every class mean is nearest to its own "
            r"code for every weight of the bias, if the centred codes are a simplex orthogonal to their mean and no "
            r"direction is lost. (Binary codes: massion2026:nc4_binary.)"
        ),
        citation=Citation("massion2026", "abstract (NC1 to NC4)", "abstract"),
        kind="structural",
        claims=(NearestCode(),),
        domain=_decided(
            ("one_hot", "simplex", "one_vs_rest"), Integers(2, 12, small=(2, 3)), LogReals(1e-2, 0.95, small=(0.5,))
        ),
        problem=_shrunk,
        assumes=(SHALLOW, WIDE, _SIMPLEX, _KEPT),
    ),
    Theorem(
        name="nc4_binary",
        title="Binary codes without a bias: strong regularisation breaks NC4",
        statement=(
            r"Four classes of one size with the codes 00, 01, 10, 11, no bias: where the weights shrink the centred "
            r"directions by more than the share $\frac12(3-\sqrt3)\approx0.634$, the output at some class mean is "
            r"nearer to another class's code, though no two class means coincide: the shrinkage is towards the origin, "
            r"which is a code itself. (Our statement.)"
        ),
        citation=Citation("massion2026", "NC4 for binary codes, stated here", "own"),
        kind="structural",
        claims=(NearestCode(right=False),),
        domain=_decided(("binary",), Integers(4, 4, small=(4,)), LogReals(0.64, 0.99, small=(0.8,)), math.inf),
        problem=_shrunk,
        assumes=(SHALLOW, NO_BIAS, WIDE, _BINARY, _MOST),
    ),
    Theorem(
        name="nc4_binary_weak",
        title="Binary codes without a bias: weaker regularisation keeps NC4",
        statement=(
            r"Four classes of one size with the codes 00, 01, 10, 11, no bias: where the weights shrink the centred "
            r"directions by less than the share $\frac12(3-\sqrt3)\approx0.634$, the output at every class mean is "
            r"nearest to its own code. (Our statement: the threshold is sharp.)"
        ),
        citation=Citation("massion2026", "NC4 for binary codes, stated here", "own"),
        kind="structural",
        claims=(NearestCode(),),
        domain=_decided(("binary",), Integers(4, 4, small=(4,)), LogReals(0.01, 0.63, small=(0.5,)), math.inf),
        problem=_shrunk,
        assumes=(SHALLOW, NO_BIAS, WIDE, _BINARY, _LESS),
    ),
)
