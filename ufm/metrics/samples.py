"""Every metric of N samples that features, labels or targets, and a classifier determine: what `measure` reports."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any

import numpy as np

from ufm.errors import UfmError
from ufm.metrics import bias, cdnv, detection, geometry, loss_parts, nc1, ncc, norms, rank, regression, uniformity, vci
from ufm.metrics.family import Family, Keys, Need, Values, gather
from ufm.metrics.intrinsic_dimension import two_nn
from ufm.metrics.means import of_duality, of_means, of_means_and_classifier
from ufm.metrics.spectrum import spectrum, spectrum_of_samples
from ufm.metrics.split import Split
from ufm.metrics.weight_balance import of_balance
from ufm.problem import Problem, objective

DOUBLE = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class Classified:
    """Features in classes, and what is known beside them.

    split: of H; layers: linear layers, last first, empty without a classifier; b: m; codes: m x K, None where unknown;
    H: d x N as given; precision: of its numbers; outside: d x N', features of other data; gram: K x K, predicted.
    """

    split: Split
    layers: tuple[np.ndarray, ...] = ()
    b: np.ndarray | None = None
    codes: np.ndarray | None = None
    problem: Problem | None = None
    H: np.ndarray | None = None
    precision: float = DOUBLE
    outside: np.ndarray | None = None
    gram: np.ndarray | None = None

    @cached_property
    def W(self) -> np.ndarray | None:
        """The product of the layers (m x d)."""
        return reduce(np.matmul, self.layers) if self.layers else None

    @property
    def features(self) -> np.ndarray:
        """H (d x N), in the order and the precision that it came in."""
        if self.H is not None:
            return self.H
        sorted_by_class = self.split.mean[:, None] + self.split.centred()
        return sorted_by_class[:, np.argsort(self.split.order)]

    @cached_property
    def by_mean(self) -> np.ndarray:
        """The class of the nearest class mean, of classes with one code the first (N, sorted by class)."""
        found = ncc.decisions(self.split.centred(), self.split.deviations)
        return found if self.codes is None else ncc.roles(self.codes)[found]

    @cached_property
    def root(self) -> np.ndarray:
        """A matrix with the singular values of H/sqrt(N): H H'/N = R'R + hbar hbar'."""
        return np.vstack([self.split.total.R, self.split.mean])

    @property
    def least(self) -> float:
        """A lower bound on the least singular value of `root`: 0 where none is known without an SVD."""
        inverse = self.split.total.inverse
        return 0.0 if inverse is None else 1 / float(np.linalg.norm(inverse))

    @property
    def ybar(self) -> np.ndarray:
        """Mean of the targets over samples (m)."""
        return np.asarray(self.codes) @ (self.split.counts / self.split.N)

    @cached_property
    def logits(self) -> np.ndarray:
        """W h + b, columns sorted by class (m x N); a common offset of the features costs no digits."""
        return self.W @ self.split.centred() + (self.W @ self.split.mean + self.b)[:, None]


@dataclass(frozen=True, eq=False)
class Regressed:
    """Features of a regression: H d x N in double precision, targets Y (m x N), and what is known beside them."""

    H: np.ndarray
    Y: np.ndarray
    layers: tuple[np.ndarray, ...] = ()
    b: np.ndarray | None = None
    problem: Problem | None = None
    precision: float = DOUBLE
    above: np.ndarray | None = None

    @cached_property
    def W(self) -> np.ndarray | None:
        """The product of the layers (m x d)."""
        return reduce(np.matmul, self.layers) if self.layers else None

    @property
    def on_top(self) -> np.ndarray | None:
        """The layer that reads these features (out x d): one inside a network, or the first of a linear head."""
        return self.above if self.above is not None else self.layers[-1] if self.layers else None

    @cached_property
    def hbar(self) -> np.ndarray:
        """Mean of the features (d)."""
        return self.H.mean(axis=1)

    @cached_property
    def root(self) -> np.ndarray:
        """A matrix with the singular values of H/sqrt(N) that is no longer than wide."""
        H = np.asarray(np.linalg.qr(self.H.T, mode="r")) if self.H.shape[1] > self.H.shape[0] else self.H
        return H / np.sqrt(self.H.shape[1])

    @property
    def features(self) -> np.ndarray:
        """H."""
        return self.H

    @property
    def least(self) -> float:
        """No lower bound on the least singular value of `root` is known."""
        return 0.0


CLASSIFIER = Need("a classifier, W (m x d)", lambda s: s.W is not None)
ROW_A_CLASS = Need("a classifier with one row a class, W (K x d)", lambda s: s.W.shape[0] == s.split.K)
ONE_HOT = Need("one-hot codes: others decide by distance", lambda s: ncc.decides_by_largest(s.codes))
UNEQUAL = Need(
    "classes of unequal sizes: of equal ones both weightings say the same", lambda s: bool(np.ptp(s.split.counts))
)
OUTSIDE = Need("features of other data, outside=... (d x N')", lambda s: s.outside is not None)
PREDICTED = Need("the Gram matrix that is predicted, gram=... (K x K)", lambda s: s.gram is not None)
WEIGHTS = Need("a problem for its weights, problem=...", lambda s: s.problem is not None)
SQUARED = Need(
    "a problem with the squared loss, problem=...", lambda s: s.problem is not None and s.problem.loss == "mse"
)
ALL_LAYERS = Need("each linear layer of the problem, last first", lambda s: len(s.layers) == s.problem.p - 1)
TOP_DIRECTIONS = Need("at least as many features and samples as targets", lambda s: min(s.H.shape) >= s.Y.shape[0])
READ_BY = Need("the layer that reads these features, W", lambda s: s.on_top is not None)
READ_ENOUGH = Need(
    "a layer on top with as many outputs as there are targets, and as many features",
    lambda s: s.Y.shape[0] <= min(*s.on_top.shape, *s.H.shape),
)


def _one(name: str, of: Callable[[Any], Any], *needs: Need) -> Family:
    return Family((name,), lambda s: {name: of(s)}, needs)


_OF_ANY = (
    _one("feature_norm", lambda s: norms.feature_norm(s.features)),
    _one("stable_rank", lambda s: rank.stable_rank(s.root)),
    _one("numerical_rank", lambda s: float(rank.rank_above_rounding(s.root, s.precision, s.least))),
)
_DIMENSION = Family(
    ("intrinsic_dimension",),
    lambda s: {"intrinsic_dimension": two_nn(s.features)},
    costs="looks for the two nearest neighbours of every sample among all of them",
)
_OF_WEIGHTS = (
    Family(
        ("lam_H_effective", "lam_H_by_direction", "mean_share", "lam_H_mean", "lam_H_centred", "lam_H_anisotropy"),
        lambda s: of_balance(s.layers[-1], s.features, float(s.problem.lam_W[-1])),
        (CLASSIFIER, WEIGHTS, ALL_LAYERS),
    ),
    _one("value", lambda s: _value(s), CLASSIFIER, WEIGHTS),
)

OF_CLASSES: tuple[Family, ...] = (
    _one("nc1", lambda s: nc1.nc1(s.split)),
    _one("nc1_ratio", lambda s: nc1.nc1_ratio(s.split)),
    _one("nc1_per_class", lambda s: nc1.nc1_per_class(s.split)),
    _one("cdnv", lambda s: cdnv.cdnv(s.split)),
    _one("vci", lambda s: vci.vci(s.split)),
    *_OF_ANY,
    Family(
        (
            *("gram", "cosines", "cosine", "cosine_centred", "class_mean_norm", "equinorm", "equiangle", "maxangle"),
            *("nc2_etf", "nc2_etf_uncentred", "nc2_of", "uniformity_mean", "uniformity_variance"),
        ),
        lambda s: of_means(s.split.class_means, s.split.deviations),
    ),
    _one("nc1_class_weighted", lambda s: nc1.nc1(s.split, "classes"), UNEQUAL),
    _one("nc1_ratio_class_weighted", lambda s: nc1.nc1_ratio(s.split, "classes"), UNEQUAL),
    _one("ncc_accuracy", lambda s: ncc.accuracy(s.by_mean, s.split.counts, s.codes)),
    Family(
        (
            *("classifier_norm", "classifier_gram", "classifier_distances_squared", "logits", "logit_directions"),
            *("outside_rows", "bias", "bias_gap", "bias_spread", "role_spread", "energy_ratio", "isotropic_shift"),
            "nc3_balance",
        ),
        lambda s: of_means_and_classifier(s.split.class_means, s.split.deviations, s.split.counts, s.W, s.b, s.codes),
        (CLASSIFIER,),
    ),
    Family(
        ("nc3", "nc3_uncentred", "nc3_etf", "nc2_etf_classifier", "duality_cosine_mean", "duality_cosine_spread"),
        lambda s: of_duality(s.split.class_means, s.split.deviations, s.W),
        (CLASSIFIER, ROW_A_CLASS),
    ),
    Family(
        ("singular_values", "singular_values_centred", "singular_value_mean"),
        lambda s: spectrum_of_samples(s.W, s.split.mean, s.split.total.R, s.split.N, s.codes.shape),
        (CLASSIFIER,),
    ),
    Family(
        ("nc4", "accuracy"),
        lambda s: ncc.nearest_centre(s.split, s.logits, s.codes, s.by_mean),
        (CLASSIFIER,),
    ),
    Family(("margin_least", "margin_mean"), lambda s: _margins(s), (CLASSIFIER, ONE_HOT)),
    Family(
        ("loss_nc1", "loss_nc23", "loss_off_ls"),
        lambda s: loss_parts.loss_parts(s.split, s.W, s.b, s.codes),
        (CLASSIFIER,),
    ),
    Family(
        ("bias_invariant", "mean_invariant"),
        lambda s: _invariants(s, s.split.mean, s.ybar, s.split.N),
        (CLASSIFIER, SQUARED),
    ),
    *_OF_WEIGHTS,
    _one("nc2_predicted", lambda s: geometry.frame_distance(geometry.gram(s.split.class_means), s.gram), PREDICTED),
    _one("nc5", lambda s: detection.nc5(s.split.class_means, s.outside), OUTSIDE),
    Family(
        ("neco", "neco_outside", "neco_auroc", "neco_logit_auroc"),
        lambda s: _neco(s),
        (OUTSIDE,),
    ),
    Family(
        ("one_vs_rest_means", "one_vs_rest_margin_means"),
        lambda s: uniformity.one_vs_rest(s.split.deviations, "means"),
        costs="solves one quadratic program a class",
    ),
    Family(
        ("one_vs_rest_classifier", "one_vs_rest_margin_classifier"),
        lambda s: uniformity.one_vs_rest(s.W.T, "classifier"),
        (CLASSIFIER,),
        costs="solves one quadratic program a row",
    ),
    _DIMENSION,
)

OF_TARGETS: tuple[Family, ...] = (
    Family(
        ("classifier_norm", "bias", "bias_spread", "bias_gap"),
        lambda s: {
            "classifier_norm": np.linalg.norm(s.W, axis=1),
            "bias": s.b,
            "bias_spread": bias.bias_spread(s.b),
            "bias_gap": np.linalg.norm(s.b - s.Y.mean(axis=1)),
        },
        (CLASSIFIER,),
    ),
    _one("role_spread", lambda s: geometry.role_spread(s.H, s.Y)),
    *_OF_ANY,
    _one("nrc1", lambda s: regression.nrc1(s.H, s.Y.shape[0]), TOP_DIRECTIONS),
    _one("nrc2", lambda s: regression.nrc2(s.H, s.W), CLASSIFIER),
    _one("nrc3", lambda s: regression.nrc3(s.W, s.Y)[0], CLASSIFIER),
    _one("residual_covariance", lambda s: regression.residual_covariance(s.H, s.W, s.b, s.Y), CLASSIFIER),
    _one("deep_nrc1", lambda s: regression.deep_nrc1(s.H, s.Y.shape[0])),
    _one("deep_nrc2", lambda s: regression.linear_cka(s.H, s.Y)),
    _one("deep_nrc3", lambda s: regression.subspace_cosine(s.H, s.on_top, s.Y.shape[0]), READ_BY, READ_ENOUGH),
    _one("deep_nrc4", lambda s: regression.probe_loss(s.H, s.Y)),
    Family(
        ("singular_values", "singular_values_centred", "singular_value_mean"),
        lambda s: spectrum(s.W, s.hbar, s.H - s.hbar[:, None], np.ones(s.H.shape[1]), s.Y.shape),
        (CLASSIFIER,),
    ),
    Family(
        ("bias_invariant", "mean_invariant"),
        lambda s: _invariants(s, s.hbar, s.Y.mean(axis=1), s.H.shape[1]),
        (CLASSIFIER, SQUARED),
    ),
    *_OF_WEIGHTS,
    _DIMENSION,
)


def of_classified(state: Classified, keys: Keys = None) -> Values:
    """All that features in classes define, or `keys` of it."""
    if state.W is not None and state.codes is not None and state.codes.shape != (state.W.shape[0], state.split.K):
        raise UfmError(
            f"W has {state.W.shape[0]} rows and {state.split.K} classes are present, but the codes are "
            f"{state.codes.shape}."
        )
    return gather(OF_CLASSES, state, keys, (OF_TARGETS, "a regression, whose targets are m x N"))


def of_regressed(state: Regressed, keys: Keys = None) -> Values:
    """All that features of a regression define, or `keys` of it."""
    return gather(OF_TARGETS, state, keys, (OF_CLASSES, "classes, with one label a sample"))


def _value(state: Any) -> float:
    layers, problem = state.layers, state.problem
    if len(layers) != problem.p - 1:
        raise UfmError(f"W has {len(layers)} layers, the problem {problem.p - 1}; give each of them, last first.")
    H = state.features if isinstance(state, Regressed) else state.features[:, state.split.order]
    return float(objective(problem, layers, H.astype(np.float64), state.b if problem.has_bias else None))


def _invariants(state: Any, hbar: np.ndarray, ybar: np.ndarray, N: int) -> Values:
    lam_H, lam_b = float(state.problem.lam_H), float(state.problem.lam_b)
    return {
        "bias_invariant": bias.bias_invariant(state.W, hbar, state.b, ybar, lam_b),
        "mean_invariant": bias.mean_invariant(state.W, hbar, ybar, lam_H, lam_b, N),
    }


def _margins(state: Any) -> Values:
    """Margins of arg max, least and mean."""
    truth = np.repeat(np.argmax(state.codes, axis=0), state.split.counts)
    found = uniformity.margins(state.logits, truth)
    return {"margin_least": float(np.min(found)), "margin_mean": float(np.mean(found))}


def _neco(state: Any) -> Values:
    """Scores by as many principal directions as centred class means have, and how well they tell the two apart."""
    split, outside = state.split, state.outside
    directions = split.total.axes[0][:, : max(1, split.whitener.shape[0])]
    inside = detection.share_inside(state.features, directions)
    without = detection.share_inside(outside, directions)
    found = {"neco": inside, "neco_outside": without, "neco_auroc": detection.auroc(inside, without)}
    if state.W is None:
        return found
    known = np.max(state.logits, axis=0) * inside[split.order]
    unknown = np.max(state.W @ outside + state.b[:, None], axis=0) * without
    return found | {"neco_logit_auroc": detection.auroc(known, unknown)}
