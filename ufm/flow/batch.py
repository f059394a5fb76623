"""The driver of a stack of flows: every flow its own steps, its own accepts and rejects, its own end.

All flows try a step at once; what a flow does depends on nothing but itself, so that a batch cut in pieces or put in
another order gives the same numbers. Decisions are arrays on the flows' device: one small array comes to the host every
LOOK_EVERY steps, and flows at their end are dropped from the stack.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ufm.arrays import Array, to_numpy
from ufm.flow import stack
from ufm.flow.control import Control
from ufm.flow.dense import Node, between
from ufm.flow.driver import LONG, LOOK_EVERY, Progress, Run
from ufm.flow.field import Field
from ufm.flow.history import History
from ufm.flow.integrators import Chebyshev, Tableau
from ufm.flow.saver import Saver
from ufm.flow.stabilised import StackedChebyshev
from ufm.flow.state import device_array
from ufm.flow.status import Status
from ufm.flow.steady import Rest
from ufm.flow.step import TableauStepper, stepper, tableau_stepper

UNDERWAY, ARRIVED = 0, -1  # codes of a flow; those of a status follow from 1 on
CODES = {status: i for i, status in enumerate(Status, start=1)}
STATUSES = {i: status for status, i in CODES.items()}
ROWS = (
    *("y", "slope", "error", "mode", "t", "h", "first_h", "size", "fastest", "next_algebraic"),
    *("stop", "least", "scale", "atol", "code", "steps", "rejected", "evaluations"),
)  # what has an entry a flow
DROP = 8  # one in so many flows at its end is reason to drop those that are


@dataclass(frozen=True, eq=False)
class Task:
    """One flow of a stack: its field, flat start, end (None: at rest), control, stopping rule, and what to save."""

    field: Field
    y: Array
    t1: float | None
    control: Control
    rest: Rest
    saver: Saver


@np.errstate(over="ignore", invalid="ignore", divide="ignore")  # see `ufm.flow.driver.integrate`
def integrate_stack(
    tasks: Sequence[Task],
    method: Tableau | Chebyshev,
    *,
    max_steps: int,
    progress: Callable[[Progress], None] | None = None,
) -> list[Run]:
    """All tasks from t = 0 to their ends; they agree in `stack.shape_of` and in rtol."""
    rows = _Rows(tasks, method, max_steps)
    rows.begin()
    while rows.judged():
        rows.drop()
        if progress is not None:
            progress(rows.report())
        rows.settle_stages()
        for _ in range(LOOK_EVERY):
            rows.step()
        rows.measure_fastest(iterations=2)
    return rows.finished()


class _Rows:
    """What changes from step to step, one row (or entry) a flow still in the stack."""

    def __init__(self, tasks: Sequence[Task], method: Tableau | Chebyshev, max_steps: int) -> None:
        self.tasks, self.method, self.max_steps, self.control = tasks, method, max_steps, tasks[0].control
        self.saves = any(task.saver.times or task.saver.capacity for task in tasks)
        self.runs: list[Run | None] = [None] * len(tasks)
        self.index = np.arange(len(tasks))  # which task a row is
        self.inside = np.zeros(len(tasks), dtype=int)  # evaluations of a task between its steps, to save states
        self.field, self.y = self._field(), tasks[0].field.xp.stack([task.y for task in tasks])
        self.stepper = self._stepper()
        self.nodes: list[tuple[Array, Array, Array]] = []  # the last three points, where states are saved

    def _field(self) -> Field:
        return stack.stacked([self.tasks[i].field for i in self.index.tolist()])

    def _stepper(self) -> TableauStepper | StackedChebyshev:
        if isinstance(self.method, Chebyshev):
            return StackedChebyshev(self.field, self.method)
        return tableau_stepper(self.field, self.method, self.y)

    def settle_stages(self) -> None:
        """Tell a stabilised method how many stages the next steps may take."""
        if isinstance(self.stepper, StackedChebyshev):
            h, fastest = map(to_numpy, (self.control.capped(self.h, self.fastest), self.fastest))
            self.stepper.settle(h, fastest, self.y)

    def _numbers(self, values: Sequence[float]) -> Array:
        return device_array(self.field.xp, np.asarray(values, dtype=float), self.y)

    def begin(self) -> None:
        """Slopes, first step lengths and fastest rates at t = 0."""
        xp, field, y, rests = self.field.xp, self.field, self.y, [task.rest for task in self.tasks]
        self.gtol, self.eps = rests[0].gtol, rests[0].eps
        self.least, self.scale = (self._numbers([getattr(r, k) for r in rests]) for k in ("least_weight", "scale"))
        self.atol = self._numbers([task.control.atol for task in self.tasks])
        self.stop = self._numbers([math.inf if task.t1 is None else task.t1 for task in self.tasks])
        self.t, zero = 0 * self.scale, xp.zeros(y.shape[0], dtype=xp.int64, device=getattr(y, "device", None))
        self.slope, self.norms = field(y, self.t), stack.norms(field, y, self.t)
        self.error, self.size = self.slope, self.t + 1.0
        gradient = stack.gradient_norm(field, y, self.slope, self.t)
        self.history = History(xp, self.t, gradient)
        self.code = xp.where(xp.isfinite(gradient), zero, zero + CODES[Status.DIVERGED])
        self.steps, self.rejected, self.evaluations = zero, zero, zero + 1
        self.fastest, self.mode = self.t, 0 * y
        self.measure_fastest(iterations=4)
        state = xp.maximum(xp.hypot(*self.norms), self.scale)
        first = xp.where(xp.isfinite(self.stop), self.stop, 1.0 + self.t)
        self.h = xp.where(gradient > 0, 0.01 * state / gradient, first)
        self.first_h = self.h
        tenth = xp.where(self.fastest > 0, self.fastest / 10, 1.0 + self.t)
        self.next_algebraic = LONG / xp.where(self.least > 0, self.least, tenth)
        if self.saves:
            self.nodes = [(self.t, y, self.slope)] * 3
            for task in self.tasks:
                task.saver.take(0.0, task.y)

    def step(self) -> None:
        """Try one step of every flow."""
        xp, field, control = self.field.xp, self.field, self.control
        full = (self.code == UNDERWAY) & (self.steps >= self.max_steps)
        self.code = xp.where(full, CODES[Status.MAX_STEPS], self.code)
        active = self.code == UNDERWAY
        h = control.capped(self.h, self.fastest)
        h = xp.minimum(h, self.stepper.longest) if isinstance(self.stepper, StackedChebyshev) else h
        hits = self.t + h >= self.stop * (1 - 4 * self.eps)
        trial = xp.where(self.t + 2 * h < self.stop, h, (self.stop - self.t) / 2)
        trial = xp.where(hits, self.stop - self.t, trial)
        y, error, slope, cost = self.stepper(self.t, self.y, self.slope, trial, self.fastest)
        t = xp.where(hits, self.stop, self.t + trial)
        norms = stack.norms(field, y, t)
        size = control.size_of(stack.error_norms(field, error), self.norms, norms, self.atol)
        moved, refused = active & (size <= 1), active & ~(size <= 1)
        if slope is None:
            slope, self.evaluations = field(y, t), self.evaluations + xp.astype(moved, xp.int64)
        self.evaluations = self.evaluations + cost * xp.astype(active, xp.int64)
        grown = control.grown_of(trial, size, self.size)
        grown = xp.where(trial < h, xp.maximum(grown, h), grown)
        self.h = xp.where(moved, grown, xp.where(refused, control.shrunk_of(trial, size), self.h))
        self.t, self.size = xp.where(moved, t, self.t), xp.where(moved, size, self.size)
        self.y, self.slope, self.error = (
            xp.where(moved[:, None], new, old) for new, old in ((y, self.y), (slope, self.slope), (error, self.error))
        )
        self.norms = tuple(xp.where(moved, new, old) for new, old in zip(norms, self.norms, strict=True))
        self.steps = self.steps + xp.astype(moved, xp.int64)
        self.rejected = self.rejected + xp.astype(refused, xp.int64)
        gradient = stack.gradient_norm(field, self.y, self.slope, self.t)
        self.history.add(self.t, xp.where(moved, gradient, self.history.gradient[-1]))
        too_short = refused & (self.h <= 4 * self.eps * xp.maximum(self.t, 1e-6 * self.first_h))
        self.code = xp.where(too_short, CODES[Status.DIVERGED], self.code)
        self.code = xp.where(moved & (self.t >= self.stop), ARRIVED, self.code)
        if self.saves:
            self._save(moved)

    def judged(self) -> bool:
        """See which flows are at rest or never will be, and whether any goes on."""
        xp = self.field.xp
        open_end = (self.code == UNDERWAY) & ~xp.isfinite(self.stop)
        if self.saves:
            pending = [self.tasks[i].saver.pending for i in self.index.tolist()]
            open_end = open_end & (self._numbers([float(p) for p in pending]) == 0)
        late = open_end & (self.t >= self.next_algebraic)
        state = xp.maximum(xp.hypot(*self.norms), self.scale)
        gradient, floor = self.history.gradient[-1], 16 * self.eps * self._largest_terms(state)
        above = (gradient > floor) & (self.least > 0) & (gradient > self.gtol * self.least * state)
        judged = late | (open_end & ~above) | (self.code == ARRIVED)
        # The one look at the device: how many flows are under way, and how many to be judged.
        counts = to_numpy(xp.stack([xp.sum(xp.astype(x, xp.int64)) for x in (self.code == UNDERWAY, judged)]))
        going = int(counts[0])
        if counts[1]:
            self._judge(late, open_end, state, floor)
            going = int(xp.sum(xp.astype(self.code == UNDERWAY, xp.int64)))
        self.going = going
        return going > 0

    def _judge(self, late: Array, open_end: Array, state: Array, floor: Array) -> None:
        """`ufm.flow.driver`'s `look` and `rested`, and `ufm.flow.steady.at_rest`, of every flow."""
        xp, gradient, arrived = self.field.xp, self.history.gradient[-1], self.code == ARRIVED
        if bool(xp.any(late)):
            algebraic = late & self.history.looks_algebraic()
            self.next_algebraic = xp.where(late, 2 * self.t, self.next_algebraic)
            self.code = xp.where(algebraic, CODES[Status.ALGEBRAIC], self.code)
            open_end = open_end & ~algebraic
        known = self.history.rate()
        believed = xp.where(arrived | (gradient <= floor), self.least, float("nan") + known)
        rate = xp.where(xp.isnan(known), believed, known)
        slowest = xp.where(self.least > 0, xp.minimum(rate, self.least), rate)
        waits = (gradient > floor) & (self.least > 0) & (gradient > self.gtol * self.least * state)
        steady = (gradient == 0) | (~waits & (gradient <= self.gtol * slowest * state))
        at_floor = ~waits & ~xp.isnan(rate) & (gradient <= floor)
        verdict = xp.where(at_floor, CODES[Status.ROUNDOFF], UNDERWAY * self.code)
        verdict = xp.where(steady, CODES[Status.STEADY], verdict)
        unsettled = xp.where(verdict == UNDERWAY, CODES[Status.UNSETTLED], verdict)
        self.code = xp.where(arrived, unsettled, xp.where(open_end, verdict, self.code))

    def _largest_terms(self, state: Array) -> Array:
        field, xp = self.field, self.field.xp
        largest = self.fastest * state
        if field.m == 0 or field.bias_rate is None:
            return largest
        return largest + field.bias_rate[:, 0] * stack.norm(field, xp.asarray(self.y[:, : field.m], copy=True))

    def measure_fastest(self, iterations: int) -> None:
        """`ufm.flow.spectrum.fastest_rate` of every flow."""
        field, xp = self.field, self.field.xp
        v = self._units(self.error) + self._units(self.mode)
        held = self.stepper.holds_bias
        free = xp.astype(xp.arange(v.shape[1], device=getattr(v, "device", None)) >= (field.m if held else 0), v.dtype)
        length = stack.norm(field, self.y)
        tiny = math.sqrt(self.eps) * xp.where(length > 0, length, 1.0 + 0 * length)
        rate, open_ = 0 * self.t, self.t == self.t
        for _ in range(iterations):
            v = v * free
            size = stack.norm(field, v)
            open_ = open_ & (size > 0) & xp.isfinite(size)
            unit = xp.where(open_, tiny / size, 0 * size)
            v = xp.where(open_[:, None], v, 0 * self.y)
            v = (field(self.y + unit[:, None] * v, self.t) - self.slope) / tiny[:, None]
            v = v * free
            rate = xp.where(open_, xp.maximum(rate, stack.norm(field, v)), rate)
        self.mode, active = v, self.code == UNDERWAY
        self.fastest = xp.where(active, rate, self.fastest)
        self.evaluations = self.evaluations + iterations * xp.astype(active, xp.int64)

    def _units(self, v: Array) -> Array:
        """Every row over its norm; 0 where it has none."""
        xp, size = self.field.xp, stack.norm(self.field, v)
        known = (size > 0) & xp.isfinite(size)
        return xp.where(known[:, None], v / xp.where(known, size, 1.0 + 0 * self.t)[:, None], 0 * self.y)

    def _save(self, moved: Array) -> None:
        """Save the states of the times passed; each flow by itself, as `ufm.flow.driver` does."""
        xp, column = self.field.xp, moved[:, None]
        first, second, third = self.nodes
        now = (self.t, self.y, self.slope)
        shifted = [(first, second), (second, third), (third, now)]
        self.nodes = [
            tuple(xp.where(moved if new.ndim == 1 else column, new, old) for old, new in zip(*pair, strict=True))
            for pair in shifted
        ]
        ends = to_numpy(self.t)
        for row in np.flatnonzero(to_numpy(moved)).tolist():
            task, end = self.tasks[self.index[row]], float(ends[row])
            while task.saver.next_time <= end:
                t = task.saver.next_time
                task.saver.take(t, self._inside(row, t) if t < end else xp.asarray(self.y[row, :], copy=True))

    def _inside(self, row: int, t: float) -> Array:
        """The state of one flow between its last two points."""
        task, xp = self.tasks[self.index[row]], self.field.xp
        nodes = [Node(float(s[row]), xp.asarray(y[row, :]), xp.asarray(f[row, :])) for s, y, f in self.nodes]
        nodes = [node for i, node in enumerate(nodes) if i == 2 or node.t < nodes[i + 1].t]
        y = between(task.field, task.control, nodes, t)
        if y is None:
            start, step = nodes[-2], stepper(task.field, self.method, task.y)
            part = step(start.t, start.y, start.slope, t - start.t, float(self.fastest[row]))
            y, self.inside[self.index[row]] = part.y, self.inside[self.index[row]] + part.evaluations
        return y

    def drop(self) -> None:
        """Take flows at their end out of the stack, where there are enough of them."""
        if (len(self.index) - self.going) * DROP >= len(self.index):
            self._collect(np.flatnonzero(to_numpy(self.code) != UNDERWAY))
            self._keep(np.flatnonzero(to_numpy(self.code) == UNDERWAY))

    def finished(self) -> list[Run]:
        """The runs, in the order of the tasks."""
        self._collect(np.arange(len(self.index)))
        return [run for run in self.runs if run is not None]

    def _collect(self, rows: np.ndarray) -> None:
        """Write down the runs of these rows."""
        xp = self.field.xp
        code, t, gradient, rate = map(to_numpy, (self.code, self.t, self.history.gradient[-1], self.history.rate()))
        counts = to_numpy(xp.stack([self.steps, self.rejected, self.evaluations]))
        for row in rows.tolist():
            y, task = xp.asarray(self.y[row, :], copy=True), int(self.index[row])
            if self.saves:
                self.tasks[task].saver.finish(float(t[row]), y)
            measured = None if math.isnan(rate[row]) else float(rate[row])
            self.runs[task] = Run(
                float(t[row]),
                y,
                STATUSES[int(code[row])],
                float(gradient[row]),
                measured,
                int(counts[0, row]),
                int(counts[1, row]),
                int(counts[2, row] + self.inside[task]),
                fell_back=False,
            )

    def _keep(self, rows: np.ndarray) -> None:
        """Keep these rows only."""
        xp = self.field.xp
        chosen = xp.asarray(rows.tolist(), dtype=xp.int64, device=getattr(self.y, "device", None))
        self.index = self.index[rows]
        for name in ROWS:
            setattr(self, name, xp.take(getattr(self, name), chosen, axis=0))
        self.norms = tuple(xp.take(x, chosen, axis=0) for x in self.norms)
        self.nodes = [tuple(xp.take(x, chosen, axis=0) for x in node) for node in self.nodes]
        self.history.take(chosen)
        self.field = self._field()
        self.stepper = self._stepper()

    def report(self) -> Progress:
        """For the callback: the mean over flows of what each has behind it, the earliest time, the largest gradient."""
        t, gradient, first = map(to_numpy, (self.t, self.history.gradient[-1], self.history.gradient[0]))
        stop, least, scale = map(to_numpy, (self.stop, self.least, self.scale))
        target = self.gtol * np.where(least > 0, least * scale, first)
        by_decades = np.log(first / gradient) / np.log(first / target)
        share = np.where(np.isfinite(stop), t / stop, by_decades)
        share = np.clip(np.where(np.isfinite(share), share, 0.0), 0.0, 1.0)
        done = len(self.tasks) - len(self.index)
        fraction = (done + float(share.sum())) / len(self.tasks)
        return Progress(fraction, float(t.min()), int(to_numpy(self.steps).max()), float(gradient.max()))
