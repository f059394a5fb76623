"""Why two weights of the features shrink two kinds of directions apart: one sum of squares, from the loss."""

from collections.abc import Callable
from typing import Any

import sympy as sp

from ufm.derivation import Derivation, Exchangeable, Proof
from ufm.derivation import SquaredNorm as norm2
from ufm.derivation.exchangeable import CENTRED, ONES, ONES_RULE
from ufm.derivation.proof import equation
from ufm.derivation.regimes import Regime, gamma, kappa, r, t, u, v, v_0
from ufm.symbols import K, N, d, lam_b, lam_H, lam_W, n, rho

lam_0 = sp.Symbol("lambda_0", positive=True)
lam_1 = lam_H
tau_0, tau_1, t_0, t_1 = sp.symbols("tau_0 tau_1 t_0 t_1", positive=True)
z, z_0 = sp.Symbol("z", positive=True), sp.Symbol("z_0", nonnegative=True)
L = sp.Symbol("L")
W, H, b = sp.MatrixSymbol("W", K, d), sp.MatrixSymbol("H", d, N), sp.MatrixSymbol("b", K, 1)
Y, Q = sp.MatrixSymbol("Y", K, N), sp.MatrixSymbol("Q", N, K)
ONES_N: Any = sp.MatrixSymbol("𝟏_N", N, 1)
H_Q: Any = sp.MatrixSymbol("H_Q", d, K)
H_perp: Any = sp.MatrixSymbol("H_perp", d, N)
A, q = sp.MatrixSymbol("A", K, K), sp.MatrixSymbol("q", K, 1)
E, X, F = (sp.MatrixSymbol(name, K, K) for name in "EXF")
V: Any = sp.MatrixSymbol("V", d, K)
E_K: Any = sp.MatrixSymbol("e_k", K, 1)
E_L: Any = sp.MatrixSymbol("e_l", K, 1)
_FIT: Any = sp.MatrixSymbol("Z_1", K, K)
_BIAS: Any = sp.MatrixSymbol("Z_2", K, 1)
_CENTRED: Any = sp.MatrixSymbol("Z_3", d, K)
_MEAN: Any = sp.MatrixSymbol("Z_4", d, 1)
_ROWS: Any = sp.MatrixSymbol("Z_5", K, d)
_ROW: Any = sp.MatrixSymbol("Z_6", 1, d)


def _slack(centred: Any, mean: Any) -> dict[Any, Any]:
    """t_1 and t_0 (in units of rho) as given; lam_b = u, lam_W/lam_1 = gamma^4."""
    size, mean = (2 + kappa) * r, mean * u / (1 + u)
    return {
        K: 2 + kappa,
        n: r**2,
        N: (2 + kappa) * r**2,
        lam_W: gamma**2 * centred / size,
        lam_1: centred / (size * gamma**2),
        lam_0: mean**2 / (size * gamma**2 * centred),
        lam_b: u,
    }


BOTH = Regime("both", r"t_1 < 1,\ t_0 < \rho", _slack(1 / (1 + v), 1 / (1 + z)))
SIMPLEX = Regime("simplex", r"t_1 < 1,\ t_0 \ge \rho", _slack(1 / (1 + v), 1 + z_0))
MEAN = Regime("mean", r"t_1 \ge 1,\ t_0 < \rho", _slack(1 + v_0, 1 / (1 + z)))
ZERO = Regime("zero", r"t_1 \ge 1,\ t_0 \ge \rho", _slack(1 + v_0, 1 + z_0))


def _setting(proof: Proof) -> None:
    proof.section("The loss")
    proof.given(
        "balanced one-hot labels",
        "Every class has $n$ samples, no sample has two labels, and every sample has one; $N = Kn$.",
        {Y * Y.T: n * sp.Identity(K), ONES_N: Y.T * ONES},
    )
    proof.given("ones", "", ONES_RULE, shown=False)
    mean = norm2(H * ONES_N) / N  # N |hbar|^2
    penalties = lam_W * norm2(W) + lam_0 * mean + lam_1 * (norm2(H) - mean) + lam_b * norm2(b)
    proof.define(
        "loss",
        "The penalty weighs the mean of the features, $N\\lVert\\bar h\\rVert^2 = \\lVert H1\\rVert^2/N$, by "
        "$\\lambda_0$ and the rest by $\\lambda_1$ (written $\\lambda_H$); first $0 < \\lambda_b < \\infty$:",
        L,
        norm2(W * H + b * ONES_N.T - Y) / (2 * N) + penalties / 2,
    )
    proof.define("rho", "The mean direction keeps the weight", rho, lam_b / (1 + lam_b))
    proof.define("shrinkage", "Centred directions are shrunk by", tau_1, N * sp.sqrt(lam_W * lam_1))
    proof.define("shrinkage of the mean", "the mean direction by", tau_0, N * sp.sqrt(lam_W * lam_0))
    proof.define("relative", "relative to the labels, by", t_1, K * sp.sqrt(n * lam_W * lam_1))
    proof.define("relative, mean", "and", t_0, K * sp.sqrt(n * lam_W * lam_0))
    proof.define("class basis", "In the class basis,", Q, Y.T / sp.sqrt(n))
    proof.define("class means", "let $H_Q$ be $\\sqrt n$ times the class means,", H_Q, H * Q)
    proof.define("within", "$H_\\perp$ the deviations from them,", H_perp, H - H * Q * Q.T)
    proof.define("targets", "and the targets and the row of ones", A, sp.sqrt(n) * sp.Identity(K))
    proof.define("ones in that basis", "become", q, sp.sqrt(n) * ONES)
    proof.given("an isometry", "As $d \\ge K$ there is a $V$ with orthonormal columns.", {V.T * V: sp.Identity(K)})


def _factors(centred: Any, mean: Any) -> tuple[Any, Any]:
    """(W, H_Q) with W H_Q of these eigenvalues, lam_W W'W = lam_i H_Q H_Q' on each of the two kinds of directions."""
    tilt, tilt_0 = (lam_W / lam_1) ** sp.Rational(1, 4), (lam_W / lam_0) ** sp.Rational(1, 4)
    left = Exchangeable(sp.sqrt(centred) / tilt, sp.sqrt(mean) / tilt_0).matrix
    return left * V.T, V * Exchangeable(sp.sqrt(centred) * tilt, sp.sqrt(mean) * tilt_0).matrix


def _squares(e: Any, e_0: Any, dual_bias: Any) -> list[tuple[Any, Any]]:
    """What the loss is made of, above its minimum; dual_bias: the bias that E asks for, None where it costs nothing."""
    rest = [
        (N * lam_1 / 2, (H_Q - W.T * E / (N * lam_1)) * CENTRED),
        (N * lam_0 / (2 * K), (H_Q - W.T * E / (N * lam_0)) * ONES),
        ((tau_1**2 - e**2) / (2 * N * lam_1), CENTRED * W),
        ((tau_0**2 - e_0**2) / (2 * N * lam_0 * K), ONES.T * W),
        (sp.S.Half, W * H_perp),
        (N * lam_1 / 2, H_perp),
    ]
    bias = [(N * lam_b / 2, b - dual_bias)] if dual_bias is not None else []
    return [(sp.S.Half, W * H_Q + b * q.T - A + E), *bias, *rest]


def _optimal(proof: Proof, regime: Regime) -> tuple[Any, Any, Any, Any]:
    """Strengths (s_1, s_0), bias and minimum of a regime, and that every minimiser has them."""
    name, root = regime.name, sp.sqrt(n)
    e = tau_1 if regime in (BOTH, SIMPLEX) else root
    e_0 = tau_0 if regime in (BOTH, MEAN) else rho * root
    centred = root - e
    mean = root - tau_0 / rho if regime in (BOTH, MEAN) else sp.S.Zero
    offset = (root - mean) / (K * root * (1 + lam_b))
    minimum = (K - 1) * (root * e - e**2 / 2) + (root * e_0 - e_0**2 / (2 * rho))
    where = {E: Exchangeable(e, e_0).matrix, X: Exchangeable(centred, mean).matrix}
    proof.section(f"${regime.condition}$")
    proof.identity(
        f"residual ({name})",
        "$X$ has the eigenvalues $s_1$ ($K-1$ times) and $s_0$, every entry of $b$ is $\\beta$, and $E$ is the "
        "residual, which asks for that bias.",
        (A - offset * ONES * q.T - X, E),
        (N * lam_b * offset * ONES, E * q),
        where=where,
        regime=regime,
    )
    proof.sign(
        f"not negative ({name})",
        "The strengths are not negative,",
        sp.Ge(centred, 0, evaluate=False),
        sp.Ge(mean, 0, evaluate=False),
        regime=regime,
    )
    vanishing = proof.squares(
        f"sum of squares ({name})",
        "and for all $W$, $H$, $b$, of any width, the loss is a constant plus squares.",
        N * L,
        minimum,
        _squares(e, e_0, E * q / (N * lam_b)),
        where=where,
        regime=regime,
    )
    factor_W, factor_H = _factors(centred, mean)
    proof.identity(
        f"attained ({name})",
        "Factors of $X$ that are balanced on each kind of directions attain the constant.",
        (N * L, minimum),
        where={W: factor_W, H: factor_H * Q.T, b: offset * ONES},
        regime=regime,
    )
    zero = dict(zip((_FIT, _BIAS, _CENTRED, _MEAN, _ROWS, _ROW), vanishing, strict=False))
    fit = 2 * _FIT - 2 / (N * lam_b) * _BIAS * q.T  # W H_Q - X
    features = 2 / (N * lam_1) * _CENTRED + 2 / (N * lam_0) * _MEAN * ONES.T  # H_Q - W'F, F = E by the weights
    dual = Exchangeable(e / (N * lam_1), e_0 / (N * lam_0)).matrix
    also = {**where, F: dual}
    proof.follows(
        f"product ({name})", "At a minimiser all squares vanish. Hence its product is $X$,", W * H_Q, X, zero, fit,
        where, regime,
    )  # fmt: skip
    proof.follows(
        f"bias ({name})", "its bias $\\beta$,", b, offset * ONES, zero, 2 / (N * lam_b) * _BIAS, where, regime
    )
    weights = Exchangeable(sp.sqrt(lam_W / lam_1) * centred, sp.sqrt(lam_W / lam_0) * mean).matrix
    proof.follows(
        f"features ({name})",
        "and its Gram matrices have the eigenvalues $\\sqrt{\\lambda_W/\\lambda_i}\\,s_i$",
        H_Q.T * H_Q,
        weights,
        zero,
        features.T * H_Q + F * fit,
        also,
        regime,
    )
    back = Exchangeable(sp.sqrt(lam_1 / lam_W) * centred, sp.sqrt(lam_0 / lam_W) * mean).matrix
    # W W' tau_i^2 = W (F'W)' ..: W H_Q = X and H_Q = W'F give W W' F = X; where e_i < tau_i the rows of W vanish
    lost = Exchangeable(2 / (N * lam_W), 0).matrix * _ROWS + ONES * _ROW * 2 / (N * lam_W)
    inner = Exchangeable(e / (N * lam_W), e_0 / (N * lam_W)).matrix
    proof.follows(
        f"classifier ({name})",
        "and $\\sqrt{\\lambda_i/\\lambda_W}\\,s_i$.",
        W * W.T,
        back,
        zero,
        fit * inner - W * features * inner + (lost * W.T).T,
        also,
        regime,
    )
    return centred, mean, offset, minimum


def _ends(proof: Proof) -> None:
    """lam_b = inf and lam_b = 0, each from its own loss."""
    root = sp.sqrt(n)
    proof.section("No bias")
    for name, centred, mean, regime in _UNBIASED:
        e, e_0 = (tau_1 if centred else root), (tau_0 if mean else root)
        where = {b: sp.ZeroMatrix(K, 1), E: Exchangeable(e, e_0).matrix}
        bound = (K - 1) * (root * e - e**2 / 2) + (root * e_0 - e_0**2 / 2)
        unbiased = N * (L - lam_b / 2 * norm2(b))
        sentence = f"For ${regime.condition}$ the loss without its bias is again a constant plus squares,"
        proof.squares(f"no bias, {name}", sentence, unbiased, bound, _squares(e, e_0, None), where, regime)
        factor_W, factor_H = _factors(root - e, root - e_0)
        family = {b: sp.ZeroMatrix(K, 1), W: factor_W, H: factor_H * Q.T}
        proof.identity(f"no bias, {name}, attained", "attained.", (unbiased, bound), where=family, regime=regime)
    proof.section("A free bias")
    for name, regime in (("kept", BOTH), ("lost", MEAN)):
        e = tau_1 if regime is BOTH else root
        free, bound = N * (L - lam_b / 2 * norm2(b)), (K - 1) * (root * e - e**2 / 2)
        where = {E: Exchangeable(e, 0).matrix}
        sentence = "With centred directions " + name + " the loss is a constant plus squares, with $E1 = 0$,"
        proof.squares(f"free bias, {name}", sentence, free, bound, _squares(e, sp.S.Zero, None), where, regime)
        factor_W, factor_H = _factors(root - e, sp.S.Zero)
        family = {b: ONES / K, W: factor_W, H: factor_H * Q.T}
        proof.identity(f"free bias, {name}, attained", "attained.", (free, bound), where=family, regime=regime)


def _unbiased(centred: Any, mean: Any) -> dict[Any, Any]:
    """As `_slack` with rho = 1."""
    size = (2 + kappa) * r
    return {**_slack(centred, t), lam_0: mean**2 / (size * gamma**2 * centred)}


_UNBIASED = (
    ("both", True, True, Regime("a", r"t_1 < 1,\ t_0 < 1", _unbiased(1 / (1 + v), 1 / (1 + z)))),
    ("simplex", True, False, Regime("b", r"t_1 < 1,\ t_0 \ge 1", _unbiased(1 / (1 + v), 1 + z_0))),
    ("mean", False, True, Regime("c", r"t_1 \ge 1,\ t_0 < 1", _unbiased(1 + v_0, 1 / (1 + z)))),
    ("zero", False, False, Regime("d", r"t_1 \ge 1,\ t_0 \ge 1", _unbiased(1 + v_0, 1 + z_0))),
)


def _forms(centred: Any, mean: Any, offset: Any, minimum: Any) -> dict[str, Any]:
    strengths = {"singular_values_centred": centred, "singular_value_mean": mean, "bias": offset}
    g, g_0 = centred / sp.sqrt(lam_1), mean / sp.sqrt(lam_0)
    frame = Exchangeable(sp.sqrt(lam_W) * g, sp.sqrt(lam_W) * g_0)
    rows = Exchangeable(sp.sqrt(lam_1 / lam_W) * centred, sp.sqrt(lam_0 / lam_W) * mean)
    return {
        **strengths,
        "value": minimum / N,
        "cosine": frame.off_diagonal / frame.diagonal if centred != 0 or mean != 0 else sp.nan,
        "class_mean_norm": sp.sqrt(frame.diagonal / n),
        "classifier_norm": sp.sqrt(rows.diagonal),
    }


_WORDS = {
    "singular_values_centred": "The strengths are, on centred directions,",
    "singular_value_mean": "and on the mean,",
    "bias": "the entries of the bias,",
    "value": "and the minimum of the loss.",
    "cosine": "Entries of a matrix with two eigenvalues give the cosine of two class means,",
    "class_mean_norm": "their norm,",
    "classifier_norm": "and that of a row of $W$.",
}


def _closed(proof: Proof, pieces: dict[Regime, dict[str, Any]], names: tuple[str, ...]) -> dict[str, Any]:
    """One formula a name, with the regimes' conditions in it."""
    proof.section("The closed form")
    kept, alive = t_1 < 1, t_0 < rho
    conditions = {BOTH: kept & alive, SIMPLEX: kept, MEAN: alive, ZERO: True}
    found = {}
    for name in names:
        cases = [(piece[name], conditions[regime]) for regime, piece in pieces.items()]
        by_regime = {regime: piece[name] for regime, piece in pieces.items()}
        found[name] = proof.closed_form(name, _WORDS[name], sp.Piecewise(*cases), by_regime)
    return found


def _derived(title: str, regimes: tuple[Regime, ...], names: tuple[str, ...]) -> Derivation:
    proof = Proof(
        title,
        "Balanced one-hot labels, squared loss, $\\lambda_0$ on the mean of the features, $\\lambda_1$ on the rest, "
        "$d \\ge K \\ge 2$: the global minimum over $W$, $H$, $b$.",
    )
    _setting(proof)
    pieces = {regime: _forms(*_optimal(proof, regime)) for regime in regimes}
    _ends(proof)
    claims = {
        "collapse": equation(H_perp, sp.ZeroMatrix(d, N)),
        "uniqueness": "every global minimum has the same W H, b, class-mean Gram matrix and W W'",
    }
    return proof.conclude(_closed(proof, pieces, names), claims, regimes)


def transition() -> Derivation:
    """t_1 < 1: simplex, then a frame whose angle the two weights decide."""
    return _derived("Two weights of the features", (BOTH, SIMPLEX), tuple(_WORDS))


def any_strength() -> Derivation:
    """All four regimes."""
    return _derived("Two weights, all regimes", (BOTH, SIMPLEX, MEAN, ZERO), tuple(_WORDS)[:4])


PROOFS: dict[str, Callable[[], Derivation]] = {"transition": transition, "any_strength": any_strength}
