"""Figures from specs: `figures/<name>.toml` says what is shown, `ufm.plot` how; data come from records and formulae."""

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ufm import encodings
from ufm.campaign import load_campaign
from ufm.catalogue import Formula
from ufm.errors import UfmError
from ufm.optimum import solve
from ufm.problem import Problem, classes
from ufm.record import load, stack
from ufm.share import locate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ufm.referee.witnesses import Witnesses


@dataclass(frozen=True)
class FigureSpec:
    """One sentence that says what the figure shows, the campaign or the records it shows, and a drawing below."""

    name: str
    sentence: str
    draw: str
    campaign: str = ""
    records: Sequence[str] = ()


def specs() -> dict[str, FigureSpec]:
    """Every figure spec that comes along, by name."""
    found = sorted(locate("figures").glob("*.toml"))
    read = {path.stem: tomllib.loads(path.read_text()) for path in found}
    return {name: FigureSpec(name, **spec) for name, spec in read.items()}


def draw(name: str, witnesses: "Witnesses | None" = None) -> "Figure":
    """The figure of that name; from records and formulae alone unless witnesses are handed over."""
    known = specs()
    if name not in known:
        near = get_close_matches(name, known, 1)
        raise UfmError(
            f"no figure {name!r}. " + (f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(known)}.")
        )
    return _DRAWINGS[known[name].draw](known[name], witnesses)


def save(name: str, folder: Path, witnesses: "Witnesses | None" = None) -> list[Path]:
    """Draw a figure and write it as SVG and PNG; returns the paths."""
    from ufm.plot.style import style

    figure = draw(name, witnesses)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.svg", folder / f"{name}.png"]
    with style():
        figure.savefig(paths[0], metadata={"Date": None})  # no date: the same data give the same drawing
        figure.savefig(paths[1])
    return paths


def _transition(spec: FigureSpec, witnesses: "Witnesses | None") -> "Figure":
    from ufm.plot.transition import transition
    from ufm.referee.witnesses import summon, theorem_of
    from ufm.theorems.class_encoding import lam_b_star

    campaign = load_campaign(spec.campaign)
    witnesses = witnesses or summon(campaign, recorded_flows=True)
    theorem = theorem_of(campaign)
    finite = [v for v in campaign.values if np.isfinite(v)]
    grid = [*np.geomspace(min(finite), max(finite), 201), np.inf]
    curve = stack([theorem.predict(campaign.problem.replace(lam_b=float(v))) for v in grid], lam_b=grid)
    return transition(
        curve,
        witnesses.theorem,
        witnesses.optimum,
        witnesses.flow_theorem,
        witnesses.flow,
        witnesses.measured,
        witnesses.live,
        lam_b_star=Formula(lam_b_star)(campaign.problem),
    )


def _phases(spec: FigureSpec, _: "Witnesses | None") -> "Figure":
    """Recorded optima on grids of weights, one file a depth; and a grid over K, solved as it is drawn (p = 2)."""
    from ufm.plot.phases import order_parameter, phases

    K = np.unique(np.geomspace(2, 100, 24).round().astype(int))
    strength = np.geomspace(5e-3, 0.7, 40)
    columns = []
    for count in K:
        problem = Problem(classes(encodings.one_hot(int(count)), 1), lam_W=1.0, lam_H=1.0, lam_b=1.0)
        columns.append(order_parameter(solve(problem, over={"lam_H": strength**2}).record()))
    records = [load(locate("numerics", "records") / name) for name in spec.records]
    return phases(records, K, strength, np.stack(columns, axis=1), rho=0.5)


_DRAWINGS: dict[str, Callable[..., "Figure"]] = {
    "transition": _transition,
    "phases": _phases,
}
