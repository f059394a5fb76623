"""`ufm solve`: the certified optimum of a problem."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ufm.cli import problem_flags as flags
from ufm.cli.terminal import JsonFlag, console, print_json, table


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
    method: Annotated[str, typer.Option(help="auto, 'closed form', newton, cvxpy, 'branch and bound' ...")] = "auto",
    over: flags.Over = None,
    save: Annotated[Path | None, typer.Option(help="Write the record here (.nc or .npz).")] = None,
    as_json: JsonFlag = False,
) -> None:
    """The global minimum of a problem, with a lower bound that proves it.

    Example: ufm solve --classes 10 --counts 500 --t-rel 0.2 --lam-b 0.1

    Example: ufm solve --classes 10 --t-rel 0.1 --loss rescaled_mse:k=5,M=3

    Example: ufm solve --classes 10 --t-rel 0.1 --loss cross_entropy --constraint non_negative
    """
    from ufm.optimum import solve as find_optimum

    stated = flags.build_problem(
        problem, classes, encoding, parameters, counts, lam_W, lam_H, lam_b, t_rel, loss, width, constraint
    )
    if over:
        _solve_over(stated, flags.build_axes(over), method, save, as_json)
        return
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
    singular = ", ".join(f"{s:.6g}" for s in optimum.singular_values[:12])
    out.print(f"singular values of W H: {singular}{' ...' if optimum.singular_values.size > 12 else ''}")


def _solve_over(stated: Any, axes: dict[str, Any], method: str, save: Path | None, as_json: bool) -> None:
    """The optima on a grid of weights: the record is the result, the summary is for the eye."""
    from ufm.optimum import solve as find_optimum

    optima = find_optimum(stated, method, over=axes)
    if save is not None:
        optima.record().save(save)
    if as_json:
        arrays = {"value": optima.value, "lower_bound": optima.lower_bound, "rank": optima.rank}
        print_json({"problem": stated.to_dict(), "over": axes, **arrays})
        return
    out = console()
    out.print(f"{stated!r}\n{optima!r}", markup=False)
    hint = "Give --save FILE for the observables of every point."
    out.print(hint if save is None else f"wrote {save}", markup=False)
