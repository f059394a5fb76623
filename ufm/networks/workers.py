"""Fresh processes that train networks side by side."""

import importlib.util
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

from ufm.errors import MissingExtraError, UfmError


@contextmanager
def workers(tasks: int, processes: int | None = None) -> Iterator[ProcessPoolExecutor]:
    """As many processes as given, or one per available core, but no more than there are tasks.

    Where the block fails, what still waits is dropped. MissingExtraError where PyTorch is missing, UfmError where a
    process dies.
    """
    if importlib.util.find_spec("torch") is None:
        raise MissingExtraError("torch", "train", "training networks")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(processes or cores, tasks), mp_context=context) as pool:
        try:
            yield pool
        except BrokenProcessPool:
            raise UfmError(
                "a training process died before it was done: out of memory, killed, or started by a script that "
                'does not keep its own work under `if __name__ == "__main__"`.'
            ) from None
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
