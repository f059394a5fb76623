"""Experiments: networks trained over a grid of weights and seeds, side by side in processes, as one record."""

import multiprocessing
import os
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from ufm import encodings
from ufm.errors import ProblemError, UfmError
from ufm.measure import measure
from ufm.networks.data import ImageSet
from ufm.networks.recipe import Recipe
from ufm.networks.training import Progress, Trained, train
from ufm.problem import Problem, SampleTargets, classes
from ufm.record import Record, stack

_POLL = 0.2  # seconds between looks at the ledger
LARGEST = 4096  # numbers of an array that a record of networks keeps: what is over samples is left out


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
    recipe: Recipe | None = None,
    *,
    along: str = "lam_b",
    processes: int | None = None,
    progress: Progress | None = None,
) -> Record:
    """Train one network for every problem and every seed; a record with the dimensions (`along`, seed, ...).

    problems: {value of what is swept: problem}, in order; along: the name of what is swept. Workers are fresh processes
    with one torch thread each, so the numbers do not depend on how many there are; `processes` None means one per
    available core. Like any use of fresh processes, a script that calls this keeps its own work under
    `if __name__ == "__main__"`. progress(steps done, steps in all) is called while they work.
    """
    recipe = recipe or Recipe()
    if not problems or not len(seeds) or len(set(seeds)) < len(seeds):
        raise UfmError(f"{along} = {list(problems)}, seeds = {list(seeds)}: give at least one of each, no seed twice.")
    grid = list(product(problems.values(), seeds))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as folder:
        ledger = Path(folder) / "steps"
        np.zeros(len(grid), np.int64).tofile(ledger)
        runs = [_Run(i, images, problem, recipe, seed, ledger) for i, (problem, seed) in enumerate(grid)]
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(min(processes or cores, len(runs)), mp_context=context) as pool:
            futures = [pool.submit(_work, run) for run in runs]
            try:
                _follow(futures, ledger, progress, recipe.steps * len(runs))
                records = [future.result() for future in futures]
            except BrokenProcessPool:
                raise UfmError(
                    "a training process died before it was done: out of memory, killed, or started by a script that "
                    'does not keep its own work under `if __name__ == "__main__"`.'
                ) from None
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    rows = [records[i : i + len(seeds)] for i in range(0, len(records), len(seeds))]
    return stack([stack(row, seed=list(seeds)) for row in rows], **{along: [float(v) for v in problems]})


def measured(trained: Trained, images: ImageSet) -> Record:
    """The record of one trained network: every metric, the objective's value, and the history of both.

    `history_value` and `history_nc1` have the dimension `step`. The provenance names images and recipe.
    """
    problem = trained.problem
    told = problem.targets if isinstance(problem.targets, SampleTargets) else trained.labels
    shallow = {"problem": problem} if problem.p == 2 else {}  # a product of layers is not the state of a deep problem
    record = replace(measure(trained.H, told, trained.W, trained.b, **shallow), problem=problem)
    values = record.values.drop_vars([name for name, v in record.values.data_vars.items() if v.size > LARGEST])
    values = values.assign(value=trained.value)
    values = values.assign_coords(step=trained.history["step"])
    values = values.assign({f"history_{k}": ("step", v) for k, v in trained.history.items() if k != "step"})
    provenance = {
        **record.provenance,
        "images": images.name,
        "source": images.source,
        "recipe": trained.recipe.to_dict(),
    }
    return replace(record, values=values, seed=trained.seed, provenance=provenance)


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
