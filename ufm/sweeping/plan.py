"""What a sweep's TOML file says: one problem, axes whose product is swept, how each flow runs, and how many a batch."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ufm.errors import ProblemError
from ufm.problem import Problem
from ufm.problem.axes import WEIGHTS
from ufm.share import read_campaign

SHAPES = ("classes", "counts", "width")
AXES = (*WEIGHTS, *SHAPES, "start")
_FLOW = ("t1", "rtol", "atol", "gtol", "integrator", "lr", "momentum", "path", "mode", "max_steps", "backend")


@dataclass(frozen=True, eq=False)
class SweepPlan:
    """Flows on the product of `axes` (the last one fastest), `batch` of them at a time.

    problem: what TOML says of it; flow: options of `ufm.simulate`, and t1; axes: name -> values, with names among
    lam_W, lam_H, lam_b, classes (K of the encoding), counts (samples per class), width, and start (seeds).
    """

    name: str
    title: str
    problem: Mapping[str, Any]
    axes: Mapping[str, tuple[float, ...]]
    flow: Mapping[str, Any]
    batch: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Values of each axis."""
        return tuple(len(values) for values in self.axes.values())

    @property
    def count(self) -> int:
        """Flows in all."""
        return int(np.prod(self.shape))

    @property
    def batches(self) -> int:
        """Batches in all; the file fixes them, whatever runs them."""
        return -(-self.count // self.batch)

    def members(self, batch: int) -> range:
        """The places, in the order of the product, of the flows in one batch."""
        return range(batch * self.batch, min((batch + 1) * self.batch, self.count))

    def point(self, place: int) -> dict[str, float]:
        """The value of every axis for one flow."""
        index = np.unravel_index(place, self.shape)
        return {name: values[i] for (name, values), i in zip(self.axes.items(), index, strict=True)}

    def at(self, point: Mapping[str, float]) -> tuple[Problem, int]:
        """The problem and the seed of the start at a point."""
        spec = {**self.problem, "targets": dict(self.problem["targets"])}
        for name in point.keys() & set(WEIGHTS):
            spec[name] = point[name]
        if "width" in point:
            spec["width"] = int(point["width"])
        if "classes" in point:
            spec["targets"]["parameters"] = {**spec["targets"].get("parameters", {}), "K": int(point["classes"])}
        if "counts" in point:
            spec["targets"]["counts"] = int(point["counts"])
        return Problem.from_dict(spec), int(point.get("start", 0))

    @cached_property
    def spec(self) -> dict[str, Any]:
        """All that decides the numbers, as plain values."""
        plain = {"problem": dict(self.problem), "axes": {k: list(v) for k, v in self.axes.items()}}
        return json.loads(json.dumps({**plain, "flow": dict(self.flow), "batch": self.batch}, default=float))

    @cached_property
    def digest(self) -> str:
        """A short hash of `spec`."""
        return hashlib.sha256(json.dumps(self.spec, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def same_shapes(self) -> bool:
        """Whether arrays over classes have one shape over the whole sweep, so that they can be kept."""
        return "classes" not in self.axes


def load_plan(name: str | Path) -> SweepPlan:
    """Read a sweep from a TOML file, or one that comes along by its name; ProblemError names entry, value and fix."""
    path, spec = read_campaign(name)
    return plan_of(spec, path.stem)


def plan_of(spec: Mapping[str, Any], name: str) -> SweepPlan:
    """The plan that plain values describe; every axis is tried once, so that mistakes show before anything runs."""
    if spec.keys() & {"run", "study"}:
        fix = "it lists networks, which `ufm train` trains; a sweep of flows has tables [problem] and [sweep]."
        raise ProblemError("campaign", name, fix)
    if "theorem" in spec:
        fix = f"its flows are those of the theorem {spec['theorem']}: `ufm sweep` in a shell, or ufm.check, runs them."
        raise ProblemError("campaign", name, fix)
    for required in ("problem", "sweep"):
        if required not in spec:
            raise ProblemError(required, None, f"{name} needs a table [{required}].")
    if "targets" not in spec["problem"]:
        raise ProblemError(
            "problem.targets", None, 'say e.g. { encoding = "one_hot", parameters = { K = 10 }, counts = 500 }.'
        )
    axes = {axis: _values(axis, values) for axis, values in spec["sweep"].items()}
    if not axes:
        raise ProblemError("sweep", {}, f"name at least one axis among {', '.join(AXES)}.")
    flow = dict(spec.get("flow", {}))
    batch = flow.pop("batch", 256)
    if not isinstance(batch, int) or isinstance(batch, bool) or batch < 1:
        raise ProblemError("flow.batch", batch, "give how many flows run side by side, an integer of at least 1.")
    for option in flow.keys() - set(_FLOW):
        raise ProblemError(f"flow.{option}", flow[option], f"no such option; a flow has {', '.join(_FLOW)}, batch.")
    first = {axis: values[0] for axis, values in axes.items()}
    problem = {**spec["problem"], **{axis: first[axis] for axis in first.keys() & set(WEIGHTS)}}
    plan = SweepPlan(name, str(spec.get("title", name)), problem, axes, flow, batch)
    for axis, values in axes.items():
        for value in {values[0], values[-1], min(values), max(values)}:
            plan.at({**first, axis: value})
    return plan


def _values(axis: str, given: Any) -> tuple[float, ...]:
    """A list, { log = [first, last, number] }, { linear = [first, last, number] }, or for starts { seeds = number }."""
    if axis not in AXES:
        raise ProblemError(f"sweep.{axis}", given, f"no such axis; sweep any of {', '.join(AXES)}.")
    wanted = "give a list of numbers, { log = [first, last, number] } or { linear = [first, last, number] }"
    wanted += ", or { seeds = number }." if axis == "start" else "."
    if isinstance(given, dict):
        if len(given) != 1:
            raise ProblemError(f"sweep.{axis}", given, wanted)
        given = _grid(axis, *next(iter(given.items())), wanted)
    if not isinstance(given, list) or not given or any(isinstance(v, bool | str) for v in given):
        raise ProblemError(f"sweep.{axis}", given, wanted)
    values = tuple(float(v) if axis in WEIGHTS else v for v in given)
    if axis not in WEIGHTS and any(v != int(v) or v < (axis != "start") for v in values):
        raise ProblemError(f"sweep.{axis}", given, "give integers" + (" >= 0." if axis == "start" else " >= 1."))
    if len(set(values)) < len(values):
        raise ProblemError(f"sweep.{axis}", given, "name each value once.")
    return values


def _grid(axis: str, kind: str, given: Any, wanted: str) -> list[float]:
    if kind == "seeds" and axis == "start" and isinstance(given, int) and given > 0:
        return list(range(given))
    if kind not in ("log", "linear") or not isinstance(given, list) or len(given) != 3:
        raise ProblemError(f"sweep.{axis}.{kind}", given, wanted)
    first, last, number = given
    if not isinstance(number, int) or number < 2 or (kind == "log" and not (first > 0 and last > 0)):
        raise ProblemError(f"sweep.{axis}.{kind}", given, "give at least 2 numbers, and for log positive ends.")
    grid = np.geomspace(first, last, number) if kind == "log" else np.linspace(first, last, number)
    found = grid.tolist() if axis in WEIGHTS else np.unique(grid.round()).astype(int).tolist()
    return found
