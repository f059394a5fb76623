"""The weights of the features' penalty, given or read off the balance of W and H: one of all, or of mean and rest."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ufm.constraints import FeatureMetric
from ufm.errors import UfmError
from ufm.metrics.weight_balance import effective_lam_H, of_balance
from ufm.optimum import Optimum
from ufm.predict.networks import Network, networks
from ufm.problem import ClassTargets, Problem

ISOTROPIC = 1.5  # anisotropy up to which one weight describes the features


def effective_weights(H: Any, W: Any, *, lam_W: float) -> tuple[float, float]:
    """(lam_mean, lam_centred): the weights of the features' mean and of the rest that a network behaves as if it had.

    Read off lam_W W'W = lam_mean N hbar hbar' + lam_centred Hc Hc', which holds at every critical point, whatever codes
    and sizes (`ufm.metrics.weight_balance.two_weights`). H: d x N and W: m x d of one network, of several linear layers
    the one that H enters; or lists of both, whose weights are averaged. The pair is what `ufm.predict(..., lam_H=pair)`
    takes: read it off one run, predict others.
    Raises UfmError where the features have no mean that W sees: then one weight describes them.
    """
    found = [_of_balance(network, lam_W) for network in networks(H, np.zeros(0), W, None)]
    mean, centred = (float(np.mean([one[name] for one in found])) for name in ("lam_H_mean", "lam_H_centred"))
    if not (math.isfinite(mean) and math.isfinite(centred)):
        fix = f"give lam_H = {centred:.6g} alone" if math.isfinite(centred) else "leave lam_H out"
        raise UfmError(f"lam_H: W sees no mean of these features, so that two weights cannot be told apart; {fix}.")
    return mean, centred


def total_weight(runs: Sequence[Network], lam_W: float) -> float:
    """lam_H from lam_W ||W||^2 = lam_H ||H||^2, summed over networks; W is the layer that the features enter."""
    if not all(run.layers for run in runs):
        raise UfmError("lam_H is neither given nor, without W, to be inferred; give one of them.")
    first = np.concatenate([run.layers[-1].ravel() for run in runs])
    return effective_lam_H(first, np.concatenate([run.H.ravel() for run in runs]), lam_W)


def pair_of(lam_H: Any) -> tuple[float, float] | None:
    """(mean, centred) where two weights are given; None for one."""
    if not isinstance(lam_H, Sequence | np.ndarray):
        return None
    if len(lam_H) != 2 or not all(0 < float(lam) < math.inf for lam in lam_H):
        raise UfmError(
            f"lam_H = {lam_H}: give one weight, or two positive ones, of the features' mean and of the rest."
        )
    return float(lam_H[0]), float(lam_H[1])


def with_two_weights(problem: Problem, pair: tuple[float, float]) -> Problem:
    """The problem whose features cost lam_centred/2 ||Hc||^2 + lam_mean N/2 ||hbar||^2."""
    if not isinstance(problem.targets, ClassTargets) or problem.loss != "mse" or problem.p > 2:
        raise UfmError(f"lam_H = {pair}: two weights are solved for classes, the squared loss and one linear layer.")
    mean, centred = pair
    return problem.replace(lam_H=centred, constraint=FeatureMetric.mean_apart(problem.classes.counts, mean / centred))


def balance_of(optimum: Optimum, network: Network, lam_W: float) -> dict[str, Any]:
    """Weight balance of a measured state, among the directions that theory keeps."""
    found = _of_balance(network, lam_W, int(optimum.certificate.rank), _has_mean(optimum))
    named = ("lam_H_by_direction", "mean_share")
    return {name: ("balance_direction", value) if name in named else value for name, value in found.items()}


def anisotropy_note(found: dict[str, Any], rank: int, solved: bool) -> str:
    """Effective weights by direction in one line, and what to state instead of one weight where that is solved."""
    by_direction = np.asarray(found["lam_H_by_direction"][1][:rank])
    if not np.any(np.isfinite(by_direction)):
        return ""
    text = f"effective lam_H by singular direction: {np.nanmin(by_direction):.4g} to {np.nanmax(by_direction):.4g}"
    mean, centred = found["lam_H_mean"], found["lam_H_centred"]
    ratio = mean / centred if centred > 0 else math.nan
    if not math.isfinite(ratio):
        return f"{text}."
    text = f"{text}; {mean:.4g} along the mean, {centred:.4g} for centred features."
    if not found["lam_H_anisotropy"] > ISOTROPIC or not solved:
        return text
    return (
        f"{text} One weight does not describe these features. Two do better: lam_H = ({mean:.4g}, {centred:.4g}), "
        f"of the mean and of the rest, here and out of sample on other runs; as a problem it is lam_H = {centred:.4g} "
        f"with constraint = FeatureMetric.mean_apart(counts, {ratio:.3g})."
    )


def _of_balance(network: Network, lam_W: float, rank: int | None = None, with_mean: bool = True) -> dict[str, Any]:
    if not network.layers:
        raise UfmError("W is not given: without it there is no balance to read weights off.")
    W, H = network.layers[-1], network.H
    if W.shape[1] != H.shape[0]:
        raise UfmError(f"W is {W.shape} and H {H.shape}; W needs {H.shape[0]} columns (m x d), H is d x N.")
    return of_balance(W, H, lam_W, rank, with_mean)


def _has_mean(optimum: Optimum) -> bool:
    """Whether the optimum's features have a mean that its classifier sees."""
    targets, H = optimum.problem.targets, optimum.H
    mean = optimum.product @ (H @ (targets.multiplicity / targets.N))
    return math.sqrt(targets.N) * float(np.linalg.norm(mean)) > 1e-3 * float(optimum.singular_values[0])
