"""Squared loss, one linear layer, any targets: the carried steps from the loss to every global minimiser.

One identity carries the proof: the loss minus its minimum is a sum of squares along the singular directions of the
targets. With a penalised bias the mean direction must be one of them; with a free bias or none nothing is assumed.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

import sympy as sp

from ufm.derivation.derivation import Derivation
from ufm.derivation.directions import DIRECTIONS, LOST_0, MEAN_DIRECTIONS, MEAN_KEPT, MEAN_LOST
from ufm.derivation.directions import KEPT as DIRECTION_KEPT
from ufm.derivation.proof import Proof, equation
from ufm.derivation.regimes import EVERYWHERE, Regime, gamma
from ufm.derivation.words import SquaredNorm as norm2
from ufm.symbols import N, d, lam_b, lam_H, lam_W, m, rho, sigma, sigma_0, tau

Bias = Literal["none", "free", "penalised"]

c = sp.Symbol("c", positive=True)
L = sp.Symbol("L")
r, j, i, k = sp.symbols("r j i k", integer=True, positive=True)  # reduced columns; directions kept, the others, all
s, s_0 = sp.symbols("s s_0", nonnegative=True)
phi, phi_0 = sp.Symbol("varphi"), sp.Symbol("varphi_0")
e_0 = sp.Symbol("e_0", nonnegative=True)
beta = sp.Symbol("beta", nonnegative=True)

W, H, b = sp.MatrixSymbol("W", m, d), sp.MatrixSymbol("H", d, N), sp.MatrixSymbol("b", m, 1)
Y, ONES = sp.MatrixSymbol("Y", m, N), sp.MatrixSymbol("𝟏_N", N, 1)
Q, A, q = sp.MatrixSymbol("Q", N, r), sp.MatrixSymbol("A", m, r), sp.MatrixSymbol("q", r, 1)
H_Q, H_perp = sp.MatrixSymbol("H_Q", d, r), sp.MatrixSymbol("H_perp", d, N)
ybar, mean = sp.MatrixSymbol("ybar", m, 1), sp.MatrixSymbol("u", m, 1)
U, S, V = (sp.MatrixSymbol(x, *shape) for x, shape in (("U", (m, k)), ("S", (k, k)), ("V", (r, k))))
DELTA, O_D = sp.MatrixSymbol("Delta", k, k), sp.MatrixSymbol("O", d, k)  # Delta^2 = diag(s_i)
U_1, U_2 = sp.MatrixSymbol("U_1", m, j), sp.MatrixSymbol("U_2", m, i)
S_1, S_2 = sp.MatrixSymbol("S_1", j, j), sp.MatrixSymbol("S_2", i, i)
V_1, V_2 = sp.MatrixSymbol("V_1", r, j), sp.MatrixSymbol("V_2", r, i)
T, G, O = sp.MatrixSymbol("T", i, i), sp.MatrixSymbol("G", j, j), sp.MatrixSymbol("O_1", d, j)
o = sp.MatrixSymbol("o", d, 1)
X, E = sp.MatrixSymbol("X", m, r), sp.MatrixSymbol("E", m, r)
Z_FIT, Z_BIAS = sp.MatrixSymbol("Z_1", m, r), sp.MatrixSymbol("Z_2", m, 1)
Z_FEATURES, Z_LOST = sp.MatrixSymbol("Z_3", d, r), sp.MatrixSymbol("Z_4", i, d)
Z_REST, Z_MEAN = sp.MatrixSymbol("Z_5", m, d), sp.MatrixSymbol("Z_6", 1, d)

ONE = sp.Identity(1)
KEPT_PART = S_1 - tau * sp.Identity(j)
BIAS = {"none": "no bias", "free": "a free bias", "penalised": "a bias with $0 < \\lambda_b < \\infty$"}


def zero(*shape: Any) -> Any:
    """The zero matrix."""
    return sp.ZeroMatrix(*shape)


def unit(*pairs: tuple[Any, Any]) -> dict[Any, Any]:
    """Rules: the columns of each matrix are orthonormal."""
    return {M.T * M: sp.Identity(size) for M, size in pairs}


@cache
def shrinkage(bias: Bias) -> Derivation:
    """Every global minimiser for targets with given singular directions: W H, b, H'H and W W'."""
    proof = Proof(
        "Shrinkage of the singular values",
        f"Squared loss, one linear layer, {BIAS[bias]}, "
        + ("the mean direction a singular direction of the targets, " if bias == "penalised" else "any targets, ")
        + "a width of at least the number of kept directions: every global minimiser shrinks the singular values.",
    )
    _letters(proof, bias)
    _reduce(proof, bias)
    _decouple(proof, bias)
    _stationarity(proof, bias)
    _regimes(proof, bias)
    _second_order(proof, bias)
    if bias == "penalised":
        _split(proof, bias)
        for regime in (MEAN_KEPT, MEAN_LOST):
            _certificate(proof, bias, regime)
    else:
        _split(proof, bias)
        _certificate(proof, bias, EVERYWHERE)
    return _closed_forms(proof, bias)


def bias_term(bias: Bias, ones: Any) -> Any:
    """What the bias adds to every column: b ones', or zero."""
    return zero(m, ones.shape[0]) if bias == "none" else b * ones.T


def _penalties(bias: Bias, features: Any) -> Any:
    energy = lam_W * norm2(W) + lam_H * norm2(features)
    return (energy + lam_b * norm2(b) if bias == "penalised" else energy) / 2


def _letters(proof: Proof, bias: Bias) -> None:
    proof.section("The loss")
    loss = norm2(W * H + bias_term(bias, ONES) - Y) / (2 * N) + _penalties(bias, H)
    proof.define("loss", f"The loss, with {BIAS[bias]}:", L, loss)
    proof.define("mean weight", "With the mean weight", c, sp.sqrt(lam_W * lam_H))
    proof.define("aspect", "the aspect", gamma, (lam_W / lam_H) ** sp.Rational(1, 4))
    proof.define("shrinkage", "and the shrinkage", tau, N * c)
    if bias == "penalised":
        proof.define("rho", "the mean direction keeps the weight", rho, lam_b / (1 + lam_b))


def split_features(proof: Proof, bias: Bias) -> None:
    """Samples rotated: only the row space of Y and of the ones is left."""
    proof.section("Reduce")
    given = {Y: A * Q.T, Q.T * Q: sp.Identity(r)}
    if bias != "none":
        given |= {ONES: Q * q, q.T * q: N * ONE}
    proof.given(
        "basis",
        "Let the columns of $Q$ be an orthonormal basis of a space that holds the rows of $Y$"
        + ("" if bias == "none" else " and of the ones")
        + ", such as the normalised indicators of the classes:",
        given,
    )
    proof.define("reduced features", "Split the features into their part in this space,", H_Q, H * Q)
    proof.define("rest of the features", "and the rest,", H_perp, H - H * Q * Q.T)
    proof.identity("the parts of the features", "so that", (H_Q * Q.T + H_perp, H), (H_perp * Q, zero(d, r)))


def _reduce(proof: Proof, bias: Bias) -> None:
    split_features(proof, bias)
    fit = norm2(W * H_Q + bias_term(bias, q) - A) / 2
    proof.squares(
        "the loss splits",
        "The loss falls into one of the reduced features and one of the rest. As $\\lambda_H > 0$, a minimum has "
        "$H_{\\perp} = 0$: samples with one target have one feature.",
        N * L,
        fit + N * _penalties(bias, H_Q),
        [(sp.Rational(1, 2), W * H_perp), (N * lam_H / 2, H_perp)],
    )


def _mean_part(scale: Any) -> Any:
    return scale / sp.sqrt(N) * mean * q.T


def _decouple(proof: Proof, bias: Bias) -> None:
    """On balanced factors along the singular directions the loss is a sum over the directions."""
    proof.section("Decouple")
    given = {**unit((U, k), (V, k), (O_D, k))}
    targets: Any = U * S * V.T
    if bias == "none":
        sentence = "Write the singular value decomposition of the targets,"
    elif bias == "free":
        sentence = "Write the singular value decomposition of the centred targets; $\\bar y$ is the mean target."
        targets = targets + ybar * q.T
        given |= {V.T * q: zero(k, 1)}
    else:
        sentence = (
            "By assumption the mean direction is a singular direction of the targets, with the singular value "
            "$\\sigma_0$; $S$ holds the others."
        )
        targets = targets + _mean_part(sigma_0)
        given |= {V.T * q: zero(k, 1), U.T * mean: zero(k, 1), mean.T * mean: ONE, o.T * o: ONE, O_D.T * o: zero(k, 1)}
    proof.given("singular directions", sentence, {A: targets, **given})
    family: dict[Any, Any] = {W: U * DELTA * O_D.T / gamma, H: gamma * O_D * DELTA.T * V.T * Q.T}
    along: Any = norm2(S - DELTA * DELTA.T) / 2 + tau * norm2(DELTA)
    if bias == "free":
        family[b] = ybar
    if bias == "penalised":
        family[W] += sp.sqrt(s_0) / gamma * mean * o.T
        family[H] += gamma * sp.sqrt(s_0) / sp.sqrt(N) * o * q.T * Q.T
        family[b] = (sigma_0 - s_0) / (sp.sqrt(N) * (1 + lam_b)) * mean
        along += rho / 2 * (sigma_0 - s_0) ** 2 + tau * s_0
    proof.identity(
        "the loss decouples",
        "On balanced factors of $U \\Delta \\Delta' V'$"
        + (" and of $s_0$ on the mean direction, with the best bias," if bias == "penalised" else ",")
        + " the loss is a sum of scalar problems, one a direction: $S$ is diagonal, and so is $\\Delta$, with "
        "$\\Delta \\Delta' = \\mathrm{diag}(s_i)$.",
        (N * L, along),
        where=family,
    )


def _stationarity(proof: Proof, bias: Bias) -> None:
    proof.section("Stationarity")
    proof.define(
        "scalar problem", "On a direction with the singular value $\\sigma$,", phi, (sigma - s) ** 2 / 2 + tau * s
    )
    (point,) = sp.solve(sp.diff((sigma - s) ** 2 / 2 + tau * s, s), s) or [None]
    slope = _slope(proof, phi, s).subs(s, sigma - tau)
    proof.equal("stationary point", "has at $s = \\sigma - \\tau$ the slope", slope, 0)
    words = "SymPy's solver has the same stationary point,"
    proof.equal("solved", words, sp.S.Zero if point is None else point, sigma - tau)
    if bias == "penalised":
        weighted = rho / 2 * (sigma_0 - s_0) ** 2 + tau * s_0
        proof.define("scalar problem of the mean", "On the mean direction,", phi_0, weighted)
        (point,) = sp.solve(sp.diff(weighted, s_0), s_0)
        proof.equal("stationary point of the mean", "is stationary at", point, sigma_0 - tau / rho)


def _slope(proof: Proof, letter: Any, by: Any) -> Any:
    return sp.diff(proof.meaning(letter), by)


def _regimes(proof: Proof, bias: Bias) -> None:
    proof.section("Regimes")
    at_zero = _slope(proof, phi, s).subs(s, 0)
    proof.sign(
        "kept", "For $\\sigma > \\tau$ the stationary point is positive;", sp.Gt(sigma - tau, 0, evaluate=False),
        regime=DIRECTION_KEPT,
    )  # fmt: skip
    proof.sign(
        "lost",
        "for $\\sigma \\le \\tau$ the slope at $s = 0$ is not negative, and 0 is the minimum over $s \\ge 0$.",
        sp.Ge(at_zero, 0, evaluate=False),
        regime=LOST_0,
    )
    if bias == "penalised":
        slope = _slope(proof, phi_0, s_0).subs(s_0, 0)
        kept = sp.Gt(sigma_0 - tau / rho, 0, evaluate=False)
        proof.sign(
            "mean kept", "On the mean direction $\\tau/\\rho$ takes the place of $\\tau$:", kept, regime=MEAN_KEPT
        )
        proof.sign("mean lost", "above it kept, else lost.", sp.Ge(slope, 0, evaluate=False), regime=MEAN_LOST)


def _second_order(proof: Proof, bias: Bias) -> None:
    proof.section("Second order")
    bend = sp.diff(proof.meaning(phi), s, 2)
    proof.sign("curvature", "The second derivative is positive, so that what is stationary is the minimum.",
               sp.Gt(bend, 0, evaluate=False) if bend.free_symbols else sp.true)  # fmt: skip
    if bias == "penalised":
        bend = sp.diff(proof.meaning(phi_0), s_0, 2)
        proof.sign("curvature of the mean", "So it is on the mean direction,", sp.Gt(bend, 0, evaluate=False))


def _split(proof: Proof, bias: Bias) -> None:
    proof.section("Certificate")
    given: dict[Any, Any] = {
        **unit((U_1, j), (U_2, i), (V_1, j), (V_2, i)),
        U_1.T * U_2: zero(j, i),
        V_1.T * V_2: zero(j, i),
    }
    split: Any = U_1 * S_1 * V_1.T + U_2 * S_2 * V_2.T
    if bias == "free":
        given |= {V_1.T * q: zero(j, 1), V_2.T * q: zero(i, 1)}
        split = split + ybar * q.T
    if bias == "penalised":
        given |= {V_1.T * q: zero(j, 1), V_2.T * q: zero(i, 1), U_1.T * mean: zero(j, 1), U_2.T * mean: zero(i, 1)}
        split = split + _mean_part(sigma_0)
    proof.given(
        "kept and lost",
        "The scalar problems are a guess; that nothing does better is a certificate. $S_1$ holds the singular values "
        "above $\\tau$, $S_2$ all others" + (" but that of the mean direction." if bias == "penalised" else "."),
        {A: split, **given},
    )
    proof.given(
        "the others",
        "As none of the others exceeds $\\tau$, there is a $T$ with",
        {T * T.T: tau**2 * sp.Identity(i) - S_2 * S_2.T},
    )
    proof.given(
        "factors",
        "As the kept singular values exceed $\\tau$, and if the width is at least the number of kept directions, there "
        "are $G$ and $O_1$ with",
        {G * G.T: KEPT_PART, **unit((O, j))} | ({o.T * o: ONE, O.T * o: zero(j, 1)} if bias == "penalised" else {}),
    )


def _certificate(proof: Proof, bias: Bias, regime: Regime) -> None:
    """Minimum, attainment, and what every minimiser has."""
    tag = f" ({regime.name})" if bias == "penalised" else ""
    e_0, kept_mean, best = _parts(bias, regime)
    product = U_1 * KEPT_PART * V_1.T + (_mean_part(kept_mean) if bias == "penalised" else zero(m, r))
    residual = tau * U_1 * V_1.T + U_2 * S_2 * V_2.T + (_mean_part(e_0) if bias == "penalised" else zero(m, r))
    where = {X: product.doit(), E: residual.doit()}
    if bias == "penalised":
        proof.section(f"Certificate, mean direction {'kept' if regime is MEAN_KEPT else 'lost'}")
    offset: Any = {"none": zero(m, r), "free": ybar * q.T, "penalised": best * q.T}[bias]
    sides: list[tuple[Any, Any]] = [(A - offset - X, E)]
    if bias == "penalised":
        sides.append((N * lam_b * best, E * q))
    proof.identity(
        f"residual{tag}",
        "Let $X$ be the targets with their singular values shrunk and $E$ what is left; then"
        + (" $E$ asks for the bias as well:" if bias == "penalised" else ""),
        (X, product.doit()), (E, residual.doit()), *sides, where=where, regime=regime,
    )  # fmt: skip
    minimum = tau * sp.Trace(S_1) - j * tau**2 / 2 + norm2(S_2) / 2
    if bias == "penalised":
        minimum += e_0 * sigma_0 - e_0**2 / (2 * rho)
    rest: Any = sp.Identity(m) - U_1 * U_1.T - U_2 * U_2.T - (mean * mean.T if bias == "penalised" else zero(m, m))
    half = sp.Rational(1, 2)
    squares: dict[Any, tuple[Any, Any]] = {
        Z_FIT: (half, W * H_Q + bias_term(bias, q) - A + E),
        Z_FEATURES: (N * lam_H / 2, H_Q - W.T * E / (N * lam_H)),
        Z_LOST: (1 / (2 * N * lam_H), T.T * U_2.T * W),
        Z_REST: (tau**2 / (2 * N * lam_H), rest.doit() * W),
    }
    if bias == "penalised":
        squares[Z_BIAS] = (N * lam_b / 2, b - E * q / (N * lam_b))
        squares[Z_MEAN] = ((tau**2 - e_0**2) / (2 * N * lam_H), mean.T * W)
    vanishing = proof.squares(
        f"sum of squares{tag}",
        "For all factors, of any width, the loss is a constant plus squares. The constant is a lower bound.",
        N * L,
        minimum,
        [*squares.values(), (half, W * H_perp), (N * lam_H / 2, H_perp)],
        where,
        regime,
    )
    family: dict[Any, Any] = {W: U_1 * G * O.T / gamma, H: gamma * O * G.T * V_1.T * Q.T}
    if bias != "none":
        family[b] = ybar if bias == "free" else best
    if bias == "penalised" and kept_mean != 0:
        family[W] += sp.sqrt(kept_mean) / gamma * mean * o.T
        family[H] += gamma * sp.sqrt(kept_mean) / sp.sqrt(N) * o * q.T * Q.T
    proof.identity(
        f"attained{tag}", "Balanced factors of $X$ attain it: it is the global minimum.", (N * L, minimum),
        where=family, regime=regime,
    )  # fmt: skip
    _every_minimiser(proof, bias, regime, tag, dict(zip(squares, vanishing, strict=False)), where, best)


def _parts(bias: Bias, regime: Regime) -> tuple[Any, Any, Any]:
    """(e_0, s_0, b) on the mean direction, as the scalar problem suggests."""
    if bias != "penalised":
        return sp.S.Zero, sp.S.Zero, zero(m, 1)
    left = tau if regime is MEAN_KEPT else rho * sigma_0
    kept = sigma_0 - tau / rho if regime is MEAN_KEPT else sp.S.Zero
    return left, kept, left / (sp.sqrt(N) * lam_b) * mean


def _every_minimiser(
    proof: Proof, bias: Bias, regime: Regime, tag: str, zeros: dict[Any, Any], where: dict[Any, Any], best: Any
) -> None:
    """What is read off the squares, which all vanish at a global minimum."""
    proof.section("Geometry" + (", mean direction " + ("kept" if regime is MEAN_KEPT else "lost") if tag else ""))
    fit: Any = 2 * Z_FIT
    if bias == "free":
        centring = (2 * Z_FIT * q - 2 / (N * lam_H) * W * Z_FEATURES * q) / N
        proof.follows("the bias", "There all squares vanish. Hence the bias is the mean target,", b, ybar, zeros,
                      centring, where, regime)  # fmt: skip
        fit = fit - centring * q.T
    if bias == "penalised":
        combination = 2 / (N * lam_b) * Z_BIAS
        proof.follows(f"the bias{tag}", "There all squares vanish. Hence the bias is", b, best, zeros, combination,
                      where, regime)  # fmt: skip
        fit = fit - combination * q.T
    start = "There all squares vanish, and the product is $X$," if bias == "none" else "the product is $X$,"
    proof.follows(f"the product{tag}", start, W * H_Q, X, zeros, fit, where, regime)
    kept = _parts(bias, regime)[1]
    right = V_1 * KEPT_PART * V_1.T + (kept / N * q * q.T if kept != 0 else zero(r, r))
    left = U_1 * KEPT_PART * U_1.T + (kept * mean * mean.T if kept != 0 else zero(m, m))
    proof.follows(
        f"the features{tag}",
        "and the Gram matrices are fixed even where the factors are free to rotate:",
        H_Q.T * H_Q,
        (gamma**2 * right).doit(),
        zeros,
        2 / (N * lam_H) * Z_FEATURES.T * H_Q + E.T * fit / (N * lam_H),
        where,
        regime,
    )
    lost: Any = Z_LOST.T * T.T * U_2.T + Z_REST.T
    if bias == "penalised":
        lost = lost + Z_MEAN.T * mean.T
    proof.follows(
        f"the classifier{tag}",
        "and",
        W * W.T,
        (left / gamma**2).doit(),
        zeros,
        (N * lam_H * fit - 2 * W * Z_FEATURES) * E.T / tau**2 + 2 * N * lam_H / tau**2 * W * lost,
        where,
        regime,
    )


def _closed_forms(proof: Proof, bias: Bias) -> Derivation:
    """Direction by direction: the singular values of the product, and their parts of N times the minimum."""
    proof.section("The closed form")
    kept, lost = (sigma - tau, tau * sigma - tau**2 / 2), (sp.S.Zero, sigma**2 / 2)
    pieces = {regime: kept if regime is DIRECTION_KEPT else lost for regime in DIRECTIONS}
    forms = {
        "shrunk": ("The product has on a direction the singular value", sp.Max(0, sigma - tau)),
        "part": (
            "with the part of $N$ times the minimum",
            sp.Piecewise((tau * sigma - tau**2 / 2, sigma > tau), (sigma**2 / 2, True)),
        ),
    }
    formulae = {
        name: proof.closed_form(name, sentence, form, {regime: piece[n] for regime, piece in pieces.items()})
        for n, (name, (sentence, form)) in enumerate(forms.items())
    }
    if bias == "penalised":
        kept = (sigma_0 - tau / rho, tau * sigma_0 - tau**2 / (2 * rho), tau)
        lost = (sp.S.Zero, rho * sigma_0**2 / 2, rho * sigma_0)
        pieces_0 = {regime: kept if regime is MEAN_KEPT else lost for regime in MEAN_DIRECTIONS}
        mean_forms = {
            "shrunk_mean": ("On the mean direction", sp.Max(0, sigma_0 - tau / rho)),
            "part_mean": (
                "with the part",
                sp.Piecewise((tau * sigma_0 - tau**2 / (2 * rho), sigma_0 > tau / rho), (rho * sigma_0**2 / 2, True)),
            ),
            "residual_mean": ("and $N \\lambda_b b = e_0 \\sqrt N u$ for", sp.Min(tau, rho * sigma_0)),
        }
        for n, (name, (sentence, form)) in enumerate(mean_forms.items()):
            by_regime = {regime: piece[n] for regime, piece in pieces_0.items()}
            formulae[name] = proof.closed_form(name, sentence, form, by_regime)
    claims = {"bias_gap": equation(b, ybar)} if bias == "free" else {}
    claims["uniqueness"] = "W H, b, H'H and WW' are those of every global minimiser"
    return proof.conclude(formulae, claims, DIRECTIONS)
