"""Why the relaxation of the layer-peeled model is exact: both allow the same logits, a ball of the nuclear norm."""

from collections.abc import Callable
from typing import Any

import sympy as sp

from ufm.derivation import Derivation, Proof
from ufm.derivation import SquaredNorm as norm2
from ufm.derivation.load import lemma
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


PROOFS: dict[str, Callable[[], Derivation]] = {"relaxation": relaxation}
