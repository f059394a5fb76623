"""Trained networks of recorded trials over the certified optima of their own problems, one panel a run."""

from typing import TYPE_CHECKING

import numpy as np

from ufm.constraints import NonNegative
from ufm.errors import UfmError
from ufm.optimum import solve
from ufm.plot.style import ONE_COLUMN, TWO_COLUMNS, style
from ufm.plot.trials import strengths
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
    from matplotlib.figure import Figure

    columns = min(3, len(spec.records))
    rows = -(-len(spec.records) // columns)
    with style():
        width = ONE_COLUMN if len(spec.records) == 1 else TWO_COLUMNS
        figure = Figure(figsize=(width, 0.4 + 2.1 * rows + 0.5 * (columns == 1)), layout="constrained")
        axes = np.ravel(figure.subplots(rows, columns, squeeze=False))
        for ax, name, letter in zip(axes, spec.records, "abcdefghi", strict=False):
            _panel(ax, load(locate("numerics", "records") / name))
            ax.set_title(f"{letter}   {_title(name)}", loc="left")
        for ax in axes[::columns]:
            ax.set_ylabel(r"singular values$\,/\sqrt{N/m}$")
        for ax in axes[len(spec.records) :]:
            ax.set_visible(False)
        _legend(figure, [load(locate("numerics", "records") / name) for name in spec.records])
    return figure


def swept(record: Record) -> str:
    """What a record of networks is swept along."""
    for name in ("t_rel", "lam_b", "lam_H", "lam_W"):
        if name in record.values.dims:
            return name
    raise UfmError("this record of networks has none of the dimensions t_rel, lam_b, lam_H, lam_W.")


def problem_of(record: Record, value: float) -> Problem:
    """The problem of a record's networks at one value; t_rel scales all weights but the bias's.

    ReLU features are never negative, and neither are their problem's.
    """
    problem, along = record.problem, swept(record)
    if problem is None:
        raise UfmError("these networks came without their problem.")
    if record.provenance.get("recipe", {}).get("features") == "relu":
        problem = problem.replace(constraint=NonNegative())
    if along != "t_rel":
        return problem.replace(**{along: value})
    factor = value / float(record.values["t_rel"].values[0])
    lam_W = tuple(float(w) * factor for w in problem.lam_W)
    return problem.replace(lam_W=lam_W, lam_H=float(problem.lam_H) * factor)


def agreement(record: Record) -> dict[str, float]:
    """How far the networks of a record are from their optima, at worst; and their number, `networks`.

    singular_values: difference over the largest one; excess: objective over the minimum, minus 1; both against the
    local optimum where networks of depth stay in one. nc1_ratio is NaN for regression.
    """
    along, worst, excess = swept(record), 0.0, 0.0
    values = record.values[along].values.astype(float)
    found = record["singular_values"].transpose(along, "seed", "direction").values
    objective = record["value"].transpose(along, "seed").values
    for value, strength, reached in zip(values, found, objective, strict=True):
        problem = problem_of(record, float(value))
        optima = [solve(problem)] + ([solve(problem, method="metastable")] if problem.p > 2 else [])
        for s, L in zip(strength, reached, strict=True):
            optimum = min(optima, key=lambda o, s=s: abs(o.singular_values[0] - s[0]))
            worst = max(worst, np.abs(optimum.singular_values[: s.size] - s).max() / max(s[0], 1e-12))
            excess = max(excess, L / optimum.value - 1)
    nc1 = float(record["nc1_ratio"].max()) if "nc1_ratio" in record else float("nan")
    counted = {"networks": float(objective.size), "nc1_ratio": nc1}
    return counted | {"singular_values": float(worst), "excess": float(excess)}


def _panel(ax: "Axes", record: Record) -> None:
    along = swept(record)
    values = record.values[along].values.astype(float)
    finite = values[np.isfinite(values)]
    fine = np.geomspace(finite[0] / 1.15, finite[-1] * 1.15, 120 if problem_of(record, finite[0]).p > 2 else 60)
    fine = fine if np.isfinite(values).all() else np.append(fine, np.inf)
    problems = [problem_of(record, float(value)) for value in fine]
    found = record["singular_values"].transpose("seed", along, "direction").values
    r = found.shape[-1]
    theory = np.stack([solve(problem).singular_values[:r] for problem in problems])
    local = None
    if problems[0].p > 2:
        local = np.stack([solve(problem, method="metastable").singular_values[:r] for problem in problems])
        local[(local[:, 0] < 1e-9) | np.isclose(local[:, 0], theory[:, 0])] = np.nan
    if problems[0].constraint is not None:
        local = np.stack([solve(problem.replace(constraint=None)).singular_values[:r] for problem in problems])
    unit = np.sqrt(problems[0].N / max(1, problems[0].m))
    strengths(ax, fine, theory, values, found, local=local, unit=unit)
    ax.set_xlabel(_WORDS.get(along, along))


def _title(name: str) -> str:
    return name.removesuffix(".nc").split("_", 1)[1].replace("_", " ")


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
