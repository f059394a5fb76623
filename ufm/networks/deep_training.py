"""Train deep perceptrons of several seeds side by side, epoch by epoch, looking at all samples on the way.

Cross-entropy first, where the regimen says so, then the squared loss:

    1/N sum_i loss(z_i, y_i) + weight_decay/2 ||all parameters||^2,

or, with a feature penalty, 1/N sum_i loss + weight_decay/2 (||W||^2 + ||b||^2) + feature_penalty/2 ||H||^2.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from ufm.errors import ProblemError
from ufm.networks.perceptron import Perceptrons, backward, forward
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
    whole = regimen.entropy_epochs + regimen.squared_epochs
    done = 0
    with torch.no_grad():
        networks = Perceptrons.random(X.shape[1], regimen, Y.shape[0], generators)
        for phase, epochs in (("entropy", regimen.entropy_epochs), ("squared", regimen.squared_epochs)):
            watched = _watched(epochs, regimen.looks)
            for epoch in _epochs(networks, inputs, targets, regimen, phase, epochs, generators):
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
    networks.layers[-2].mul_(factor)
    networks.offsets[-2].mul_(factor)
    networks.W.div_(factor)


def slope(
    networks: Perceptrons, slopes: Perceptrons, X: Tensor, Y: Tensor, regimen: Regimen, phase: str, N: int
) -> None:
    """Write the derivative of a batch's objective into `slopes`; plain decay is left to the optimiser.

    X: S x B x inputs, Y: S x B x m, of N samples in all: a batch takes 1/B for 1/N and N/B times the feature penalty,
    so that its derivative is unbiased.
    """
    seen, before = forward(networks, X)
    Z, B = seen[-1], X.shape[1]
    G = (Z.softmax(2) - Y if phase == "entropy" else Z - Y) / B
    if not regimen.feature_penalty:
        backward(networks, slopes, seen, before, G)
        return
    backward(networks, slopes, seen, before, G, seen[-2] * (regimen.feature_penalty * N / B))
    slopes.W.add_(networks.W, alpha=regimen.weight_decay)
    slopes.b.add_(networks.b, alpha=regimen.weight_decay)


def _epochs(
    networks: Perceptrons,
    X: Tensor,
    Y: Tensor,
    regimen: Regimen,
    phase: str,
    epochs: int,
    generators: Sequence[torch.Generator],
) -> Iterator[int]:
    """Train one phase; yields after each epoch. A remainder smaller than a batch waits for the next shuffle."""
    S, N, B = len(generators), X.shape[0], min(regimen.batch, X.shape[0])
    slopes = Perceptrons.zeros(X.shape[1], regimen, Y.shape[1], S)
    optimiser = _optimiser(networks.flat, slopes.flat, regimen)
    batches = N // B
    for epoch in range(epochs):
        order = torch.stack([torch.randperm(N, generator=generator) for generator in generators])
        for batch in range(batches):
            index = order[:, batch * B : (batch + 1) * B].reshape(-1)
            chosen, wanted = X.index_select(0, index).view(S, B, -1), Y.index_select(0, index).view(S, B, -1)
            slope(networks, slopes, chosen, wanted, regimen, phase, N)
            optimiser.param_groups[0]["lr"] = regimen.rate(epoch * batches + batch, epochs * batches)
            optimiser.step()
        yield epoch + 1


def _optimiser(flat: Tensor, slopes: Tensor, regimen: Regimen) -> torch.optim.Optimizer:
    """Adam or SGD over all parameters; with a feature penalty the decay is part of the slope instead."""
    weights = torch.nn.Parameter(flat, requires_grad=False)
    weights.grad = slopes
    decay = 0.0 if regimen.feature_penalty else regimen.weight_decay
    if regimen.optimiser == "sgd":
        return torch.optim.SGD([weights], lr=regimen.lr, momentum=regimen.momentum, weight_decay=decay, fused=True)
    betas = (regimen.momentum, regimen.beta)
    return torch.optim.Adam([weights], lr=regimen.lr, betas=betas, weight_decay=decay, fused=True)


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
