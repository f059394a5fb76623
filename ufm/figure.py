"""Figures from specs: `figures/<name>.toml` says what is shown, `ufm.gallery` gathers it, `ufm.plot` draws it."""

import importlib
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from ufm.errors import UfmError
from ufm.share import locate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ufm.referee.witnesses import Witnesses


@dataclass(frozen=True)
class FigureSpec:
    """One sentence that says what is shown, the campaign or the records it takes, and a file of `ufm.gallery`.

    titles: of the panels, one a record, where each record has a panel of its own.
    """

    name: str
    sentence: str
    draw: str
    campaign: str = ""
    records: Sequence[str] = ()
    titles: Sequence[str] = ()


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
    return importlib.import_module(f"ufm.gallery.{known[name].draw}").draw(known[name], witnesses)


def save(name: str, folder: Path, witnesses: "Witnesses | None" = None) -> list[Path]:
    """Draw a figure and write it as SVG and PNG; returns the paths."""
    from ufm.plot.style import style

    figure = draw(name, witnesses)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.svg", folder / f"{name}.png"]
    with style():
        figure.savefig(paths[0], metadata={"Date": None})  # no date: the same data give the same drawing
        _save_png(figure, paths[1])
    return paths


def _save_png(figure: "Figure", path: Path) -> None:
    """A palette of 256 colours: a third of the bytes, off by less than 0.1 of 255 levels in the mean."""
    from PIL import Image

    picture = BytesIO()
    figure.savefig(picture, format="png")
    with Image.open(picture) as drawn:
        few = drawn.convert("RGB").quantize(256, kmeans=3, dither=Image.Dither.NONE)
        few.save(path, optimize=True, dpi=drawn.info["dpi"])
