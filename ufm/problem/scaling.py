"""Each paper's own objective, by its coefficients, and the map of its weights to ours and back.

A paper minimises fit * F + W * sum_l lam_W[l] ||W_l||^2 + H * lam_H ||H||^2 + b * lam_b ||b||^2, where F is the sum
over samples of ||z - y||^2 (squared loss) or of the cross-entropy. Ours has 1/(2N) or 1/N for `fit`, 1/2 for the rest.
"""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from ufm.errors import ProblemError

Coefficient = Callable[[int, int], float]  # of (K, N): n is N/K


@dataclass(frozen=True)
class Scaling:
    """Coefficients of a paper's objective, each a function of (K, N); `formula` is the objective as printed."""

    key: str
    formula: str
    fit: Coefficient
    W: Coefficient
    H: Coefficient
    b: Coefficient
    loss: str = "mse"

    def factor(self, K: int, N: int) -> float:
        """Paper's objective divided by ours."""
        return self.fit(K, N) * (2 * N if self.loss == "mse" else N)

    def to_ours(self, weights: dict[str, Any], K: int, N: int) -> dict[str, Any]:
        """The paper's lam_W (a number or a tuple), lam_H, lam_b as the weights of `ufm.Problem`."""
        return self._convert(weights, K, N, inverse=False)

    def from_ours(self, weights: dict[str, Any], K: int, N: int) -> dict[str, Any]:
        """The weights of `ufm.Problem` in the paper's own units."""
        return self._convert(weights, K, N, inverse=True)

    def _convert(self, weights: dict[str, Any], K: int, N: int, *, inverse: bool) -> dict[str, Any]:
        coefficients = {"lam_W": self.W, "lam_H": self.H, "lam_b": self.b}
        for name in weights.keys() - coefficients.keys():
            raise ProblemError(name, weights[name], f"a scaling converts {', '.join(coefficients)}.")
        converted = {}
        for name, value in weights.items():
            ratio = 2 * coefficients[name](K, N) / self.factor(K, N)
            ratio = 1 / ratio if inverse else ratio
            converted[name] = tuple(v * ratio for v in value) if isinstance(value, tuple) else value * ratio
        return converted


def _half(K: int, N: int) -> float:
    return 1 / 2


def _mean(K: int, N: int) -> float:
    return 1 / (2 * N)


_MEAN_ENTROPY: Any = {"fit": lambda K, N: 1 / N, "W": _half, "H": _half, "b": _half, "loss": "cross_entropy"}

_SCALINGS = (
    Scaling("ufm", "1/(2N)|WH+b1'-Y|^2 + lW/2|W|^2 + lH/2|H|^2 + lb/2|b|^2", _mean, _half, _half, _half),
    Scaling("zhou2022", "1/(2N)|WH+b1'-Y|^2 + lW/2|W|^2 + lH/2|H|^2 + lb/2|b|^2", _mean, _half, _half, _half),
    Scaling("zhou2022_sum", "1/2|WH-Y|^2 + lW/2|W|^2 + lH/2|H|^2", _half, _half, _half, _half),
    Scaling(
        "tirer2022",
        "1/(2Kn)|WH-Y|^2 + lW/(2K)|W|^2 + lH/(2Kn)|H|^2",
        fit=_mean,
        W=lambda K, N: 1 / (2 * K),
        H=_mean,
        b=lambda K, N: 1 / (2 * K),
    ),
    Scaling(
        "tirer2023",
        "1/(2Kn)|WH-Y|^2 + lW/(2K)|W|^2 + lH/(2Kn)|H|^2 (+ beta/(2Kn)|H-H0|^2)",
        fit=_mean,
        W=lambda K, N: 1 / (2 * K),
        H=_mean,
        b=lambda K, N: 1 / (2 * K),
    ),
    Scaling("andriopoulos2024", "1/(2M)|WH+b1'-Y|^2 + lH/(2M)|H|^2 + lW/2|W|^2", fit=_mean, W=_half, H=_mean, b=_half),
    Scaling("dang2023", "1/(2N)|W_M..W_1 H-Y|^2 + 1/2 sum_j lW_j|W_j|^2 + lH/2|H|^2", _mean, _half, _half, _half),
    Scaling("dang2024", "1/N sum CE + lW/2|W|^2 + lH/2|H|^2", **_MEAN_ENTROPY),
    Scaling("zhu2021", "1/N sum CE + lW/2|W|^2 + lH/2|H|^2 + lb/2|b|^2", **_MEAN_ENTROPY),
    Scaling("garrod2024", "1/N sum CE + lam/2 (sum_l |W_l|^2 + |H|^2)", **_MEAN_ENTROPY),
    Scaling(
        "hong2023",
        "1/N sum CE + lW|W|^2 + lH|H|^2 + lb|b|^2",
        fit=lambda K, N: 1 / N,
        W=lambda K, N: 1.0,
        H=lambda K, N: 1.0,
        b=lambda K, N: 1.0,
        loss="cross_entropy",
    ),
)

SCALINGS: dict[str, Scaling] = {scaling.key: scaling for scaling in _SCALINGS}


def scaling(key: str) -> Scaling:
    """The scaling of a paper by its key."""
    if key not in SCALINGS:
        near = get_close_matches(key, SCALINGS, 1)
        raise ProblemError("scaling", key, f"did you mean {near[0]!r}?" if near else f"known: {', '.join(SCALINGS)}.")
    return SCALINGS[key]
