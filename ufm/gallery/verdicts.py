"""The referee's verdict on every statement of the catalogue, by the file that states it."""

import json
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from ufm.gallery.verdict_marks import verdict_legend, verdict_rows
from ufm.plot.style import TWO_COLUMNS, sheet, style
from ufm.share import locate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ufm.figure import FigureSpec
    from ufm.referee.witnesses import Witnesses

_COLUMNS = 3


def draw(spec: "FigureSpec", _: "Witnesses | None") -> "Figure":
    """A mark a statement, from the verdicts that `ufm report --verdicts` recorded; the oldest paper first."""
    found = recorded(spec.records[0])
    by_file: dict[str, list[str]] = {}
    for name, verdict in found.items():
        by_file.setdefault(name.split(":")[0], []).append(verdict)
    files = sorted(by_file, key=_age)
    height = -(-len(files) // _COLUMNS)
    with style():
        figure = sheet(figsize=(TWO_COLUMNS, 0.5 + 0.19 * height), layout="constrained")
        columns = [files[i : i + height] for i in range(0, len(files), height)]
        widths = [max(len(by_file[name]) for name in column) for column in columns]
        axes = np.ravel(figure.subplots(1, len(columns), width_ratios=widths, squeeze=False))
        for ax, column, width in zip(axes, columns, widths, strict=True):
            verdict_rows(ax, {name: by_file[name] for name in column}, widest=width, height=height)
        verdict_legend(figure, Counter(found.values()))
    return figure


def recorded(name: str) -> dict[str, str]:
    """The verdict of every statement, by id, as it was recorded."""
    return json.loads((locate("numerics", "records") / name).read_text(encoding="utf-8"))["verdicts"]


def _age(name: str) -> tuple[str, str]:
    """Files with a year in their name by year, then the others, which are named by what they say."""
    year = next((name[i : i + 4] for i in range(len(name) - 3) if name[i : i + 4].isdigit()), "9999")
    return year, name
