"""How closely the witnesses must agree: one table keyed by (witness, observable), each line with its reason."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Tolerance:
    """|x - reference| <= abs + rel * |reference|, and why; `unit` names an observable that `abs` is measured in."""

    rel: float
    abs: float
    reason: str
    unit: str = ""

    def allowed(self, reference: float) -> float:
        """How far from this reference one may be."""
        return self.abs + self.rel * abs(reference)

    def allows(self, x: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Elementwise: is x close enough? NaN never is."""
        return np.abs(x - reference) <= self.abs + self.rel * np.abs(reference)


FAR = 1e3  # tolerances: by so many a counterexample misses at least, and by so many numbers differ that are said to

_CERTIFIED = Tolerance(1e-9, 1e-9, "first order in the square root of a relative duality gap of 1e-12, with round-off")
_FLOW = Tolerance(1e-6, 1e-6, "first order in gtol / slowest rate, away from lam_b = lam_b*")
_NETWORK = Tolerance(1e-2, 0.0, "finite training with a decayed learning rate; the excess loss says how finite")

TOLERANCES: dict[tuple[str, str], Tolerance] = {
    ("theorem", "*"): Tolerance(1e-12, 1e-12, "the same formula in floating point"),
    ("optimum", "*"): _CERTIFIED,
    ("optimum", "value"): Tolerance(1e-12, 1e-12, "the certificate's own gap: 1e-12 max(1, value)"),
    ("degenerate", "*"): Tolerance(
        1e-7, 1e-7, "at a threshold a singular value is known to round-off, its root (norms, angles) to the root of it"
    ),
    ("degenerate", "value"): Tolerance(1e-12, 1e-12, "as of any certified optimum: the value has no root in it"),
    ("flow", "*"): _FLOW,
    ("flow", "value"): Tolerance(1e-9, 1e-9, "second order in the remaining gradient"),
    ("flow", "critical_relaxation"): Tolerance(1e-2, 0.0, "a late-time law: corrections fall as log(t)/t"),
    ("metrics", "*"): Tolerance(1e-8, 1e-9, "round-off of double precision, through inverses of condition 1e6 at most"),
    ("path", "*"): Tolerance(1e-7, 1e-9, "a path integrated with rtol 1e-11, its error grown along the flow"),
    ("late slope", "*"): Tolerance(1e-2, 0.0, "a late-time law: corrections fall as exp(-gap t), or as log(t)/t"),
    ("measured", "*"): _NETWORK,
    ("measured", "cosine"): Tolerance(0.0, 1e-2, "as for norms, of numbers of size 1"),
    ("measured", "bias"): Tolerance(1e-2, 1e-3, "as for norms, of numbers up to 1/K"),
    ("measured", "singular_value_mean"): Tolerance(
        1e-2, 1e-2, "zero below the transition, where it is soft: critical slowing down", unit="singular_values_centred"
    ),
    ("measured", "excess_loss"): Tolerance(0.0, 1e-2, "relative by definition; second order in the remaining gradient"),
    ("measured", "lam_H_anisotropy"): Tolerance(0.0, 5e-2, "a ratio of fourth powers of what 1e-2 is allowed for"),
    **{
        ("measured", name): Tolerance(
            1e-2, 1e-3, "as for norms; training leaves a little where theory has 0", unit=name
        )
        for name in (
            "class_mean_norm",
            "classifier_norm",
            "classifier_gram",
            "gram",
            "logits",
            "singular_values",
            "singular_values_centred",
        )
    },
    ("measured", "residual_covariance"): Tolerance(
        2e-2, 2e-2, "squares of what 1e-2 is allowed for", unit="residual_covariance"
    ),
    **{
        ("measured", name): Tolerance(0.0, 1e-2, "as for norms, of numbers of size 1")
        for name in ("cosines", "cosine_centred", "equinorm", "nc1", "nc1_ratio", "nc3", "nc3_balance")
    },
    **{("measured", name): Tolerance(0.0, 1e-2, "as for cosines") for name in ("nc2_etf", "nc2_predicted")},
    **{("measured", name): Tolerance(0.0, 1e-2, "shares of size 1") for name in ("nrc1", "nrc2", "nrc3")},
}


def tolerance(witness: str, observable: str) -> Tolerance:
    """The agreed tolerance of an observable as reported by a witness."""
    return TOLERANCES.get((witness, observable)) or TOLERANCES[(witness, "*")]


def roundoff(scale: float = 1.0, operations: int = 64) -> float:
    """What double precision may lose in about `operations` operations on numbers of size `scale`."""
    return operations * scale * float(np.finfo(float).eps)
