"""Where the mean target lies: it decides whether a penalised bias couples the directions of the targets."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import sympy as sp

from ufm.derivation.derivation import Derivation
from ufm.derivation.engine.refusal import OutOfReachError
from ufm.derivation.engine.shallow import b
from ufm.derivation.proof import Proof, equation
from ufm.derivation.words import SquaredNorm
from ufm.problem.symbolic import SymbolicClasses, SymbolicTargets
from ufm.symbols import lam_b, m, n_k

Place = Literal["zero", "apart"]
_ROUND_OFF = 1e-12  # of the largest target and its square


def place(problem: Any) -> Place:
    """Whether the mean target is zero, or else apart from what varies: in the kernel of the target covariance.

    OutOfReachError where it is neither, or where letters leave it open.
    """
    columns, weights = _numbers(problem)
    mean = columns @ weights
    centred = columns - mean[:, None]
    size = float(np.abs(columns).max())
    if float(np.abs(mean).max()) <= _ROUND_OFF * size:
        return "zero"
    along = (centred * weights) @ (centred.T @ mean)  # Sigma ybar
    if float(np.abs(along).max()) <= _ROUND_OFF * size**2 * float(np.abs(mean).max()):
        return "apart"
    share = float(np.linalg.norm(along) / (np.linalg.norm(mean) * np.linalg.norm((centred * weights) @ centred.T, 2)))
    raise OutOfReachError(
        f"lam_b = {problem.lam_b} with targets = {problem.targets!r}: the target covariance takes the mean target to a "
        f"vector of {share:.2g} times the most it could, not to zero, so that the mean lies among the directions that "
        "vary, the bias couples them, and no closed form is known. lam_b = 0 and lam_b = inf have one in the singular "
        "values of the targets; ufm.solve certifies the numbers."
    )


def _numbers(problem: Any) -> tuple[np.ndarray, np.ndarray]:
    """Distinct targets as columns, and the share of the samples that each has."""
    targets = problem.targets
    if not isinstance(targets, SymbolicTargets):
        counts = np.asarray(targets.multiplicity, dtype=float)
        return np.asarray(targets.columns, dtype=float), counts / counts.sum()
    if isinstance(targets, SymbolicClasses) and _is_known(targets):
        return targets.encoding.codes, np.full(int(targets.K), 1 / int(targets.K))
    raise OutOfReachError(
        f"lam_b = {problem.lam_b} with targets = {targets!r}: the letters leave open whether the target covariance "
        "takes the mean target to zero, without which a penalised bias couples the directions. Give codes and sizes as "
        "numbers (one letter n for all sizes will do), or lam_b = 0 or inf."
    )


def _is_known(targets: SymbolicClasses) -> bool:
    """Whether the codes are numbers and all classes have one size, which may be a letter."""
    return targets.balanced and targets.size != n_k and not targets.encoding.letters


def costs_nothing(free: Derivation) -> Derivation:
    """The optimum with a penalised bias, where that of a free bias has none: the mean target is zero."""
    proof = Proof(
        "The optimum where the mean target is zero",
        "As there, with a bias of any weight $0 < \\lambda_b < \\infty$ and targets whose mean is zero.",
    )
    proof.carry(free)
    proof.section("The bias that is not needed")
    fit = sp.Symbol("L_0")
    proof.squares(
        "the penalty",
        "The penalty of the bias only adds to the loss with a free bias. Its minimisers have $b = \\bar y = 0$, where "
        "nothing is added: they are the minimisers here, and there are no others,",
        fit + lam_b * SquaredNorm(b) / 2 - fit,
        sp.S.Zero,
        [(lam_b / 2, b)],
    )
    return proof.conclude(free.formulae, {**free.claims, "bias_gap": equation(b, sp.ZeroMatrix(m, 1))}, free.regimes)
