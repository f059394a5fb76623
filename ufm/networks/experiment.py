"""Experiments: networks trained over a grid of weights and seeds, side by side in processes, as one record."""

import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from ufm import encodings
from ufm.errors import ProblemError, UfmError
from ufm.measure import measure
from ufm.metrics.split import split_classes
from ufm.metrics.weight_balance import direction_balance, effective_lam_H
from ufm.networks.data import ImageSet
from ufm.networks.recipe import Recipe
from ufm.networks.training import Progress, Trained, train
from ufm.networks.workers import workers
from ufm.problem import ClassTargets, Problem, SampleTargets, classes
from ufm.record import Record, stack

_POLL = 0.2  # seconds between looks at the ledger
_LARGEST = 4096  # numbers of an array that a record of networks keeps


@dataclass(frozen=True, eq=False)
class _Run:
    """One network to train; workers write the steps done into `ledger`, a file of one integer per run, at `index`."""

    index: int
    images: ImageSet
    problem: Problem
    recipe: Recipe
    seed: int
    ledger: Path


def image_problem(images: ImageSet, t_rel: float, lam_b: float, codes: Any = None) -> Problem:
    """The problem of these images with lam_W = t_rel/K and lam_H = t_rel/N: features and classifier of norm about 1.

    Balanced one-hot codes then have the relative regularisation t_rel = K sqrt(n lam_W lam_H) for every K and n, so one
    learning rate serves all. codes: m x K, one-hot by default.
    """
    if not 0 < t_rel < 1:
        raise ProblemError("t_rel", t_rel, "give a number between 0 and 1; from 1 on the optimum is zero.")
    targets = classes(encodings.available()["one_hot"](images.K) if codes is None else codes, images.counts.tolist())
    return Problem(targets=targets, lam_W=t_rel / images.K, lam_H=t_rel / images.N, lam_b=lam_b)


def run_grid(
    images: ImageSet,
    problems: Mapping[float, Problem],
    seeds: Sequence[int],
    recipe: Recipe | Mapping[float, Recipe] | None = None,
    *,
    along: str = "lam_b",
    processes: int | None = None,
    progress: Progress | None = None,
) -> Record:
    """Train one network for every problem and every seed; a record with the dimensions (`along`, seed, ...).

    problems: {value of what is swept: problem}, in order; along: the name of what is swept. recipe: one for all, or one
    for each value; where their steps differ no history is kept. Workers are fresh processes with one torch thread each,
    so the numbers do not depend on how many there are; `processes` None means one per available core. Like any use of
    fresh processes, a script that calls this keeps its own work under `if __name__ == "__main__"`. progress(steps done,
    steps in all) is called while they work.
    """
    recipes = recipe if isinstance(recipe, Mapping) else dict.fromkeys(problems, recipe or Recipe())
    if recipes.keys() != problems.keys():
        raise UfmError(f"recipes are given for {along} = {list(recipes)}, problems for {list(problems)}.")
    if not problems or not len(seeds) or len(set(seeds)) < len(seeds):
        raise UfmError(f"{along} = {list(problems)}, seeds = {list(seeds)}: give at least one of each, no seed twice.")
    grid = [(problems[value], recipes[value], seed) for value, seed in product(problems, seeds)]
    with tempfile.TemporaryDirectory() as folder:
        ledger = Path(folder) / "steps"
        np.zeros(len(grid), np.int64).tofile(ledger)
        runs = [_Run(i, images, *one, ledger) for i, one in enumerate(grid)]
        with workers(len(runs), processes) as pool:
            futures = [pool.submit(_work, run) for run in runs]
            _follow(futures, ledger, progress, sum(run.recipe.steps for run in runs))
            records = [future.result() for future in futures]
    if len({r.steps for r in recipes.values()}) > 1:
        records = [_without_history(record) for record in records]
    rows = [records[i : i + len(seeds)] for i in range(0, len(records), len(seeds))]
    return stack([stack(row, seed=list(seeds)) for row in rows], **{along: [float(v) for v in problems]})


def measured(trained: Trained, images: ImageSet) -> Record:
    """The record of one trained network: every metric, the objective's value, and the history of both.

    `history_value` and `history_nc1` have the dimension `step`. The provenance names images and recipe. The seconds of
    training, `cpu_seconds`, are the one number that another run does not repeat. Of a decayed backbone it tells more:
    see `_of_the_backbone`.
    """
    problem = trained.problem
    told = problem.targets if isinstance(problem.targets, SampleTargets) else trained.labels
    shallow = problem if problem.p == 2 else None  # a product of layers is not the state of a deep problem
    found = measure(trained.H, told, trained.W, trained.b, problem=shallow)
    record = replace(without_samples(found), problem=problem)
    values = record.values.assign(value=trained.value, cpu_seconds=trained.cpu_seconds, **_of_the_backbone(trained))
    values = values.assign_coords(step=trained.history["step"])
    values = values.assign({f"history_{k}": ("step", v) for k, v in trained.history.items() if k != "step"})
    provenance = {
        **record.provenance,
        "images": images.name,
        "source": images.source,
        "recipe": trained.recipe.to_dict(),
    }
    return replace(record, values=values, seed=trained.seed, provenance=provenance)


def _of_the_backbone(trained: Trained) -> dict[str, Any]:
    """With decay on every layer: how the weights balance, and the metric that it puts on the class means of H.

    squared_norms (layer): of the backbone's layers. lam_H_effective, and lam_H_by_direction with mean_share
    (balance_direction): `ufm.metrics.weight_balance`. feature_metric (class x other_class): M = P'P + (weight_decay/
    offset_decay) 11' for the class means P of the last hidden layer, because features A p + o with the means Hbar cost
    at least weight_decay/2 tr(Hbar M^-1 Hbar'). below_nc1: the share of that layer's square norm within classes.
    """
    recipe, problem = trained.recipe, trained.problem
    if not recipe.weight_decay or problem.p > 2 or not isinstance(problem.targets, ClassTargets):
        return {}
    lam_W = float(problem.lam_W[0])
    balance = direction_balance(trained.W, trained.H, lam_W)
    found: dict[str, Any] = {
        "squared_norms": ("layer", list(trained.squared_norms)),
        "lam_H_effective": effective_lam_H(trained.W, trained.H, lam_W),
        "lam_H_by_direction": ("balance_direction", balance.lam_H),
        "mean_share": ("balance_direction", balance.mean_share),
    }
    if recipe.offset_decay and recipe.features == "linear" and not recipe.batch_norm.startswith("features"):
        split = split_classes(trained.below, trained.labels)
        means = split.class_means
        total = float(np.sum(trained.below**2))
        metric = means.T @ means + recipe.weight_decay / recipe.offset_decay
        found["feature_metric"] = (("class", "other_class"), metric)
        found["below_nc1"] = 1 - float(np.sum(split.counts * np.sum(means**2, axis=0))) / total
    return found


def without_samples(record: Record) -> Record:
    """The record without arrays over samples or pairs of features."""
    found = record.values
    return replace(record, values=found.drop_vars([name for name, v in found.data_vars.items() if v.size > _LARGEST]))


def _without_history(record: Record) -> Record:
    return replace(record, values=record.values.drop_dims("step"))


def _work(run: _Run) -> Record:
    import torch

    torch.set_num_threads(1)
    steps = np.memmap(run.ledger, np.int64, mode="r+")

    def report(done: int, _: int) -> None:
        steps[run.index] = done

    return measured(train(run.images, run.problem, run.recipe, run.seed, report), run.images)


def _follow(futures: "list[Future[Record]]", ledger: Path, progress: Progress | None, total: int) -> None:
    """Wait for all runs, passing on the steps they have done; the first failure ends the wait."""
    waiting = True
    while waiting:
        finished, pending = wait(futures, timeout=_POLL, return_when=FIRST_EXCEPTION)
        waiting = bool(pending) and not any(future.exception() for future in finished)
        if progress is not None:
            progress(int(np.fromfile(ledger, np.int64).sum()), total)
