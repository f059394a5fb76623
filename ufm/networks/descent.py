"""Descend an objective over the parameters of networks, several seeds side by side, in steps that repeat.

    1/N sum_i loss(z_i, y_i) + sum_l lam_W[l]/2 ||W_l||^2 + lam_H/2 ||H||^2 + lam_b/2 ||b||^2
      + layer_decay/2 sum_l ||A_l||^2 + shift_decay/2 (||offsets||^2 + ||gains||^2)

A batch of B samples takes 1/B for 1/N and (N/B) lam_H for lam_H, so that its derivative is unbiased. The first steps
may be taken in half precision (bfloat16), parameters and optimiser staying in single precision: what rounding adds to
the derivative is noise, which later steps of a falling learning rate forget as they forget that of the batches.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ufm.networks.perceptron import Perceptrons, backward, forward, outputs


@dataclass(frozen=True)
class Objective:
    """The weights of an objective on N samples; lam_W of every linear layer, last first; lam_b = inf: b stays zero."""

    loss: Literal["mse", "cross_entropy"]
    N: int
    lam_W: tuple[float, ...]
    lam_H: float = 0.0
    lam_b: float = 0.0
    layer_decay: float = 0.0
    shift_decay: float = 0.0


@dataclass(frozen=True)
class Optimiser:
    """Adam, or SGD with momentum (the first of `betas`); decay: of all parameters, as optimisers mean it."""

    kind: Literal["adam", "sgd"]
    lr: float
    betas: tuple[float, float]
    eps: float = 1e-8
    decay: float = 0.0

    def of(self, networks: Perceptrons, slopes: Perceptrons) -> torch.optim.Optimizer:
        """One that moves the networks by their slopes."""
        weights = torch.nn.Parameter(networks.flat, requires_grad=False)
        weights.grad = slopes.flat
        if self.kind == "sgd":
            return torch.optim.SGD([weights], lr=self.lr, momentum=self.betas[0], weight_decay=self.decay, fused=True)
        return torch.optim.Adam(
            [weights], lr=self.lr, betas=self.betas, eps=self.eps, weight_decay=self.decay, fused=True
        )


def slope(networks: Perceptrons, slopes: Perceptrons, X: Tensor, Y: Tensor, objective: Objective) -> None:
    """Write into `slopes` the derivative of the objective as a batch X (S x B x in), Y (S x B x m) sees it."""
    B, seen = X.shape[1], forward(networks, X)
    *below, Z = outputs(networks, seen.features)
    G = (Z.sub_(Y) if objective.loss == "mse" else torch.softmax(Z, 2).sub_(Y)).div_(B)
    if math.isfinite(objective.lam_b):
        torch.sum(G, 1, keepdim=True, out=slopes.b)
        slopes.b.add_(networks.b, alpha=objective.lam_b)
    last = len(networks.heads) - 1
    for l, (W, by_W, lam) in enumerate(zip(networks.heads, slopes.heads, objective.lam_W, strict=True)):
        torch.baddbmm(W, G.transpose(1, 2), below[-1 - l], beta=lam, out=by_W)
        G = torch.bmm(G, W) if l < last else torch.baddbmm(below[0], G, W, beta=objective.lam_H * objective.N / B)
    backward(networks, slopes, seen, G)
    for decay, slope_of, held in (
        (objective.layer_decay, slopes.layers, networks.layers),
        (objective.shift_decay, slopes.shifts, networks.shifts),
    ):
        if decay:
            for by_A, A in zip(slope_of, held, strict=True):
                by_A.add_(A, alpha=decay)


@dataclass(frozen=True, eq=False)
class _Pass:
    """Networks, slopes and samples of one precision, with memory that every batch uses again."""

    networks: Perceptrons
    slopes: Perceptrons
    X: Tensor
    Y: Tensor
    chosen: Tensor
    wanted: Tensor

    @staticmethod
    def of(networks: Perceptrons, slopes: Perceptrons, X: Tensor, Y: Tensor, B: int) -> "_Pass":
        S = networks.seeds
        return _Pass(networks, slopes, X, Y, X.new_empty(S * B, X.shape[1]), Y.new_empty(S * B, Y.shape[1]))

    def take(self, index: Tensor, objective: Objective) -> None:
        """The slopes at the samples of that index (S B)."""
        S = self.networks.seeds
        torch.index_select(self.X, 0, index, out=self.chosen)
        torch.index_select(self.Y, 0, index, out=self.wanted)
        X, Y = (part.view(S, -1, part.shape[1]) for part in (self.chosen, self.wanted))
        slope(self.networks, self.slopes, X, Y, objective)


def descend(
    networks: Perceptrons,
    X: Tensor,
    Y: Tensor,
    objective: Objective,
    optimiser: Optimiser,
    *,
    steps: int,
    batch: int,
    rate: Callable[[int], float],
    generators: Sequence[torch.Generator],
    half: int = 0,
) -> Iterator[int]:
    """Take `steps` steps over shuffled samples X (N x in), Y (N x m); yields how many are done after each.

    rate(step): the learning rate of step 0, 1, ...; generators: one a seed, for its own order of the samples; half:
    how many steps, the first ones, are taken in half precision. A remainder smaller than a batch waits for the next
    shuffle.
    """
    S, N = networks.seeds, X.shape[0]
    B = min(batch, N)
    slopes = Perceptrons.zeros(networks.architecture, S)  # b's stays zero without a bias, and so does b
    moving = optimiser.of(networks, slopes)
    single, rounded = _Pass.of(networks, slopes, X, Y, B), None
    if half:
        rounded = _Pass.of(networks.to(torch.bfloat16), slopes.to(torch.bfloat16), X.bfloat16(), Y.bfloat16(), B)
    order, used = torch.empty(S, N, dtype=torch.int64), N
    for step in range(steps):
        if used + B > N:
            for s, generator in enumerate(generators):
                torch.randperm(N, generator=generator, out=order[s])
            used = 0
        index = order[:, used : used + B].reshape(-1)
        used += B
        if rounded is not None and step < half:
            rounded.networks.flat.copy_(networks.flat)
            rounded.take(index, objective)
            slopes.flat.copy_(rounded.slopes.flat)
        else:
            single.take(index, objective)
        moving.param_groups[0]["lr"] = rate(step)
        moving.step()
        yield step + 1
