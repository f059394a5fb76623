"""A campaign: one problem swept along one field, put to the theorem, the optimum, the flow and trained networks."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ufm.errors import ProblemError
from ufm.problem import Problem, classes
from ufm.share import read_campaign


@dataclass(frozen=True)
class FlowPlan:
    """Gradient flows: samples per class (the problem is rescaled to them), seed of the start, file of recorded runs."""

    counts: int
    seed: int
    record: str


@dataclass(frozen=True)
class LivePlan:
    """Networks trained on the spot, beside the recorded ones: values of the swept field, and a seed of their own."""

    values: tuple[float, ...]
    seed: int


@dataclass(frozen=True)
class MeasuredPlan:
    """Networks of the campaign: image set, seeds, recipe, and the file that holds the recorded runs."""

    images: str
    record: str
    seeds: tuple[int, ...]
    live: LivePlan
    recipe: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Campaign:
    """What a TOML file in `numerics/campaigns` says; `field` is what is swept over `values`."""

    name: str
    title: str
    theorem: str
    problem: Problem
    field: str
    values: tuple[float, ...]
    flow: FlowPlan | None
    measured: tuple[MeasuredPlan, ...]

    def problems(self, values: Sequence[float] | None = None) -> list[Problem]:
        """The problem at each value of the swept field."""
        return [self.problem.replace(**{self.field: value}) for value in (self.values if values is None else values)]

    def flow_problem(self) -> Problem:
        """The same problem with the flow's class sizes; N lam_H is kept, and with it t_rel, W, Hbar and b.

        Singular values of W H over all samples scale with sqrt(n).
        """
        targets = classes(self.problem.classes.encoding, self.flows().counts)
        return self.problem.replace(targets=targets, lam_H=self.problem.lam_H * self.problem.N / targets.N)

    def networks(self, images: str) -> MeasuredPlan:
        """The plan of the networks on one image set; ProblemError where there is none."""
        for plan in self.measured:
            if plan.images == images:
                return plan
        known = ", ".join(plan.images for plan in self.measured) or "none; add a [[measured]] table"
        raise ProblemError("images", images, f"campaign {self.name!r} plans networks on: {known}.")

    def flows(self) -> FlowPlan:
        """The plan of the flows; ProblemError where there is none."""
        if self.flow is None:
            raise ProblemError("flow", None, f"campaign {self.name!r} plans no flows; add a [flow] table.")
        return self.flow


def load_campaign(name: str | Path) -> Campaign:
    """A campaign by name (of `numerics/campaigns`) or by the path of a TOML file.

    UfmError where there is none of that name; ProblemError names an entry that is missing or cannot be.
    """
    path, spec = read_campaign(name)
    for required in ("title", "theorem", "problem", "sweep"):
        if required not in spec:
            raise ProblemError(required, None, f"{path.name} needs this entry.")
    if len(spec["sweep"]) != 1:
        raise ProblemError("sweep", list(spec["sweep"]), "sweep one field of the problem.")
    ((swept, values),) = spec["sweep"].items()
    problem = Problem.from_dict({**spec["problem"], swept: values[0]})
    flow = FlowPlan(**spec["flow"]) if "flow" in spec else None
    measured = tuple(_measured(plan, swept) for plan in spec.get("measured", []))
    return Campaign(path.stem, spec["title"], spec["theorem"], problem, swept, tuple(values), flow, measured)


def _measured(spec: dict[str, Any], swept: str) -> MeasuredPlan:
    live = LivePlan(tuple(spec["live"][swept]), spec["live"]["seed"])
    return MeasuredPlan(spec["images"], spec["record"], tuple(spec["seeds"]), live, spec.get("recipe", {}))
