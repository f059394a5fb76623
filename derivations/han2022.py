"""Why the squared loss splits in three, and how signal-to-noise ratios grow on the central path."""

from collections.abc import Callable
from typing import Any

import sympy as sp

from ufm.derivation import Derivation, Proof
from ufm.derivation import SquaredNorm as norm2
from ufm.derivation.proof import equation
from ufm.symbols import K, N, d, m, time

x = sp.Symbol("x", real=True)
w, a, z = sp.symbols("w a z", positive=True)


def loss_split() -> Derivation:
    """Normal equations, and no correlation between class means and deviations."""
    proof = Proof("Three parts", "Any features, classifier and bias; a penalty $\\lambda$ of $W$.")
    lam = sp.Symbol("lambda", nonnegative=True)
    A, D = sp.MatrixSymbol("W_LS", m, d), sp.MatrixSymbol("D", m, d)
    M, X, Y = sp.MatrixSymbol("M", d, N), sp.MatrixSymbol("X", d, N), sp.MatrixSymbol("Y_c", m, N)
    o = sp.MatrixSymbol("o", m, 1)
    proof.given(
        "classes",
        "Over $\\sqrt N$, let $M$ be the centred class means of all samples, $X$ the deviations from them, $Y_c$ the "
        "centred targets: deviations sum to zero in each class.",
        {M * X.T: sp.ZeroMatrix(d, d), X * Y.T: sp.ZeroMatrix(d, m)},
    )
    proof.given(
        "least squares",
        "The least-squares classifier solves $W_{LS}(\\Sigma_T + \\lambda I) = Y_c(M+X)'$:",
        {M * M.T * A.T: M * Y.T - lam * A.T - X * X.T * A.T},
    )
    total = norm2((A + D) * (M + X) - Y) / 2 + lam * norm2(A + D) / 2 + norm2(o) / 2
    nc1 = norm2(A * X) / 2 + lam * norm2(A) / 2
    nc23 = norm2(A * M - Y) / 2
    off = norm2(D * M) / 2 + norm2(D * X) / 2 + lam * norm2(D) / 2 + norm2(o) / 2
    proof.identity(
        "split",
        "With $W = W_{LS} + D$ and the offset $o = W\\bar h + b - \\bar y$ the loss is the sum of three sums "
        "of squares.",
        (total, nc1 + nc23 + off),
    )
    half, zero = sp.Rational(1, 2), sp.S.Zero
    parts = {
        "loss_nc1": (nc1, [(half, A * X), (lam / 2, A)]),
        "loss_nc23": (nc23, [(half, A * M - Y)]),
        "loss_off_ls": (off, [(half, D * M), (half, D * X), (lam / 2, D), (half, o)]),
    }
    for name, (part, squares) in parts.items():
        proof.squares(f"{name} is not negative", "Each is a sum of squares.", part, zero, squares)
    claims = {name: sp.Ge(sp.Symbol(name), 0, evaluate=False) for name in parts}
    return proof.conclude(claims={"relative_gap": equation(total, nc1 + nc23 + off), **claims})


def _potential(proof: Proof) -> Any:
    """The loss at the least-squares classifier, as a function of one signal-to-noise ratio."""
    proof.section("The loss on the central path")
    own = a**2 * (1 + w**2 / K) / 2 - a * w / K + 1 / (2 * K)
    proof.define(
        "loss",
        "With $\\Sigma_W = I$ and the centred class means $U\\,\\mathrm{diag}(w)\\,V'$ the covariance of the features "
        "is $I + w^2/K$ along $u_j$ and that of features and labels $w/K$; a classifier of strength $a$ there, with "
        "the best bias, loses",
        sp.Symbol("L_j"),
        own,
    )
    best = w / K / (1 + w**2 / K)
    proof.equal("best classifier", "which is least at $a = (w/K)/(1 + w^2/K)$,", sp.diff(own, a).subs(a, best), 0)
    left = 1 / (2 * K * (1 + w**2 / K))
    proof.equal("value", "where it is", own.subs(a, best), left)
    return left


def _means(proof: Proof) -> Any:
    """Dw/dt from the class means alone."""
    left = _potential(proof)
    slope = w / (N * K * (1 + w**2 / K) ** 2)
    proof.equal(
        "class means",
        "Each of the $N/K$ samples of a class moves by minus its own share of the slope, so $w$ by $-(K/N)\\,dL/dw$:",
        -K / N * sp.diff(left, w),
        slope,
    )
    return slope


def dynamics() -> Derivation:
    """The projected flow moves the class means only."""
    proof = Proof(
        "The projected flow", "Balanced one-hot classes, no regularisation, features held on $\\Sigma_W = I$."
    )
    slope = _means(proof)
    proof.section("The projection")
    H, G = sp.MatrixSymbol("H_w", d, N), sp.MatrixSymbol("T", d, N)
    S = sp.MatrixSymbol("S", d, d)
    tangent = G * H.T + H * G.T
    proof.identity(
        "normal",
        "A tangent $T$ keeps $H_wH_w'$ to first order, $TH_w' + H_wT' = 0$, so every $(S + S')H_w$ is normal to it. "
        "The gradient by $H_w$ is of this form, as the loss sees $H_w$ through $H_wH_w'$ only: the projection takes "
        "all of it away.",
        (2 * sp.Trace(G.T * (S + S.T) * H), sp.Trace((S + S.T) * tangent)),
    )
    curve = N * K * sp.log(w) + N * w**2 + N * w**4 / (4 * K)
    proof.equal("clock", "What is left is solved by a clock that runs at speed one.", sp.diff(curve, w) * slope, 1)
    name = str((N * K * sp.log(x) + N * x**2 + N * x**4 / (4 * K)).subs(x, sp.Symbol("snr")))
    return proof.conclude({name: sp.Symbol("a_j", real=True) + time})


def growth() -> Derivation:
    """The fourth power wins."""
    proof = Proof("Growth", "A strictly increasing clock $c_1\\log w + c_2w^2 + c_3w^4 = a_j + t$.")
    c1, c2, c3 = sp.symbols("c_1 c_2 c_3", positive=True)
    shift = sp.Symbol("a_j", real=True)
    curve = c1 * sp.log(w) + c2 * w**2 + c3 * w**4
    proof.sign(
        "increasing", "It increases without bound, so that $w\\to\\infty$;", sp.Gt(sp.diff(curve, w), 0, evaluate=False)
    )
    ratio = sp.limit((curve - shift) / (c3 * w**4), w, sp.oo)
    proof.equal("power", "$t/(c_3w^4)$ has the limit", ratio, 1)
    u, v = sp.Symbol("u", positive=True), sp.Symbol("v", positive=True)
    gap = c1 * sp.log(1 + u) + c2 * v**2 * ((1 + u) ** 2 - 1) + c3 * v**4 * ((1 + u) ** 4 - 1)
    proof.equal(
        "two of them",
        "For $w_1 = (1+u)w_2$, $u > 0$, $v = w_2$, the difference of their constants is",
        gap,
        sp.expand_log(curve.subs(w, (1 + u) * v) - curve.subs(w, v), force=True),
    )
    proof.sign(
        "squeezed",
        "at least $4c_3v^4u$: it is constant, so that $u \\to 0$ as $v \\to \\infty$.",
        sp.Ge(((1 + u) ** 4 - 1) - 4 * u, 0, evaluate=False),
        sp.Ge((1 + u) ** 2 - 1, 0, evaluate=False),
    )
    fourth = sp.Symbol("snr") / (time / (N / (4 * K))) ** sp.Rational(1, 4)
    return proof.conclude({str(fourth): sp.S.One, "snr_max_over_min": sp.S.One})


def growth_by_map() -> Derivation:
    """A map that restores the within-class covariance stretches the class means with it."""
    proof = Proof(
        "Renormalised by a map", "Balanced one-hot classes, no regularisation, $H \\mapsto \\Sigma_W^{-1/2}H$."
    )
    slope = _means(proof)
    proof.section("The map")
    left = 1 / (2 * K * (1 + w**2 / (K * z)))
    shrink: Any = sp.diff(left, z).subs(z, 1)
    proof.equal(
        "within",
        "With $\\Sigma_W = z$ along $u_j$ the loss is $1/(2K(1 + w^2/(Kz)))$, of slope",
        shrink,
        w**2 / (2 * K**2 * (1 + w**2 / K) ** 2),
    )
    back = 2 * shrink / N * w  # dHw = -(2/N) L' Hw, dz = -(4/N) L' z, and w is stretched by half of that
    whole = w / (N * K * (1 + w**2 / K))
    proof.equal(
        "whole",
        "As $dH_w/dt = -\\frac2N\\frac{dL}{dz}H_w$, undoing it stretches $w$ by $\\frac2N\\frac{dL}{dz}$, and in "
        "all $dw/dt$ is",
        slope + back,
        whole,
    )
    curve = N * K * sp.log(w) + N * w**2 / 2
    proof.equal("clock", "which is solved by a clock without a fourth power.", sp.diff(curve, w) * whole, 1)
    name = str((N * K * sp.log(x) + N * x**2 / 2).subs(x, sp.Symbol("snr")))
    return proof.conclude({name: sp.Symbol("a_j", real=True) + time})


PROOFS: dict[str, Callable[[], Derivation]] = {
    "loss_split": loss_split,
    "dynamics": dynamics,
    "growth": growth,
    "growth_by_map": growth_by_map,
}
