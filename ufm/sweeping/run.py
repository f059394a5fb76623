"""`sweep`: run what is missing of a plan, here or on a cluster, and gather it."""

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ufm.errors import MissingExtraError, UfmError
from ufm.record import Record
from ufm.sweeping.plan import SweepPlan, load_plan
from ufm.sweeping.store import Store
from ufm.sweeping.work import THREADS, begin, run_batch

Progress = Callable[[int, int], None]
TRIES = 3  # how often in a row workers may die before anything is finished


def sweep(
    plan: SweepPlan | str | Path,
    out: str | Path = "results",
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    fresh: bool = False,
    progress: Progress | None = None,
) -> Record:
    """The ends of all flows of a sweep, over its axes; also written to `<out>/<name>.nc`.

    plan: a SweepPlan, the path of a TOML file, or the name of one that comes along. Batches are written as they come,
    each complete or not at all: stopped at any moment and called again, the sweep runs what is missing, and its numbers
    are the same to the last bit (on one machine, with one number of threads: each worker has one). workers: processes
    here, by default one a core. scheduler: the address of a Dask cluster, tcp://..., instead. fresh: throw away what an
    earlier call left. progress(flows done, flows in all). Like any use of fresh processes, a script that calls this
    keeps its own work under `if __name__ == "__main__"`. Raises UfmError for another plan's leftovers, a full disk,
    dying workers.
    """
    plan = plan if isinstance(plan, SweepPlan) else load_plan(plan)
    store = Store(plan, Path(out), fresh=fresh)
    tell = progress or (lambda done, total: None)
    missing, lost = store.missing(), 0
    tell(_flows(plan, missing), plan.count)
    while missing:
        with _cluster(scheduler) if scheduler else _processes(workers, len(missing)) as pool:
            _run(plan, store, pool, missing, tell)
        before, missing = missing, store.missing()
        lost = lost + 1 if len(missing) == len(before) else 0
        if lost == TRIES:
            raise UfmError(
                f"workers died {TRIES} times without finishing any of the batches {missing[:5]}: out of memory, or "
                "killed. What is done is kept: use fewer workers; or make [flow] batch smaller, with --fresh."
            )
    return store.gather()


def _flows(plan: SweepPlan, missing: list[int]) -> int:
    """Flows that are done."""
    return plan.count - sum(len(plan.members(batch)) for batch in missing)


def _run(plan: SweepPlan, store: Store, pool: Executor, missing: list[int], tell: Progress) -> None:
    """Run batches until none is missing, or until a worker's death has broken the pool."""
    waiting: dict[Future[Any], int] = {pool.submit(run_batch, plan, batch): batch for batch in missing}
    left = set(missing)
    try:
        while waiting:
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in sorted(done, key=lambda future: future.exception() is not None):  # what is done, first of all
                batch = waiting.pop(future)
                error = future.exception()
                if isinstance(error, BrokenProcessPool) or type(error).__name__ == "KilledWorker":
                    return
                store.put(batch, future.result())
                left.remove(batch)
            tell(_flows(plan, sorted(left)), plan.count)
    finally:
        for future in waiting if not isinstance(pool, ProcessPoolExecutor) else ():  # that one cancels its own
            future.cancel()


@contextmanager
def _processes(workers: int | None, batches: int) -> Iterator[Executor]:
    """Fresh processes here, one thread each, that die with this one."""
    if workers is not None and workers < 1:
        raise UfmError(f"workers = {workers}: give at least 1.")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with _one_thread_each():
        context = multiprocessing.get_context("spawn")
        others = set(multiprocessing.active_children())
        pool = ProcessPoolExecutor(min(workers or cores, batches), mp_context=context, initializer=begin)
        try:
            yield pool
        except BaseException:  # Ctrl-C above all: nobody waits for batches in flight, they are done again
            for worker in set(multiprocessing.active_children()) - others:
                worker.kill()
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


@contextmanager
def _cluster(scheduler: str, timeout: str = "10s") -> Iterator[Executor]:
    """A Dask cluster as an executor."""
    try:
        from distributed import Client
    except ModuleNotFoundError:
        raise MissingExtraError("distributed", "cluster", "a sweep over a cluster") from None
    try:
        client = Client(scheduler, timeout=timeout)
    except OSError as error:
        raise UfmError(f"--scheduler {scheduler}: no Dask scheduler answers there ({error}).") from None
    with client:
        yield client.get_executor(pure=False)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Workers inherit one thread for linear algebra: their numbers then do not depend on how many cores there are."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
