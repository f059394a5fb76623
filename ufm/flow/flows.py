"""The answer of `simulate(problem, over=...)`: the flows of one problem on a grid of weights and starts."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ufm.errors import ProblemError, UfmError
from ufm.flow.driver import Progress
from ufm.flow.flow import Flow
from ufm.flow.many import simulate_many
from ufm.flow.plan import Options
from ufm.flow.start import Seed
from ufm.flow.state import State
from ufm.flow.status import Status
from ufm.problem import Problem
from ufm.problem.axes import WEIGHTS, checked_axes
from ufm.record import Record


@dataclass(frozen=True, eq=False)
class Flows:
    """Flows on the product of `axes`, {field: values}; arrays have one dimension per axis, in that order.

    t, gradient_norm, rate (NaN where unknown), steps, rejected, evaluations, and status (`Status` objects) are those
    of each flow at its end. An index (`flows[3]`, `flows[3, 1]`) gives that point's Flow. The axis "start" holds seeds,
    or where States were given their places.
    """

    problem: Problem
    axes: Mapping[str, np.ndarray]
    flows: tuple[Flow, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Flows along each axis."""
        return tuple(values.size for values in self.axes.values())

    @property
    def t(self) -> np.ndarray:
        """Time at the end of each flow."""
        return self._gather(lambda flow: flow.t)

    @property
    def gradient_norm(self) -> np.ndarray:
        """||grad L|| there."""
        return self._gather(lambda flow: flow.gradient_norm)

    @property
    def rate(self) -> np.ndarray:
        """The mean rate at which it fell over its last decade, NaN where it never fell so far."""
        return self._gather(lambda flow: np.nan if flow.rate is None else flow.rate)

    @property
    def status(self) -> np.ndarray:
        """How each flow ended (`Status` objects)."""
        found = np.empty(len(self), dtype=object)
        found[:] = [flow.status for flow in self.flows]
        return found.reshape(self.shape)

    @property
    def steps(self) -> np.ndarray:
        """Accepted steps of each flow."""
        return self._gather(lambda flow: flow.steps)

    @property
    def rejected(self) -> np.ndarray:
        """Rejected steps of each flow."""
        return self._gather(lambda flow: flow.rejected)

    @property
    def evaluations(self) -> np.ndarray:
        """Right-hand sides of each flow."""
        return self._gather(lambda flow: flow.evaluations)

    def _gather(self, value: Callable[[Flow], Any]) -> np.ndarray:
        return np.array([value(flow) for flow in self.flows]).reshape(self.shape)

    def __len__(self) -> int:
        return len(self.flows)

    def __iter__(self) -> Iterator[Flow]:
        return iter(self.flows)

    def __getitem__(self, index: int | tuple[int, ...]) -> Flow:
        index = index if isinstance(index, tuple) else (index,)
        if len(index) != len(self.shape):
            raise UfmError(f"give one index per axis: {', '.join(self.axes)}.")
        positive = tuple(i + size if i < 0 else i for i, size in zip(index, self.shape, strict=True))
        if not all(0 <= i < size for i, size in zip(positive, self.shape, strict=True)):
            raise IndexError(f"{index} is outside the grid of shape {self.shape}.")
        return self.flows[int(np.ravel_multi_index(positive, self.shape))]

    def record(self) -> Record:
        """The observables at the end of every flow, its time t and whether it is `steady`, over the swept fields."""
        ends = [flow.record() for flow in self.flows]
        steady = (tuple(self.axes), np.array([flow.status.steady for flow in self.flows]).reshape(self.shape))
        return self._stacked(ends, {"steady": steady}, {})

    def path_record(self) -> Record:
        """The observables along every flow at the saved times, over the swept fields and t; NaN beyond a flow's end.

        UfmError where no times were saved, or each flow has times of its own.
        """
        times = [flow.path.t if flow.path is not None else np.zeros(0) for flow in self.flows]
        longest = max(times, key=len)
        if not len(longest) or any(not np.array_equal(t, longest[: len(t)]) for t in times):
            raise UfmError("these flows have no saved times in common: give them as save=[...].")
        paths = [flow.path.record() if flow.path is not None else None for flow in self.flows]
        full = next(path for path, t in zip(paths, times, strict=True) if len(t) == len(longest) and path is not None)
        padded = [_padded(path, full) for path in paths]
        return self._stacked(padded, {}, {"t": longest})

    def _stacked(self, records: Sequence[Record], more: Mapping[str, Any], coords: Mapping[str, Any]) -> Record:
        first, provenance = records[0], {}
        values: dict[str, Any] = dict(more)
        names = [str(name) for name in first.values.data_vars if all(name in record.values for record in records)]
        for name in names:
            column = [record[name].values for record in records]
            dims = (*self.axes, *map(str, first[name].dims))
            values[name] = (dims, np.stack(column).reshape(*self.shape, *column[0].shape))
        for flow in self.flows:
            for key in ("integrator", "mode", "status"):
                provenance.setdefault(key, set()).add(flow.provenance[key])
        joined: dict[str, Any] = {name: "; ".join(sorted(found)) for name, found in provenance.items()}
        joined |= {key: self.flows[0].provenance.get(key) for key in ("rtol", "gtol")}
        at = {**self.axes, **coords}
        return Record.of("flow", values, problem=self.problem, coords=at, provenance=joined)

    def __repr__(self) -> str:
        axes = ", ".join(f"{name}: {values.size}" for name, values in self.axes.items())
        count = {status: sum(flow.status is status for flow in self.flows) for status in Status}
        ends = ", ".join(f"{number} {status.name}" for status, number in count.items() if number)
        return f"Flows({axes}; {ends}; largest gradient_norm={np.max(self.gradient_norm):.1e})"


def _padded(path: Record | None, full: Record) -> Record:
    """A path as long as `full`, NaN where it has ended."""
    if path is None:
        return replace(full, values=full.values.astype(float) * np.nan)
    return path if path.values.sizes == full.values.sizes else replace(path, values=path.values.reindex(t=full["t"]))


def simulate_grid(
    problem: Problem,
    over: Mapping[str, Any],
    start: Seed | State,
    t1: Any,
    options: Options,
    *,
    throw: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> Flows:
    """The flows of a problem on the product of the axes of `over`; see `simulate`."""
    axes, starts = _axes(problem, over, start)
    shape = tuple(values.size for values in axes.values())
    ends = _ends(t1, shape)
    problems, begins = [], []
    fields = [name for name in axes if name != "start"]
    for place in itertools.product(*map(range, shape)):
        at = dict(zip(axes, place, strict=True))
        problems.append(problem.replace(**{name: float(axes[name][at[name]]) for name in fields}))
        begins.append(starts[at["start"]] if "start" in at else start)
    flows = Flows(problem, axes, tuple(simulate_many(problems, begins, ends, options=options, progress=progress)))
    if throw:
        for place, flow in zip(itertools.product(*map(range, shape)), flows, strict=True):
            if not flow.status.steady:
                where = ", ".join(f"{name} = {axes[name][i]}" for name, i in zip(axes, place, strict=True))
                raise UfmError(f"{where}: {flow.status.value}")
    return flows


def _axes(problem: Problem, over: Mapping[str, Any], start: Any) -> tuple[dict[str, np.ndarray], list[Any]]:
    """The axes in their order, and the starts that the axis "start" stands for."""
    weights = {name: values for name, values in over.items() if name != "start"}
    fields = (*WEIGHTS, "start")
    checked = checked_axes(problem, weights, fields) if weights or not over else {}
    if "start" not in over:
        if isinstance(start, np.random.Generator):
            raise ProblemError("start", "a Generator", "every flow of a grid starts anew; give a seed, or a State.")
        return checked, []
    values = over["start"]
    starts = list(values) if isinstance(values, Sequence | np.ndarray | range) else [values]
    seeds = all(isinstance(s, int | np.integer) and not isinstance(s, bool) and s >= 0 for s in starts)
    if not starts or not (seeds or all(isinstance(s, State) for s in starts)):
        raise ProblemError("over['start']", values, "give non-negative integer seeds, or States.")
    labels = np.array(starts if seeds else range(len(starts)), dtype=np.int64)
    return {name: labels if name == "start" else checked[name] for name in over}, starts


def _ends(t1: Any, shape: tuple[int, ...]) -> list[float | None] | float | None:
    """One t1 for all, or one a flow in the order of the grid."""
    if t1 is None or np.ndim(t1) == 0:
        return t1
    try:
        return np.broadcast_to(np.asarray(t1, dtype=float), shape).ravel().tolist()
    except ValueError:
        raise ProblemError("t1", np.shape(t1), f"this is its shape; the grid has {shape}.") from None
