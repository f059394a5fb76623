"""Figures from specs: `figures/<name>.toml` says what is shown, `ufm.plot` how; data come from records and formulae."""

import tomllib
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ufm.campaign import Campaign, load_campaign
from ufm.catalogue import Formula
from ufm.errors import UfmError
from ufm.record import stack
from ufm.referee.witnesses import Witnesses, summon, theorem_of
from ufm.share import locate

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class FigureSpec:
    """One sentence that says what the figure shows, the campaign it shows, and the drawing in this module."""

    name: str
    sentence: str
    campaign: str
    draw: str


def specs() -> dict[str, FigureSpec]:
    """Every figure spec that comes along, by name."""
    found = sorted(locate("figures").glob("*.toml"))
    return {path.stem: FigureSpec(path.stem, **tomllib.loads(path.read_text())) for path in found}


def draw(name: str, witnesses: Witnesses | None = None) -> "Figure":
    """The figure of that name; from records and formulae alone unless witnesses are handed over."""
    known = specs()
    if name not in known:
        near = get_close_matches(name, known, 1)
        raise UfmError(
            f"no figure {name!r}. " + (f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(known)}.")
        )
    spec = known[name]
    campaign = load_campaign(spec.campaign)
    return _DRAWINGS[spec.draw](campaign, witnesses or summon(campaign, recorded_flows=True))


def save(name: str, folder: Path, witnesses: Witnesses | None = None) -> list[Path]:
    """Draw a figure and write it as SVG and PNG; returns the paths."""
    from ufm.plot.style import style

    figure = draw(name, witnesses)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.svg", folder / f"{name}.png"]
    with style():
        figure.savefig(paths[0], metadata={"Date": None})  # no date: the same data give the same file
        figure.savefig(paths[1])
    return paths


def _transition(campaign: Campaign, witnesses: Witnesses) -> "Figure":
    from ufm.plot.transition import transition
    from ufm.theorems.class_encoding import lam_b_star

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


_DRAWINGS = {"transition": _transition}
