"""`simulate_many`: any number of flows, of any problems; those of one shape run side by side, as one stack.

No flow's numbers depend on which others it runs with: not on their number, their order, nor their fate. So a sweep may
be cut into pieces, stopped, and gone on with.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ufm.arrays import array_namespace
from ufm.errors import ProblemError
from ufm.flow import stack
from ufm.flow.batch import Task, integrate_stack
from ufm.flow.driver import Progress, Run
from ufm.flow.flow import Flow
from ufm.flow.integrators import Chebyshev, Tableau
from ufm.flow.plan import Options, Plan, answer, planned, run_alone
from ufm.flow.start import Seed
from ufm.flow.state import State
from ufm.problem import Problem

NUMBERS = 2**20  # unknowns side by side in one stack, at most: 8 MiB a state, and some twenty of them


def simulate_many(
    problems: Sequence[Problem],
    starts: Sequence[Seed | State] | Seed | State = 0,
    t1: Sequence[float | None] | float | None = None,
    *,
    options: Options | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> list[Flow]:
    """The flow of every problem from its start to its t1; a single start or t1 serves all. Arguments as in `simulate`.

    Flows of Runge-Kutta methods, rkc2 among them, with equal shapes are stacked; others (lsoda, exprb43, descents,
    constraints) run one by one, with the same answer. rkc2 settles its stages at other times in a stack than alone: the
    two agree to the tolerance, all else to round-off. integrator="auto" counts the cost of a flow in a stack. A start
    with NaN or inf ends as DIVERGED, where it is. ProblemError for as many starts or times as there are not problems,
    and as in `simulate`.
    """
    options = Options() if options is None else options
    count = len(problems)
    begins, ends = _each(starts, count, "starts"), _each(t1, count, "t1")
    plans = [_planned(*each, options) for each in zip(problems, begins, ends, strict=True)]
    runs: list[Run | None] = [None] * count
    told = _Told(progress, count)
    for group in _groups(plans):
        members = [plans[i] for i in group]
        method = members[0].method
        if isinstance(method, Tableau | Chebyshev) and stack.shape_of(members[0].at.field) is not None:
            found = _side_by_side(members, method, told.of(len(group)))
        else:
            found = (run_alone(plan, told.of(1)) for plan in members)
        for i, run in zip(group, found, strict=True):
            runs[i] = run
    return [answer(plan, run) for plan, run in zip(plans, runs, strict=True) if run is not None]


def _each(value: Any, count: int, name: str) -> list[Any]:
    """One value a flow."""
    if not isinstance(value, Sequence | np.ndarray):
        return [value] * count
    if len(value) != count:
        raise ProblemError(name, len(value), f"this is their number; give one, or {count}: one a problem.")
    return list(value)


def _planned(problem: Problem, start: Seed | State, t1: float | None, options: Options) -> Plan:
    """The plan of a flow in a stack; a start that is not finite is planned as zero, and put back."""
    if not isinstance(start, State) or _finite(start):
        return planned(problem, start, t1, options, stacked=True)
    plan = planned(problem, start.each(lambda x: x * 0 if _finite_array(x) else _zeros(x)), t1, options, stacked=True)
    return replace(plan, y=plan.y + float("nan"))


def _zeros(x: Any) -> Any:
    return array_namespace(x).zeros_like(x)


def _finite(start: State) -> bool:
    return all(_finite_array(x) for x in (*start.W, start.H, start.b, start.S) if x is not None)


def _finite_array(x: Any) -> bool:
    if not hasattr(x, "dtype"):
        x = np.asarray(x, dtype=float)
    xp = array_namespace(x)
    return bool(xp.all(xp.isfinite(x)))


def _groups(plans: Sequence[Plan]) -> Iterator[list[int]]:
    """Places of plans that run as one stack, or one after another."""
    found: dict[Any, list[int]] = {}
    for i, plan in enumerate(plans):
        field = plan.at.field
        same = None if field.quadratic else (id(plan.problem.targets), plan.problem.loss)
        found.setdefault((stack.shape_of(field), plan.method.name, plan.at.mode, same), []).append(i)
    for group in found.values():
        most = max(1, NUMBERS // plans[group[0]].at.field.size)
        for first in range(0, len(group), most):
            yield group[first : first + most]


def _side_by_side(
    plans: Sequence[Plan], method: Tableau | Chebyshev, progress: Callable[[Progress], None] | None
) -> Iterable[Run]:
    tasks = [Task(plan.at.field, plan.y, plan.t1, plan.control, plan.rest, plan.saver) for plan in plans]
    return integrate_stack(tasks, method, max_steps=plans[0].options.max_steps, progress=progress)


class _Told:
    """Progress of all flows, from that of the ones under way."""

    def __init__(self, progress: Callable[[Progress], None] | None, count: int) -> None:
        self.progress, self.count, self.before, self.now = progress, count, 0, 0

    def of(self, flows: int) -> Callable[[Progress], None] | None:
        """The callback of the next so many flows."""
        if self.progress is None:
            return None
        tell, self.before, self.now = self.progress, self.before + self.now, flows

        def heard(part: Progress) -> None:
            tell(part._replace(fraction=(self.before + part.fraction * self.now) / self.count))

        return heard
