"""Train a network on images with the weights of a problem: its loss, its penalties, steps that repeat.

    1/N sum_i loss(W_{p-1}..W_1 h_i + b, y_i) + sum_l lam_W[l]/2 ||W_l||^2 + lam_H/2 ||H||^2 + lam_b/2 ||b||^2

over the network's parameters, H = h(X). A batch of B samples takes 1/B for 1/N and (N/B) lam_H for lam_H, so that its
gradient is unbiased. The backbone has a penalty of its own only where the recipe says `weight_decay` or `offset_decay`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ufm.errors import ProblemError
from ufm.metrics.nc1 import nc1
from ufm.metrics.split import split_classes
from ufm.networks.data import ImageSet
from ufm.networks.mlp import Parameters, activations, backward, features, forward
from ufm.networks.recipe import Recipe
from ufm.problem import ClassTargets, Problem, objective
from ufm.record import versions

Progress = Callable[[int, int], None]
_REPORT_EVERY = 10  # steps between calls of progress


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained network read as a UFM state: H (d x N, double), labels (N), W (m x d), b (m), and how it got there.

    layers: W_{p-1}..W_1, whose product W is; below: the last hidden layer (width x N), whose affine image H is where
    neither batch norm nor ReLU follows; squared_norms: of the backbone's layers, first to last; history: arrays `step`,
    `value` (the objective over all samples), `nc1` (absent for regression); value: the last of them; seconds:
    wall-clock; cpu_seconds: of this process.
    """

    H: np.ndarray
    labels: np.ndarray
    W: np.ndarray
    layers: tuple[np.ndarray, ...]
    b: np.ndarray
    below: np.ndarray
    squared_norms: tuple[float, ...]
    value: float
    history: dict[str, np.ndarray]
    problem: Problem
    recipe: Recipe
    seed: int
    seconds: float
    cpu_seconds: float
    versions: dict[str, Any]


@dataclass(frozen=True, eq=False)
class _Batch:
    """Samples X (B x pixels) and their targets Y (B x m), in memory that every batch uses again."""

    X: Tensor
    Y: Tensor

    def fill(self, X: Tensor, Y: Tensor, index: Tensor) -> None:
        torch.index_select(X, 0, index, out=self.X)
        torch.index_select(Y, 0, index, out=self.Y)


def train(
    images: ImageSet, problem: Problem, recipe: Recipe | None = None, seed: int = 0, progress: Progress | None = None
) -> Trained:
    """Train one network; the same seed, recipe and number of torch threads give the same bits.

    problem: squared loss or cross-entropy, any number of linear layers above the features, targets that fit the images:
    classes of the same sizes, or one regression target per image. progress(steps done, steps) is called now and then.
    """
    recipe = recipe or Recipe()
    _check(images, problem, recipe)
    begin, begin_cpu = time.perf_counter(), time.process_time()
    X = torch.from_numpy(images.X)
    Y = torch.from_numpy(np.ascontiguousarray(problem.targets.matrix().T, dtype=np.float32))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        parameters = Parameters.random(images.pixels, recipe, problem.m, generator, heads=problem.p - 1)
        history = _descend(parameters, X, Y, images, problem, recipe, generator, progress)
        H, layers, b = state(parameters, X)
        below = activations(parameters, X)[-2].numpy().T
    return Trained(
        H=H,
        labels=images.labels,
        W=reduce(np.matmul, layers),
        layers=layers,
        b=b,
        below=below,
        squared_norms=tuple(float(A.double().square().sum()) for A in parameters.layers),
        value=float(history["value"][-1]),
        history=history,
        problem=problem,
        recipe=recipe,
        seed=seed,
        seconds=time.perf_counter() - begin,
        cpu_seconds=time.process_time() - begin_cpu,
        versions=versions()["versions"],
    )


def state(parameters: Parameters, X: Tensor) -> tuple[np.ndarray, tuple[np.ndarray, ...], np.ndarray]:
    """(H, layers, b) of the network over samples X (N x pixels), in double precision; layers last first."""
    layers = tuple(W.double().numpy() for W in parameters.heads)
    return features(parameters, X).numpy().T, layers, parameters.b.double().numpy()


def penalised_slope(
    parameters: Parameters, slopes: Parameters, X: Tensor, Y: Tensor, problem: Problem, N: int, recipe: Recipe
) -> None:
    """Write into `slopes` the gradient of the objective as a batch X (B x pixels), Y (B x m) of N samples sees it."""
    B, kept = X.shape[0], []
    seen = forward(parameters, X, kept)
    below = [seen[-1]]  # what enters W_1, .., W_{p-1}
    for W in parameters.heads[:0:-1]:
        below.append(below[-1] @ W.T)
    Z = torch.addmm(parameters.b, below[-1], parameters.heads[0].T)
    G = (Z.sub_(Y) if problem.loss == "mse" else torch.softmax(Z, 1).sub_(Y)).mul_(1 / B)
    if problem.has_bias:
        torch.sum(G, 0, out=slopes.b)
        slopes.b.add_(parameters.b, alpha=float(problem.lam_b))
    last = len(parameters.heads) - 1
    for l, (W, slope, lam) in enumerate(zip(parameters.heads, slopes.heads, problem.lam_W, strict=True)):
        torch.addmm(W, G.T, below[-1 - l], beta=float(lam), out=slope)
        G = G @ W if l < last else torch.addmm(seen[-1], G, W, beta=float(problem.lam_H) * N / B)
    backward(parameters, slopes, seen, kept, G)
    for decay, slope_of, held in (
        (recipe.weight_decay, slopes.layers, parameters.layers),
        (recipe.offset_decay, slopes.shifts, parameters.shifts),
    ):
        if decay:
            for slope, A in zip(slope_of, held, strict=True):
                slope.add_(A, alpha=decay)


def _descend(
    parameters: Parameters,
    X: Tensor,
    Y: Tensor,
    images: ImageSet,
    problem: Problem,
    recipe: Recipe,
    generator: torch.Generator,
    progress: Progress | None,
) -> dict[str, np.ndarray]:
    """Adam over shuffled batches; the history."""
    N, B = images.N, min(recipe.batch, images.N)
    slopes = Parameters.zeros(
        images.pixels, recipe, problem.m, heads=problem.p - 1
    )  # b's stays zero without a bias, and so does b
    weights = torch.nn.Parameter(parameters.flat, requires_grad=False)
    weights.grad = slopes.flat
    adam = torch.optim.Adam([weights], lr=recipe.lr, betas=recipe.betas, eps=recipe.eps, fused=True)
    batch = _Batch(torch.empty(B, X.shape[1]), torch.empty(B, Y.shape[1]))
    shuffled, used = torch.empty(N, dtype=torch.int64), N
    rate = recipe.schedule()
    looks = set(np.linspace(recipe.steps, 0, recipe.checkpoints, endpoint=False).astype(int).tolist())
    seen: list[dict[str, float]] = []
    for step in range(recipe.steps):
        if used + B > N:  # a remainder smaller than a batch waits for another shuffle
            torch.randperm(N, generator=generator, out=shuffled)
            used = 0
        batch.fill(X, Y, shuffled[used : used + B])
        used += B
        penalised_slope(parameters, slopes, batch.X, batch.Y, problem, N, recipe)
        adam.param_groups[0]["lr"] = rate(step)
        adam.step()
        if step + 1 in looks:
            seen.append({"step": step + 1, **_look(parameters, X, images, problem)})
        if progress is not None and ((step + 1) % _REPORT_EVERY == 0 or step + 1 == recipe.steps):
            progress(step + 1, recipe.steps)
    return {name: np.array([row[name] for row in seen]) for name in seen[0]}


def _look(parameters: Parameters, X: Tensor, images: ImageSet, problem: Problem) -> dict[str, float]:
    H, layers, b = state(parameters, X)
    found = {"value": float(objective(problem, layers, H, b if problem.has_bias else None))}
    if isinstance(problem.targets, ClassTargets):
        found["nc1"] = nc1(split_classes(H, images.labels))
    return found


def _check(images: ImageSet, problem: Problem, recipe: Recipe) -> None:
    if problem.loss not in ("mse", "cross_entropy"):
        raise ProblemError("loss", problem.loss, "networks are trained with 'mse' or 'cross_entropy'.")
    if problem.loss == "cross_entropy" and not np.allclose(problem.targets.columns.sum(axis=0), 1):
        raise ProblemError("targets", problem.targets, "cross-entropy trains networks on targets that sum to 1.")
    if problem.constraint is not None:
        raise ProblemError("constraint", problem.constraint, "networks know no constraint; leave it None.")
    if problem.width is not None and problem.width != recipe.d:
        raise ProblemError("width", problem.width, f"the recipe's features have d = {recipe.d}; make them equal.")
    if problem.is_symbolic:
        raise ProblemError("lam_W, lam_H, lam_b", problem, "give numbers; symbols cannot be trained.")
    targets = problem.targets
    if problem.N != images.N:
        raise ProblemError("targets", targets, f"{images.name} has {images.N} images; give one target for each.")
    if isinstance(targets, ClassTargets) and not np.array_equal(images.labels, targets.labels()):
        sizes = images.counts.tolist()
        raise ProblemError("targets", targets, f"the classes of {images.name} have the sizes {sizes}.")
