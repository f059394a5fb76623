"""Label smoothing of another encoding."""

from typing import Any

from ufm.encodings.encoding import Encoding
from ufm.errors import ProblemError


def smoothed(encoding: Encoding | int, eps: Any) -> Encoding:
    """C -> (1 - eps) C + (eps/K) C 11': every code moves the fraction eps towards their mean (same shape).

    eps: a number, or a SymPy letter for `ufm.derive`. On one-hot codes (or an integer K, which stands for them) this
    is label smoothing: eps/K off the diagonal.
    """
    from ufm.encodings import available

    if not isinstance(encoding, Encoding):
        encoding = available()["one_hot"](encoding)
    in_letters = bool(getattr(eps, "free_symbols", None))
    if eps.is_negative if in_letters else not 0 <= eps <= 1:
        raise ProblemError("eps", eps, "give a fraction between 0 and 1.")
    parameters = {"encoding": encoding, "eps": eps if in_letters else float(eps)}
    if encoding.exchangeable is not None:
        alpha, beta = encoding.exchangeable
        softer = (1 - eps) * alpha, beta + eps * alpha / encoding.shape[1]
        return Encoding("smoothed", None, parameters, encoding.shape, softer)
    codes = (1 - eps) * encoding.codes + eps * encoding.codes.mean(axis=1, keepdims=True)
    return Encoding("smoothed", codes, parameters)
