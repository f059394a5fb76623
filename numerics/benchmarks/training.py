"""How fast networks train: against a plain PyTorch loop in the same run, and to 1 % of the theory; writes training.md.

Seconds are those of this process's own CPU time, on one thread: what others do on the machine moves them less than
wall-clock, and every pair is taken in turn. Run it as `python numerics/benchmarks/training.py`.
"""

import math
import os
import platform
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from textwrap import fill

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from ufm.measure import measure
from ufm.networks import ImageSet, Recipe, image_problem, load, train
from ufm.optimum import solve
from ufm.problem import Problem
from ufm.record import versions

HERE = Path(__file__).parent
ROUNDS, SHORT, LONG = 5, 20, 80  # turns, and steps whose difference is timed, so that setting up drops out
BATCHES = (64, 125, 250, 500)
HALF = 0.8  # of the steps in half precision, where some are
STEPS = (200, 300, 400, 500, 600, 700, 800)  # schedules tried, fewest first
CLOSE = 0.01


def plain_network(images: ImageSet, recipe: Recipe, m: int, seed: int) -> tuple[nn.Sequential, nn.Linear]:
    """The recipe's backbone and classifier as PyTorch's own modules, initialised as the recipe says."""
    torch.manual_seed(seed)
    widths = (images.pixels, *recipe.hidden)
    layers: list[nn.Module] = []
    for into, out in pairwise(widths):
        layers += [nn.Linear(into, out), nn.ReLU()]
    backbone, head = nn.Sequential(*layers, nn.Linear(widths[-1], recipe.d)), nn.Linear(recipe.d, m)
    with torch.no_grad():
        for layer in backbone:
            if isinstance(layer, nn.Linear):
                layer.weight.normal_(0, math.sqrt(2 / layer.in_features))
                layer.bias.zero_()
        last = backbone[-1]
        if isinstance(last, nn.Linear):
            last.weight.mul_(recipe.scale)
        head.weight.normal_(0, 1 / math.sqrt(recipe.d))
        head.bias.zero_()
    return backbone, head


def plain_loop(
    images: ImageSet, problem: Problem, recipe: Recipe, *, loader: bool = True, fused: bool = False
) -> tuple[np.ndarray, float]:
    """Train as one would by hand, with autograd; the singular values of W H, and the CPU seconds of the steps.

    loader: batches from a DataLoader over the images, one by one collated; without, slices of one shuffled tensor.
    """
    X = torch.from_numpy(images.X)
    Y = torch.from_numpy(np.ascontiguousarray(problem.targets.matrix().T, dtype=np.float32))
    backbone, head = plain_network(images, recipe, problem.m, seed=0)
    parameters = [*backbone.parameters(), *head.parameters()]
    adam = torch.optim.Adam(parameters, lr=recipe.lr, betas=recipe.betas, eps=recipe.eps, fused=fused)
    batches = DataLoader(TensorDataset(X, Y), batch_size=recipe.batch, shuffle=True, drop_last=True)
    rate, done = recipe.schedule(), 0
    lam_W, lam_H, lam_b = float(problem.lam_W[0]), float(problem.lam_H), float(problem.lam_b)
    begin = time.process_time()
    while done < recipe.steps:
        epoch = batches if loader else _slices(X, Y, recipe.batch)
        for x, y in epoch:
            adam.param_groups[0]["lr"] = rate(done)
            h = backbone(x)
            loss = ((head(h) - y) ** 2).sum() / (2 * len(x)) + lam_H * images.N / len(x) / 2 * (h**2).sum()
            loss = loss + lam_W / 2 * (head.weight**2).sum() + lam_b / 2 * (head.bias**2).sum()
            adam.zero_grad()
            loss.backward()
            adam.step()
            done += 1
            if done == recipe.steps:
                break
    seconds = time.process_time() - begin
    with torch.no_grad():
        H, W = backbone(X).double().numpy().T, head.weight.double().numpy()
    return measure(H, images.labels, W)["singular_values"].values, seconds


def ours(images: ImageSet, problem: Problem, recipe: Recipe) -> tuple[np.ndarray, float]:
    """The same network and schedule by `ufm.networks.train`."""
    trained = train(images, problem, recipe, seed=0)
    return measure(trained.H, trained.labels, trained.W)["singular_values"].values, trained.cpu_seconds


def products(images: ImageSet, recipe: Recipe, m: int) -> tuple[np.ndarray, float]:
    """The matrix products of the steps and nothing else: what no loop in single precision can do without."""
    widths = (images.pixels, *recipe.hidden, recipe.d, m)
    layers = [torch.zeros(out, into) for into, out in pairwise(widths)]
    X = torch.from_numpy(images.X[: recipe.batch])
    begin = time.process_time()
    for _ in range(recipe.steps):
        seen = [X]
        for A in layers:
            seen.append(seen[-1] @ A.T)
        G = seen[-1]
        for l in range(len(layers) - 1, -1, -1):
            torch.mm(G.T, seen[l])
            G = G @ layers[l] if l else G
    return np.zeros(0), time.process_time() - begin


def _slices(X: Tensor, Y: Tensor, size: int) -> list[tuple[Tensor, Tensor]]:
    order = torch.randperm(len(X))
    X, Y = X[order], Y[order]
    return [(X[i : i + size], Y[i : i + size]) for i in range(0, len(X) - size + 1, size)]


def compiled_step(images: ImageSet, problem: Problem, recipe: Recipe) -> tuple[float, float] | str:
    """CPU seconds a step with compiled forward and backward pass and fused Adam, and of compiling; or why not."""
    X = torch.from_numpy(images.X[: recipe.batch])
    Y = torch.from_numpy(np.ascontiguousarray(problem.targets.matrix().T[: recipe.batch], dtype=np.float32))
    backbone, head = plain_network(images, recipe, problem.m, seed=0)
    adam = torch.optim.Adam([*backbone.parameters(), *head.parameters()], lr=recipe.lr, fused=True)
    lam_W, lam_H = float(problem.lam_W[0]), float(problem.lam_H) * images.N / recipe.batch

    def loss(x: Tensor, y: Tensor) -> Tensor:
        h = backbone(x)
        penalty = lam_H / 2 * (h**2).sum() + lam_W / 2 * (head.weight**2).sum()
        return ((head(h) - y) ** 2).sum() / (2 * len(x)) + penalty

    os.environ["TORCHINDUCTOR_FORCE_DISABLE_CACHES"] = "1"  # what an earlier run compiled is no measure
    begin = time.process_time() + _children()
    try:
        quick = torch.compile(loss)
        quick(X, Y).backward()
    except Exception as error:  # whatever a missing compiler raises is the answer
        return f"{type(error).__name__}"
    ready = time.process_time() + _children() - begin
    times = []
    for _ in range(ROUNDS):
        begin = time.process_time()
        for _ in range(LONG - SHORT):
            adam.zero_grad()
            quick(X, Y).backward()
            adam.step()
        times.append((time.process_time() - begin) / (LONG - SHORT))
    return float(np.median(times)), ready


def _children() -> float:
    """CPU seconds of finished children: the compiler runs as one."""
    spent = os.times()
    return spent.children_user + spent.children_system


def per_step(run: Callable[[Recipe], tuple[np.ndarray, float]], recipe: Recipe) -> float:
    """CPU seconds a step."""
    short, long = (run(replace(recipe, steps=steps, checkpoints=1))[1] for steps in (SHORT, LONG))
    return (long - short) / (LONG - SHORT)


def speed(images: ImageSet, problem: Problem) -> list[str]:
    """Images a second of five loops and of their products alone, in turn; medians, ratios of pairs of one round."""
    recipe = Recipe()
    loops: dict[str, Callable[[Recipe], tuple[np.ndarray, float]]] = {
        "plain PyTorch: DataLoader, autograd, Adam": lambda r: plain_loop(images, problem, r),
        "the same with images on one tensor": lambda r: plain_loop(images, problem, r, loader=False),
        "the same with fused Adam too": lambda r: plain_loop(images, problem, r, loader=False, fused=True),
        "`ufm.networks.train`": lambda r: ours(images, problem, r),
        "`ufm.networks.train` in half precision": lambda r: ours(images, problem, replace(r, half_precision=1.0)),
        "the matrix products alone": lambda r: products(images, r, problem.m),
    }
    seconds = np.array([[per_step(run, recipe) for run in loops.values()] for _ in range(ROUNDS)])
    lines = ["| loop | images a CPU second | against the plain loop, in the same round |", "|---|---|---|"]
    for name, own in zip(loops, seconds.T, strict=True):
        ratio = seconds[:, 0] / own
        shown = f"{np.median(ratio):.2f} ({ratio.min():.2f} to {ratio.max():.2f})"
        lines.append(f"| {name} | {recipe.batch / np.median(own):,.0f} | {shown} |")
    own = list(loops).index("`ufm.networks.train`")
    share = seconds[:, -1] / seconds[:, own]
    floor = (
        f"The last row is the floor in single precision: those products take {np.median(share):.0%} ({share.min():.0%} "
        f"to {share.max():.0%}) of the time of `ufm.networks.train`, and all else in a step the rest. Networks stacked "
        "side by side would have the same products. In half precision (bfloat16) they cost less on processors that "
        f"have instructions for it ({'this one has' if _has_bfloat16() else 'this one has none'})."
    )
    lines += ["", fill(floor, 120)]
    quick = compiled_step(images, problem, recipe)
    if isinstance(quick, str):
        return [*lines, "", f"`torch.compile` could not be measured here ({quick}: it needs a C++ compiler)."]
    (step, ready), whole = quick, recipe.steps * float(np.median(seconds[:, own]))
    said = (
        f"`torch.compile` of forward and backward pass with fused Adam, on one batch that never changes: "
        f"{recipe.batch / step:,.0f} images a CPU second, after {ready:.0f} CPU seconds of compiling; a whole network "
        f"of {recipe.steps} steps takes {whole:.0f} with `ufm.networks.train`."
    )
    return [*lines, "", fill(said, 120)]


def _has_bfloat16() -> bool:
    """Whether the processor has instructions for products in bfloat16; False where it does not say."""
    told = Path("/proc/cpuinfo")
    return told.exists() and any(word in told.read_text() for word in ("avx512_bf16", "amx_bf16", "bf16"))


def to_theory(images: ImageSet, problem: Problem) -> list[str]:
    """The shortest schedule that ends with every singular value within 1 % of the largest, and its CPU seconds."""
    told = solve(problem).singular_values

    def mixed(recipe: Recipe) -> tuple[np.ndarray, float]:
        return ours(images, problem, replace(recipe, half_precision=HALF))

    lines = ["| loop | batch | steps | CPU seconds | worst singular value |", "|---|---|---|---|---|"]
    for batch in BATCHES:
        lines.append(_shortest("`ufm.networks.train`", batch, lambda r: ours(images, problem, r), told))
    for batch in BATCHES[1:3]:
        lines.append(_shortest(f"the same, {HALF:.0%} of the steps in half precision", batch, mixed, told))
    lines.append(_shortest("plain PyTorch", Recipe().batch, lambda r: plain_loop(images, problem, r), told))
    return [*lines, "", *_whole(images, problem, told)]


def _whole(images: ImageSet, problem: Problem, told: np.ndarray) -> list[str]:
    """What half precision does to a whole schedule, in turn."""
    lines = ["| a whole schedule | CPU seconds | worst singular value |", "|---|---|---|"]
    for share in (0.0, HALF, 1.0):
        found, seconds = ours(images, problem, Recipe(half_precision=share, checkpoints=1))
        wrong = float(np.abs(found - told[: found.size]).max() / told[0])
        what = f"{Recipe().steps} steps, {share:.0%} of them in half precision"
        lines.append(f"| {what} | {seconds:.1f} | {wrong:.1e} |")
    return lines


def _shortest(name: str, batch: int, run: Callable[[Recipe], tuple[np.ndarray, float]], told: np.ndarray) -> str:
    """A row of the table."""
    for steps in STEPS:
        found, seconds = run(Recipe(steps=steps, batch=batch, checkpoints=1))
        wrong = float(np.abs(found - told[: found.size]).max() / told[0])
        if wrong <= CLOSE:
            return f"| {name} | {batch} | {steps} | {seconds:.1f} | {wrong:.1e} |"
    return f"| {name} | {batch} | more than {STEPS[-1]} | | |"


def main() -> None:
    """Time, and write training.md beside this file."""
    torch.set_num_threads(1)
    images = load("mnist5k")
    problem = image_problem(images, 0.2, 1.0)
    before = os.getloadavg()[0]
    first, second = speed(images, problem), to_theory(images, problem)
    found = versions()["versions"]
    about = (
        f"{images.N} images of {images.pixels} pixels, an MLP of {Recipe().hidden} and d = {Recipe().d}, batches of "
        f"{Recipe().batch}, one thread, torch {found['torch']}, Python {found['python']}, {platform.machine()}, "
        f"{os.cpu_count()} cores. Load {before:.1f} at the start, {os.getloadavg()[0]:.1f} at the end: the machine was "
        "shared, so CPU seconds are given, not wall-clock, and the ratios are the result. Written by "
        "`numerics/benchmarks/training.py`."
    )
    target = (
        f"Schedules are in steps, {', '.join(map(str, STEPS))}, tried in this order until one ends with every singular "
        f"value of W H within {CLOSE:.0%} of the largest one that theory gives (balanced one-hot codes, t = 0.2, "
        "lam_b = 1; seed 0)."
    )
    text = [
        "# Training speed",
        "",
        fill(about, 120),
        "",
        *first,
        "",
        "## To 1 % of the theory",
        "",
        fill(target, 120),
        "",
    ]
    (HERE / "training.md").write_text("\n".join([*text, *second, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
