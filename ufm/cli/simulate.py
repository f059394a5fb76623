"""`ufm simulate`: the gradient flow of a problem, or a descent of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from ufm.cli import completion
from ufm.cli import problem_flags as flags
from ufm.cli.destination import plot_option, save_option
from ufm.cli.terminal import JsonFlag, console, print_json, table
from ufm.errors import ProblemError


def simulate(
    problem: flags.ProblemFile = None,
    classes: flags.Classes = None,
    encoding: flags.Encoding = "one_hot",
    parameters: flags.With = None,
    counts: flags.Counts = "10",
    lam_W: flags.LamW = "",
    lam_H: flags.LamH = None,
    lam_b: flags.LamB = float("inf"),
    t_rel: flags.TRel = None,
    loss: flags.Loss = "mse",
    width: flags.Width = None,
    constraint: flags.Constraint = None,
    start: Annotated[str, typer.Option(help="random (all samples), collapsed (class means) or balanced.")] = "random",
    seed: Annotated[int, typer.Option(help="Seed of the start.")] = 0,
    scale: Annotated[float, typer.Option(help="Size of the start.")] = 1.0,
    t1: Annotated[float | None, typer.Option(help="End of the run; left out, it runs to the steady state.")] = None,
    rtol: Annotated[float, typer.Option(help="Relative tolerance of a step.")] = 1e-8,
    gtol: Annotated[float, typer.Option(help="Relative distance to the limit at which the flow is at rest.")] = 1e-9,
    integrator: Annotated[
        str,
        typer.Option(help="auto, an integrator, or a descent (see above).", autocompletion=completion.integrators),
    ] = "auto",
    lr: Annotated[float | None, typer.Option(help="Step length of a descent.")] = None,
    momentum: Annotated[float | None, typer.Option(help="Momentum of a descent.")] = None,
    path: Annotated[str, typer.Option(help="gradient, or central: W slaved to H (tirer2023).")] = "gradient",
    mode: Annotated[str, typer.Option(help="auto, full, collapsed, samples, S, A or propagator.")] = "auto",
    backend: Annotated[str, typer.Option(help="auto, numpy, cupy or torch.")] = "auto",
    max_steps: Annotated[int, typer.Option(help="Steps after which to stop.")] = 100_000,
    points: Annotated[int | None, typer.Option(help="Record so many times on the way.")] = None,
    spacing: Annotated[str, typer.Option(help="Of these times: log, or linear (with --t1).")] = "log",
    times: Annotated[str, typer.Option(help="Record these times: 0,1,10.")] = "",
    metrics: Annotated[str, typer.Option(help="basic, or all that ufm measure says of the samples.")] = "basic",
    onset: Annotated[list[str] | None, typer.Option(help="First time that nc1=0.01 is reached; repeatable.")] = None,
    over: flags.Over = None,
    save: Annotated[Path | None, save_option("Write the record here (.nc or .npz): path, or end.")] = None,
    plot: Annotated[Path | None, plot_option("Draw the path here (.png, .svg or .pdf).")] = None,
    as_json: JsonFlag = False,
) -> None:
    """The gradient flow of a problem from a random start, by default to its steady state.

    Integrators: tsit5, dopri8, kencarp4, kencarp5, rkc2, exprb43, lsoda. Descents: gradient_descent, momentum,
    nesterov, adam, adamw, with --lr; time is lr times the steps.

    Example: ufm simulate --classes 4 --counts 10 --t-rel 0.3 --lam-b 0.2

    Example: ufm simulate --classes 10 --counts 5000 --width 512 --lam-W 1e-4 --lam-H 1e-4 --lam-b 1e-4 --plot flow.png

    Example: ufm simulate --classes 4 --t-rel 0.2 --integrator adam --lr 0.01 --t1 20 --points 100 --save path.nc

    Example: ufm simulate --classes 4 --t-rel 0.2 --over lam_b=0.01:10:20 --save ends.nc
    """
    from ufm.flow import simulate as run_flow
    from ufm.flow.flow import Metrics

    stated = flags.build_problem(
        problem, classes, encoding, parameters, counts, lam_W, lam_H, lam_b, t_rel, loss, width, constraint
    )
    options: dict[str, Any] = {"rtol": rtol, "gtol": gtol, "integrator": integrator, "lr": lr, "momentum": momentum}
    options |= {"path": path, "mode": mode, "backend": backend, "max_steps": max_steps, "t1": t1}
    levels = [_level(text) for text in onset or []]
    if metrics not in ("basic", "all"):  # before the flow runs, not after it
        raise ProblemError("--metrics", metrics, "choose basic or all.")
    if over:
        _over(stated, flags.build_axes(over), _start(stated, start, seed, scale), options, save, as_json)
        return
    grid = _grid(points, spacing, times, t1, wanted=plot is not None or bool(levels))
    with _progress_bar() as progress:
        begin = _start(stated, start, seed, scale)
        flow = run_flow(stated, begin, save=grid, progress=progress, **options)
    chosen: Metrics = "all" if metrics == "all" else "basic"
    end = flow.record(chosen)
    along = None if flow.path is None or not (save or plot) else flow.path.record(chosen)
    if save is not None:
        (end if along is None else along).save(save)
    if plot is not None and along is not None:
        _draw(along, plot)
    found = {} if flow.path is None else {name: flow.path.onset(*level) for name, level in levels}
    scalars = {str(k): float(v) for k, v in end.values.data_vars.items() if v.ndim == 0}
    if as_json:
        said = {"problem": stated.to_dict(), "status": flow.status.name, "advice": flow.status.value}
        print_json(said | dict(end.provenance) | scalars | ({"onset": found} if levels else {}))
        return
    out = console()
    out.print(f"{stated!r}\n{flow.status.name}: {flow.status}", markup=False)
    ran = end.provenance
    out.print(f"{ran['integrator']} in mode {ran['mode']}: {flow.steps} steps to t = {flow.t:.6g}", markup=False)
    out.print(table("end of the flow", ["observable", "value"], [[k, f"{v:.10g}"] for k, v in scalars.items()]))
    for name, t in found.items():
        out.print(f"onset, {name}: " + ("never reached" if t is None else f"t = {t:.8g}"), markup=False)
    for written in (save, plot):
        if written is not None:
            out.print(f"wrote {written}", markup=False)


def _start(problem: Any, kind: str, seed: int, scale: float) -> Any:
    """The seed itself where it says everything, else the State."""
    from ufm.flow import balanced_start, random_start

    if kind == "balanced":
        return balanced_start(problem, seed, scale=scale)
    if kind not in ("random", "collapsed"):
        raise ProblemError("--start", kind, "choose random, collapsed or balanced.")
    if kind == "random" and scale == 1:
        return seed
    return random_start(problem, seed, scale=scale, collapsed=kind == "collapsed")


def _grid(points: int | None, spacing: str, times: str, t1: float | None, *, wanted: bool) -> Any:
    """What `simulate` saves: so many log-spaced times, an array of times, or None."""
    import numpy as np

    if spacing not in ("log", "linear"):
        raise ProblemError("--spacing", spacing, "choose log or linear.")
    if times:
        if points is not None:
            raise ProblemError("--points", points, "give points or times, not both.")
        return flags.numbers("--times", times)
    if points is None and not wanted:
        return None
    count = 200 if points is None else points
    if spacing == "log":
        return count
    if t1 is None:
        raise ProblemError("--spacing", spacing, "linear times need an end; give --t1.")
    if count < 2:
        raise ProblemError("--points", count, "give at least 2 linear times.")
    return np.linspace(0, t1, count)


def _level(text: str) -> tuple[str, tuple[str, float]]:
    name, equals, level = text.partition("=")
    if not equals:
        raise ProblemError("--onset", text, "write it as nc1=0.01.")
    return text, (name.strip(), flags.numbers("--onset", level)[0])


@contextmanager
def _progress_bar() -> Iterator[Callable[[Any], None]]:
    """One bar with the time left, on a terminal's standard error."""
    import sys

    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    bars = Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), disable=not sys.stderr.isatty())
    with bars:
        task = bars.add_task("flow", total=1.0)

        def report(progress: Any) -> None:
            said = f"t = {progress.t:.3g}, {progress.steps} steps, gradient {progress.gradient_norm:.1e}"
            bars.update(task, completed=progress.fraction, description=said)

        yield report


def _draw(record: Any, to: Path) -> None:
    from ufm.plot.course import course
    from ufm.plot.style import style

    figure = course(record)[0].figure
    with style():
        try:
            figure.savefig(to)
        except ValueError as error:  # an ending that matplotlib does not know
            raise ProblemError("--plot", str(to), f"{error}.") from None


def _over(
    problem: Any, axes: dict[str, Any], start: Any, options: dict[str, Any], save: Path | None, as_json: bool
) -> None:
    """The flows on a grid of weights: the record is the result, the summary is for the eye."""
    from ufm.flow import simulate as run_flow

    with _progress_bar() as progress:
        flows = run_flow(problem, start, over=axes, progress=progress, **options)
    if save is not None:
        flows.record().save(save)
    if as_json:
        ends = flows.record().values
        names = ("t", "value", "nc1", "gradient_norm", "steady")
        print_json({"problem": problem.to_dict(), "over": axes, **{k: ends[k].values for k in names if k in ends}})
        return
    out = console()
    out.print(f"{problem!r}\n{flows!r}", markup=False)
    out.print("Give --save FILE for the observables of every end." if save is None else f"wrote {save}", markup=False)
