"""Train a network on images with the weights of a problem: its loss, its penalties, steps that repeat.

    1/N sum_i loss(W_{p-1}..W_1 h_i + b, y_i) + sum_l lam_W[l]/2 ||W_l||^2 + lam_H/2 ||H||^2 + lam_b/2 ||b||^2

over the network's parameters, H = h(X). The backbone has a penalty of its own only where the recipe says `weight_decay`
or `offset_decay`.
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
from ufm.networks.descent import Objective, descend
from ufm.networks.perceptron import Perceptrons, forward
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
    looks = set(np.linspace(recipe.steps, 0, recipe.checkpoints, endpoint=False).astype(int).tolist())
    seen: list[dict[str, float]] = []
    with torch.no_grad():
        networks = Perceptrons.random(recipe.architecture(images.pixels, problem.m, problem.p - 1), [generator])
        for step in descend(
            networks,
            X,
            Y,
            objective_of(problem, recipe),
            recipe.moving(),
            steps=recipe.steps,
            batch=recipe.batch,
            rate=recipe.schedule(),
            generators=[generator],
            half=round(recipe.half_precision * recipe.steps),
        ):
            if step in looks:
                seen.append({"step": step, **_look(networks, X, images, problem)})
            if progress is not None and (step % _REPORT_EVERY == 0 or step == recipe.steps):
                progress(step, recipe.steps)
        H, below, layers, b = state(networks, X)
    history = {name: np.array([row[name] for row in seen]) for name in seen[0]}
    return Trained(
        H=H,
        labels=images.labels,
        W=reduce(np.matmul, layers),
        layers=layers,
        b=b,
        below=below,
        squared_norms=tuple(float(A.double().square().sum()) for A in networks.layers),
        value=float(history["value"][-1]),
        history=history,
        problem=problem,
        recipe=recipe,
        seed=seed,
        seconds=time.perf_counter() - begin,
        cpu_seconds=time.process_time() - begin_cpu,
        versions=versions()["versions"],
    )


def state(networks: Perceptrons, X: Tensor) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, ...], np.ndarray]:
    """(H, the layer below it, layers, b) of one network over samples X (N x pixels), in double precision.

    H: d x N; the layer below: width x N; layers: last first. A batch norm's statistics are those of all of X.
    """
    exact = networks.to(torch.float64)
    below, H = forward(exact, X.double()).layers[-2:]
    return H[0].numpy().T, below[0].numpy().T, tuple(W[0].numpy() for W in exact.heads), exact.b[0, 0].numpy()


def objective_of(problem: Problem, recipe: Recipe) -> Objective:
    """The problem's own, with the decay of the backbone that the recipe says."""
    return Objective(
        "mse" if problem.loss == "mse" else "cross_entropy",
        problem.N,
        lam_W=tuple(map(float, problem.lam_W)),
        lam_H=float(problem.lam_H),
        lam_b=float(problem.lam_b),
        layer_decay=recipe.weight_decay,
        shift_decay=recipe.offset_decay,
    )


def _look(networks: Perceptrons, X: Tensor, images: ImageSet, problem: Problem) -> dict[str, float]:
    H, _, layers, b = state(networks, X)
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
