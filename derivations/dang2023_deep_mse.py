"""Why deep linear networks keep a class on the largest root of an equation, or lose it: one scalar problem a class."""

from collections.abc import Callable
from typing import Any

import sympy as sp

from ufm.derivation import Derivation, Proof
from ufm.derivation.engine import direction
from ufm.derivation.load import prove
from ufm.symbols import K, N, Total, delta_kl, lam_H, n_k

M = sp.Symbol("M", integer=True, positive=True)
x = sp.Symbol("x_k^*", nonnegative=True)
X = sp.Symbol("x", positive=True)
s, P = sp.symbols("s P", positive=True)
_total: Any = Total


def _pieces(proof: Proof) -> None:
    """The three theorems that the deep linear model rests on."""
    proof.section("One problem a class")
    proof.uses(
        "directions",
        "One-hot targets without a bias have the singular values $\\sqrt{n_k}$, with the classes as their singular "
        "vectors; the directions decouple, and every minimiser shares their singular vectors (where some sizes are "
        "equal, for some choice of them).",
        prove("deep_linear:directions"),
    )
    proof.uses(
        "direction",
        "On each, the nonzero stationary point is the only global minimum where $s > (p-2)e = (M-1)e$, zero where it "
        "is smaller or none exists.",
        prove("deep_linear:direction"),
    )
    proof.uses(
        "root",
        "In $x^M = s/e$ it is the largest root of the printed equation, and global iff $x^M > M-1$; let $x = 0$ "
        "otherwise.",
        prove("deep_linear:root"),
    )


def _of_a_class(formula: str, share: Any) -> Any:
    """A carried formula of a direction for a class: sigma = sqrt(n_k), p = M + 1."""
    letters = {direction.sigma: sp.sqrt(n_k), direction.p: M + 1, direction.share: share}
    return prove("deep_linear:directions").formulae[formula].xreplace(letters)


def _factors(proof: Proof) -> None:
    """Lengths of the class means and of the rows of the product, in the letter x."""
    proof.section("The factors")
    share = X**M / (1 + X**M)
    proof.equal("product", "$w_k'\\bar h_k$ is $s/\\sqrt{n_k}$,", _of_a_class("shrunk", share) / sp.sqrt(n_k), share)
    proof.equal(
        "features",
        "$\\lVert\\bar h_k\\rVert^2$ is",
        _of_a_class("features", share) / n_k,
        N * lam_H * X**M / (N * lam_H * X**M + N * lam_H) ** 2,
    )
    proof.equal(
        "classifier",
        "and the product of the layers, aligned with it, has rows of squared length",
        _of_a_class("classifier", share),
        N * lam_H * X**M,
    )


def _formulae() -> dict[str, Any]:
    """Classifier, features and logits between classes k and l, in x."""
    size = N * lam_H * x**M
    return {
        "classifier_gram": size * delta_kl,
        "gram": size / (size + N * lam_H) ** 2 * delta_kl,
        "logits": x**M / (x**M + 1) * delta_kl,
    }


def released_code_corrected() -> Derivation:
    """Each class has its own root, or nothing."""
    proof = Proof(
        "Deep general orthogonal frames",
        "One-hot targets with class sizes $n_k$, $M \\ge 1$ layers of any weights, no bias, width at least $K$.",
    )
    _pieces(proof)
    _factors(proof)
    value = _total(_of_a_class("part", x**M / (x**M + 1))) / N
    return proof.conclude({**_formulae(), "value": value})


def thm3_1() -> Derivation:
    """Balanced classes below the threshold: every class is kept, with one length."""
    proof = Proof("Orthogonal frames", "Balanced one-hot targets, $M \\ge 2$ layers, no bias, below the threshold.")
    general = prove("dang2023_deep_mse:released_code_corrected")
    proof.uses("classes", "Take the deep general orthogonal frame with classes of one size.", general)
    _threshold(proof)
    claims = {"balance": prove("deep_linear:directions").claims["balance"]}
    return proof.conclude({name: general.formulae[name] for name in _formulae()}, claims)


def _threshold(proof: Proof) -> None:
    """b < (M-1)^((M-1)/M)/M is the printed condition."""
    proof.equal(
        "threshold",
        "With $N = Kn$ the condition $b = MK(KnP)^{1/M} < (M-1)^{(M-1)/M}/M$, "
        "$P = \\lambda_{W_M}\\cdots\\lambda_{W_1}\\lambda_H$, is the printed one, $b$ over $M$ being",
        M * (K * s) * (K * s * P) ** (1 / M) / (s * M),
        K * (K * s * P) ** (1 / M),
    )


def thm3_1_null() -> Derivation:
    """Balanced classes above the threshold: no class is kept."""
    proof = Proof("Zero", "Balanced one-hot targets, $M \\ge 2$ layers, no bias, above the threshold.")
    proof.uses("direction", "Above coexistence zero is the only global minimum,", prove("deep_linear:direction"))
    proof.uses("directions", "direction by direction.", prove("deep_linear:directions"))
    proof.uses("root", "Coexistence is where $b$ is $(M-1)^{(M-1)/M}/M$.", prove("deep_linear:root"))
    _threshold(proof)
    return proof.conclude({"gram": sp.S.Zero, "classifier_gram": sp.S.Zero})


def thm3_2() -> Derivation:
    """A free bias centres the targets: the same scalar problem on the K - 1 centred directions, none on the mean."""
    proof = Proof("Simplex frames", "Balanced one-hot targets, $M \\ge 2$ layers, a free bias, below the threshold.")
    proof.uses("bias", "A free bias is the mean target, $1/K$ in every entry.", prove("deep_linear:free_bias"))
    proof.uses(
        "classes",
        "The centred targets have the singular value $\\sqrt n$ on the $K - 1$ directions orthogonal to the ones, and "
        "no other; so the scalar problem is that of Theorem 3.1, with $I_K - \\frac1K11'$ for $I_K$.",
        prove("dang2023_deep_mse:thm3_1"),
    )
    centred = {name: each.xreplace({delta_kl: delta_kl - 1 / K}) for name, each in _formulae().items()}
    proof.equal("mean target", "The bias adds the mean target to every logit, which is", s / (K * s), 1 / K)
    return proof.conclude({**centred, "logits": centred["logits"] + 1 / K, "bias": 1 / K})


def thm3_2_null() -> Derivation:
    """Nothing but the bias is left."""
    proof = Proof("Only the bias", "Balanced one-hot targets, $M \\ge 2$ layers, a free bias, above the threshold.")
    proof.uses("bias", "A free bias is the mean target,", prove("deep_linear:free_bias"))
    proof.uses("zero", "and the centred directions are lost as without a bias.", prove("dang2023_deep_mse:thm3_1_null"))
    proof.equal("mean target", "The mean of one-hot targets of equal sizes is $1/K$.", s / (K * s), 1 / K)
    return proof.conclude({"gram": sp.S.Zero, "classifier_gram": sp.S.Zero, "bias": 1 / K})


PROOFS: dict[str, Callable[[], Derivation]] = {
    "released_code_corrected": released_code_corrected,
    "thm3_1": thm3_1,
    "thm3_1_null": thm3_1_null,
    "thm3_2": thm3_2,
    "thm3_2_null": thm3_2_null,
}
