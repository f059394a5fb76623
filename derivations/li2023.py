"""Why sets of labels have centred sums of a simplex as class means: the tangent at two shares is a sum of squares.

All sets of one label have n_1 samples and all sets of two have n_2; m labels, the weights and the bias stay letters.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import sympy as sp

from ufm.derivation import Derivation, Proof
from ufm.derivation import SquaredNorm as norm2
from ufm.derivation.load import lemma
from ufm.derivation.regimes import Regime, kappa, v
from ufm.symbols import K, N, d, lam_b, lam_H, lam_W, m, tau

c = sp.Symbol("c", positive=True)
n_1, n_2 = sp.symbols("n_1 n_2", integer=True, positive=True)
a, a_2, x = sp.symbols("a_1 a_2 x", positive=True)  # shares of the residual; margins over shares
alpha = sp.Symbol("alpha", real=True)
W, H = sp.MatrixSymbol("W", m, d), sp.MatrixSymbol("H", d, N)
b, V = sp.MatrixSymbol("b", m, 1), sp.MatrixSymbol("V", d, m)
Y_1, Y_2 = sp.MatrixSymbol("Y_1", m, N), sp.MatrixSymbol("Y_2", m, N)
ONES, ONES_N = sp.MatrixSymbol("𝟏_m", m, 1), sp.MatrixSymbol("𝟏_N", N, 1)
Z_H, Z_M = sp.MatrixSymbol("Z_H", d, N), sp.MatrixSymbol("Z_M", 1, d)
E_K, E_L = sp.MatrixSymbol("e_k", m, 1), sp.MatrixSymbol("e_l", m, 1)
TAGS = sp.MatrixSymbol("cos(tags)", K, K)  # cosines of the centred label sets, one number a pair of classes

C: Any = sp.MatrixSymbol("C", m, m)
E: Any = sp.MatrixSymbol("E", m, N)
CENTRING: Any = sp.Identity(m) - ONES * ONES.T / m
SPREAD = a**2 * n_1 + a_2**2 * n_2 * (m - 2)
MU = N * lam_H * x
ONE = sp.Identity(1)
_EDGE = SPREAD.subs(m, kappa + 3) / (N**2 * lam_H)
AT = Regime("at the optimum", r"\tau^2 = n_1a_1^2 + n_2(m-2)a_2^2", {lam_W: _EDGE, m: kappa + 3})
WEAK = Regime("weak", r"\tau^2 < n_1", {lam_W: n_1 / (N**2 * lam_H * (1 + v)), m: kappa + 3})


@cache
def collapse() -> Derivation:
    """The class means of every global minimum: positive multiples of one map of the centred label sets."""
    proof = Proof(
        "Sets of labels",
        "Pick-all-labels cross-entropy, $m \\ge 3$ labels, $n_1$ samples of every set of one label and $n_2$ of every "
        "set of two, any $\\lambda_b$, $\\tau^2 < n_1$, a width of at least $m-1$.",
    )
    _labels(proof)
    _stationarity(proof)
    _certificate(proof)
    _every_minimiser(proof)
    return proof.conclude(claims={"means": "class means are positive multiples of W' times the centred label sets"})


def _labels(proof: Proof) -> None:
    proof.section("The loss and its tangent")
    proof.given(
        "labels",
        "Let $Y_1$ hold the label sets of the samples with one label, $Y_2$ those of the samples with two, zero "
        "elsewhere. As every pair occurs equally often,",
        {
            Y_1 * Y_1.T: n_1 * sp.Identity(m),
            Y_2 * Y_2.T: n_2 * (m - 2) * sp.Identity(m) + n_2 * ONES * ONES.T,
            Y_1 * Y_2.T: sp.ZeroMatrix(m, m),
            Y_1 * ONES_N: n_1 * ONES,
            Y_2 * ONES_N: n_2 * (m - 1) * ONES,
            ONES.T * ONES: m * ONE,
        },
    )
    proof.define("centring", "Let", C, CENTRING)
    proof.define("mean weight", "", c, sp.sqrt(lam_W * lam_H))
    proof.define("shrinkage", "and", tau, N * c)
    total, tangent = sp.Symbol("N L"), sp.Symbol("entropies + A")
    proof.lemma(
        "tangent",
        "A sample of $M$ labels has the loss $M\\log\\sum_je^{z_j} - t'z$, $t$ its label set. With any $Q \\ge 0$ "
        "whose columns have the sums $M$, and the residual $E$, the label sets less $Q$, $N L$ is at least what "
        "depends on $Q$ alone plus $A = -\\mathrm{tr}\\,E'(WH + b1') + \\frac N2(\\lambda_W\\lVert W\\rVert^2 + "
        "\\lambda_H\\lVert H\\rVert^2 + \\lambda_b\\lVert b\\rVert^2)$, with equality where $Q$ is $M$ times the "
        "softmax.",
        lemma("gibbs"),
        sp.Ge(total, tangent, evaluate=False),
    )


def _stationarity(proof: Proof) -> None:
    """On logits alpha_1 C Y_1 + alpha_2 C Y_2 the loss is convex in two margins, and its minimum is inside."""
    odds = sp.exp(alpha)
    one, two = 1 / (odds + m - 1), 1 / (2 * odds + m - 2)
    margin = sp.Symbol("alpha_i", positive=True)
    length = sp.Symbol("r", positive=True)
    proof.section("Stationarity")
    proof.equal(
        "residual of one label",
        "On logits $C(\\alpha_1Y_1+\\alpha_2Y_2)$ a sample of one label has the residual $a_1C$ times its label set, "
        "$a_1 = m/(e^{\\alpha_1}+m-1) > 0$, on its label",
        1 - odds * one,
        m * one * (1 - 1 / m),
    )
    proof.equal(
        "residual of two labels",
        "and one of two labels $a_2C$ times its, $a_2 = m/(2e^{\\alpha_2}+m-2) > 0$, on its labels",
        1 - 2 * odds * two,
        m * two * (1 - 2 / m),
    )
    proof.equal(
        "slope of one label",
        "The fit of a sample of one label falls with its margin, by",
        sp.diff(sp.log(odds + m - 1) - alpha, alpha),
        -(m - 1) / m * (m * one),
    )
    proof.equal(
        "slope of two labels",
        "that of one of two labels by",
        sp.diff(2 * sp.log(2 * odds + m - 2) - 2 * alpha, alpha),
        -2 * (m - 2) / m * (m * two),
    )
    first, second = sp.symbols("alpha_1 alpha_2", positive=True)
    logits: Any = first * C * Y_1 + second * C * Y_2
    proof.identity(
        "singular values",
        "The logits have $m-1$ singular values, all of one length $r$, and cost $\\tau(m-1)r$,",
        (logits * logits.T, (first**2 * n_1 + second**2 * n_2 * (m - 2)) * C),
    )
    for name, count, slope, size in (
        ("one label", m * n_1, (m - 1) / m, n_1),
        ("two labels", m * (m - 1) / 2 * n_2, 2 * (m - 2) / m, n_2 * (m - 2)),
    ):
        proof.equal(
            f"stationary, {name}",
            f"so that the margin of {name} is stationary where the share is $\\tau\\alpha_i/r$, fit and penalty having "
            "opposite slopes there:",
            count * slope * (tau * margin / length),
            tau * (m - 1) * size * margin / length,
        )
    proof.sign(
        "not at zero",
        "The sum is convex and grows without bound, so it has a minimum; at zero both shares are 1, and it is none as "
        "the slope along $\\alpha_1 = \\alpha_2$ is a positive multiple of $\\tau^2 - n_1 - n_2(m-2)$:",
        sp.Lt(tau**2 - n_1 - n_2 * (m - 2), 0, evaluate=False),
        regime=WEAK,
    )
    proof.equal(
        "on the edge",
        "So both margins are $x = r/\\tau$ times positive shares $a_1$, $a_2$, with $n_1a_1^2 + n_2(m-2)a_2^2 = "
        "\\tau^2$, as by the definition of $r$",
        (n_1 * (tau * first / length) ** 2 + n_2 * (m - 2) * (tau * second / length) ** 2),
        tau**2 * (first**2 * n_1 + second**2 * n_2 * (m - 2)) / length**2,
    )


def _certificate(proof: Proof) -> None:
    proof.section("Certificate")
    proof.define("residual", "At these shares the residual is", E, a * C * Y_1 + a_2 * C * Y_2)
    tangent = -sp.Trace(E.T * (W * H + b * ONES_N.T))
    tangent += N / 2 * (lam_W * norm2(W) + lam_H * norm2(H) + lam_b * norm2(b))
    proof.squares(
        "sum of squares",
        "$A$ is a sum of squares for all factors and biases (without a "
        "bias, or with a free one, its square is left out).",
        tangent,
        sp.S.Zero,
        [
            (N * lam_H / 2, H - W.T * E / (N * lam_H)),
            (N * lam_b / 2, b),
            (tau**2 / (2 * N * lam_H * m), ONES.T * W),
        ],
        regime=AT,
    )
    proof.given("an isometry", "Take $V$ with orthonormal columns.", {V.T * V: sp.Identity(m)})
    root = sp.sqrt(MU)
    family = {W: root * C * V.T, H: root / (N * lam_H) * V * E, b: sp.ZeroMatrix(m, 1)}
    proof.identity(
        "attained",
        "Factors with $WW' = N\\lambda_Hx\\,C$ make all of them vanish, and their product $xE$ has the margins whose "
        "softmax is $Q$: it is the global minimum.",
        (tangent, sp.S.Zero),
        (W * H, x * E),
        where=family,
        regime=AT,
    )


def _every_minimiser(proof: Proof) -> None:
    proof.section("Every global minimum")
    zero = {Z_H: H - W.T * E / (N * lam_H), Z_M: ONES.T * W}
    proof.given(
        "the product",
        "At any global minimum all squares vanish and $Q$ is the softmax of the logits, which are $xE$ up to constants "
        "in each column; as $\\mathbf{1}'W = 0$ and $b = 0$ (a free one: up to a multiple of $\\mathbf{1}$), there are "
        "none in $WH = xE$.",
        {W * H: proof.full(x * E)},
        shown=False,
    )
    proof.follows("features", "Hence", H.T * H, x / (N * lam_H) * E.T * E, zero, H.T * Z_H, regime=AT)
    proof.follows(
        "classifier",
        "and",
        W * W.T,
        MU * C,
        zero,
        -N * lam_H / tau**2 * W * Z_H * E.T + W * Z_M.T * ONES.T / m,
        regime=AT,
    )


_MEANS = (
    "At every global minimum $H'H$ is a positive multiple of $E'E$, where the column of a sample with the label set "
    "$t$ is $a_1Ct$ or $a_2Ct$ with positive $a_1$, $a_2$: the cosines of class means are those of the centred label "
    "sets. "
)


def single_labels() -> Derivation:
    """Centred unit vectors are a simplex."""
    proof = Proof("Sets of one label", "The class means of sets of one label form a simplex ETF.")
    proof.carry(collapse())
    proof.section("Cosines")
    proof.define("the centring", "", C, CENTRING, shown=False)
    units = {E_K.T * E_K: ONE, E_K.T * E_L: sp.ZeroMatrix(1, 1), E_K.T * ONES: ONE, E_L.T * ONES: ONE}
    proof.given("unit vectors", "", units, shown=False)
    proof.identity(
        "entries",
        _MEANS + "For two sets of one label these come from",
        (E_K.T * C * E_K, (1 - 1 / m) * ONE),
        (E_K.T * C * E_L, -ONE / m),
    )
    proof.equal("their ratio", "the ratio", (-1 / m) / (1 - 1 / m), -1 / (m - 1))
    return proof.conclude({"cosines": -1 / (m - 1)})


def tag_averages() -> Derivation:
    """The centred label set of two labels is the sum of those of its labels."""
    proof = Proof("Sets of two labels", "Class means have the cosines of the sums of a simplex over their labels.")
    proof.carry(collapse())
    proof.section("Cosines")
    proof.define("the centring", "", C, CENTRING, shown=False)
    proof.identity(
        "sums",
        _MEANS + "With $w_j = Ce_j$, a simplex, the centred set of two labels is the sum",
        (C * (E_K + E_L), C * E_K + C * E_L),
    )
    return proof.conclude({"cosines": TAGS})


PROOFS: dict[str, Callable[[], Derivation]] = {"single_labels": single_labels, "tag_averages": tag_averages}
