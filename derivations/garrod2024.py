"""Why low rank beats deep neural collapse under cross-entropy: no margin is lost, and the penalty is smaller."""

from collections.abc import Callable
from typing import Any

import sympy as sp

from ufm.derivation import Derivation, Proof
from ufm.derivation.load import prove
from ufm.derivation.proof import equation

k = sp.Symbol("k", integer=True, nonnegative=True)  # m = 2 + k or 3 + k
m = sp.Symbol("m", integer=True, positive=True)
w = sp.Symbol("w", positive=True)
q = sp.Symbol("q", positive=True)
z = 1 / (1 + w)  # e^{-alpha/2} for a margin alpha > 0
_BEATEN = "the best deep-NC point is above the blocks of two classes at its margin"
_TWO_THIRDS = sp.Rational(2, 3)


def _fits(proof: Proof) -> None:
    proof.section("No margin is lost")
    y = z**2
    proof.sign(
        "two classes a block",
        "Let $\\alpha > 0$ be the margin of a deep-NC point, $y = e^{-\\alpha} < 1$. Its loss is the logarithm of "
        "$1 + (K-1)y$. A class in a block of two has the margin $2\\alpha$ to its partner and $\\alpha$ to the "
        "others, so "
        "that $1 + y^2 + (K-2)y$ takes its place, which is less:",
        sp.Gt((2 * m - 1) * y, y**2 + (2 * m - 2) * y, evaluate=False),
    )
    proof.sign(
        "three classes a block",
        "For odd $K$ one block has three classes, at $\\frac32\\alpha$ from each other and $\\alpha$ from the others: "
        "$1 + 2y^{3/2} + (K-3)y$ is less as well.",
        sp.Gt(2 * m * y, 2 * z**3 + (2 * m - 2) * y, evaluate=False),
    )


def _penalties(proof: Proof) -> None:
    proof.section("The penalty is smaller")
    proof.uses(
        "penalty",
        "The factors minimised out, the penalty is $\\frac p2\\Lambda n^{q/2}$ times the sum of the singular values "
        "of the "
        "logits to the power $q = 2/(L+1)$. Deep neural collapse has $K-1$ of them, all $\\alpha$; a block of two "
        "has one, "
        "$2\\alpha$; a block of three has two, $\\frac32\\alpha$.",
        prove("deep_linear:factors"),
    )
    proof.sign(
        "depth helps",
        "So, in units of $\\alpha^q$, what counts is $2^q$ a block of two and $2(3/2)^q$ a block of three. Both rise "
        "with "
        "$q$, so that each range of $L$ has its worst case at the smallest $L$.",
        sp.Gt(sp.diff(2**q, q), 0, evaluate=False),
        sp.Gt(sp.diff(sp.Rational(3, 2) ** q, q), 0, evaluate=False),
    )


def _gain(pairs: Any, threes: int, power: Any) -> Any:
    """K - 1 less the sum over the blocks."""
    size = 2 * pairs + 3 * threes
    return size - 1 - pairs * 2**power - 2 * threes * sp.Rational(3, 2) ** power


def thm1() -> Derivation:
    """K >= 4 and L >= 3, or K >= 6 and L = 2, even and odd."""
    proof = Proof(
        "Low rank wins",
        "Balanced classes, $K\\ge4$ and $L\\ge3$, or $K\\ge6$ and $L=2$: every deep-NC point of margin $\\alpha > 0$ "
        "is "
        "above the blocks with $\\beta = \\alpha$.",
    )
    _fits(proof)
    _penalties(proof)
    for name, words, first, threes, power in (
        ("even, L >= 3", "For $L\\ge3$ and $K = 4$ the gain of the blocks is", 2, 0, sp.Rational(1, 2)),
        ("odd, L >= 3", "for $L\\ge3$ and $K = 5$,", 1, 1, sp.Rational(1, 2)),
        ("even, L = 2", "for $L=2$ and $K = 6$,", 3, 0, _TWO_THIRDS),
        ("odd, L = 2", "for $L=2$ and $K = 7$,", 2, 1, _TWO_THIRDS),
    ):
        proof.sign(name, words, sp.Gt(_gain(sp.Integer(first), threes, power), 0, evaluate=False))
        proof.equal(
            f"two classes more ({name})",
            "and every further pair of classes adds a positive number,",
            _gain(first + k + 1, threes, power) - _gain(first + k, threes, power),
            2 - 2**power,
        )
        proof.sign(f"which is positive ({name})", "as $q < 1$:", sp.Gt(2 - 2**power, 0, evaluate=False))
    return proof.conclude(claims={_BEATEN: sp.Gt(sp.Symbol("L_NC"), sp.Symbol("L_blocks"), evaluate=False)})


def thm1_blocks() -> Derivation:
    """The condition is the comparison of the penalties."""
    proof = Proof(
        "Blocks of two classes",
        "$K = 2m$, $m\\,2^{2/(L+1)} < 2m-1$: blocks of two with $\\beta = \\alpha$ beat deep neural collapse.",
    )
    _fits(proof)
    _penalties(proof)
    proof.equal(
        "the condition",
        "The gain is $2m - 1 - m 2^q$, positive by the condition.",
        _gain(m, 0, q),
        2 * m - 1 - m * 2**q,
    )
    return proof.conclude(claims={_BEATEN: sp.Gt(sp.Symbol("L_NC"), sp.Symbol("L_blocks"), evaluate=False)})


def critical_loss() -> Derivation:
    """Balance makes all factors share their singular values, which are then roots of those of the product."""
    proof = Proof(
        "The penalty at a critical point",
        "Any loss, any depth: balanced factors have the least penalty that their product allows.",
    )
    known = prove("deep_linear:factors")
    proof.uses(
        "balance",
        "Every critical point is balanced, whatever the loss, whose part cancels; so each factor has the roots of the "
        "product's singular values, in units of its weight, and together they have the least penalty, "
        "$\\frac p2\\Lambda\\sum_is_i^{2/p}$.",
        known,
    )
    claims = {
        "penalty_gap": equation(sp.Symbol("penalty"), sp.Symbol("least_penalty")),
        "balance": known.claims["balance"],
    }
    return proof.conclude(claims=claims)


PROOFS: dict[str, Callable[[], Derivation]] = {
    "thm1": thm1,
    "thm1_blocks": thm1_blocks,
    "critical_loss": critical_loss,
}
