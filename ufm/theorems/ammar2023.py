"""NECO and NC5 (arXiv 2310.06823): out-of-distribution features against collapsed ones."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sympy as sp

from ufm.catalogue import (
    Assumption,
    AtLeast,
    AtMost,
    Citation,
    Domain,
    Equals,
    Integers,
    Observed,
    Run,
    Theorem,
    Values,
)
from ufm.catalogue.arrays import FEATURES, SIZES, Arrays, class_features
from ufm.catalogue.domain import Point
from ufm.metrics.detection import neco

_SCORE = (
    r"$\mathrm{NECO}(h)=\|P_d\tilde h\|/\|\tilde h\|$, $P_d$ the top $d$ principal directions of the training "
    "features, "
)


def _features(point: Point) -> Arrays:
    """Training features, some others, and how many principal directions to keep."""
    case, rng = class_features(point), np.random.default_rng(point["seed"] + 1)
    H = case["H"]
    count = 1 + int(rng.integers(min(H.shape)))
    return Arrays({"train": H, "H": 3 * rng.standard_normal((H.shape[0], 5)), "count": np.array(count)})


def _collapsed(point: Point) -> Arrays:
    """Collapsed training features with small whole numbers, and one o orthogonal to all class means (NC5).

    offset: their mean along a direction of its own, so that it is not zero; o is along another.
    """
    rng = np.random.default_rng(point["seed"])
    size = point["K"]
    means = np.vstack([rng.integers(-2, 3, (point["d"], size)) + np.eye(point["d"], size), np.zeros((2, size))])
    means[-2] = point["offset"] * (1 + np.arange(size)) if point["tilted"] else point["offset"]
    centred = means - means.mean(axis=1, keepdims=True)
    o = np.zeros((means.shape[0], 1))
    o[-1] = point["length"]
    count = np.linalg.matrix_rank(centred)
    return Arrays({"train": np.repeat(means, 2, axis=1), "H": o, "count": np.array(max(1, int(count)))})


def _score(case: Arrays, centred: bool) -> np.ndarray:
    return neco(case["H"], case["train"], int(case["count"]), centred=centred)


def _uncentred_score(case: Arrays) -> np.ndarray:
    return _score(case, False)


def _centred_score(case: Arrays) -> np.ndarray:
    return _score(case, True)


def _exact_centred_score(case: Arrays) -> float:
    """||P'(o - hbar)||/||o - hbar|| with P'P from the projection B (B'B)^+ B' on the span of the centred means."""
    H = sp.Matrix([[sp.nsimplify(x) for x in row] for row in case["train"].tolist()])
    mean = H * sp.ones(H.cols, 1) / H.cols
    B = H - mean * sp.ones(1, H.cols)
    o = sp.Matrix([sp.nsimplify(x) for x in case["H"][:, 0].tolist()]) - mean
    inside = B * B.pinv() * o
    return float(sp.sqrt(inside.dot(inside) / o.dot(o)))


def _is_orthogonal(case: Arrays) -> bool:
    """NC5, and means that differ, so that there are principal directions."""
    train = case["train"]
    spread = np.linalg.norm(train - train.mean(axis=1, keepdims=True))
    count = np.linalg.matrix_rank(train - train.mean(axis=1, keepdims=True))
    exact = not np.any(case["H"].T @ train)
    return bool(exact and spread > 0 and count == int(case["count"]) and np.any(case["H"]))


_NC5 = Assumption("features are collapsed, and <mu_c, o> = 0 for all class means", _is_orthogonal)
_COLLAPSED = Domain(
    {
        "K": Integers(2, 6, small=(2, 3)),
        "d": Integers(1, 8, small=(1, 2)),
        "tilted": Values((False, True)),
        "offset": Integers(1, 9, small=(1, 2)),
        "length": Integers(1, 9, small=(1, 2)),
        "seed": Integers(1, 10**6, small=(1, 2)),
    }
)

_NEAR_ZERO = 0.1  # what "to 0" is read as
_WITHIN = 0.95  # of the norm, what "in the span" is read as


def _fitted(runs: Sequence[Run]) -> float:
    """How many looks it takes until all of these networks have no training error; nan where one never does."""
    reached = [np.flatnonzero(run["accuracy"] == 1) for run in runs]
    return float(max(int(hit[0]) for hit in reached)) if all(hit.size for hit in reached) else math.nan


def _in_the_end(name: str) -> Callable[[Run, float], float]:
    """A field after training, of networks that go on past zero error."""
    return lambda run, fitted: float(run[name][-1]) if math.isfinite(fitted) else math.nan


def _change(run: Run, fitted: float) -> float:
    """NC5 in the end over NC5 where others had no training error left."""
    return float(run["nc5"][-1] / run["nc5"][int(fitted)]) if math.isfinite(fitted) else math.nan


def _seen(name: str, effect: Callable[[Run, Any], float], *fields: str, **bounds: Any) -> Observed:
    """A claim in every setting on its own."""
    return Observed(name, effect, fields=(*fields, "accuracy"), fit=_fitted, apart=lambda run: run.setting, **bounds)


THEOREMS = (
    Theorem(
        name="range",
        title="The score, without the logit, is a fraction",
        statement=_SCORE + "lies between 0 and 1. (Read with or without centring of $h$.)",
        citation=Citation("ammar2023", "the NECO score"),
        kind="upper",
        claims=(AtMost("neco", 1), AtLeast("neco", 0)),
        domain=Domain({**FEATURES, **SIZES}),
        problem=_features,
        assumes=(Assumption("training features differ", lambda case: np.ptp(case["train"], axis=1).max() > 1e-6),),
        measures={"neco": lambda case: np.concatenate([_uncentred_score(case), _centred_score(case)])},
    ),
    Theorem(
        name="nc5_score",
        title="An outside feature with NC5 has the score 0",
        statement=_SCORE + r"is 0 at an $o$ with $\langle\mu_c,o\rangle=0$ for all collapsed class means. (Read with "
        r"$\tilde h=h$: only the directions are those of centred training features.)",
        citation=Citation("ammar2023", "NC5 and the NECO score"),
        kind="structural",
        claims=(Equals("neco", 0),),
        domain=_COLLAPSED,
        problem=_collapsed,
        assumes=(_NC5,),
        measures={"neco": _uncentred_score},
    ),
    Theorem(
        name="nc5_score_centred",
        title="An outside feature with NC5 has the score 0, with centred features",
        statement=_SCORE + r"is 0 at an $o$ with $\langle\mu_c,o\rangle=0$ for all collapsed class means. (Read with "
        r"$\tilde h=h-\mu_G$, as PCA transforms of common libraries have it.)",
        instead=("ammar2023:nc5_score",),
        citation=Citation("ammar2023", "NC5 and the NECO score"),
        kind="structural",
        claims=(Equals("neco", 0),),
        domain=_COLLAPSED,
        problem=_collapsed,
        assumes=(_NC5,),
        measures={"neco": _centred_score},
        confirms={"neco": ("SymPy in rational numbers", _exact_centred_score)},
        no_proof="It is refuted: o - mu_G has the part -mu_G, which may lie in the span of the centred class means.",
    ),
    Theorem(
        name="nc5",
        title="Trained features of other data turn orthogonal to the class means",
        statement=r"NC5: $|\langle\mu_c,\mu_{OOD}\rangle|\to0$ (of unit vectors) as training goes on past zero error. "
        "(Read as: their mean over the classes is at most 0.1 in the end, and less than where networks of other seeds "
        "have no training error left. Asked of perceptrons on digits, not of the paper's networks.)",
        citation=Citation("ammar2023", "NC5"),
        kind="statistical",
        claims=(),
        observed=(
            _seen("nc5", _in_the_end("nc5"), "nc5", most=_NEAR_ZERO),
            _seen("nc5_over_that_at_zero_error", _change, "nc5", most=1.0),
        ),
        trained="outside",
        domain=Domain(),
        problem=lambda point: None,
        no_proof="It is refuted: in the end features of other data lie, in the mean, in the span of the class means, "
        "and nothing there but zero is orthogonal to all of them.",
        instead=("ammar2023:outside_in_span",),
    ),
    Theorem(
        name="outside_in_span",
        title="Trained features of other data lie, in the mean, in the span of the class means",
        statement=r"$\|P\mu_{OOD}\|/\|\mu_{OOD}\|\ge0.95$ past zero error, $P$ the projection on the span of the class "
        r"means, so that the mean of $|\langle\mu_c,\mu_{OOD}\rangle|$ (of unit vectors) cannot be below "
        r"$0.95\,\sigma/K$, $\sigma$ the least singular value of the unit class means that is not 0. (Our correction, "
        "asked of perceptrons on digits.)",
        citation=Citation("ammar2023", "NC5, corrected here", "own"),
        kind="statistical",
        claims=(),
        observed=(_seen("outside_share", _in_the_end("outside_share"), "outside_share", least=_WITHIN),),
        trained="outside",
        domain=Domain(),
        problem=lambda point: None,
        no_proof="It is a claim about trained networks.",
    ),
)
