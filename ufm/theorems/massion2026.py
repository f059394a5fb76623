"""The role of class encoding in neural collapse (arXiv 2606.00344): the claims of its abstract."""

import math

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
from ufm.catalogue.assumptions import SHALLOW, covariance_spectrum
from ufm.catalogue.domain import Point
from ufm.encodings import available
from ufm.problem import Problem, classes, samples
from ufm.symbols import K, lam_H, lam_W
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
)
