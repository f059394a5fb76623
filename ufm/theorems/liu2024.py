"""Neural collapse under imbalance with a bias (arXiv 2411.17278): the claims of its abstract."""

import math

import numpy as np
import sympy as sp

from ufm import encodings
from ufm.catalogue import Assumption, Citation, Domain, Equals, Integers, LogReals, Theorem
from ufm.catalogue.assumptions import FREE_BIAS, ONE_HOT, SHALLOW, WIDE
from ufm.catalogue.domain import Point
from ufm.problem import Problem, classes
from ufm.symbols import COV_ROOT, N, SoftThreshold, lam_H, lam_W, n_k, sigma_c

_MATRIX = r"$\hat Y=(I_K-\frac1N n1_K')\,\mathrm{diag}(\sqrt n)$"
_tau = N * sp.sqrt(lam_W * lam_H)
_MAJORITY = sp.Symbol("K_A", integer=True, positive=True)  # classes of the larger size


def _printed_matrix(problem: Problem) -> np.ndarray:
    """(I_K - n 1'/N) diag(sqrt n), centred from the left as printed."""
    counts = problem.classes.counts.astype(float)
    left = np.eye(problem.K) - np.outer(counts, np.ones(problem.K)) / problem.N
    return left @ np.diag(np.sqrt(counts))


def _singular_values(problem: Problem) -> np.ndarray:
    """Of the printed matrix, which has rank K - 1."""
    return np.linalg.svd(_printed_matrix(problem), compute_uv=False)[: problem.K - 1]


def _root(problem: Problem) -> np.ndarray:
    """(Yhat Yhat'/N)^{1/2} for the printed matrix."""
    U, s, _ = np.linalg.svd(_printed_matrix(problem))
    return (U * s) @ U.T / math.sqrt(problem.N)


def _problem(counts: list[int], threshold: float, aspect: float) -> Problem:
    """One-hot classes with a free bias and tau = N c = threshold."""
    strength = threshold / sum(counts)
    targets = classes(encodings.one_hot(len(counts)), counts)
    return Problem(targets=targets, lam_W=strength * aspect, lam_H=strength / aspect, lam_b=0.0)


def _unequal(point: Point) -> Problem:
    counts = [1 + (point["seed"] * (k + 3) * 7919) % point["n"] for k in range(point["K"])]
    return _problem(counts, point["level"] * math.sqrt(max(counts)), point["aspect"])


def _between(counts: np.ndarray) -> float:
    """The singular value of the one direction that tells a majority from a minority, for two class sizes."""
    larger = counts == counts.max()
    u = np.where(larger, 1 / np.sum(larger), -1 / max(1, np.sum(~larger)))
    u = u / np.linalg.norm(u)
    return float(math.sqrt(u @ (counts * u) - (counts @ u) ** 2 / counts.sum()))


def _two_sizes(point: Point) -> Problem:
    """tau between the direction that tells the groups apart and those within the majority, where there is room."""
    few = point["n"]
    counts = [few * point["ratio"]] * point["K_A"] + [few] * point["K_B"]
    low, high = _between(np.asarray(counts, dtype=float)), math.sqrt(counts[0])
    return _problem(counts, low ** (1 - point["place"]) * high ** point["place"], point["aspect"])


def _in_between(problem: Problem) -> bool:
    counts = problem.classes.counts.astype(float)
    return np.unique(counts).size == 2 and _between(counts) < problem.tau < math.sqrt(counts.max())


_ASPECT = LogReals(1e-2, 1e2, small=(1.0,))

THEOREMS = (
    Theorem(
        name="spectrum",
        title="The structure follows from the singular values of the centred class sizes",
        statement=r"Imbalanced one-hot classes, unregularised bias, squared loss with $\frac1{2N}$ and halves: the "
        r"rows of "
        r"the classifier, turned by the left singular vectors of "
        + _MATRIX
        + r", are orthogonal or zero, as its singular values say: on a direction with the singular value $\sigma_i$ "
        r"the "
        r"product has $(\sigma_i-N\sqrt{\lambda_W\lambda_H})_+$.",
        citation=Citation("liu2024", "abstract", "abstract"),
        kind="tight",
        claims=(
            Equals("singular_values_centred", sp.Max(0, sigma_c - _tau), {sigma_c: _singular_values}),
            Equals(
                "classifier_gram",
                sp.sqrt(lam_H / lam_W) * sp.sqrt(N) * SoftThreshold(COV_ROOT, _tau / sp.sqrt(N)),
                {COV_ROOT: _root},
            ),
        ),
        domain=Domain(
            {
                "K": Integers(2, 30, small=(2, 3)),
                "n": Integers(1, 1000, small=(2, 3)),
                "seed": Integers(1, 10**6, small=(1, 2)),
                "level": LogReals(1e-3, 1.5, edges=(1.0,), small=(0.5, 0.8)),
                "aspect": _ASPECT,
            }
        ),
        flow_domain=Domain(
            {
                "K": Integers(2, 5),
                "n": Integers(1, 12),
                "seed": Integers(1, 10**6),
                "level": LogReals(0.1, 0.5),
                "aspect": LogReals(0.5, 2.0),
            }
        ),
        problem=_unequal,
        assumes=(SHALLOW, ONE_HOT, FREE_BIAS, WIDE),
    ),
    Theorem(
        name="small_rows",
        title="The rows of small classes can fall to zero while the large ones live",
        statement=r"Imbalanced one-hot classes, unregularised bias: small classes' rows of $W$ can fall to zero. As "
        r"judged here: with two class sizes and $\tau=N\sqrt{\lambda_W\lambda_H}$ between the singular value of the "
        r"direction that tells the two groups apart and the $\sqrt{n_k}$ of the $K_A$ larger classes, the smaller "
        r"classes' rows are zero and the larger ones' have $\|w_k\|^2=\sqrt{\lambda_H/\lambda_W}\,(\sqrt{n_k}-\tau)"
        r"(1-1/K_A)$.",
        citation=Citation("liu2024", "abstract; the instance is ours", "abstract"),
        kind="tight",
        claims=(
            Equals(
                "classifier_norm",
                sp.Piecewise(
                    (sp.sqrt(sp.sqrt(lam_H / lam_W) * (sp.sqrt(n_k) - _tau) * (1 - 1 / _MAJORITY)), n_k > _tau**2),
                    (0, True),
                ),
                {_MAJORITY: lambda p: int(np.sum(p.classes.counts == p.classes.counts.max()))},
            ),
        ),
        domain=Domain(
            {
                "K_A": Integers(2, 8, small=(2, 3)),
                "K_B": Integers(1, 4, small=(1, 2)),
                "n": Integers(1, 40, small=(1,)),
                "ratio": Integers(2, 20, small=(4,)),
                "place": LogReals(0.05, 0.95, small=(0.5,)),
                "aspect": _ASPECT,
            }
        ),
        flow_domain=Domain(
            {
                "K_A": Integers(2, 3),
                "K_B": Integers(1, 2),
                "n": Integers(1, 2),
                "ratio": Integers(3, 6),
                "place": LogReals(0.3, 0.7),
                "aspect": LogReals(0.5, 2.0),
            }
        ),
        problem=_two_sizes,
        assumes=(
            SHALLOW,
            ONE_HOT,
            FREE_BIAS,
            WIDE,
            Assumption("two class sizes, tau between the groups' direction and the majority's", _in_between),
        ),
    ),
)
