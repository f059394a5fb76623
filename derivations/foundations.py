"""What holds for any targets: balance of the factors, the convex form of the problem, and weak duality."""

from collections.abc import Callable

import sympy as sp

from ufm.derivation import Derivation, Proof
from ufm.derivation import SquaredNorm as norm2
from ufm.derivation.load import lemma
from ufm.derivation.proof import equation
from ufm.derivation.regimes import gamma
from ufm.symbols import N, d, lam_b, lam_H, lam_W, m, tau

L = sp.Symbol("L")
OMEGA = sp.Symbol("Omega", nonnegative=True)  # the penalties of all other factors
c = sp.Symbol("c", positive=True)
W = sp.MatrixSymbol("W", m, d)
b = sp.MatrixSymbol("b", m, 1)
Y = sp.MatrixSymbol("Y", m, N)


def balance() -> Derivation:
    """Every critical point, any depth: neighbouring factors carry equal penalised energy, lam_U U'U = lam_V V V'."""
    rows, middle, cols = sp.symbols("d_{l+1} d_l d_{l-1}", integer=True, positive=True)
    upper, lower = sp.MatrixSymbol("U", rows, middle), sp.MatrixSymbol("V", middle, cols)
    left, right = sp.MatrixSymbol("P", m, rows), sp.MatrixSymbol("R", cols, N)
    offset = sp.MatrixSymbol("B", m, N)
    lam_upper, lam_lower = sp.symbols("lambda_U lambda_V", positive=True)
    proof = Proof(
        "Balance at every critical point",
        "Two neighbouring factors $U$, $V$ of the product (layers, or the first layer and the "
        "features), with $P$ all factors to the left "
        "and $R$ all to the right: any targets, any depth.",
    )
    residual = left * upper * lower * right + offset - Y
    proof.define(
        "loss",
        "As a function of $U$ and $V$ the loss is, with $B = b \\mathbf{1}'$ and the other penalties in $\\Omega$,",
        L,
        norm2(residual) / (2 * N) + (lam_upper * norm2(upper) + lam_lower * norm2(lower)) / 2 + OMEGA,
    )
    in_upper = left.T * residual * right.T * lower.T / N + lam_upper * upper
    in_lower = upper.T * left.T * residual * right.T / N + lam_lower * lower
    proof.gradient("gradient in the left factor", "Its gradients are", L, upper, in_upper)
    proof.gradient("gradient in the right factor", "and", L, lower, in_lower)
    G_U, G_V = sp.MatrixSymbol("Z_U", rows, middle), sp.MatrixSymbol("Z_V", middle, cols)
    proof.follows(
        "balance",
        "Where both vanish,",
        lam_upper * upper.T * upper,
        lam_lower * lower * lower.T,
        {G_U: in_upper, G_V: in_lower},
        upper.T * G_U - G_V * lower.T,
    )
    return proof.conclude(claims={"balance": equation(lam_upper * upper.T * upper, lam_lower * lower * lower.T)})


def convex_form() -> Derivation:
    """Any targets: with the factors minimised out, their penalties become the nuclear norm of the product."""
    r = sp.Symbol("r", integer=True, positive=True)
    features = sp.MatrixSymbol("H_Q", d, r)
    scaled_W, scaled_H = sp.MatrixSymbol("U", m, d), sp.MatrixSymbol("V", d, r)
    penalty, nuclear = sp.Symbol("least_penalty"), sp.Symbol("nuclear_norm", nonnegative=True)
    proof = Proof(
        "The convex form",
        "Any width that is at least the rank of $X$: of all factors with $W H_Q = X$, the cheapest cost "
        "$\\tau \\lVert X \\rVert_{*}$, so that what is left is convex in $X$ and $b$.",
    )
    proof.define("mean weight", "With the mean weight", c, sp.sqrt(lam_W * lam_H))
    proof.define("aspect", "the aspect", gamma, (lam_W / lam_H) ** sp.Rational(1, 4))
    proof.define("shrinkage", "and the shrinkage", tau, N * c)
    where = {W: scaled_W / gamma, features: gamma * scaled_H}
    costs = N * (lam_W * norm2(W) + lam_H * norm2(features)) / 2
    proof.identity(
        "equal weights",
        "write $W = U/\\gamma$ and $H_Q = \\gamma V$; the product stays, and both factors are penalised alike.",
        (W * features, scaled_W * scaled_H),
        (costs, tau * (norm2(scaled_W) + norm2(scaled_H)) / 2),
        where=where,
    )
    proof.lemma("nuclear norm", "Hence", lemma("nuclear_norm"), equation(penalty, tau * nuclear))
    return proof.conclude(claims={"convex_form": "min over W H_Q = X of the penalties is tau ||X||_*, if d >= rank X"})


def weak_duality() -> Derivation:
    """Any targets: N times the loss is bounded below by the dual value of every E with ||E||_op <= tau."""
    r = sp.Symbol("r", integer=True, positive=True)
    targets, ones = sp.MatrixSymbol("A", m, r), sp.MatrixSymbol("q", r, 1)
    features, dual = sp.MatrixSymbol("H_Q", d, r), sp.MatrixSymbol("E", m, r)
    proof = Proof(
        "Weak duality",
        "Any reduced targets $A$ ($m \\times r$) and ones $q$, any width: every matrix $E$ with "
        "$\\lVert E \\rVert_{op} \\le \\tau$ "
        "gives a lower bound of $N L$.",
    )
    proof.define("mean weight", "With the mean weight", c, sp.sqrt(lam_W * lam_H))
    proof.define("shrinkage", "and the shrinkage", tau, N * c)
    primal = norm2(W * features + b * ones.T - targets) / 2
    primal += N * (lam_W * norm2(W) + lam_H * norm2(features) + lam_b * norm2(b)) / 2
    bound = sp.Trace(dual.T * targets) - norm2(dual) / 2 - norm2(dual * ones) / (2 * N * lam_b)
    spare = (tau**2 * norm2(W) - norm2(dual.T * W)) / (2 * N * lam_H)
    proof.squares(
        "weak duality",
        "the loss in reduced form, less one term, is the dual value plus squares;",
        primal - spare,
        bound,
        [
            (sp.Rational(1, 2), W * features + b * ones.T - targets + dual),
            (N * lam_b / 2, b - dual * ones / (N * lam_b)),
            (N * lam_H / 2, features - W.T * dual / (N * lam_H)),
        ],
    )
    gap = tau**2 * sp.Identity(m) - dual * dual.T
    proof.identity(
        "the remaining term",
        "the term is $\\mathrm{tr}\\, W'(\\tau^2 I - E E') W$ up to a factor, and not negative as $E E' "
        "\\preceq \\tau^2 I$.",
        (spare, sp.Trace(W.T * gap * W) / (2 * N * lam_H)),
    )
    return proof.conclude(claims={"weak_duality": sp.Ge(primal, bound, evaluate=False)})


PROOFS: dict[str, Callable[[], Derivation]] = {
    "balance": balance,
    "convex_form": convex_form,
    "weak_duality": weak_duality,
}
