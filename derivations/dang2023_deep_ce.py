"""Why two classes collapse at any depth: their logits have one margin a sample, and rank one is all there is."""

from collections.abc import Callable

import sympy as sp

from ufm.derivation import Derivation, Proof
from ufm.derivation import SquaredNorm as norm2
from ufm.derivation.load import prove
from ufm.symbols import N, n

mu = sp.Symbol("mu", positive=True)
margin = sp.Symbol("m_i", real=True)
q = sp.Symbol("q", positive=True)


def two_classes() -> Derivation:
    """Cauchy and Schwarz for the margins, Jensen for the loss, and the largest singular value for the penalty."""
    margins, ones = sp.MatrixSymbol("M", 1, N), sp.MatrixSymbol("𝟏_N", N, 1)
    proof = Proof(
        "Two classes",
        "$K = 2$, any number of layers, $N = 2n$: the loss is at least that of some deep-NC point, or of zero.",
    )
    proof.section("The fit")
    loss = sp.log(1 + sp.exp(-margin))
    proof.sign(
        "convex",
        "A sample with the margin $m_i$, the logit of its class less the other, has the loss $\\log(1+e^{-m_i})$: "
        "convex, "
        "and falling. By Jensen's inequality the fit is at least the same of the mean margin $\\mu$ (zero does better "
        "where $\\mu \\le 0$).",
        sp.Gt(sp.simplify(sp.diff(loss, margin, 2)), 0, evaluate=False),
        sp.Lt(sp.simplify(sp.diff(loss, margin)), 0, evaluate=False),
    )
    proof.given(
        "the mean margin",
        "Let $M$ be the row of margins.",
        {margins * ones: N * mu * sp.Identity(1), ones.T * ones: N * sp.Identity(1)},
    )
    proof.squares(
        "spread",
        "A given mean margin needs the least length of $M$ where all margins are equal.",
        norm2(margins),
        N * mu**2,
        [(sp.S.One, margins - mu * ones.T)],
    )
    proof.section("The penalty")
    proof.uses(
        "penalty",
        "The penalty is at least $\\frac p2\\Lambda$ times a sum of singular values of $X$ to the power $q = 2/p$, "
        "so at "
        "least that of the largest, $s_1 \\ge \\lVert M\\rVert/\\sqrt2$: up to signs of its entries $M$ is $(1, -1)X$, "
        "and $(1,-1)$ has the length $\\sqrt2$.",
        prove("deep_linear:factors"),
    )
    proof.equal(
        "deep neural collapse",
        "With $\\lVert M\\rVert \\ge \\sqrt N\\mu$ that is the penalty of the deep-NC point of margin $\\mu$, whose "
        "one "
        "singular value is $\\sqrt n\\,\\mu$.",
        (sp.sqrt(2 * n) * mu / sp.sqrt(2)) ** q,
        (sp.sqrt(n) * mu) ** q,
    )
    return proof.conclude(
        claims={"no point is below the best deep-NC point": sp.Ge(sp.Symbol("L"), sp.Symbol("L_NC"), evaluate=False)}
    )


PROOFS: dict[str, Callable[[], Derivation]] = {"two_classes": two_classes}
