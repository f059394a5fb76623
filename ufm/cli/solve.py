"""`ufm solve`: the certified optimum of a problem."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ufm.cli import problem_flags as flags
from ufm.cli.destination import plot_option, save_option
from ufm.cli.terminal import JsonFlag, console, print_json, save_figure, table
from ufm.errors import UfmError


def solve(
    problem: flags.ProblemFile = None,
    classes: flags.Classes = None,
    encoding: flags.Encoding = "one_hot",
    parameters: flags.With = None,
    counts: flags.Counts = "1",
    lam_W: flags.LamW = "",
    lam_H: flags.LamH = None,
    lam_b: flags.LamB = float("inf"),
    t_rel: flags.TRel = None,
    loss: flags.Loss = "mse",
    width: flags.Width = None,
    constraint: flags.Constraint = None,
    method: Annotated[str, typer.Option(help="auto, 'closed form', newton, cvxpy, cvxpy:scs ...")] = "auto",
    over: flags.Over = None,
    save: Annotated[Path | None, save_option("Write the record here (.nc or .npz).")] = None,
    plot: Annotated[Path | None, plot_option("Draw along the weight that --over sweeps (.png, .svg).")] = None,
    observable: Annotated[list[str] | None, typer.Option(help="What --plot shows; may be repeated.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """The global minimum of a problem, with a lower bound that proves it.

    Example: ufm solve --classes 10 --counts 500 --t-rel 0.2 --lam-b 0.1

    Example: ufm solve --classes 3 --counts 50,20,5 --lam-W 0.02 --lam-H 1 --over lam_H=1e-5:1:80 --plot mine.png

    Example: ufm solve --classes 10 --t-rel 0.1 --loss rescaled_mse:k=5,M=3

    Example: ufm solve --classes 10 --t-rel 0.1 --loss cross_entropy --constraint non_negative
    """
    from ufm.optimum import GroupedOptimum
    from ufm.optimum import solve as find_optimum

    stated = flags.build_problem(
        problem, classes, encoding, parameters, counts, lam_W, lam_H, lam_b, t_rel, loss, width, constraint
    )
    if over:
        _solve_over(stated, flags.build_axes(over), method, (save, plot), tuple(observable or ()), as_json)
        return
    if plot is not None:
        raise UfmError(f"--plot {plot} draws along a weight; name it with --over lam_H=1e-5:1:80, or another.")
    optimum = find_optimum(stated, method=method)
    record = optimum.record()
    if save is not None:
        record.save(save)
    if as_json:
        values = {str(k): v.values for k, v in record.values.data_vars.items()}
        print_json({"problem": stated.to_dict(), "status": optimum.status.name, "method": optimum.method, **values})
        return
    out = console()
    out.print(f"{stated!r}\n{optimum.status.name}: {optimum.status.value}", markup=False)
    scalars = [[str(k), f"{float(v):.10g}"] for k, v in record.values.data_vars.items() if v.ndim == 0]
    out.print(table(f"optimum by {optimum.method}", ["observable", "value"], scalars))
    shown = [f"{s:.6g}" for s in optimum.singular_values[:12]]
    if isinstance(optimum, GroupedOptimum):
        shown = [f"{n} x {s}" for s, n in zip(shown, optimum.multiplicities, strict=False)]
        out.print(_by_group(optimum))
    out.print(f"singular values of W H: {', '.join(shown)}{' ...' if optimum.singular_values.size > 12 else ''}")
    out.print(f"second order: {optimum.certificate.second_order}", markup=False)


def _by_group(optimum: Any) -> Any:
    """A row for the classes of each size: norm of a mean, cosine of two, logits of the own target and of another."""
    heads = ["classes", "samples each", "norm", "cosine", "own logit", "other logit", "bias"]
    columns = (optimum.norm, optimum.cosine_within, optimum.logit_own, optimum.logit_within, optimum.bias)
    rows = [
        [str(number), str(size), *(f"{float(column[g]):.6g}" for column in columns)]
        for g, (number, size) in enumerate(zip(optimum.number, optimum.size, strict=True))
    ]
    return table("by size of the classes", heads, rows)


def _solve_over(
    stated: Any,
    axes: dict[str, Any],
    method: str,
    paths: tuple[Path | None, Path | None],
    observables: tuple[str, ...],
    as_json: bool,
) -> None:
    """The optima on a grid of weights: the record and the picture are the result, the summary is for the eye."""
    from ufm.optimum import solve as find_optimum

    optima = find_optimum(stated, method, over=axes)
    save, plot = paths
    if save is not None:
        optima.record().save(save)
    if plot is not None:
        from ufm.plot.sweep import sweep

        save_figure(sweep(optima.record(), observables)[0].figure, plot)
    if as_json:
        arrays = {"value": optima.value, "lower_bound": optima.lower_bound, "rank": optima.rank}
        print_json({"problem": stated.to_dict(), "over": axes, **arrays})
        return
    out = console()
    out.print(f"{stated!r}\n{optima!r}", markup=False)
    for path in filter(None, paths):
        out.print(f"wrote {path}", markup=False)
    if not any(paths):
        out.print("Give --save FILE for the observables of every point, --plot FILE for a picture.", markup=False)
