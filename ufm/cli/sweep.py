"""`ufm sweep`: the flows of a campaign or of any product of axes, resumed wherever they stopped."""

from pathlib import Path
from typing import Annotated

import typer

from ufm.cli import completion
from ufm.cli.terminal import JsonFlag, console, print_json, progress_bars


def sweep(
    campaign: Annotated[
        str,
        typer.Argument(
            help="The path of a TOML file, or a campaign that comes along.", autocompletion=completion.campaigns
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder to write the record into.")] = Path("results"),
    workers: Annotated[int | None, typer.Option(help="Processes on this machine; one a core if left out.")] = None,
    scheduler: Annotated[str | None, typer.Option(help="A Dask cluster instead, tcp://host:port.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Throw away the batches of an earlier run.")] = False,
    json: JsonFlag = False,
) -> None:
    """Run the gradient flows of a campaign, over any product of axes, and save their ends as one record.

    Batches are written as they come. Stopped at any moment, even killed, the same command goes on with what is missing,
    and the numbers are the same to the last bit.

    Example: ufm sweep flow_phases --out results
    """
    from ufm.share import read_campaign

    path, spec = read_campaign(campaign)
    if "theorem" in spec:
        _of_theorem(campaign, out, as_json=json)
        return
    from ufm.sweeping import load_plan
    from ufm.sweeping import sweep as run

    plan, reached = load_plan(path), [0]
    with progress_bars() as progress:

        def tell(done: int, total: int) -> None:
            reached[0] = done
            progress("gradient flows", done, total)

        try:
            record = run(plan, out, workers=workers, scheduler=scheduler, fresh=fresh, progress=tell)
        except KeyboardInterrupt:
            kept = f"{reached[0]} of {plan.count} flows are done and kept in {out}"
            typer.echo(f"ufm: stopped; {kept}. The same command goes on with the rest.", err=True)
            raise
    written = out / f"{plan.name}.nc"
    steady = float(record["steady"].values.mean())
    if json:
        axes = {name: list(values) for name, values in plan.axes.items()}
        print_json({"record": str(written), "flows": plan.count, "axes": axes, "steady": steady})
        return
    axes = " x ".join(f"{len(values)} {name}" for name, values in plan.axes.items())
    console().print(f"{plan.count} flows ({axes}), {steady:.1%} at rest", markup=False)
    console().print(f"wrote {written}", markup=False)


def _of_theorem(campaign: str, out: Path, *, as_json: bool) -> None:
    """The flows that `ufm check` lays beside a theorem, with how they relax where they do not settle."""
    from ufm.campaign import load_campaign
    from ufm.referee.witnesses import run_flows

    plan = load_campaign(campaign)
    with progress_bars() as progress:
        record = run_flows(plan, progress)
    out.mkdir(parents=True, exist_ok=True)
    written = str(record.save(out / plan.flows().record))
    if as_json:
        print_json({"record": written})
        return
    console().print(f"wrote {written}", markup=False)
