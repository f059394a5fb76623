"""Neural collapse for long-tailed classes (arXiv 2302.12453): the least-squares classifier and the separation loss."""

from typing import Any

import numpy as np
import sympy as sp

from ufm.catalogue import Assumption, AtLeast, Citation, Domain, Equals, Theorem
from ufm.catalogue.arrays import (
    CLEAR_RANK,
    FEATURES,
    SIZES,
    Arrays,
    centred,
    class_features,
    class_means,
    deviations,
)
from ufm.symbols import K

_CLASSIFIER = (
    r"$W_{LS}'=\Sigma_T^+\dot M\,\mathrm{diag}(n_k)$, $b_{LS}=\frac1NY1-W_{LS}\mu_G$ ($\dot M$: class means less "
    r"$\mu_G$) minimise $\frac1{2N}\|WH+b1'-Y\|^2$ for one-hot $Y$. "
)
_SEPARATION = r"$L_B=-\frac1K\sum_k\min_{k'}\arccos\cos(\mu_k-\mu_G,\mu_{k'}-\mu_G)$ "


def _targets(case: Arrays) -> np.ndarray:
    kinds = np.unique(case["labels"])
    return (case["labels"] == kinds[:, None]).astype(float)


def _loss(W: np.ndarray, case: Arrays) -> float:
    """1/(2N) ||W H + b 1' - Y||^2 at W (K x d) and the printed b."""
    H, Y = case["H"], _targets(case)
    b = Y.mean(axis=1) - W @ H.mean(axis=1)
    return float(np.sum((W @ H + b[:, None] - Y) ** 2)) / (2 * Y.shape[1])


def _printed(case: Arrays, factor: float) -> np.ndarray:
    """factor times the printed classifier, K x d."""
    H = centred(case["H"])
    covariance = H @ H.T / H.shape[1]
    return factor * (np.linalg.pinv(covariance, rcond=1e-9) @ deviations(case) @ np.diag(class_means(case)[1])).T


def _least_loss(case: Arrays) -> float:
    H, Y = centred(case["H"]), centred(_targets(case))
    W = np.linalg.lstsq(H.T, Y.T, rcond=1e-9)[0].T
    return float(np.sum((W @ H - Y) ** 2)) / (2 * Y.shape[1])


def _excess_printed(case: Arrays) -> float:
    return _loss(_printed(case, 1.0), case) - _least_loss(case)


def _excess_corrected(case: Arrays) -> float:
    return _loss(_printed(case, 1 / case["labels"].size), case) - _least_loss(case)


def _excess_exact(case: Arrays) -> float:
    """The excess of the printed classifier in rational numbers, the least loss from the projection on [H; 1]."""
    labels = [int(k) for k in case["labels"]]
    H = sp.Matrix([[sp.nsimplify(x) for x in row] for row in case["H"].tolist()])
    N, ones = len(labels), sp.ones(1, len(labels))
    Y = sp.Matrix(max(labels) + 1, N, lambda k, i: int(labels[i] == k))
    mean = H * ones.T / N
    covariance = (H - mean * ones) * (H - mean * ones).T / N
    W = (covariance.pinv() * (H - mean * ones) * Y.T).T  # (Hbar - mu_G) diag(n_k) = (H - mu_G 1') Y'
    R = W * H + (Y * ones.T / N - W * mean) * ones - Y
    design = H.col_join(ones)
    Q = Y - Y * design.pinv() * design
    return float(((R * R.T).trace() - (Q * Q.T).trace()) / (2 * N))


def _directions(case: Arrays) -> np.ndarray:
    """Cosines between the centred class means, -2 on the diagonal."""
    U = deviations(case)
    U = U / np.linalg.norm(U, axis=0)
    C = np.clip(U.T @ U, -1, 1)
    np.fill_diagonal(C, -2)
    return C


def _separation(case: Arrays) -> float:
    return -float(np.mean(np.arccos(np.max(_directions(case), axis=0))))


def _has_directions(case: Arrays) -> bool:
    norms = np.linalg.norm(deviations(case), axis=0)
    return bool(np.min(norms) > 1e-6 * np.max(np.abs(case["H"])))


_LETTERS: dict[Any, Any] = {K: lambda case: np.unique(case["labels"]).size}
_DOMAIN = Domain({**FEATURES, **SIZES})

THEOREMS = (
    Theorem(
        name="least_squares",
        title="The least-squares classifier from the total covariance",
        statement=_CLASSIFIER + r"(Read with $\Sigma_T=\frac1N\sum(h-\mu_G)(h-\mu_G)'$, a covariance, and with the "
        "transpose that the shapes need.)",
        instead=("liu2023:least_squares_corrected",),
        citation=Citation("liu2023", "the least-squares classifier"),
        kind="structural",
        claims=(Equals("excess_loss", 0),),
        domain=_DOMAIN,
        problem=class_features,
        assumes=(CLEAR_RANK,),
        measures={"excess_loss": _excess_printed},
        confirms={"excess_loss": ("SymPy in rational numbers", _excess_exact)},
        no_proof="It is refuted: with a covariance the classifier is N times too large.",
    ),
    Theorem(
        name="least_squares_corrected",
        title="The least-squares classifier, with its 1/N",
        statement=_CLASSIFIER.replace(r"\Sigma_T^+\dot M", r"\frac1N\Sigma_T^+\dot M")
        + r"(Our correction; it is the printed one if $\Sigma_T$ is the sum $\sum(h-\mu_G)(h-\mu_G)'$.)",
        citation=Citation("liu2023", "the least-squares classifier, corrected here", "own"),
        kind="structural",
        claims=(Equals("excess_loss", 0),),
        domain=_DOMAIN,
        problem=class_features,
        assumes=(CLEAR_RANK,),
        measures={"excess_loss": _excess_corrected},
    ),
    Theorem(
        name="separation",
        title="The separation loss is least at the simplex",
        statement=_SEPARATION + r"is at least $-\arccos\frac{-1}{K-1}$, its value at a simplex ETF. (Read for any "
        "features whose centred class means are not zero.)",
        citation=Citation("liu2023", "the loss between classes"),
        kind="lower",
        claims=(AtLeast("separation", -sp.acos(-1 / (K - 1)), _LETTERS),),
        domain=_DOMAIN,
        problem=class_features,
        assumes=(Assumption("no class mean is the global mean", _has_directions),),
        measures={"separation": _separation},
    ),
)
