"""The four witnesses of a campaign: each says what it has at every value of the swept field."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ufm.campaign import Campaign
from ufm.catalogue import Formula, Theorem, find
from ufm.compare import Comparison, compare
from ufm.errors import UfmError
from ufm.flow import simulate
from ufm.optimum import solve
from ufm.problem import Problem
from ufm.record import Record, load, stack
from ufm.referee.report import Progress, quiet
from ufm.share import locate
from ufm.theorems.class_encoding import critical_relaxation

Ask = Callable[[Problem], Record]


@dataclass(frozen=True, eq=False)
class Witnesses:
    """Records of one campaign, each with the swept field as a dimension.

    theorem, optimum, measured are of the campaign's problem; flow is of its small rescaled one, so it has a theorem of
    its own. measured, live: networks by image set, recorded and trained just now; notices: why some are missing.
    """

    campaign: Campaign
    theorem: Record
    optimum: Record
    flow_theorem: Record
    flow: Record
    measured: Mapping[str, Record]
    live: Mapping[str, Record] = field(default_factory=dict)
    notices: tuple[str, ...] = ()

    @property
    def settled(self) -> tuple[float, ...]:
        """Values at which the flow reached its steady state; it cannot at a critical value, where it relaxes as 1/t."""
        steady = np.asarray(self.flow["settled"].values, dtype=bool)
        return tuple(float(v) for v, ok in zip(self.flow.values[self.campaign.field].values, steady, strict=True) if ok)

    @property
    def critical(self) -> tuple[float, ...]:
        """Values at which the flow did not settle."""
        values = [float(v) for v in self.flow.values[self.campaign.field].values]
        return tuple(v for v in values if v not in self.settled)

    def at(self, record: Record, values: Sequence[float]) -> Record:
        """A record at some values of the swept field."""
        return replace(record, values=record.values.sel({self.campaign.field: list(values)}))

    def comparisons(self) -> dict[str, Comparison]:
        """Each witness against the theorem; the flow where it settled, and elsewhere against its law at lam_b*."""
        found = {
            "optimum": compare(self.theorem, self.optimum),
            "flow": compare(self.at(self.flow_theorem, self.settled), self.at(self.flow, self.settled)),
        }
        if self.critical:
            found["flow, critical"] = self._against_law()
        for images, record in self.measured.items():
            found[f"networks on {images}"] = compare(self.theorem, record)
        for images, record in self.live.items():
            trained = [float(v) for v in record.values[self.campaign.field].values]
            found[f"trained now on {images}"] = compare(self.at(self.theorem, trained), record)
        return found

    def _against_law(self) -> Comparison:
        """The mean mode at lam_b = lam_b* against its algebraic law: 1/s_0 grows at a rate known in closed form."""
        field, law = self.campaign.field, Formula(critical_relaxation)
        problems = [self.campaign.flow_problem().replace(**{field: value}) for value in self.critical]
        values = {"critical_relaxation": ((field,), [law(problem) for problem in problems])}
        expected = Record.of("theorem", values, coords={field: list(self.critical)})
        return compare(expected, self.at(self.flow, self.critical))


def theorem_of(campaign: Campaign) -> Theorem:
    """The statement that a campaign is about."""
    (theorem,) = find(campaign.theorem)
    return theorem


def run_flows(campaign: Campaign, progress: Progress = quiet) -> Record:
    """The ends of the campaign's gradient flows; `settled` is 1 where a flow reached its steady state.

    Where it did not, `critical_relaxation` is the growth of 1/s_0 per time over the last half of the run (else NaN).
    """
    seed = campaign.flows().seed

    def ask(problem: Problem) -> Record:
        flow = simulate(problem, start=seed)
        relaxation = float("nan") if flow.status.steady else _relaxation(problem, seed, flow.t)
        record, steady = flow.record(), int(flow.status.steady)
        return replace(record, values=record.values.assign(settled=steady, critical_relaxation=relaxation))

    return _sweep(campaign, campaign.flow_problem(), ask, "gradient flows", progress)


def _relaxation(problem: Problem, seed: int, t1: float) -> float:
    """(1/s_0(t1) - 1/s_0(t1/2)) / (t1/2): what the start left in 1/s_0 cancels."""
    path = simulate(problem, start=seed, t1=t1, save=[t1 / 2, t1]).path
    if path is None or len(path) < 2:
        return float("nan")
    halfway, end = 1 / path.record()["singular_value_mean"].values
    return float(end - halfway) / (t1 / 2)


def run_networks(
    campaign: Campaign, images: str, progress: Progress = quiet, *, live: bool = False, processes: int | None = None
) -> Record:
    """Train the networks of a campaign on one image set: the grid that is recorded, or the few of its live plan."""
    from ufm.networks import Recipe, run_grid
    from ufm.networks import load as load_images

    plan = campaign.networks(images)
    values, seeds = (plan.live.values, (plan.live.seed,)) if live else (campaign.values, plan.seeds)
    what = f"{len(values) * len(seeds)} networks on {plan.images} (steps)"
    return run_grid(
        load_images(plan.images),
        dict(zip(values, campaign.problems(values), strict=True)),
        seeds,
        Recipe.from_dict(plan.recipe),
        along=campaign.field,
        processes=processes,
        progress=lambda done, total: progress(what, done, total),
    )


def summon(
    campaign: Campaign,
    progress: Progress = quiet,
    *,
    train: bool = False,
    recorded_flows: bool = False,
) -> Witnesses:
    """All four witnesses: theorem and optimum computed, flows run (or read), recorded networks read.

    train: also train the networks of the live plan; where PyTorch cannot be had, `notice` says so.
    """
    theorem = theorem_of(campaign)
    small = campaign.flow_problem()
    records = locate("numerics", "records")
    witnesses = Witnesses(
        campaign=campaign,
        theorem=_sweep(campaign, campaign.problem, theorem.predict, "theorem", quiet),
        optimum=_sweep(campaign, campaign.problem, lambda p: solve(p).record(), "certified optima", progress),
        flow_theorem=_sweep(campaign, small, theorem.predict, "theorem", quiet),
        flow=load(records / campaign.flows().record) if recorded_flows else run_flows(campaign, progress),
        measured={plan.images: load(records / plan.record) for plan in campaign.measured},
    )
    return _train_now(witnesses, progress) if train else witnesses


def _train_now(witnesses: Witnesses, progress: Progress) -> Witnesses:
    """The live plans; what cannot be trained here (no PyTorch, no images) is said, and the records speak alone."""
    live, notices = {}, []
    for plan in witnesses.campaign.measured:
        try:
            live[plan.images] = run_networks(witnesses.campaign, plan.images, progress, live=True)
        except UfmError as error:
            notices.append(f"No networks were trained now on {plan.images}, the records speak alone: {error}")
    return replace(witnesses, live=live, notices=tuple(notices))


def _sweep(campaign: Campaign, problem: Problem, ask: Ask, what: str, progress: Progress) -> Record:
    """One record along the swept field."""
    records = []
    for done, value in enumerate(campaign.values):
        progress(what, done, len(campaign.values))
        records.append(ask(problem.replace(**{campaign.field: value})))
    progress(what, len(campaign.values), len(campaign.values))
    return stack(records, **{campaign.field: list(campaign.values)})
