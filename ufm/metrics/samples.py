"""Every metric of N samples that features, labels or targets, and a classifier determine: what `measure` reports."""

from typing import Any

import numpy as np

from ufm.errors import UfmError
from ufm.metrics import bias, cdnv, geometry, loss_parts, nc1, ncc, norms, rank, regression, uniformity, vci
from ufm.metrics.means import of_means, of_means_and_classifier
from ufm.metrics.spectrum import spectrum, spectrum_of_samples
from ufm.metrics.split import Split

Values = dict[str, Any]


def of_features(split: Split) -> Values:
    """What features and labels alone determine."""
    values: Values = {
        "nc1": nc1.nc1(split),
        "nc1_ratio": nc1.nc1_ratio(split),
        "nc1_per_class": nc1.nc1_per_class(split),
        "cdnv": cdnv.cdnv(split),
        "vci": vci.vci(split),
        "feature_norm": _feature_norm(split),
        "stable_rank": rank.stable_rank(np.vstack([split.total.R, split.mean])),  # H'H/N = R'R + hbar hbar'
        **of_means(split.class_means, split.deviations),
    }
    if np.ptp(split.counts):  # unequal sizes: the other weighting says something else
        values["nc1_class_weighted"] = nc1.nc1(split, "classes")
        values["nc1_ratio_class_weighted"] = nc1.nc1_ratio(split, "classes")
    return values


def of_classifier(split: Split, W: np.ndarray, b: np.ndarray, codes: np.ndarray) -> Values:
    """What a classifier on these features adds: codes are m x K."""
    if codes.shape != (W.shape[0], split.K):
        raise UfmError(f"W has {W.shape[0]} rows and {split.K} classes are present, but the codes are {codes.shape}.")
    values: Values = of_means_and_classifier(split.class_means, split.deviations, split.counts, W, b, codes)
    values |= spectrum_of_samples(W, split.mean, split.total.R, split.N, codes.shape)
    Z = W @ split.centred() + (W @ split.mean + b)[:, None]
    values |= ncc.nearest_centre(split, Z, codes) | _margins(split, Z, codes)
    return values | loss_parts.loss_parts(split, W, b, codes)


def of_regression(H: np.ndarray, W: np.ndarray, b: np.ndarray, Y: np.ndarray) -> Values:
    """Spectrum, bias and collapse for regression: H d x N, W m x d, b (m), targets Y (m x N)."""
    N = H.shape[1]
    hbar = H.mean(axis=1)
    values: Values = {"classifier_norm": np.linalg.norm(W, axis=1), "bias": b, "bias_spread": bias.bias_spread(b)}
    values |= {"bias_gap": np.linalg.norm(b - Y.mean(axis=1)), "role_spread": geometry.role_spread(H, Y)}
    values |= {"feature_norm": norms.feature_norm(H), "stable_rank": rank.stable_rank(_triangle(H))}
    if min(H.shape) >= Y.shape[0]:
        values["nrc1"] = regression.nrc1(H, Y.shape[0])
    values |= {"nrc2": regression.nrc2(H, W), "nrc3": regression.nrc3(W, Y)[0]}
    values |= spectrum(W, hbar, H - hbar[:, None], np.ones(N), Y.shape)
    return values


def _margins(split: Split, Z: np.ndarray, codes: np.ndarray) -> Values:
    """Margins of arg max for logits Z (m x N), for one-hot codes: other codes decide by distance."""
    if not np.array_equal(np.sort(codes, axis=0)[-2:], np.repeat([[0.0], [1.0]], split.K, axis=1)) or np.any(codes < 0):
        return {}
    found = uniformity.margins(Z, np.repeat(np.argmax(codes, axis=0), split.counts))
    return {"margin_least": float(np.min(found)), "margin_mean": float(np.mean(found))}


def _feature_norm(split: Split) -> float:
    return norms.feature_norm(split.mean[:, None] + split.centred())


def _triangle(H: np.ndarray) -> np.ndarray:
    """A matrix with the singular values of H (d x N) that is no longer than wide."""
    return np.asarray(np.linalg.qr(H.T, mode="r")) if H.shape[1] > H.shape[0] else H
