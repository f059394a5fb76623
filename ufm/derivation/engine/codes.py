"""Classes of one size whose codes no permutation of the classes changes, C = alpha I + beta 11': any K, n and weights.

The targets have two singular values, sigma = |alpha| sqrt(n) on the K - 1 centred directions and
sigma_0 = |alpha + K beta| sqrt(n) on the mean direction; what shrinkage leaves of them is read as geometry.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sympy as sp

from ufm.derivation.derivation import Derivation
from ufm.derivation.engine.pieces import Conditions, over_pieces
from ufm.derivation.engine.refusal import OutOfReachError
from ufm.derivation.engine.shallow import BIAS, Bias, shrinkage
from ufm.derivation.exchangeable import ONES, ONES_RULE, Exchangeable
from ufm.derivation.proof import Proof
from ufm.derivation.regimes import ABOVE, AT, BELOW, CRITICAL, LOST, Regime, balanced, gamma, kappa, u, v
from ufm.derivation.signs import Sign, sign_of, vanishes
from ufm.symbols import K, N, delta_kl, lam_b, lam_H, lam_W, n, rho, sigma, sigma_0, tau

c = sp.Symbol("c", positive=True)
t_rel = sp.Symbol("t_rel", positive=True)
lam_b_star = sp.Symbol("lambda_b^*", positive=True)
w = sp.Symbol("w", positive=True)
A, q = sp.MatrixSymbol("A", K, K), sp.MatrixSymbol("q", K, 1)
E_K, E_L = sp.MatrixSymbol("e_k", K, 1), sp.MatrixSymbol("e_l", K, 1)
X = sp.MatrixSymbol("X", K, K)
s, s_0 = sp.symbols("s s_0", nonnegative=True)


@dataclass(frozen=True)
class Piece:
    """A regime, and which directions keep something in it."""

    regime: Regime
    centred: bool
    mean: bool


@dataclass(frozen=True)
class Codes:
    """alpha I + beta 11' for symbolic K, as two eigenvalues without the root of n, with their signs."""

    alpha: Any
    mean: Any  # alpha + K beta

    @staticmethod
    def of(alpha: Any, beta: Any) -> Codes:
        """The two eigenvalues; OutOfReachError where their signs depend on K >= 2 or on letters of the codes."""
        alpha, mean = sp.nsimplify(alpha), sp.simplify(sp.nsimplify(alpha) + K * sp.nsimplify(beta))
        free = (alpha.free_symbols | mean.free_symbols) - {K}
        if free:
            raise OutOfReachError(f"the codes hold the letters {', '.join(map(str, free))}; only K may be one.")
        codes = Codes(alpha, mean)
        for name, value in (("alpha", alpha), ("alpha + K beta", mean)):
            if codes.sign(value) is None or (name == "alpha" and codes.sign(value) == 0):
                raise OutOfReachError(f"the codes alpha I + beta 11' have {name} = {value}, whose sign changes with K.")
        return codes

    @staticmethod
    def sign(value: Any) -> int | None:
        """The sign for all K >= 2; 1 for what is not negative."""
        found = sign_of(value, {K: kappa + 2})
        signs = {Sign.POSITIVE: 1, Sign.NONNEGATIVE: 1, Sign.ZERO: 0, Sign.NEGATIVE: -1, Sign.NONPOSITIVE: -1}
        return signs.get(found)

    @property
    def size(self) -> Any:
        """|alpha|."""
        return self.alpha * (self.sign(self.alpha) or 0)

    @property
    def mean_size(self) -> Any:
        """|alpha + K beta|."""
        return self.mean * (self.sign(self.mean) or 0)

    @property
    def is_centred(self) -> bool:
        """Whether the mean code is the origin."""
        return vanishes(self.mean)

    @property
    def is_even(self) -> bool:
        """Whether both singular values are the same, as for one-hot codes."""
        return vanishes(self.size - self.mean_size)

    def rank(self, bias: Bias) -> Any:
        """The rank of the targets, centred where the bias is free: the width that is needed."""
        return K - 1 if bias == "free" or self.is_centred else K

    def pieces(self, bias: Bias) -> tuple[Piece, ...]:
        """Disjoint regimes that together are all of K >= 2, n and the weights."""
        if bias == "free" or self.is_centred:
            return tuple(Piece(self._scaled(each), each is BELOW, False) for each in (BELOW, CRITICAL, LOST))
        if self.is_even and bias == "none":
            return tuple(Piece(self._scaled(each), each is BELOW, each is BELOW) for each in (BELOW, CRITICAL, LOST))
        if self.is_even:
            kept = {BELOW: (True, False), AT: (True, False), ABOVE: (True, True)}
            regimes = (BELOW, AT, ABOVE, CRITICAL, LOST)
            return tuple(Piece(self._scaled(each), *kept.get(each, (False, False))) for each in regimes)
        return tuple(self._grid(bias))

    def _scaled(self, regime: Regime) -> Regime:
        if vanishes(self.size - 1):
            return regime
        size = self.size.subs(K, kappa + 2)
        weights = {each: regime.slack[each] * size for each in (lam_W, lam_H)}
        return Regime(regime.name, regime.condition, {**regime.slack, **weights})

    def _grid(self, bias: Bias) -> Iterator[Piece]:
        """The ratio of the singular values depends on K: K itself is solved for, so that each regime is reached."""
        t_values = {"kept": 1 / (1 + v), "at": sp.S.One, "lost": 1 + v}
        threshold = 1 + 1 / u if bias == "penalised" else sp.S.One
        ratio = self.mean_size / self.size
        wanted = sp.Symbol("wanted", positive=True)
        found = sp.solve(ratio - wanted, K)
        if len(found) != 1:
            raise OutOfReachError("the two singular values of these codes cannot be told apart by K alone.")
        for name, relative in t_values.items():
            for mean_name, factor in {"kept": 1 + w, "at": sp.S.One, "lost": 1 / (1 + w)}.items():
                classes = found[0].subs(wanted, relative * threshold * factor)
                slack = balanced(relative, u, classes, self.size.subs(K, classes))
                label = f"centred {name}, mean {mean_name}"
                yield Piece(Regime(label, label, slack), name == "kept", mean_name == "kept")
        classes = found[0].subs(wanted, 0)  # the mean code may vanish there
        if sp.simplify(self.mean.subs(K, classes)) == 0 and classes >= 2:
            for name, relative in t_values.items():
                slack = balanced(relative, u, classes, self.size.subs(K, classes))
                yield Piece(Regime(f"centred {name}, no mean", "", slack), name == "kept", False)


def balanced_classes(codes: Codes, bias: Bias) -> Derivation:
    """Every observable of the global minimum for classes of one size, over the regimes of the weights."""
    proof = Proof(
        "The optimum of equal classes",
        f"Squared loss, one linear layer, {BIAS[bias]}, $K \\ge 2$ classes of $n$ samples with the codes "
        f"$\\alpha I + \\beta \\mathbf{{1}}\\mathbf{{1}}'$, $\\alpha = {sp.latex(codes.alpha)}$ and "
        f"$\\alpha + K\\beta = {sp.latex(codes.mean)}$, a width of at least ${codes.rank(bias)}$.",
    )
    proof.carry(shrinkage(bias))
    spectrum(proof, codes)
    _parameters(proof, codes, bias)
    formulae = _observables(proof, codes, bias)
    claims = {
        "collapse": "at every global minimum all features of a class coincide",
        "uniqueness": "every global minimum has the same W H, b, class-mean Gram matrix and W W'",
    }
    return proof.conclude(formulae, claims, tuple(piece.regime for piece in codes.pieces(bias)))


def spectrum(proof: Proof, codes: Codes) -> None:
    """The singular values of the targets in the class basis."""
    proof.section("The class codes")
    proof.given("ones of the classes", "", ONES_RULE, shown=False)
    targets = Exchangeable(sp.sqrt(n) * codes.alpha, sp.sqrt(n) * codes.mean)
    proof.define(
        "targets", "In the basis of the normalised indicators of the classes the targets are", A, targets.matrix
    )
    proof.define("mean direction of the classes", "and the ones", q, sp.sqrt(n) * ONES)
    squared = Exchangeable(n * codes.alpha**2, n * codes.mean**2)
    proof.identity(
        "singular directions of the codes",
        "The mean direction is a singular direction, with $\\sigma_0 = |\\alpha + K \\beta| \\sqrt n$; on the $K - 1$ "
        "directions orthogonal to it $\\sigma = |\\alpha| \\sqrt n$. The Gram matrices of the minimisers are functions "
        "of $A'A$ and $A A'$, so they have the same two eigenspaces.",
        (A.T * A, squared.matrix),
        (A * q, sp.sqrt(n) * codes.mean * q),
    )


def _parameters(proof: Proof, codes: Codes, bias: Bias) -> None:
    """Mean weight, aspect, shrinkage, relative regularisation, thresholds: hidden where the steps above showed them."""
    proof.define("mean weight of the classes", "", c, sp.sqrt(lam_W * lam_H), shown=False)
    proof.define("aspect of the classes", "", gamma, (lam_W / lam_H) ** sp.Rational(1, 4), shown=False)
    proof.define("shrinkage of the classes", "", tau, K * n * c, shown=False)
    proof.define("rho of the classes", "", rho, _mean_weight(bias), shown=False)
    proof.define("relative regularisation", "Relative to $\\sigma$ the shrinkage is", t_rel,
                 K * sp.sqrt(n) * c / codes.size)  # fmt: skip
    if bias == "free" or codes.is_centred:
        return
    if bias == "penalised":
        proof.define("threshold", "The mean direction is kept above", lam_b_star, _threshold(codes))


def _mean_weight(bias: Bias) -> Any:
    return lam_b / (1 + lam_b) if bias == "penalised" else sp.S.One if bias == "none" else sp.S.Zero


def _threshold(codes: Codes) -> Any:
    """lam_b*, where sigma_0 = tau/rho; only where sigma_0 > tau is it positive."""
    shrinkage_of_codes = t_rel * codes.size
    return sp.cancel(shrinkage_of_codes / (codes.mean_size - shrinkage_of_codes))


def _kept(codes: Codes, bias: Bias) -> tuple[Any, Any]:
    """(s, s_0) where both are kept."""
    root = sp.sqrt(n)
    mean = root * (codes.mean_size - t_rel * codes.size)
    if bias == "penalised":
        mean *= 1 - lam_b_star / lam_b
    return root * codes.size * (1 - t_rel), mean


def _numbers(codes: Codes, bias: Bias, centred: bool, mean: bool) -> dict[str, Any]:
    """The observables where these directions are kept."""
    root = sp.sqrt(n)
    kept, kept_mean = _kept(codes, bias)
    left, left_mean = kept if centred else sp.S.Zero, kept_mean if mean else sp.S.Zero
    spread = Exchangeable(left, left_mean)
    signed = Exchangeable(left * (codes.sign(codes.alpha) or 0), left_mean * (codes.sign(codes.mean) or 0))
    bias_entry = _bias_entry(codes, bias, mean)
    part = (tau * root * codes.size - tau**2 / 2) if centred else n * codes.size**2 / 2
    part_mean = sp.S.Zero
    if bias == "none":
        part_mean = tau * root * codes.mean_size - tau**2 / 2 if mean else n * codes.mean_size**2 / 2
    if bias == "penalised":
        whole = _mean_weight(bias)
        part_mean = tau * root * codes.mean_size - tau**2 / (2 * whole) if mean else whole * n * codes.mean_size**2 / 2
    exists = centred or mean
    diagonal, pairs = sp.factor(spread.diagonal), _pair(spread)
    return {
        "singular_values_centred": left,
        "singular_value_mean": left_mean,
        "cosine": sp.factor(spread.off_diagonal / diagonal) if exists else sp.nan,
        "class_mean_norm": gamma * sp.sqrt(diagonal / n),
        "classifier_norm": sp.sqrt(diagonal) / gamma,
        "gram": gamma**2 / n * pairs,
        "classifier_gram": pairs / gamma**2,
        "logits": _pair(signed) / root + bias_entry,
        "bias": bias_entry,
        "value": sp.factor((K - 1) * part + part_mean) / (K * n),
    }


def _pair(matrix: Exchangeable) -> Any:
    """The entry of classes k and l: the diagonal one where delta_kl = 1."""
    return sp.factor(matrix.off_diagonal) + sp.factor(matrix.diagonal - matrix.off_diagonal) * delta_kl


def _bias_entry(codes: Codes, bias: Bias, mean: bool) -> Any:
    """Each entry of b: N lam_b b = e_0 sqrt(N) u, with u = 1/sqrt(K) up to the sign of the mean code."""
    if bias == "none":
        return sp.S.Zero
    if bias == "free":
        return codes.mean / K
    if mean:
        return (codes.sign(codes.mean) or 0) * c * sp.sqrt(n) / lam_b
    return codes.mean / (K * (1 + lam_b))


SENTENCES = {
    "singular_values_centred": "On the $K - 1$ centred directions the singular values of $W H$ are",
    "singular_value_mean": "and on the mean direction",
    "cosine": "The cosine between two class means is the ratio of an entry off the diagonal to one on it "
    "(where nothing is kept there is none):",
    "class_mean_norm": "The class means are $H_Q / \\sqrt{n}$; their norm,",
    "classifier_norm": "the norm of a row of $W$,",
    "gram": "all inner products of class means ($\\delta_{kl} = 1$ for one and the same class),",
    "classifier_gram": "and of rows of $W$,",
    "logits": "the outputs at the class means,",
    "bias": "the entries of the bias",
    "value": "and the minimum of the loss:",
}


def _observables(proof: Proof, codes: Codes, bias: Bias) -> dict[str, Any]:
    """One formula for each observable, equal in every regime to what shrinkage leaves there."""
    entries(proof)
    pieces = codes.pieces(bias)
    both = {(p.centred, p.mean) for p in pieces}
    numbers = {each: _numbers(codes, bias, *each) for each in both}
    shrunk = {p.regime: _shrunk(codes, bias, p.regime) for p in pieces}
    conditions = _conditions(codes, bias)
    formulae = {"t_rel": proof.full(t_rel)}
    if bias == "penalised" and not codes.is_centred:
        above = proof.full(t_rel * codes.size) < codes.mean_size
        formulae["lam_b_star"] = sp.Piecewise((proof.full(lam_b_star), above))
    for name, sentence in SENTENCES.items():
        if bias == "none" and name == "bias":
            continue
        formula = over_pieces({each: found[name] for each, found in numbers.items()}, conditions)
        derived = {p.regime: _geometry(name, codes, bias, p.regime, *shrunk[p.regime]) for p in pieces}
        formulae[name] = proof.closed_form(name, sentence, formula, derived)
    return formulae


def _shrunk(codes: Codes, bias: Bias, regime: Regime) -> tuple[Any, ...]:
    """(s, s_0, their parts of N times the minimum, e_0) from the carried formulae, resolved in a regime."""
    general = shrinkage(bias).formulae
    letters = {tau: K * n * sp.sqrt(lam_W * lam_H), rho: _mean_weight(bias), N: K * n}
    centred, mean = sp.sqrt(n) * codes.size, sp.sqrt(n) * codes.mean_size

    def value(formula: str, direction: Any) -> Any:
        put_in = general[formula].xreplace({sigma: direction, sigma_0: mean}).xreplace(letters)
        return regime.resolve(put_in)

    found = [value("shrunk", centred), sp.S.Zero, value("part", centred), sp.S.Zero, sp.S.Zero]
    if bias == "none":
        found[1], found[3] = value("shrunk", mean), value("part", mean)
    if bias == "penalised":
        found[1], found[3], found[4] = (value(each, mean) for each in ("shrunk_mean", "part_mean", "residual_mean"))
    return tuple(found)


def _geometry(
    name: str, codes: Codes, bias: Bias, regime: Regime, left: Any, left_mean: Any, part: Any, part_mean: Any, e_0: Any
) -> Any:
    """An observable from the two singular values of the product, the parts of the minimum and the residual."""
    spread = Exchangeable(left, left_mean)
    signed = Exchangeable(left * (codes.sign(codes.alpha) or 0), left_mean * (codes.sign(codes.mean) or 0))
    aspect = sp.sqrt(lam_W / lam_H)
    entry: Any = sp.S.Zero
    if bias == "free":
        entry = codes.mean / K
    if bias == "penalised":
        entry = (codes.sign(codes.mean) or 0) * e_0 / (sp.sqrt(K * n) * lam_b * sp.sqrt(K))
    if name == "cosine" and vanishes(spread.diagonal, regime.slack):
        return sp.nan

    found = {
        "singular_values_centred": lambda: left,
        "singular_value_mean": lambda: left_mean,
        "cosine": lambda: spread.off_diagonal / spread.diagonal,
        "class_mean_norm": lambda: sp.sqrt(aspect * spread.diagonal / n),
        "classifier_norm": lambda: sp.sqrt(spread.diagonal / aspect),
        "gram": lambda: aspect / n * _pair(spread),
        "classifier_gram": lambda: _pair(spread) / aspect,
        "logits": lambda: _pair(signed) / sp.sqrt(n) + entry,
        "bias": lambda: entry,
        "value": lambda: ((K - 1) * part + part_mean) / (K * n),
    }
    return found[name]()


def _conditions(codes: Codes, bias: Bias) -> Conditions:
    """Kept for t_rel < 1; the mean direction above lam_b*, without dividing by what may vanish."""
    left = t_rel * codes.size
    above = left * (1 + 1 / lam_b) < codes.mean_size if bias == "penalised" else left < codes.mean_size
    return Conditions(t_rel < 1, t_rel >= 1, above, lam_b <= lam_b_star)


def entries(proof: Proof) -> None:
    """The entries of a matrix with two eigenvalues, from unit vectors."""
    proof.section("Geometry of the classes")
    one, none = sp.Identity(1), sp.ZeroMatrix(1, 1)
    units = {E_K.T * E_K: one, E_K.T * E_L: none, E_K.T * ONES: one, E_L.T * ONES: one}
    proof.given("unit vectors", "For two classes $k \\ne l$ with unit vectors $e_k$, $e_l$,", units, shown=False)
    entries = Exchangeable(s, s_0)
    proof.identity(
        "entries",
        "a matrix $X$ with the eigenvalue $s$ on the centred directions and $s_0$ on the mean direction has on its "
        "diagonal and off it",
        (E_K.T * X * E_K, entries.diagonal * one),
        (E_K.T * X * E_L, entries.off_diagonal * one),
        where={X: entries.matrix},
    )
