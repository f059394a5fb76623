"""NC4, the classifier's decisions against those of the nearest class centre."""

import numpy as np

from ufm.metrics.split import Split

_BLOCK = 1 << 22  # entries of a table of scores that are held at once


def decisions(scores: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """argmin_k ||z_i - c_k|| for columns z_i (m x N) and centres c_k (m x K): the class of each sample (N).

    On one-hot codes this is argmax_k z_ki. Ties go to the first class.
    """
    half = np.sum(centres**2, axis=0)[:, None] / 2
    step = max(1, _BLOCK // centres.shape[1])
    blocks = (scores[:, i : i + step] for i in range(0, scores.shape[1], step))
    return np.concatenate([np.argmax(centres.T @ block - half, axis=0) for block in blocks])


def roles(codes: np.ndarray) -> np.ndarray:
    """The first class with the same code (K): equal codes are one role, and no decision tells them apart."""
    _, first, inverse = np.unique(codes, axis=1, return_index=True, return_inverse=True)
    return first[inverse.reshape(-1)]


def decides_by_largest(codes: np.ndarray) -> bool:
    """Whether the nearest code is that of the largest logit: codes are columns of the identity."""
    top = np.array_equal(np.sort(codes, axis=0)[-2:], np.repeat([[0.0], [1.0]], codes.shape[1], axis=1))
    return top and not np.any(codes < 0)


def accuracy(decided: np.ndarray, counts: np.ndarray, codes: np.ndarray | None = None) -> float:
    """The fraction of samples, sorted by class (n_k of each, K), whose class was found, or one with the same code."""
    truth = np.arange(counts.size) if codes is None else roles(codes)
    return float(np.mean(decided == np.repeat(truth, counts)))


def nearest_centre(
    split: Split, Z: np.ndarray, codes: np.ndarray, by_mean: np.ndarray | None = None
) -> dict[str, float]:
    """`nc4`: the fraction of samples on which code nearest to W h + b and nearest class mean differ [papyan2020, NC4].

    Z: logits W h + b, bias included, columns sorted by class (m x N); codes: m x K. Also `accuracy` of the classifier
    and `ncc_accuracy` of the nearest mean. Works on deviations from the global mean, so that a common offset costs no
    digits. by_mean: the decisions of the nearest mean where they are known already (N, as roles).
    """
    role = roles(codes)
    by_classifier = role[decisions(Z, codes)]
    if by_mean is None:
        by_mean = role[decisions(split.centred(), split.deviations)]
    return {
        "nc4": float(np.mean(by_classifier != by_mean)),
        "accuracy": accuracy(by_classifier, split.counts, codes),
        "ncc_accuracy": accuracy(by_mean, split.counts, codes),
    }
