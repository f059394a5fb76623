"""Why a deep linear model keeps a direction or loses it: one scalar problem, decided by one inequality of means.

The number of layers M stays a symbol, and so do the sizes and all weights.
"""

from collections.abc import Callable
from typing import Any

import sympy as sp

from ufm.derivation import Derivation, Proof
from ufm.derivation import SquaredNorm as norm2
from ufm.derivation.load import lemma, prove
from ufm.derivation.proof import equation
from ufm.symbols import N, d, lam_H, m, tau

M = sp.Symbol("M", integer=True, positive=True)  # linear layers
p = sp.Symbol("p", integer=True, positive=True)  # factors
x = sp.Symbol("x", positive=True)
s, e, y = sp.symbols("s^* e y", positive=True)
sigma = sp.Symbol("sigma", positive=True)
Lam = sp.Symbol("Lambda", positive=True)
Pi = sp.Symbol("Pi_W", positive=True)  # lam_WM .. lam_W1


def _scalar(at: Any, power: Any, weight: Any, target: Any) -> Any:
    """1/2 (sigma - s)^2 + (p/2) tau s^(2/p), the last power given beside s."""
    return (target - at) ** 2 / 2 + p / 2 * weight * power


def direction() -> Derivation:
    """The nonzero stationary point is the global minimum iff s >= (p - 2)(sigma - s)."""
    proof = Proof(
        "One direction",
        "$f(s) = \\frac12(\\sigma - s)^2 + \\frac p2 \\tau s^{2/p}$ on $s \\ge 0$, $p \\ge 2$ factors.",
    )
    means = (p - 2) * y ** (2 * p) - 2 * (p - 1) * y**p + p * y**2
    stationary = e * s ** (1 - 2 / p)
    proof.section("Around a stationary point")
    slope = sp.diff(_scalar(s, s ** (2 / p), tau, sigma), s)
    proof.equal(
        "stationary",
        "At $s^*$ the slope vanishes where $\\tau = e\\,s^{*\\,1-2/p}$ with the residual $e = \\sigma - s^*$:",
        slope.subs({sigma: s + e, tau: stationary}, simultaneous=True),
        sp.S.Zero,
    )
    elsewhere = _scalar(s * y**p, s ** (2 / p) * y**2, stationary, s + e)
    here = _scalar(s, s ** (2 / p), stationary, s + e)
    proof.equal(
        "every other point",
        "Every other point is $s = s^* y^p$ with $y \\ge 0$, and there",
        elsewhere - here,
        e * s / 2 * means + s / 2 * (s - (p - 2) * e) * (1 - y**p) ** 2,
    )
    proof.lemma(
        "inequality of means",
        "The bracket is never negative: $y^{2p}$ and $y^2$ with the weights $p-2$ and $p$ over $2p-2$ have the "
        "geometric mean $y^p$.",
        lemma("weighted_means"),
        sp.Ge(means, 0, evaluate=False),
    )
    proof.equal(
        "their geometric mean",
        "(The exponents add up.)",
        (2 * p * (p - 2) + 2 * p) / (2 * p - 2),
        p,
    )
    proof.section("Kept and lost")
    zero = _scalar(0, 0, stationary, s + e)
    proof.equal(
        "against zero",
        "At zero ($y = 0$) the difference is decided by the second term alone, so that $s^*$ is the global minimum, "
        "and the only one, where $s^* > (p-2) e$;",
        zero - here,
        s / 2 * (s - (p - 2) * e),
    )
    other = sp.Symbol("tau_1", positive=True)
    lost = {s: (p - 2) * e}
    raised = _scalar(s * y**p, s ** (2 / p) * y**2, other, s + e) - zero
    proof.equal(
        "beyond coexistence",
        "and, measured from the point of coexistence $s^* = (p-2) e$, a larger weight $\\tau_1 > \\tau$ leaves zero as "
        "the only global minimum: with $s = s^* y^p$ again,",
        raised.subs(lost),
        (e * s / 2 * means + p / 2 * (other - stationary) * s ** (2 / p) * y**2).subs(lost),
    )
    return proof.conclude(
        claims={
            "kept": equation(sp.Symbol("argmin"), s),
            "coexistence": equation(s, (p - 2) * e),
        }
    )


def directions() -> Derivation:
    """With the factors minimised out, the deep loss is a sum of scalar problems over the singular values."""
    target = sp.MatrixSymbol("Y", m, N)
    X = sp.MatrixSymbol("X", m, N)
    product, residual = sp.Symbol("sum s_i sigma_i", positive=True), sp.Symbol("tr X'Y")
    energy, least = sp.Symbol("energy"), sp.Symbol("least_energy")
    size, weight = sp.symbols("a lambda", positive=True)
    proof = Proof(
        "The directions decouple",
        "No bias, any targets $Y$ with singular values $\\sigma_i$, $p = M + 1$ factors, widths of at least the rank: "
        "$N L \\ge \\sum_i [\\frac12(\\sigma_i - s_i)^2 + \\frac p2 \\tau s_i^{2/p}]$, with equality at points that "
        "share the singular vectors of $Y$.",
    )
    proof.define("mean weight", "With the mean weight of all factors", Lam, (Pi * lam_H) ** (1 / (M + 1)))
    proof.define("shrinkage", "let", tau, N * Lam)
    proof.identity(
        "fit",
        "With $X = W_M\\cdots W_1H$ the fit is",
        (norm2(X - target), norm2(X) + norm2(target) - 2 * sp.Trace(X.T * target)),
    )
    proof.lemma(
        "aligned",
        "Its last term is largest where $X$ shares the singular vectors of $Y$,",
        lemma("von_neumann"),
        sp.Le(residual, product, evaluate=False),
    )
    proof.lemma(
        "penalty",
        "and, each factor divided by the root of its weight over $\\Lambda$, the penalties are $\\Lambda$ times an "
        "energy whose least value is known,",
        lemma("product_penalty"),
        sp.Ge(energy, least, evaluate=False),
    )
    proof.equal(
        "rescaled factors",
        "the rescaling keeps the product: the rescaling factors $\\sqrt{\\lambda_l/\\Lambda}$ multiply to one.",
        Pi * lam_H / Lam ** (M + 1),
        sp.S.One,
    )
    proof.equal(
        "attained",
        "Factors with the singular values $a_l$, $\\lambda_l a_l^2 = \\Lambda s^{2/p}$, attain it: their product "
        "is $s$.",
        (Lam * s ** (2 / (M + 1))) ** (M + 1) / (Pi * lam_H),
        s**2,
    )
    proof.equal(
        "their penalty",
        "and each of the $p$ costs the same.",
        N * (M + 1) * (weight * size**2 / 2).subs(size, sp.sqrt(Lam * s ** (2 / (M + 1)) / weight)),
        (M + 1) / 2 * tau * s ** (2 / (M + 1)),
    )
    proof.uses(
        "balance",
        "Every critical point has balanced factors, $\\lambda_{W_{j+1}} W_{j+1}'W_{j+1} = \\lambda_{W_j} W_j W_j'$.",
        prove("foundations:balance"),
    )
    return proof.conclude(claims={"balance": prove("foundations:balance").claims["balance"]})


def free_bias() -> Derivation:
    """A free bias is the mean target, and the features are centred: what is left has no bias and centred targets."""
    P, H = sp.MatrixSymbol("P", m, d), sp.MatrixSymbol("H", d, N)
    target, b = sp.MatrixSymbol("Y", m, N), sp.MatrixSymbol("b", m, 1)
    ones = sp.MatrixSymbol("𝟏_N", N, 1)
    C: Any = sp.Identity(N) - ones * ones.T / N
    proof = Proof("A free bias", "Squared loss, $\\lambda_b = 0$, any product $P$ of layers, $C = I - \\frac1N 11'$.")
    proof.given("ones", "Counting the samples,", {ones.T * ones: N * sp.Identity(1)})
    vanishing = (P * H - target) * ones / N + b
    proof.identity(
        "the bias",
        "The fit is a centred one plus a square that the bias makes zero,",
        (norm2(P * H + b * ones.T - target), norm2((P * H - target) * C) + N * norm2(vanishing)),
    )
    proof.identity(
        "the features",
        "the centred fit sees $HC$ alone, and the rest of $H$ only costs: at a minimum $H = HC$, and $b = \\bar y$.",
        (norm2(H), norm2(H * C) + norm2(H * ones) / N),
    )
    return proof.conclude(claims={"bias_gap": equation(b, target * ones / N)})


def root() -> Derivation:
    """In the letter x, s = sqrt(n_k) x^M/(x^M + 1), the stationary points are the roots of the printed equation."""
    n_k = sp.Symbol("n_k", integer=True, positive=True)
    b = sp.Symbol("b_k", positive=True)
    proof = Proof(
        "The root",
        "$M$ layers, a class of $n_k$ samples: the stationary points of its direction in $x^M = s/(\\sigma - s)$.",
    )
    one = 1 + x**M
    kept, left = sp.sqrt(n_k) * x**M / one, sp.sqrt(n_k) / one
    proof.section("The letter x")
    proof.equal(
        "shares",
        "With $\\sigma = \\sqrt{n_k}$ let $s = \\sigma x^M/(1+x^M)$ and $e = \\sigma/(1+x^M)$:",
        kept + left,
        sp.sqrt(n_k),
    )
    proof.equal("their ratio", "then", kept / left, x**M)
    proof.equal(
        "stationarity to an integer power",
        "Stationarity, $\\tau = e\\,s^{1-2/p}$, raised to the power $p = M+1$, reads $\\tau^{p} = e^{p} s^{p-2}$:",
        (e * s ** ((M - 1) / (M + 1))) ** (M + 1),
        e ** (M + 1) * s ** (M - 1),
    )
    proof.equal(
        "the printed equation",
        "and in $x$ the right side is the $M$-th power of $n_k x^{M-1}/(x^M+1)^2$,",
        left ** (M + 1) * kept ** (M - 1),
        (n_k * x ** (M - 1) / one**2) ** M,
    )
    weight = (Pi * lam_H) ** (1 / (M + 1))
    proof.equal(
        "the strength",
        "the left side, with $\\tau = N\\Lambda$ and $\\Lambda^{p} = \\Pi_W\\lambda_H$, that of $b_k n_k/M$ where "
        "$b_k = MN(N\\Pi_W\\lambda_H)^{1/M}/n_k$. Both are positive, so that $b_k = Mx^{M-1}/(x^M+1)^2$.",
        (N * weight) ** (M + 1),
        N**M * (N * Pi * lam_H),
    )
    at = sp.Symbol("x_0", positive=True)
    proof.equal(
        "coexistence",
        "Coexistence, $s = (p-2)e$, is $x^M = M-1$, where $b_k = (M-1)^{(M-1)/M}/M$; $b_k$ falls in $x$ beyond the "
        "spinodal, so that the root is global iff $b_k$ is smaller.",
        (M * at ** (M - 1) / (at**M + 1) ** 2).subs(at, (M - 1) ** (1 / M)),
        (M - 1) ** ((M - 1) / M) / M,
    )
    return proof.conclude(claims={"root": equation(b, M * x ** (M - 1) / one**2)})


PROOFS: dict[str, Callable[[], Derivation]] = {
    "direction": direction,
    "directions": directions,
    "free_bias": free_bias,
    "root": root,
}
