"""How a sweep scales over local workers, and what it would cost on a thousand GPUs; writes sweep.md beside itself."""

import tempfile
import time
from pathlib import Path
from textwrap import fill

import numpy as np

from ufm.record import versions
from ufm.sweeping import load_plan, sweep
from ufm.sweeping.plan import SweepPlan
from ufm.sweeping.work import run_batch

HERE = Path(__file__).parent
WORKERS = (1, 2)
GPUS = """A thousand GPUs: no GPU was at hand, so there is no measured figure, only what a plan needs. The flows of a
batch share one device and one stack, and GPUs pay only where the stack is large: thousands of small flows, or matrices
of several hundred columns. Put one Dask worker on each GPU (`backend = "cupy"` in `[flow]`), set `batch` so that a
batch takes about a minute on one GPU (time one with `ufm sweep` on a single device), and give each GPU some ten
batches. The cost is then batches times a minute of GPU time: ten batches on each of a thousand GPUs are 10,000 batches,
167 GPU hours and ten minutes on the clock, plus the slowest batch's tail. The scheduler moves a few kilobytes a flow
and is idle. A batch that is lost with its worker costs that minute."""


def main() -> None:
    """Time the same sweep with one and two workers, and one batch alone."""
    plan = load_plan(HERE.parent / "campaigns" / "flow_phases.toml")
    lines = ["# A sweep over local workers", ""]
    found = versions()["versions"]
    about = (
        f"`flow_phases.toml`: {plan.count} flows to rest, {plan.batches} batches of {plan.batch}. Wall-clock seconds, "
        "one "
        f"thread a worker, starting them included; NumPy {found['numpy']}. Written by `numerics/benchmarks/sweep.py`."
    )
    lines += [fill(about, 120), "", "| workers | seconds | flows per second | speed-up |", "|---|---|---|---|"]
    base = 0.0
    for workers in WORKERS:
        with tempfile.TemporaryDirectory() as folder:
            begin = time.perf_counter()
            record = sweep(plan, folder, workers=workers)
            seconds = time.perf_counter() - begin
        base = base or seconds
        lines.append(f"| {workers} | {seconds:.1f} | {plan.count / seconds:.1f} | {base / seconds:.2f} |")
    lines += ["", f"At rest: {float(record['steady'].values.mean()):.1%} of the flows.", "", *_cost(plan), ""]
    (HERE / "sweep.md").write_text("\n".join(lines), encoding="utf-8")


def _cost(plan: SweepPlan) -> list[str]:
    """CPU seconds of a batch, as measured, and what follows for larger sweeps, as an estimate."""
    times = []
    for batch in (0, plan.batches // 2, plan.batches - 1):
        begin = time.process_time()
        run_batch(plan, batch)
        times.append(time.process_time() - begin)
    each = float(np.mean(times)) / plan.batch
    million = each * 1e6 / 3600
    here = (
        f"One flow of this kind costs {each * 1e3:.0f} ms of one core (mean of three batches). From that, "
        "**estimated**: "
        f"a million of them cost {million:.0f} core hours, {million / 64:.1f} h on a machine of 64 cores."
    )
    return [fill(here, 120), "", fill(GPUS, 120)]


if __name__ == "__main__":
    main()
