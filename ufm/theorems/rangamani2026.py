"""Deep neural regression collapse (arXiv 2603.23805): Proposition 1, and the claims about trained networks."""

from typing import Any

import numpy as np
import sympy as sp

from ufm.catalogue import Assumption, AtMost, Citation, Domain, Integers, Theorem, Values
from ufm.catalogue.arrays import Arrays, centred, has_clear_rank
from ufm.catalogue.domain import Point
from ufm.metrics.regression import deep_nrc1, linear_cka

_PROPOSITION = (
    r"If $1-\mathrm{tr}(H_s'H_s)/\mathrm{tr}(H'H)\le\epsilon_1$, $H_s$ the part of the centred features in "
    "their top $t$ "
    r"principal directions, and $1-\mathrm{CKA}(H,Y)\le\epsilon_2$ for targets $Y$ of dimension $t$, then "
)
_RATIO = r"$\frac{\|H-P_YH\|_F}{\|H\|_F}\le$"

e1, e2 = sp.symbols("epsilon_1 epsilon_2", nonnegative=True)
t = sp.Symbol("t", integer=True, positive=True)


def _layer(point: Point) -> Arrays:
    """Features H (d x N) and targets Y (t x N): whole-number rows of a Hadamard matrix, random, or nearly aligned.

    "rows": H has the rows w a and b, Y the rows w a and c, of orthogonal and centred a, b, c.
    """
    rng = np.random.default_rng(point["seed"])
    size, d, N, kind = point["t"], point["t"] + point["more"], point["t"] + point["more"] + point["N"], point["kind"]
    if kind == "rows":
        a, b, c = np.array([[1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]], dtype=float)
        return Arrays({"H": np.stack([point["w"] * a, b]), "Y": np.stack([point["w"] * a, c])})
    if kind == "integers":
        return Arrays(
            {"H": rng.integers(-2, 3, (d, N)).astype(float), "Y": rng.integers(-2, 3, (size, N)).astype(float)}
        )
    Y = rng.standard_normal((size, N)) * 10.0 ** rng.uniform(-1, 1, (size, 1))
    H = rng.standard_normal((d, N))
    if kind == "aligned":
        H = rng.standard_normal((d, size)) @ Y + 10.0 ** rng.uniform(-3, 0) * H
    return Arrays({"H": H, "Y": Y})


def _outside(case: Arrays) -> float:
    """||Hc - Hc P_Y||/||Hc||, P_Y the projection on the rows of the centred targets."""
    H, Y = centred(case["H"]), centred(case["Y"])
    fit = np.linalg.lstsq(Y.T, H.T, rcond=1e-9)[0]
    return float(np.linalg.norm(H.T - Y.T @ fit) / np.linalg.norm(H))


def _exact_outside(case: Arrays) -> float:
    """The same from the projection Y'(YY')^+Y in rational numbers."""
    H, Y = (sp.Matrix([[sp.nsimplify(x) for x in row] for row in case[name].tolist()]) for name in "HY")
    centre = sp.eye(H.cols) - sp.ones(H.cols, H.cols) / H.cols
    H, Y = H * centre, Y * centre
    rest = H - H * Y.pinv() * Y
    return float(sp.sqrt((rest * rest.T).trace() / (H * H.T).trace()))


def _noise(case: Arrays) -> float:
    return deep_nrc1(case["H"], case["Y"].shape[0])


def _misalignment(case: Arrays) -> float:
    return max(0.0, 1 - linear_cka(case["H"], case["Y"]))


def _is_fair(case: Arrays) -> bool:
    return has_clear_rank(centred(case["Y"])) and float(np.linalg.norm(centred(case["H"]))) > 1e-6


_FAIR = Assumption("features and targets vary, and the rank of the targets is clear", _is_fair)
_SCALAR = Assumption("targets are scalar", lambda case: case["Y"].shape[0] == 1)
_LETTERS: dict[Any, Any] = {e1: _noise, e2: _misalignment, t: lambda case: case["Y"].shape[0]}
_DOMAIN = {
    "kind": Values(("rows", "integers", "gaussian", "aligned")),
    "t": Integers(1, 4, small=(2, 1)),
    "more": Integers(1, 6, small=(1,)),
    "N": Integers(1, 20, small=(1, 2)),
    "w": Integers(1, 9, small=(2, 3)),
    "seed": Integers(1, 10**6, small=(1, 2)),
}


def _proposition(name: str, title: str, words: str, bound: Any, *assumes: Assumption, **more: Any) -> Theorem:
    """A bound on the part of the features outside the targets' rows, with the smallest e1 and e2 that are allowed."""
    own = "" if name == "prop1" else ", corrected here"
    return Theorem(
        name=name,
        title=title,
        statement=_PROPOSITION + _RATIO + words,
        citation=Citation("rangamani2026", "Proposition 1" + own, "own" if own else "text"),
        kind="upper",
        claims=(AtMost("outside_targets", bound, _LETTERS),),
        domain=Domain(_DOMAIN),
        problem=_layer,
        assumes=(_FAIR, *assumes),
        measures={"outside_targets": _outside},
        **more,
    )


def _statistical(name: str, title: str, statement: str, needs: str) -> Theorem:
    """A claim about trained networks."""
    return Theorem(
        name=name,
        title=title,
        statement=statement,
        citation=Citation("rangamani2026", "abstract and experiments"),
        kind="statistical",
        claims=(),
        domain=Domain(),
        problem=lambda point: None,
        no_proof="It is a claim about trained networks.",
        needs=needs,
    )


_RECORDS = "records of every layer of deep regression networks"

THEOREMS = (
    _proposition(
        "prop1",
        "Signal and alignment bound the part of the features outside the targets' rows",
        r"$\sqrt{\epsilon_1}+\sqrt{\epsilon_2}$.",
        sp.sqrt(e1) + sp.sqrt(e2),
        confirms={"outside_targets": ("SymPy in rational numbers", _exact_outside)},
        no_proof="It is refuted: CKA weighs directions by the squares of their variances, so that a direction with a "
        "small share x of the variance costs it x^2 only.",
    ),
    _proposition(
        "prop1_corrected",
        "The bound with the fourth root of the misalignment",
        r"$\sqrt{\epsilon_1+\sqrt{t\,\epsilon_2(2-\epsilon_2)}}$. (Our correction.)",
        sp.sqrt(e1 + sp.sqrt(t * e2 * (2 - e2))),
    ),
    _proposition(
        "prop1_scalar",
        "For scalar targets the printed bound holds, and a smaller one too",
        r"$\sqrt{\epsilon_1+\epsilon_2-\epsilon_1\epsilon_2}$ if $t=1$, which is at most "
        r"$\sqrt{\epsilon_1}+\sqrt{\epsilon_2}$. (Our correction.)",
        sp.sqrt(e1 + e2 - e1 * e2),
        _SCALAR,
    ),
    _statistical(
        "collapse",
        "Collapsed layers hold signal only, aligned with the targets and with the weights",
        r"In collapsed layers $\mathrm{NRC1}\approx0$, $\mathrm{NRC2}\approx1$, $\mathrm{NRC3}\approx1$ and "
        "NRC4 is about "
        "the training error of the network.",
        _RECORDS,
    ),
    _statistical(
        "intrinsic_rank",
        "Collapsed layers learn the rank of rank-deficient targets",
        "For targets of rank $r<t$ the stable rank of collapsed layers goes to $r$.",
        _RECORDS + " on targets of known rank",
    ),
    _statistical(
        "weight_decay",
        "Collapse of deep layers needs weight decay",
        "Without weight decay the deep layers of the same networks do not collapse.",
        _RECORDS + " with weight decay and without",
    ),
)
