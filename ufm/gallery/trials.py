"""Trained networks of recorded trials over the certified optima of their own problems, one panel a run."""

from typing import TYPE_CHECKING

import numpy as np

from ufm.expected import problem_of, swept
from ufm.optimum import solve
from ufm.plot.style import ONE_COLUMN, TWO_COLUMNS, sheet, style
from ufm.plot.trials import spectra
from ufm.problem import Problem
from ufm.record import Record, load
from ufm.share import locate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ufm.figure import FigureSpec
    from ufm.referee.witnesses import Witnesses

_WORDS = {"lam_b": r"weight of the bias, $\lambda_b$", "t_rel": "regularisation, $t$"}


def draw(spec: "FigureSpec", _: "Witnesses | None") -> "Figure":
    """One panel a record of the spec, titled by its run."""
    columns = min(3, len(spec.records))
    rows = -(-len(spec.records) // columns)
    with style():
        width = ONE_COLUMN if len(spec.records) == 1 else TWO_COLUMNS
        figure = sheet(figsize=(width, 0.4 + 2.1 * rows + 0.5 * (columns == 1)), layout="constrained")
        axes = np.ravel(figure.subplots(rows, columns, squeeze=False))
        for ax, name, title, letter in zip(axes, spec.records, spec.titles, "abcdefghi", strict=False):
            _panel(ax, load(locate("numerics", "records") / name))
            ax.set_title(f"{letter}   {title}" if len(spec.records) > 1 else title, loc="left")
        for ax in axes[::columns]:
            ax.set_ylabel(r"singular values$\,/\sqrt{N/m}$")
        for ax in axes[len(spec.records) :]:
            ax.set_visible(False)
        _legend(figure, [load(locate("numerics", "records") / name) for name in spec.records])
    return figure


def _panel(ax: "Axes", record: Record) -> None:
    along = swept(record)
    values = record.values[along].values.astype(float)
    finite = values[np.isfinite(values)]
    fine = np.geomspace(finite[0] / 1.15, finite[-1] * 1.15, 120 if problem_of(record, finite[0]).p > 2 else 60)
    fine = fine if np.isfinite(values).all() else np.append(fine, np.inf)
    problems = [problem_of(record, float(value)) for value in fine]
    theory = _curve(along, fine, [solve(problem).singular_values for problem in problems])
    local = _local(along, fine, problems, theory)
    unit = float(np.sqrt(problems[0].N / max(1, problems[0].m)))
    if problems[0].p > 2:
        theory = _torn(theory, along)
    spectra(theory, record, local=local, unit=unit, ax=ax)
    ax.set_xlabel(_WORDS.get(along, along))


def _local(along: str, fine: np.ndarray, problems: list[Problem], theory: Record) -> Record | None:
    """The metastable optimum with depth, NaN where it is the global one; without the sign where features have one."""
    if problems[0].constraint is not None:
        return _curve(along, fine, [solve(problem.replace(constraint=None)).singular_values for problem in problems])
    if problems[0].p == 2:
        return None
    found = np.stack([solve(problem, method="metastable").singular_values for problem in problems])
    found[(found[:, 0] < 1e-9) | np.isclose(found[:, 0], theory["singular_values"].values[:, 0])] = np.nan
    return _curve(along, fine, list(found))


def _curve(along: str, fine: np.ndarray, spectra: list[np.ndarray]) -> Record:
    """Singular values of optima along what was swept."""
    values = {"singular_values": ((along, "direction"), np.stack(spectra))}
    return Record.of("optimum", values, coords={along: fine})


def _torn(theory: Record, along: str) -> Record:
    """The curves with a NaN where one vanishes at a jump, as a first-order threshold has it: no line leads there."""
    strengths = theory["singular_values"].values
    fell = np.flatnonzero(np.any((strengths[1:] == 0) & (strengths[:-1] > 0.1 * strengths.max()), axis=1)) + 1
    middle = np.sqrt(theory.values[along].values[fell] * theory.values[along].values[fell - 1])
    fine = np.insert(theory.values[along].values, fell, middle)
    return _curve(along, fine, list(np.insert(strengths, fell, np.nan, axis=0)))


def _legend(figure: "Figure", records: list[Record]) -> None:
    """What lines and points are; dashed ones only where there are some."""
    from matplotlib.lines import Line2D

    line = Line2D([], [], color="0.3", linewidth=1.1, label="certified optimum of the same problem")
    look = {"color": "0.3", "marker": "s", "markersize": 3.4, "linestyle": "none"}
    handles = [line, Line2D([], [], label="networks on MNIST, bars: seeds", **look)]
    problems = [problem_of(record, float(record.values[swept(record)][0])) for record in records]
    dashed = "optimum without the sign" if any(p.constraint is not None for p in problems) else ""
    dashed = "metastable optimum" if any(p.p > 2 for p in problems) else dashed
    if dashed:
        handles.append(Line2D([], [], color="0.3", linewidth=1.1, linestyle=(0, (4, 2)), label=dashed))
    figure.legend(handles=handles, loc="outside upper center", ncols=3 if len(records) > 1 else 1)
