"""The layer-peeled model is a ball of the nuclear norm: so its relaxation is exact, and so minority classes merge."""

from collections.abc import Callable
from typing import Any

import sympy as sp

from ufm.derivation import Derivation, Proof
from ufm.derivation import SquaredNorm as norm2
from ufm.derivation.load import lemma, prove
from ufm.derivation.proof import equation
from ufm.symbols import K, d

j = sp.Symbol("j", integer=True, positive=True)
r = sp.Symbol("r", positive=True)
E_W, E_H = sp.symbols("E_W E_H", positive=True)


def relaxation() -> Derivation:
    """A feasible point of either is one of the other, with the same logits."""
    W, H = sp.MatrixSymbol("W", K, d), sp.MatrixSymbol("H", d, K)
    B_1, B_2 = sp.MatrixSymbol("B_1", 2 * K, K), sp.MatrixSymbol("B_2", 2 * K, K)
    U: Any = sp.MatrixSymbol("U", K, j)
    V: Any = sp.MatrixSymbol("V", K, j)
    G: Any = sp.MatrixSymbol("G", j, j)
    O: Any = sp.MatrixSymbol("O", d, j)
    proof = Proof(
        "The relaxation is exact",
        "Any loss of the class logits $Z$ that is convex (so that features of a class may be taken equal), widths "
        "$d \\ge K$.",
    )
    proof.section("A point of the model is one of the relaxation")
    proof.identity(
        "to the relaxation",
        "Stack $H$ beside $W'$: $X = (H, W')'(H, W')$ is positive semidefinite, its corner $H'W'$ holds the logits, "
        "transposed, and the traces of its blocks are the norms.",
        (sp.Trace(H.T * H), norm2(H)),
        (sp.Trace(W * W.T), norm2(W)),
    )
    proof.section("A point of the relaxation is one of the model")
    nuclear = sp.Symbol("nuclear_norm", nonnegative=True)
    proof.lemma(
        "ball",
        "A feasible $X = (B_1, B_2)'(B_1, B_2)$ has the corner $Z' = B_1'B_2$. Rescaling $B_1$ by $r$ and $B_2$ by "
        "$1/r$ "
        "keeps it, and half the sum of the squared norms is at least its nuclear norm, for the best $r$ at least "
        "$\\lVert B_1\\rVert\\lVert B_2\\rVert$ being left:",
        lemma("nuclear_norm"),
        sp.Le(nuclear, sp.Symbol("|B_1| |B_2|"), evaluate=False),
    )
    proof.identity(
        "the best scale",
        "at $r^2 = \\lVert B_2\\rVert/\\lVert B_1\\rVert$ both halves are equal, and the product of the norms is at "
        "most "
        "$K\\sqrt{E_WE_H}$.",
        ((r * B_1.T) * (B_2 / r), B_1.T * B_2),
    )
    proof.given(
        "singular value decomposition",
        "Conversely let $Z = UGG'V'$ have a nuclear norm $\\mathrm{tr}\\,GG'$ of at most $K\\sqrt{E_WE_H}$; its rank "
        "is at "
        "most $K \\le d$.",
        {U.T * U: sp.Identity(j), V.T * V: sp.Identity(j), O.T * O: sp.Identity(j)},
    )
    scale = (E_W / E_H) ** sp.Rational(1, 4)
    left, right = scale * U * G * O.T, O * G.T * V.T / scale
    proof.identity(
        "to the model",
        "Then $W = (E_W/E_H)^{1/4}UGO'$ and $H = (E_W/E_H)^{-1/4}OG'V'$ have these logits,",
        (left * right, U * G * G.T * V.T),
        (norm2(left), sp.sqrt(E_W / E_H) * sp.Trace(G * G.T)),
        (norm2(right), sp.sqrt(E_H / E_W) * sp.Trace(G * G.T)),
    )
    proof.equal(
        "within the budgets",
        "and at most the norms $KE_W$ and $KE_H$.",
        sp.sqrt(E_W / E_H) * K * sp.sqrt(E_W * E_H),
        K * E_W,
    )
    return proof.conclude(claims={"gap": equation(sp.Symbol("model"), sp.Symbol("relaxation"))})


def minority_collapse() -> Derivation:
    """The multiplier of the budget is at least what majority classes still lose; directions within the minority die."""
    proof = Proof(
        "Minority collapse under budgets",
        "$K_A$ majority classes of $Rn$ samples, $K_B \\ge 2$ of $n$, $K = K_A + K_B \\le d$, and "
        "$R \\ge 1 + e^M/(K-1)$ with $M = K^2\\sqrt{E_WE_H}/((K-1)K_A)$.",
    )
    n, beta = sp.symbols("n beta", positive=True)
    proof.uses(
        "ball",
        "The logits of the classes minimise $\\frac1N\\sum_kn_k\\mathrm{CE}(z_k)$ in the ball $\\lVert Z\\rVert_* \\le "
        "\\beta = K\\sqrt{E_WE_H}$, on its surface, as larger multiples of a simplex always lose less.",
        prove("fang2021:relaxation"),
    )
    proof.given(
        "multiplier",
        "With $S = \\mathrm{diag}(n_k)$ and $E$, labels less probabilities, there is a $\\mu > 0$ with $ES = "
        "\\mu(UV' + F)$: "
        "$U$, $V$ are the singular vectors of $Z$, $F$ is orthogonal to them, $\\lVert F\\rVert \\le 1$. The fit is "
        "strictly convex in the probabilities; so all minimisers share them, and classes of one size are exchangeable "
        "in $E$ and in the margins.",
        {},
    )
    proof.section("The multiplier from below")
    p, m, S = sp.symbols("p m S", positive=True)
    proof.lemma(
        "duality",
        "Let $\\Pi$ be the columns of $I - \\frac1K11'$ of the majority. Columns of $E$ sum to zero, so "
        "$\\mathrm{tr}\\,\\Pi'ES = K_An_A(1-p)$ with the probability $p$ of a majority class's own label, and it is at "
        "most $\\mu\\lVert\\Pi\\rVert_*$.",
        lemma("von_neumann"),
        sp.Le(sp.Symbol("tr Pi'ES"), sp.Symbol("mu |Pi|_*"), evaluate=False),
    )
    k_A, k_B = sp.symbols("K_A K_B", positive=True)
    size = k_A + k_B
    proof.equal(
        "columns",
        "$\\Pi'\\Pi = I - \\frac1K11'$ in $K_A$ dimensions has the eigenvalues 1, and $K_B/K$ once: the nuclear norm "
        "of "
        "$\\Pi$ is below $K_A$, its largest singular value at most 1. Therefore $\\mu \\ge n_A(1-p)$.",
        1 - k_A / size,
        k_B / size,
    )
    proof.section("What the majority loses")
    proof.lemma(
        "margins",
        "Likewise $\\mathrm{tr}\\,\\Pi'Z \\le \\lVert Z\\rVert_* = \\beta$, and it is $K_A\\frac{K-1}K$ times the mean "
        "margin $m$ of a majority class,",
        lemma("von_neumann"),
        sp.Le(k_A * (size - 1) / size * m, beta, evaluate=False),
    )
    proof.equal(
        "mean margin",
        "so that $m$ is at most $M$:",
        (beta * size / (k_A * (size - 1))).subs(beta, size * sp.sqrt(E_W * E_H)),
        size**2 * sp.sqrt(E_W * E_H) / ((size - 1) * k_A),
    )
    proof.lemma(
        "mean of exponentials",
        "The arithmetic mean of $e^{-m_j}$ over the other labels is at least the geometric one,",
        lemma("inequality_of_means"),
        sp.Ge((1 - p) / p, (size - 1) * sp.exp(-m), evaluate=False),
    )
    extra = sp.Symbol("v", nonnegative=True)
    lost = (S + extra) / (1 + S + extra)
    proof.sign(
        "threshold",
        "so that $1 - p \\ge S/(1+S)$, $S = (K-1)e^{-M}$, and with $R \\ge 1 + 1/S$",
        sp.Ge(n * (1 + 1 / S) * lost, n, evaluate=False),
    )
    proof.section("The minority")
    q, gap = sp.symbols("q g", positive=True)
    proof.sign(
        "merge",
        "the multiplier is at least $n$. On the directions that tell minority classes apart $E$ is the number "
        "$e = 1 - q + q'$, $q$ being the probability of the own label and $q'$ that of another minority label, and $Z$ "
        "is $\\log(q/q')$. Were that positive, $e$ would be below 1, though $en = \\mu \\ge n$. So $Z$ vanishes there,",
        sp.Lt(1 - (q + gap) + q, 1, evaluate=False),
    )
    proof.lemma(
        "rows",
        "and so does $W$, whose columns lie in the span of those of $Z$ where the budgets are just met.",
        lemma("nuclear_norm"),
        equation(sp.Symbol("|w_k - w_l|"), sp.S.Zero),
    )
    return proof.conclude(claims={"classifier_distances_squared": equation(sp.Symbol("|w_k - w_l|^2"), sp.S.Zero)})


PROOFS: dict[str, Callable[[], Derivation]] = {"relaxation": relaxation, "minority_collapse": minority_collapse}
