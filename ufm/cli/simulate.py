"""`ufm simulate`: the gradient flow of a problem."""

from pathlib import Path
from typing import Annotated

import typer

from ufm.cli import problem_flags as flags
from ufm.cli.terminal import JsonFlag, console, print_json, table


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
    seed: Annotated[int, typer.Option(help="Seed of the random start.")] = 0,
    t1: Annotated[float | None, typer.Option(help="End of the run; left out, it runs to the steady state.")] = None,
    rtol: Annotated[float, typer.Option(help="Relative tolerance of a step.")] = 1e-8,
    integrator: Annotated[str, typer.Option(help="auto, or the name of an integrator.")] = "auto",
    backend: Annotated[str, typer.Option(help="auto, numpy, cupy or torch.")] = "auto",
    save: Annotated[Path | None, typer.Option(help="Write the record here (.nc or .npz).")] = None,
    as_json: JsonFlag = False,
) -> None:
    """The gradient flow of a problem from a random start, by default to its steady state.

    Example: ufm simulate --classes 4 --counts 10 --t-rel 0.3 --lam-b 0.2
    """
    from ufm.flow import simulate as run_flow

    stated = flags.build_problem(
        problem, classes, encoding, parameters, counts, lam_W, lam_H, lam_b, t_rel, loss, width
    )
    flow = run_flow(stated, start=seed, t1=t1, rtol=rtol, integrator=integrator, backend=backend)  # pyright: ignore
    record = flow.record()
    if save is not None:
        record.save(save)
    scalars = {str(k): float(v) for k, v in record.values.data_vars.items() if v.ndim == 0}
    if as_json:
        print_json({"problem": stated.to_dict(), "status": flow.status.name, **dict(record.provenance), **scalars})
        return
    out = console()
    out.print(f"{stated!r}\n{flow.status.name}: {flow.status}", markup=False)
    out.print(table("end of the flow", ["observable", "value"], [[k, f"{v:.10g}"] for k, v in scalars.items()]))
