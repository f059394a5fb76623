"""What a statement about metrics is asked on: named arrays, where other statements have a problem with an optimum."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ufm.catalogue.domain import Integers, Point, Range, Values
from ufm.catalogue.theorem import Assumption

_SHOWN = 24  # arrays of at most so many entries are written out
_SMALL, _ZERO = 1e-3, 1e-12  # singular values between these shares of the largest are no fair question


@dataclass(frozen=True, eq=False)
class Arrays:
    """Named arrays, such as features H (d x N) and labels (N); a case that claims about metrics are put to."""

    values: Mapping[str, np.ndarray]

    def __getitem__(self, name: str) -> np.ndarray:
        return self.values[name]

    def replace(self, **changed: np.ndarray) -> "Arrays":
        """The same with some arrays changed."""
        return Arrays({**self.values, **changed})

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form."""
        return {"arrays": {name: array.tolist() for name, array in self.values.items()}}

    def __repr__(self) -> str:
        return ", ".join(f"{name} = {_words(array)}" for name, array in self.values.items())


def _words(array: np.ndarray) -> str:
    """Small arrays in full, large ones by their shape."""
    if array.size > _SHOWN:
        return f"({' x '.join(map(str, array.shape))})"
    whole = np.round(array) if array.dtype.kind == "f" else array
    return json.dumps((whole.astype(int) if np.array_equal(whole, array) else array).tolist())


KINDS = ("integers", "gaussian", "outside the means", "collapsed", "low rank", "offset", "stretched")
FEATURES: dict[str, Range] = {
    "K": Integers(2, 7, small=(2, 3)),
    "n": Integers(1, 9, small=(1, 2)),
    "d": Integers(1, 12, small=(1, 2)),
    "kind": Values(KINDS),
    "seed": Integers(1, 10**6, small=(1, 2, 3, 4)),
}
SIZES: dict[str, Range] = {"sizes": Values(("equal", "unequal"))}


def class_features(point: Point) -> Arrays:
    """Features H (d x N) with `labels` (N): random ones and the degenerate ones at which formulas break.

    kind: small integers; Gaussian; spread only outside the span of the class means; no spread; of rank 2; far from the
    origin; with directions of very different strength. Sizes are n, or, where `sizes` is unequal, from 1 to n + 1.
    """
    rng = np.random.default_rng(point["seed"])
    K, n, d, kind = point["K"], point["n"], point["d"], point["kind"]
    counts = rng.integers(1, n + 2, K) if point.get("sizes") == "unequal" else np.full(K, n)
    labels = np.repeat(np.arange(K), counts)
    if kind == "integers":
        return Arrays({"H": rng.integers(-2, 3, (d, labels.size)).astype(float), "labels": labels})
    means, spread = rng.standard_normal((d, K)), rng.standard_normal((d, labels.size))
    if kind == "collapsed":
        spread *= 0
    elif kind == "outside the means":
        seen = (d + 1) // 2
        means[seen:], spread[:seen] = 0, 0
        spread -= np.stack([spread[:, labels == k].mean(axis=1) for k in range(K)], axis=1)[:, labels]
    H = means[:, labels] + spread * 10.0 ** rng.uniform(-1, 1)
    if kind == "low rank":
        H = rng.standard_normal((d, 2)) @ rng.standard_normal((2, d)) @ H
    elif kind == "offset":
        H += 100 * rng.standard_normal((d, 1))
    elif kind == "stretched":
        H *= 10.0 ** rng.uniform(-1, 1, (d, 1))
    return Arrays({"H": H, "labels": labels})


def class_means(case: Arrays) -> tuple[np.ndarray, np.ndarray]:
    """Hbar (d x K) and n_k (K) of a case with H and labels, by plain averages."""
    H, labels = case["H"], case["labels"]
    kinds = np.unique(labels)
    means = np.stack([H[:, labels == k].mean(axis=1) for k in kinds], axis=1)
    return means, np.array([np.sum(labels == k) for k in kinds])


def centred(A: np.ndarray) -> np.ndarray:
    """A (rows x N) less the mean of its columns."""
    return A - A.mean(axis=1, keepdims=True)


def is_balanced(case: Arrays) -> bool:
    """Whether all classes have one size."""
    return bool(np.ptp(class_means(case)[1]) == 0)


def deviations(case: Arrays) -> np.ndarray:
    """Class means less the mean over samples (d x K)."""
    return class_means(case)[0] - case["H"].mean(axis=1, keepdims=True)


def has_clear_rank(*matrices: np.ndarray) -> bool:
    """Whether every singular value is zero to round-off or at least 1e-3 of the largest, which is not zero."""
    for A in matrices:
        s = np.linalg.svd(A, compute_uv=False)
        if not s.size or s[0] == 0 or np.any((s > _ZERO * s[0]) & (s < _SMALL * s[0])):
            return False
    return True


def _is_clear(case: Arrays) -> bool:
    H, B = centred(case["H"]), deviations(case) * np.sqrt(class_means(case)[1])
    return bool(np.linalg.norm(B) > _SMALL * np.linalg.norm(H)) and has_clear_rank(H, B)


CLEAR_RANK = Assumption(
    "class means differ, and singular values of centred features and means are zero or at least 1e-3 of the largest, "
    "so that double precision knows the ranks",
    _is_clear,
)
EQUAL_SIZES = Assumption("all classes have one size", is_balanced)
