"""What was wanted of the flow, whether it is met, and where the time goes: the reason that stands beside a missed goal.

Reasons are computed from the run that missed, never typed in: they move with the numbers.
"""

import cProfile
import pstats
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

# parts of a flow: functions (file, name) whose time counts with all they call, and those that count for themselves
WHOLE = {
    "right-hand sides": {("field.py", "__call__")},
    "gradient norms": {("field.py", "gradient_norm"), ("stack.py", "gradient_norm")},
    "norms of states and errors": {
        (file, name) for file in ("field.py", "stack.py") for name in ("norms", "error_norms")
    },
    "plans (start, coordinates, choice of the integrator)": {("plan.py", "planned")},
    "answers": {("plan.py", "answer")},
    "combinations of stages": {("step.py", "_combined")},
}
OWN = {
    "combinations of stages": {("step.py", "__call__"), ("stabilised.py", "__call__")},
    "step control, stack": {("batch.py", name) for name in ("step", "judged", "_judge", "_units", "measure_fastest")},
    "fastest rate, beside its right-hand sides": {("spectrum.py", "fastest_rate")},
}


@dataclass(frozen=True)
class Goal:
    """One line of the table of goals; why: what to say where it is missed."""

    number: int
    wanted: str
    measured: str
    met: bool
    why: str = ""

    def line(self) -> str:
        """Markdown."""
        return f"| {self.number} | {self.wanted} | {self.measured} | {'yes' if self.met else '**no**'} |"

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def table(goals: Sequence[Goal]) -> list[str]:
    """All goals, and below them each missed one with its reason."""
    goals = sorted(goals, key=lambda goal: goal.number)
    lines = ["| # | wanted | measured | met |", "|---|---|---|---|", *(goal.line() for goal in goals), ""]
    missed = [goal for goal in goals if not goal.met]
    if not missed:
        return [*lines, "Every goal is met.", ""]
    lines += ["Missed, with the profile and the reason, both of the run that missed:", ""]
    return [
        *lines,
        *(f"- **{goal.number}** ({goal.measured}): {goal.why or 'no reason recorded.'}" for goal in missed),
        "",
    ]


def shares(run: Callable[[], Any]) -> str:
    """Where a run's time goes, as text: the largest parts under the profiler, which magnifies small calls."""
    profiler = cProfile.Profile()
    profiler.runcall(run)
    stats: Any = pstats.Stats(profiler)
    found, total = dict.fromkeys([*WHOLE, *OWN], 0.0), float(stats.total_tt)
    for (file, _, name), (_, _, own, cumulative, _) in stats.stats.items():
        here = (Path(file).name, name)
        if "flow" not in Path(file).parts[-2:-1]:
            continue
        for parts, seconds in ((WHOLE, cumulative), (OWN, own)):
            for part, functions in parts.items():
                found[part] += seconds if here in functions else 0.0
    largest = sorted(found.items(), key=lambda item: -item[1])
    return ", ".join(f"{part} {seconds / total:.0%}" for part, seconds in largest if seconds >= 0.03 * total)


def ratio_in_parts(own: tuple[float, int], other: tuple[float, int], name: str) -> str:
    """A ratio of times as evaluations saved times what one costs; (seconds, evaluations) of us and of the other."""
    saved, dearer = other[1] / own[1], (own[0] / own[1]) / (other[0] / other[1])
    return (
        f"{other[1]} evaluations of {name} for {own[1]} of ours are {saved:.3g}x; one of ours costs, integrator and "
        f"set-up included, {dearer:.2g}x one of theirs ({own[0] / own[1] * 1e6:.0f} us)"
    )


def certificates(path: Path) -> Goal:
    """Goal 9, as the optimum's own benchmark measured it."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in path.read_text().splitlines() if "|" in line]
    wanted = {
        "K = 50, solve against CLARABEL": "{}x over Clarabel at K = 50",
        "K = 100, solve against SCS": "{}x over SCS at K = 100",
        "K = 1000, solve against one SVD": "K = 1000 in {} SVDs",
        "K = 1000, check logits Z": "a check in {}",
    }
    found: Mapping[str, list[str]] = {row[0]: row for row in rows if row[0] in wanted}
    measured = ", ".join(text.format(found[label][3]) for label, text in wanted.items())
    met = all(found[label][5] == "yes" for label in wanted)
    missed = ", ".join(f"{label} ({row[3]}, wanted {row[4]})" for label, row in found.items() if row[5] != "yes")
    text = (
        "certificates at relative gap 1e-9: >= 2000x over Clarabel at K = 50, >= 150x over SCS at K = 100; K = 1000 in "
    )
    text += "<= 6 SVDs, a check of given logits in <= 1"
    return Goal(
        9, text, measured, met, f"{missed}; profile and reason stand with the optimum's benchmark (optimum.md)."
    )
