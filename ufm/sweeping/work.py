"""One batch of a sweep, as a worker runs it: flows side by side in, plain arrays out."""

import os
import signal
import threading
from multiprocessing import parent_process
from typing import Any

import numpy as np

from ufm.sweeping.plan import SweepPlan

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def run_batch(plan: SweepPlan, batch: int) -> dict[str, np.ndarray]:
    """The ends of one batch's flows: observables along a first axis of flows, with "dims|name" beside each."""
    from ufm.flow import Options, simulate_many

    options = dict(plan.flow)
    t1 = options.pop("t1", None)
    points = [plan.at(plan.point(place)) for place in plan.members(batch)]
    problems, starts = [problem for problem, _ in points], [seed for _, seed in points]
    flows = simulate_many(_shared(problems), starts, t1, options=Options(**options))
    records = [flow.record() for flow in flows]
    own = {"steady": [flow.status.steady for flow in flows], "steps": [flow.steps for flow in flows]}
    own |= {"evaluations": [flow.evaluations for flow in flows], "status": [flow.status.name for flow in flows]}
    found: dict[str, Any] = {name: np.asarray(values) for name, values in own.items()}
    dims = dict.fromkeys(own, "")
    for name in map(str, records[0].values.data_vars):
        arrays = [record[name] for record in records if name in record]
        if len(arrays) == len(records) and (plan.same_shapes or not arrays[0].dims):
            found[name] = np.stack([array.values for array in arrays])
            dims[name] = ",".join(map(str, arrays[0].dims))
    return found | {f"dims|{name}": np.asarray(value) for name, value in dims.items()}


def _shared(problems: list[Any]) -> list[Any]:
    """The same problems, those with equal targets holding one and the same object: they stack."""
    known: dict[str, Any] = {}
    return [p.replace(targets=known.setdefault(repr(p.to_dict()["targets"]), p.targets)) for p in problems]


def begin() -> None:
    """What a worker process does first: it dies with its parent, however that dies, and leaves Ctrl-C to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is not None:

        def follow() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=follow, daemon=True).start()
