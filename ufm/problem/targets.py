"""Targets: class codes with class sizes, or regression targets; the mean and the matrix that the loss compares with."""

import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import Any, overload

import numpy as np

from ufm import encodings
from ufm.encodings import Encoding
from ufm.errors import ProblemError
from ufm.problem.symbolic import SymbolicClasses, SymbolicSamples, in_letters


@dataclass(frozen=True, eq=False)
class ClassTargets:
    """Class codes C (m x K), one column a class, and the class sizes n_k (K); equal codes are one role, and welcome."""

    encoding: Encoding
    counts: np.ndarray

    @property
    def codes(self) -> np.ndarray:
        """C, m x K."""
        return self.encoding.codes

    @property
    def m(self) -> int:
        """Target dimension."""
        return self.encoding.shape[0]

    @property
    def K(self) -> int:
        """Number of classes."""
        return self.encoding.shape[1]

    @cached_property
    def N(self) -> int:
        """Number of samples, sum n_k."""
        return int(self.counts.sum())

    @property
    def balanced(self) -> bool:
        """Whether all classes have the same size."""
        return bool(np.all(self.counts == self.counts[0]))

    @property
    def columns(self) -> np.ndarray:
        """The distinct target columns that the loss sees: C (m x K)."""
        return self.codes

    @property
    def multiplicity(self) -> np.ndarray:
        """How many samples carry each of `columns` (K)."""
        return self.counts

    @property
    def mean(self) -> np.ndarray:
        """Ybar (m), the mean over samples."""
        if self.encoding.exchangeable is not None:
            alpha, beta = self.encoding.exchangeable
            return alpha * (self.counts / self.N) + beta
        return self.codes @ (self.counts / self.N)

    def labels(self) -> np.ndarray:
        """Class of every sample, class after class (N)."""
        return np.repeat(np.arange(self.K), self.counts)

    def matrix(self) -> np.ndarray:
        """Y (m x N), class after class."""
        return np.repeat(self.codes, self.counts, axis=1)

    def to_dict(self) -> dict[str, Any]:
        """What `classes` needs to say it again."""
        counts: Any = int(self.counts[0]) if self.balanced else [int(n) for n in self.counts]
        return {**_encoding_to_dict(self.encoding), "counts": counts}

    def __repr__(self) -> str:
        sizes = f"{self.counts[0]}" if self.balanced else f"[{self.counts.min()}..{self.counts.max()}]"
        return f"classes({self.encoding.name}, m={self.m}, K={self.K}, counts={sizes})"


@dataclass(frozen=True, eq=False)
class SampleTargets:
    """Regression targets Y (m x N), one column a sample."""

    Y: np.ndarray

    @property
    def m(self) -> int:
        """Target dimension."""
        return self.Y.shape[0]

    @property
    def N(self) -> int:
        """Number of samples."""
        return self.Y.shape[1]

    @property
    def columns(self) -> np.ndarray:
        """Y (m x N)."""
        return self.Y

    @property
    def multiplicity(self) -> np.ndarray:
        """One sample a column (N ones)."""
        return np.ones(self.N, dtype=int)

    @property
    def mean(self) -> np.ndarray:
        """Ybar (m)."""
        return self.Y.mean(axis=1)

    def matrix(self) -> np.ndarray:
        """Y (m x N)."""
        return self.Y

    def to_dict(self) -> dict[str, Any]:
        """What `samples` needs to say it again."""
        return {"samples": self.Y.tolist()}

    def __repr__(self) -> str:
        return f"samples(m={self.m}, N={self.N})"


Targets = ClassTargets | SampleTargets | SymbolicClasses | SymbolicSamples


@overload
def classes(
    codes: Encoding | np.ndarray | Sequence[Sequence[float]], counts: int | Sequence[int] | np.ndarray
) -> ClassTargets: ...
@overload
def classes(codes: Any, counts: Any) -> Any: ...
def classes(codes: Any, counts: Any) -> Any:
    """Targets of a classification problem.

    codes: an encoding of `ufm.encodings`, or any m x K matrix with one column a class; counts: samples per class, one
    integer for all or K of them. Raises ProblemError for anything that is not finite, not a matrix, or not a count.
    With a SymPy letter for K or for a size these are targets for `ufm.derive`.
    """
    if not isinstance(codes, Encoding):
        codes = Encoding("custom", _finite_matrix(codes, "codes", "m x K, one column a class"))
    elif not in_letters(codes.shape[1]) and codes.exchangeable is None and not np.all(np.isfinite(codes.codes)):
        raise ProblemError("codes", codes.codes, "every code must be a finite number.")
    K = codes.shape[1]
    several = isinstance(counts, Sequence | np.ndarray) and np.ndim(counts) > 0  # pyright: ignore
    if codes.letters or any(in_letters(n) for n in (counts if several else [counts])):
        return _classes_in_letters(codes, K, tuple(counts) if several else counts)
    sizes = np.asarray(counts)
    if sizes.ndim == 0:
        sizes = np.full(K, sizes)
    if sizes.shape != (K,):
        raise ProblemError("counts", counts, f"give one integer, or {K} of them: the codes have {K} columns.")
    if sizes.dtype == bool or not np.issubdtype(sizes.dtype, np.number):
        raise ProblemError("counts", counts, "class sizes are integers.")
    if not np.all(np.isfinite(sizes)) or np.any(sizes != np.floor(sizes)):
        raise ProblemError("counts", counts, "class sizes are integers; round them, or give samples instead.")
    if np.any(sizes < 1):
        k = int(np.argmax(sizes < 1))
        raise ProblemError(f"counts[{k}]", int(sizes[k]), "leave a class without samples out of the codes.")
    sizes = sizes.astype(np.int64)
    sizes.flags.writeable = False
    return ClassTargets(codes, sizes)


def _classes_in_letters(codes: Encoding, K: Any, counts: Any) -> SymbolicClasses:
    if isinstance(counts, tuple) and (in_letters(K) or len(counts) != K):
        raise ProblemError("counts", counts, f"give one size for all {K} classes, or one for each.")
    for size in counts if isinstance(counts, tuple) else (counts,):
        if in_letters(size):
            if size.is_positive is False or size.is_integer is False:
                raise ProblemError("counts", size, "class sizes are positive integers; so is a letter for one.")
        elif not is_number(size) or size != int(size) or size < 1:
            raise ProblemError("counts", size, "class sizes are positive integers, or letters for them.")
    return SymbolicClasses(codes, counts)


@overload
def samples(Y: np.ndarray | Sequence[Sequence[float]]) -> SampleTargets: ...
@overload
def samples(Y: Any) -> Any: ...
def samples(Y: Any) -> Any:
    """Targets of a regression problem: Y is m x N, one column a sample. Raises ProblemError unless finite and 2-D.

    A SymPy MatrixSymbol makes targets for `ufm.derive`.
    """
    if hasattr(Y, "free_symbols") and hasattr(Y, "shape"):
        return SymbolicSamples(Y)
    matrix = _finite_matrix(Y, "Y", "m x N, one column a sample")
    matrix.flags.writeable = False
    return SampleTargets(matrix)


def targets_from_dict(spec: dict[str, Any]) -> Targets:
    """The inverse of `to_dict`, as read from a TOML file or a record's header."""
    if "samples" in spec:
        return samples(spec["samples"])
    if "counts" not in spec:
        raise ProblemError("targets", spec, "give counts with an encoding or codes, or give samples.")
    return classes(_encoding_from_dict(spec), spec["counts"])


def _encoding_to_dict(encoding: Encoding) -> dict[str, Any]:
    if encoding.name == "custom":
        return {"codes": encoding.codes.tolist()}
    parameters = {k: _encoding_to_dict(v) if isinstance(v, Encoding) else v for k, v in encoding.parameters.items()}
    return {"encoding": encoding.name, "parameters": parameters}


def _encoding_from_dict(spec: dict[str, Any]) -> Encoding:
    if "codes" in spec:
        return Encoding("custom", _finite_matrix(spec["codes"], "codes", "m x K, one column a class"))
    name, known = spec.get("encoding", "one_hot"), encodings.available()
    if name not in known:
        near = get_close_matches(str(name), known, 1)
        hint = f"did you mean {near[0]}? Else " if near else ""
        raise ProblemError("encoding", name, f"{hint}choose one of {', '.join(known)}.")
    beside = {k: v for k, v in spec.items() if k not in ("encoding", "counts", "parameters")}  # K = 4, by hand
    given = spec.get("parameters", beside)
    if not isinstance(given, dict) or ("parameters" in spec and beside):
        raise ProblemError("targets", spec, f"give what {name} needs in the table, or in parameters, as in K = 4.")
    parameters = {k: _encoding_from_dict(v) if isinstance(v, dict) else v for k, v in given.items()}
    try:
        return known[name](**parameters)
    except TypeError as error:
        raise ProblemError("parameters", parameters, f"{error}.") from None


def _finite_matrix(value: Any, field: str, shape: str) -> np.ndarray:
    try:
        matrix = np.array(value, dtype=float)
    except (TypeError, ValueError):
        raise ProblemError(field, value, f"give a matrix of numbers, {shape}.") from None
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise ProblemError(field, matrix.shape, f"this is its shape; give a matrix, {shape}.")
    if not np.all(np.isfinite(matrix)):
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(matrix))[0])
        raise ProblemError(f"{field}{list(where)}", float(matrix[where]), "every entry must be a finite number.")
    return matrix


def is_number(value: Any) -> bool:
    """A real Python or NumPy number that is not a bool."""
    return isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_))
