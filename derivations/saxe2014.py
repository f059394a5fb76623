"""Why modes of deep linear networks have the learning curves they have."""

from collections.abc import Callable

import sympy as sp

from ufm.derivation import Derivation, Proof
from ufm.derivation import SquaredNorm as norm2
from ufm.derivation.load import lemma
from ufm.derivation.proof import equation
from ufm.symbols import N, m, sigma, time

L = sp.Symbol("L")
r, i, j = sp.symbols("r i j", integer=True, positive=True)
s_0 = sp.Symbol("s_i(0)", positive=True)
s, a = sp.Symbol("s", positive=True), sp.Symbol("a", positive=True)
before, after = sp.symbols("p q", positive=True)  # strengths of the factors before and after one of them
D = sp.Symbol("D", integer=True, positive=True)


def factor_flow(proof: Proof) -> None:
    """One factor F of a product B F C, aligned: its strength moves by those of the others."""
    left, factor, right = sp.MatrixSymbol("B", m, i), sp.MatrixSymbol("F", i, j), sp.MatrixSymbol("C", j, N)
    Y = sp.MatrixSymbol("Y", m, N)
    U, X, Z, V = (sp.MatrixSymbol(n, size, r) for n, size in (("U", m), ("X", i), ("Z", j), ("V", N)))
    P, A, Q, S = (sp.MatrixSymbol(n, r, r) for n in ("P", "A", "Q", "Sigma"))
    proof.section("The flow of one factor")
    residual = left * factor * right - Y
    proof.define(
        "loss", "As a function of one factor $F$ of the product $BFC$ the loss is", L, norm2(residual) / (2 * N)
    )
    gradient = left.T * residual * right.T / N
    proof.gradient("gradient", "with the gradient", L, factor, gradient)
    one = sp.Identity(r)
    proof.given(
        "frames",
        "Let $Y = U\\Sigma V'$, and let $B = UPX'$, $F = XAZ'$, $C = ZQV'$ with orthonormal columns in each frame.",
        {U.T * U: one, V.T * V: one, X.T * X: one, Z.T * Z: one},
        shown=False,
    )
    proof.identity(
        "aligned flow",
        "The flow of $F$ keeps its frames:",
        (-gradient, X * (P.T * (S - P * A * Q) * Q.T / N) * Z.T),
        where={Y: U * S * V.T, left: U * P * X.T, factor: X * A * Z.T, right: Z * Q * V.T},
    )


def modes() -> Derivation:
    """Two factors of equal strength."""
    proof = Proof("Two-layer modes", "Squared loss, no regularisation, two layers, an aligned balanced start.")
    factor_flow(proof)
    proof.section("One mode of two layers")
    slope = 2 * s * (sigma - s) / N
    proof.equal(
        "strength",
        "Diagonal strengths stay diagonal; two equal ones, $a$ each, stay equal and $s = a^2$ moves by",
        2 * a * (a * (sigma - a**2) / N),
        slope.subs(s, a**2),
    )
    growth = sp.exp(2 * sigma * time / N)
    curve = sigma * growth / (growth - 1 + sigma / s_0)
    proof.equal("equation", "The curve satisfies it,", sp.diff(curve, time), slope.subs(s, curve))
    proof.equal("start", "and starts at $s_0$.", curve.subs(time, 0), s_0)
    proof.lemma("uniqueness", "So this is the flow.", lemma("unique_flow"), equation(sp.Symbol("s(t)"), curve))
    return proof.conclude({"modes": curve})


def depth() -> Derivation:
    """D factors of equal strength."""
    proof = Proof("Deep modes", "Squared loss, no regularisation, $D$ factors, an aligned balanced start.")
    factor_flow(proof)
    proof.section("One mode of D factors")
    others = before * after
    proof.equal(
        "one factor",
        "The strength $a$ of one factor, with $p$ and $q$ those of all before and after it, moves so that $a^2$ moves "
        "by $2/N$ times what depends on the product $s = paq$ alone: the differences of the squares are conserved;",
        2 * a * others * (sigma - others * a) / N,
        (2 * s * (sigma - s) / N).subs(s, others * a),
    )
    slope = D * s ** (2 - 2 / D) * (sigma - s) / N
    proof.equal(
        "strength",
        "so factors of equal strength $a = s^{1/D}$ stay equal, and $s = a^D$ moves by",
        D * a ** (D - 1) * (a ** (D - 1) * (sigma - a**D) / N),
        slope.subs(s, a**D),
    )
    start, z = sp.Symbol("s_0", positive=True), sp.Symbol("z", positive=True)
    reached = sigma - (sigma - start) * sp.exp(-z)
    proof.equal(
        "clock",
        "In $z$, $s = \\sigma - (\\sigma - s_0)e^{-z}$, this is $dz/dt = Ds^{2-2/D}/N$, by which it is solved.",
        sp.diff(reached, z),
        sigma - reached,
    )
    proof.lemma("uniqueness", "The solution is the flow.", lemma("unique_flow"), equation(sp.Symbol("ds/dt"), slope))
    return proof.conclude({"modes": sp.Function("s")(sigma, s_0, time / N)})


PROOFS: dict[str, Callable[[], Derivation]] = {"modes": modes, "depth": depth}
