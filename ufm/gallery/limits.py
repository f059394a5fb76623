"""What breaks the agreement: networks with one thing changed in their recipe, against the theory that knows of none."""

from typing import TYPE_CHECKING

import numpy as np

from ufm.expected import expected, swept
from ufm.gallery.limits_panels import by_kind, error_against, strengths_by_width
from ufm.plot.style import TWO_COLUMNS, sheet, style
from ufm.record import Record, load
from ufm.share import locate
from ufm.tolerance import tolerance

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ufm.figure import FigureSpec
    from ufm.referee.witnesses import Witnesses


def draw(spec: "FigureSpec", _: "Witnesses | None") -> "Figure":
    """Errors against steps and width, singular values against the width of the features and for batch norms."""
    read = {name: load(locate("numerics", "records") / name) for name in spec.records}
    steps, constant, width, d, plain, *norms = read.values()
    allowed = tolerance("measured", "singular_values").rel
    with style():
        figure = sheet(figsize=(TWO_COLUMNS, 4.6), layout="constrained")
        a, b, c, e = np.ravel(figure.subplots(2, 2))
        series = {"learning rate decays": _errors(steps), "learning rate constant": _errors(constant)}
        error_against(a, series, allowed, "steps of training")
        error_against(b, {"": _errors(width)}, allowed, "width of the three hidden layers")
        strengths_by_width(c, *_strengths(d))
        kinds = dict(zip(("none", "hidden", "features", "features,\nfixed"), (plain, *norms), strict=True))
        by_kind(e, {name: _at(record, (0.0625, 1.0)) for name, record in kinds.items()})
        titles = ("training", "narrow hidden layers", "narrow features", "batch norm")
        for ax, letter, title in zip((a, b, c, e), "abcd", titles, strict=True):
            ax.set_title(f"{letter}   {title}", loc="left")
    return figure


def strength_errors(record: Record) -> np.ndarray:
    """The largest error of any singular value over the largest one of theory, value x seed."""
    theory, found = (part["singular_values"] for part in expected(record))
    along = swept(record)
    wrong = abs(found - theory).max("direction") / theory.max("direction")
    return wrong.transpose(along, "seed").values


def _errors(record: Record) -> tuple[np.ndarray, np.ndarray]:
    return record.values[swept(record)].values.astype(float), strength_errors(record)


def _strengths(record: Record) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values, theory (value x direction) and networks (value x seed x direction), over sqrt(n)."""
    along = swept(record)
    order = (along, "seed", "direction")
    theory, found = (part["singular_values"].transpose(*order).values for part in expected(record))
    problem = record.problem
    unit = 1.0 if problem is None else np.sqrt(problem.N / problem.m)
    return record.values[along].values.astype(float), theory[:, 0] / unit, found / unit


def _at(record: Record, lam_b: tuple[float, ...]) -> list[tuple[float, np.ndarray, np.ndarray]]:
    """(lam_b, theory, networks) at some weights of the bias."""
    values, theory, found = _strengths(record)
    places = [int(np.argmin(abs(values - value))) for value in lam_b]
    return [(float(values[i]), theory[i], found[i]) for i in places]
