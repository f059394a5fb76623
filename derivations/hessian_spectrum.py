"""Why the flow comes to rest at the rates of the Hessian's blocks, without a bias."""

from collections.abc import Callable
from typing import Any

import sympy as sp

from ufm.derivation import Derivation, Proof
from ufm.derivation import SquaredNorm as norm2
from ufm.derivation.regimes import Regime, r, v
from ufm.symbols import K, N, d, lam_H, n

l = lam_H
L = sp.Symbol("L")
dW, dH = sp.MatrixSymbol("dW", K, K), sp.MatrixSymbol("dH", K, K)
FLAT = sp.MatrixSymbol("R", d, K)

SIGMA = sp.sqrt(n)


def _regimes(crossing: Any) -> tuple[Regime, ...]:
    """t_rel = N l/sigma below, at and above the value at which the two least eigenvalues cross."""
    shares = {"below": crossing / (1 + v), "at": crossing, "above": (crossing + v) / (1 + v)}
    conditions = {"below": "<", "at": "=", "above": ">"}
    return tuple(
        Regime(name, rf"t_{{rel}} {conditions[name]} {sp.latex(crossing)}", {n: r**2, lam_H: r / N * share})
        for name, share in shares.items()
    )


def _spectrum(proof: Proof) -> None:
    """The second-order part of the loss at the optimum, as a sum of squares block by block."""
    proof.section("Second order")
    W, M = sp.MatrixSymbol("W", K, d), sp.MatrixSymbol("M", d, K)
    one = sp.Identity(K)
    proof.define(
        "loss",
        "In the class basis, $M = \\sqrt n\\bar H$, the loss of collapsed features is",
        L,
        norm2(W * M - SIGMA * one) / (2 * N) + l * (norm2(W) + norm2(M)) / 2,
    )
    root = sp.sqrt(SIGMA - N * l)
    proof.given(
        "frame",
        "The optimum is $W = \\sqrt sR'$, $M = \\sqrt sR$ with $R'R = I$ and $s = \\sigma - Nl$.",
        {FLAT.T * FLAT: one},
    )
    D, G = sp.MatrixSymbol("D", K, d), sp.MatrixSymbol("G", d, K)
    proof.given("outside", "", {D * FLAT: sp.ZeroMatrix(K, K)}, shown=False)
    proof.given("outside too", "", {FLAT.T * G: sp.ZeroMatrix(K, K)}, shown=False)
    at = root * FLAT.T, root * FLAT
    step_W, step_M = dW * FLAT.T + D, FLAT * dH + G
    # second-order part along (step_W, step_M): 1/(2N)(||W dM + dW M||^2 + 2 tr((WM - Y)' dW dM)) + l/2 (...)
    V, U = sp.MatrixSymbol("V", K, d), sp.MatrixSymbol("U", d, K)
    first = at[0] * U + V * at[1]
    residual: Any = at[0] * at[1] - SIGMA * one
    second = norm2(first) / (2 * N) + sp.Trace(residual.T * V * U) / N + l * (norm2(V) + norm2(U)) / 2
    proof.identity(
        "two parts",
        "Along $V = dW\\,R' + D$ and $U = R\\,dH + G$, with $D$ and $G$ outside the span of $R$, the "
        "second-order part of the "
        "loss is",
        (
            second,
            (SIGMA - N * l) / (2 * N) * norm2(dW + dH) + l / 2 * norm2(dW - dH.T) + l / 2 * norm2(D - G.T),
        ),
        where={V: step_W, U: step_M},
    )
    proof.section("Its eigenvalues")
    A, B, C, E = (sp.MatrixSymbol(name, K, K) for name in ("A", "B", "C", "E"))
    # symmetric parts A, B and antisymmetric parts C, E of dW and dH, each written so that it is one
    where = {dW: A + A.T + C - C.T, dH: B + B.T + E - E.T}
    symmetric = norm2(A + A.T + B + B.T), norm2(A + A.T - B - B.T)
    turned = norm2(C - C.T + E - E.T)
    s_here = SIGMA - N * l
    proof.identity(
        "symmetric and antisymmetric",
        "Symmetric parts have $dW + dH$ at $2s/N$ and $dW - dH$ at $2l$ ($\\frac12\\cdot$ eigenvalue $\\cdot\\frac12"
        "\\lVert\\cdot\\rVert^2$), antisymmetric ones $dW + dH$ at $2s/N + 2l = 2\\sigma/N$, and $dW - dH$ at zero: "
        "the rotations. Outside, $D - G'$ has $2l$ and $D + G'$ zero.",
        (
            s_here / (2 * N) * norm2(dW + dH) + l / 2 * norm2(dW - dH.T),
            2 * s_here / N * symmetric[0] / 4 + 2 * l * symmetric[1] / 4 + 2 * SIGMA / N * turned / 4,
        ),
        where=where,
    )
    X = sp.MatrixSymbol("H_w", d, N)
    proof.section("Within the classes")
    inside, outside = sp.MatrixSymbol("X", K, N), sp.MatrixSymbol("O", d, N)
    proof.given("outside within", "", {FLAT.T * outside: sp.ZeroMatrix(K, N)}, shown=False)
    quadratic = norm2(at[0] * X) / (2 * N) + l * norm2(X) / 2
    proof.identity(
        "within",
        "Features within classes have $s/N + l = \\sigma/N$ inside the row space of $W$ and $l$ outside it.",
        (quadratic, SIGMA / N * norm2(inside) / 2 + l * norm2(outside) / 2),
        where={X: FLAT * inside + outside},
    )


def no_bias() -> Derivation:
    """All of it."""
    proof = Proof("The slowest rate", "Balanced one-hot classes, no bias, equal weights, $t_{rel} < 1$.")
    _spectrum(proof)
    proof.section("The least")
    rate = 2 * (SIGMA / N - l)
    x = sp.Symbol("x", positive=True)
    proof.equal(
        "where they cross",
        "Of $l$ and $2s/N$ neither is the least throughout: at $l = \\frac23\\sigma/N$, $t_{rel} = \\frac23$,",
        rate.subs(l, sp.Rational(2, 3) * SIGMA / N),
        sp.Rational(2, 3) * SIGMA / N,
    )
    proof.sign(
        "others",
        "while $2l$ and $2\\sigma/N$ are larger than $l$: $\\sigma > Nl$.",
        sp.Gt(2 * (l + x) - l, 0, evaluate=False),
        sp.Gt(2 * l - l, 0, evaluate=False),
    )
    return proof.conclude({"d(-log(gradient_norm))/dt": sp.Min(l, rate)}, {}, _regimes(sp.Rational(2, 3)))


def collapsed() -> Derivation:
    """All but the features within classes."""
    proof = Proof("The slowest rate from a collapsed start", "As there; the flow keeps the features of a class equal.")
    _spectrum(proof)
    proof.section("The least")
    x = sp.Symbol("x", positive=True)
    proof.sign(
        "others",
        "The third, $2\\sigma/N = 2l + 2s/N$, is larger than both others.",
        sp.Gt(2 * (l + x) - 2 * x, 0, evaluate=False),
    )
    least = 2 * sp.Min(l, SIGMA / N - l)
    return proof.conclude({"d(-log(gradient_norm))/dt": least}, {}, _regimes(sp.Rational(1, 2)))


PROOFS: dict[str, Callable[[], Derivation]] = {"no_bias": no_bias, "collapsed": collapsed}
