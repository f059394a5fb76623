"""The norm of the features at the onset of collapse: by setting, as an omen, and beside the model's own norm."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ufm.constraints import NonNegative
from ufm.errors import UfmError
from ufm.metrics.onset import Course, Forecast, courses, forecasts, variation
from ufm.optimum import solve
from ufm.plot.against import ladder_colours
from ufm.plot.style import TWO_COLUMNS, sheet, style
from ufm.record import Record, load
from ufm.share import locate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ufm.figure import FigureSpec
    from ufm.referee.witnesses import Witnesses

THRESHOLD = 0.01  # of NC1 = tr Sigma_W / tr Sigma_B, as printed [rupa2026]
PRINTED = 1.052  # fn* of the paper's MLP-5 on MNIST
_IN_TIME = {
    "base": "base",
    "rescaled_3": "features times 3",
    "rescaled_0.3": "features times 0.3",
    "paper_mlp5": "MLP-5, printed protocol",
}


def draw(spec: "FigureSpec", _: "Witnesses | None") -> "Figure":
    """Norm and NC1 in time, before and after the features are rescaled; fn* by setting; onsets foretold."""
    records = {setting_of(name): load(locate("numerics", "records") / name) for name in spec.records}
    with style():
        figure = sheet(figsize=(TWO_COLUMNS, 5.4), layout="constrained")
        grid: Any = figure.subfigures(1, 2, width_ratios=[1, 1.15])
        left, right = grid
        (top, bottom), (by_setting, foretold) = left.subplots(2, 1, sharex=True), right.subplots(2, 1)
        _in_time(top, bottom, records)
        _by_setting(by_setting, records)
        _foretold(foretold, records)
    return figure


def setting_of(name: str) -> str:
    """The run that a record's file is named after."""
    return name.removesuffix(".nc").removeprefix("feature_norms_")


def model_norm(record: Record, epoch: int) -> float:
    """Mean ||h_k|| of the certified optimum of the networks' own problem, lam_H inferred from balance at that epoch.

    lam_H = lam_W ||W||^2/||H||^2, the mean over the seeds, where features have no penalty of their own; features of
    ReLU networks are not negative.
    """
    problem = record.problem
    if problem is None:
        raise UfmError("these networks came without their problem.")
    if record.provenance["regimen"]["activation"] == "relu":
        problem = problem.replace(constraint=NonNegative())
    if float(problem.lam_H) == 0:
        ratio = float(record["history_energy_ratio"].sel(epoch=epoch).mean())
        problem = problem.replace(lam_H=float(problem.lam_W[0]) / ratio)
    return float(np.linalg.norm(solve(problem).H, axis=0).mean())


def judged(records: Mapping[str, Record], threshold: float = THRESHOLD) -> dict[str, float]:
    """What the records say of each claim of rupa2026, as numbers.

    Of ReLU networks that decay alone holds: `fn_star_cv`, the coefficient of variation of fn* over the seeds of a
    setting, the largest; `fn_fixed_cv`, that of fn at the mean onset of the setting, what any epoch would give;
    `fn_star_spread` and `onset_spread`, those of the settings' means; forecasts by other seeds of a setting
    (`_seeds`) and by other settings (`_settings`): `lead`, the mean number of epochs between fn's crossing of the
    level and the onset, `lead_error`, the mean absolute error of the foretold onset, `baseline_error`, that of the
    others' mean onset, which needs no fn. Of the rest: the mean fn* over that of the base runs, by setting.
    """
    found: dict[str, float] = {}
    plain = [name for name in records if is_plain(records[name]) and not is_printed(records[name])]
    runs = {name: courses(record, name) for name, record in records.items()}
    stars = {name: _stars(runs[name], threshold) for name in records}
    begun = [name for name in plain if np.isfinite(stars[name]).any()]
    onsets = {name: np.array([run.onset(threshold) for run in runs[name]]) for name in begun}
    at = {name: int(np.nanmean(onsets[name])) - 1 for name in begun}
    found["fn_star_cv"] = float(np.nanmax([variation(stars[name]) for name in begun]))
    found["fn_fixed_cv"] = float(
        np.max([variation(np.array([run.fn[at[name]] for run in runs[name]])) for name in begun])
    )
    found["fn_star_spread"] = variation(np.array([np.nanmean(stars[name]) for name in begun]))
    found["onset_spread"] = variation(np.array([np.nanmean(onsets[name]) for name in begun]))
    kept = [run for name in begun for run in runs[name]]
    for word, told in (("seeds", by_other_seeds(kept, threshold)), ("settings", by_other_settings(kept, threshold))):
        known = foretold(told)
        found |= {
            f"lead_{word}": float(np.mean([f.lead for f in known])),
            f"lead_error_{word}": float(np.mean([abs(f.predicted - f.onset) for f in known])),
            f"baseline_error_{word}": float(np.mean([abs(f.baseline - f.onset) for f in known])),
        }
    base = float(np.nanmean(stars["base"]))
    own = [name for name in records if not is_printed(records[name])]
    others = [name for name in own if name not in plain and np.isfinite(stars[name]).any()]
    return found | {name: float(np.nanmean(stars[name])) / base for name in others}


def is_plain(record: Record) -> bool:
    """ReLU networks whose features were left as they are and have no penalty of their own."""
    regimen = record.provenance["regimen"]
    return regimen["activation"] == "relu" and regimen["rescale"] == 1 and regimen["feature_penalty"] == 0


def is_printed(record: Record) -> bool:
    """Networks of the paper's own protocol: 200 epochs of cross-entropy before the squared loss."""
    return record.provenance["regimen"]["entropy_epochs"] == 200


def foretold(told: list[Forecast]) -> list[Forecast]:
    """Forecasts that name an epoch, of networks that have an onset."""
    return [f for f in told if np.isfinite(f.predicted) and np.isfinite(f.onset)]


def table(records: Mapping[str, Record], threshold: float = THRESHOLD) -> str:
    """Markdown: fn* and onset of every setting, mean and sample standard deviation of the seeds, beside the model."""
    head = "| setting | networks that collapse | onset | fn* | fn in the end | over the model's norm |"
    rows = [head, "|" + " --- |" * (head.count("|") - 1)]
    for name, record in records.items():
        runs = courses(record, name)
        ends, stars = np.array([run.fn[-1] for run in runs]), _stars(runs, threshold)
        onsets = np.array([run.onset(threshold) for run in runs])
        model = model_norm(record, runs[0].fn.size)
        rows.append(
            f"| {name.replace('_', ' ')} | {int(np.isfinite(stars).sum())} of {len(runs)} | {_spread(onsets, 0)} "
            f"| {_spread(stars, 3)} | {_spread(ends, 3)} | {ends.mean() / model:.3f} |"
        )
    return "\n".join(rows) + "\n"


def _spread(x: np.ndarray, digits: int) -> str:
    kept = x[np.isfinite(x)]
    if not kept.size:
        return "none"
    around = f" ± {np.std(kept, ddof=1):.{digits}f}" if kept.size > 1 else ""
    return f"{kept.mean():.{digits}f}{around}"


def by_other_seeds(runs: list[Course], threshold: float) -> list[Forecast]:
    """Every network foretold from the other seeds of its own setting."""
    settings = dict.fromkeys(run.setting for run in runs)
    return [
        told
        for setting in settings
        for told in forecasts([run for run in runs if run.setting == setting], threshold, lambda run: run.seed)
    ]


def by_other_settings(runs: list[Course], threshold: float) -> list[Forecast]:
    """Every network foretold from the networks of all other settings."""
    return forecasts(runs, threshold, lambda run: run.setting)


def _stars(runs: list[Course], threshold: float) -> np.ndarray:
    return np.array([run.fn_star(threshold) for run in runs])


def _in_time(top: "Axes", bottom: "Axes", records: Mapping[str, Record]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    shown = [name for name in _IN_TIME if name in records]
    colours = (*ladder_colours(3), "#D55E00")
    for name, colour in zip(shown, colours, strict=False):
        for i, run in enumerate(courses(records[name], name)):
            epochs = np.arange(1, run.fn.size + 1)
            look: dict[str, Any] = {"color": colour, "markersize": 1.6, "linestyle": "none", "marker": "s"}
            look["rasterized"] = True  # thousands of points: one image, not a path each
            look["zorder"] = 3 if name == "base" else 2
            top.plot(epochs, run.fn, label=_IN_TIME[name] if i == 0 else None, **look)
            bottom.plot(epochs, run.nc1, **look)
            at = run.onset(THRESHOLD)
            if np.isfinite(at):
                mark: dict[str, Any] = {"marker": "o", "markersize": 7, "markerfacecolor": "none", "linestyle": "none"}
                top.plot([at], [run.fn_star(THRESHOLD)], markeredgecolor="black", zorder=4, **mark)
    base = records[shown[0]]
    epochs = base.values["epoch"].values
    some = epochs[np.unique(np.linspace(4, epochs.size - 1, 9).astype(int))]
    line = [model_norm(base, int(epoch)) for epoch in some]
    top.plot(some, line, color="black", linewidth=1.1, label=r"model, $\lambda_H$ from balance (base)")
    bottom.axhline(THRESHOLD, color="black", linewidth=1.1, linestyle=(0, (4, 2)))
    for ax in (top, bottom):
        ax.set_xscale("log")
        ax.set_yscale("log")
    top.yaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
    top.yaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    top.yaxis.set_minor_formatter(NullFormatter())
    top.set_ylabel(r"$fn$, mean of $\|h\|$")
    top.set_ylim(None, 150)
    top.legend(loc="upper right")
    bottom.set_ylabel(r"NC1, $\mathrm{tr}\,\Sigma_W/\mathrm{tr}\,\Sigma_B$")
    bottom.set_xlabel("epoch of the squared loss")
    top.set_title("a   feature norm; circles: onset of collapse", loc="left")
    bottom.set_title("b   within-class variability", loc="left")


def _by_setting(ax: "Axes", records: Mapping[str, Record]) -> None:
    """fn* of every network, and the model's norm at the mean onset."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    names = list(records)
    for row, name in enumerate(names):
        runs = courses(records[name], name)
        stars, onsets = _stars(runs, THRESHOLD), [run.onset(THRESHOLD) for run in runs]
        begun = np.isfinite(stars)
        for star, run in zip(stars, runs, strict=True):
            is_open = not np.isfinite(star)
            shown, face = (run.fn[-1], "none") if is_open else (star, "#D55E00")
            ax.plot([shown], [row], "s", color="#D55E00", markersize=4, markeredgewidth=0.8, markerfacecolor=face)
        epoch = round(float(np.nanmean(onsets))) if begun.any() else runs[0].fn.size
        ax.plot([model_norm(records[name], epoch)] * 2, [row - 0.36, row + 0.36], color="black", linewidth=1.4)
    ax.axvline(PRINTED, color="0.6", linewidth=0.8, linestyle=(0, (4, 2)))
    words = {"paper_mlp5": "MLP-5, 512"}
    ax.set_yticks(range(len(names)), [words.get(name, name.replace("_", " ")) for name in names])
    ax.invert_yaxis()
    ax.set_xscale("log")
    ax.set_xlabel(r"$fn^*$ (open: $fn$ at the end, no collapse)")
    ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_title("c   bars: the model; dashed: printed for MLP-5", loc="left")


def _foretold(ax: "Axes", records: Mapping[str, Record]) -> None:
    """Onsets foretold by the level of fn against the onsets themselves."""
    asked = {name: record for name, record in records.items() if is_plain(record) and not is_printed(record)}
    plain = {name: courses(record, name) for name, record in asked.items()}
    runs = [run for found in plain.values() for run in found]
    rows = (
        (by_other_seeds(runs, THRESHOLD), "other seeds", "#0072B2", "o"),
        (by_other_settings(runs, THRESHOLD), "other settings", "#D55E00", "s"),
    )
    top = 0.0
    for told, word, colour, marker in rows:
        known = foretold(told)
        x, y = np.array([f.onset for f in known]), np.array([f.predicted for f in known])
        error, naive = (np.mean(np.abs(v - x)) for v in (y, np.array([f.baseline for f in known])))
        label = f"{word}: off by {error:.1f} epochs ({naive:.1f} without fn)"
        ax.plot(x, y, marker, color=colour, markersize=4, markerfacecolor="none", label=label)
        top = max([top, *x, *y])
    ax.plot([0, 1.05 * top], [0, 1.05 * top], color="black", linewidth=1.1)
    ax.set_xlabel("onset of collapse (epoch)")
    ax.set_ylabel("foretold by the level of fn")
    ax.legend(loc="upper left")
    ax.set_ylim(0, 1.35 * top)
    ax.set_title("d   ReLU networks out of sample, learnt from", loc="left")
