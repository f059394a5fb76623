"""Train deep perceptrons of several seeds side by side, epoch by epoch, looking at all samples on the way.

Cross-entropy first, where the regimen says so, then the squared loss:

    1/N sum_i loss(z_i, y_i) + weight_decay/2 ||all parameters||^2,

or, with a feature penalty, 1/N sum_i loss + weight_decay/2 (||W||^2 + ||b||^2) + feature_penalty/2 ||H||^2.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from ufm.errors import ProblemError
from ufm.networks.descent import Objective, descend
from ufm.networks.perceptron import Perceptrons
from ufm.networks.regimen import Regimen

Look = Callable[[Perceptrons, str, int], None]
Progress = Callable[[int, int], None]


def train_deep(
    X: np.ndarray,
    Y: np.ndarray,
    regimen: Regimen,
    seeds: Sequence[int],
    look: Look | None = None,
    progress: Progress | None = None,
) -> Perceptrons:
    """Networks of all seeds on samples X (N x inputs) and targets Y (m x N); each as if it were trained alone.

    Every seed has its own initialisation and its own order of the samples. The same list of seeds repeats bit for bit;
    another list rounds differently, which long training amplifies. look(networks, phase, epoch) is called after
    an epoch, phase "entropy" or "squared" with epochs counted from 1 in each; progress(epochs done, epochs in all).
    """
    _check(X, Y, regimen, seeds)
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    inputs, targets = torch.from_numpy(np.asarray(X, np.float32)), torch.from_numpy(Y.T.astype(np.float32))
    whole, done = regimen.entropy_epochs + regimen.squared_epochs, 0
    batches = inputs.shape[0] // min(regimen.batch, inputs.shape[0])
    with torch.no_grad():
        networks = Perceptrons.random(regimen.architecture(X.shape[1], Y.shape[0]), generators)
        for phase, epochs in (("entropy", regimen.entropy_epochs), ("squared", regimen.squared_epochs)):
            watched, steps = _watched(epochs, regimen.looks), epochs * batches
            objective = objective_of(regimen, phase, inputs.shape[0])
            for step in descend(
                networks,
                inputs,
                targets,
                objective,
                regimen.moving(),
                steps=steps,
                batch=regimen.batch,
                rate=lambda step, steps=steps: regimen.rate(step, steps),
                generators=generators,
            ):
                epoch, rest = divmod(step, batches)
                if rest:
                    continue
                done += 1
                _check_finite(networks, regimen, phase, epoch)
                if phase == "squared" and epoch == regimen.rescale_epoch:
                    rescale(networks, regimen.rescale)
                if look is not None and epoch in watched:
                    look(networks, phase, epoch)
                if progress is not None:
                    progress(done, whole)
    return networks


def rescale(networks: Perceptrons, factor: float) -> None:
    """Multiply the features by `factor` and divide the classifier by it: the function of a ReLU network stays."""
    networks.layers[-1].mul_(factor)
    networks.offsets[-1].mul_(factor)
    networks.heads[0].div_(factor)


def objective_of(regimen: Regimen, phase: str, N: int) -> Objective:
    """Of one phase; plain decay is left to the optimiser."""
    held = regimen.weight_decay if regimen.feature_penalty else 0.0
    loss = "cross_entropy" if phase == "entropy" else "mse"
    return Objective(loss, N, lam_W=(held,), lam_H=regimen.feature_penalty, lam_b=held)


def _watched(epochs: int, looks: int) -> set[int]:
    """Epochs after which all samples are looked at; the last is always one."""
    return set(range(1, epochs + 1)) if not looks else {round(x) for x in np.linspace(epochs, 0, looks, endpoint=False)}


def _check_finite(networks: Perceptrons, regimen: Regimen, phase: str, epoch: int) -> None:
    if not bool(torch.isfinite(networks.flat.sum())):
        raise ProblemError("regimen.lr", regimen.lr, f"training diverged in epoch {epoch} ({phase} loss); lower it.")


def _check(X: np.ndarray, Y: np.ndarray, regimen: Regimen, seeds: Sequence[int]) -> None:
    if Y.shape[1] != X.shape[0]:
        raise ProblemError("targets", Y.shape, f"there are {X.shape[0]} samples; give one column for each.")
    if not seeds or len(set(seeds)) < len(seeds):
        raise ProblemError("seeds", list(seeds), "give at least one, and none twice.")
    if regimen.entropy_epochs and not np.allclose(Y.sum(axis=0), 1):
        raise ProblemError("regimen.entropy_epochs", regimen.entropy_epochs, "cross-entropy needs targets of sum 1.")
