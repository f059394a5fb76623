"""`ufm report`: all verdicts on one page."""

from pathlib import Path
from typing import Annotated

import typer

from ufm.cli.terminal import JsonFlag, print_json, progress_bars


def report(
    names: Annotated[
        list[str] | None, typer.Argument(help="Ids, files of the catalogue or .py files of your own; all if left out.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The page; its data go beside it as JSON.")] = Path("results/report.html"),
    verdicts: Annotated[Path | None, typer.Option(help="Also the verdicts alone, {id: verdict}, as JSON.")] = None,
    samples: Annotated[int, typer.Option(help="Quasi-random points of each domain; its edges come on top.")] = 64,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    fresh: Annotated[bool, typer.Option("--fresh", help="Verify every proof anew, whatever is remembered.")] = False,
    json: JsonFlag = False,
) -> None:
    """Judge statements and write one self-contained HTML page, and the same data as JSON.

    The page needs no network. Exit code 0 even where a statement is refuted: here that is a result, not a failure.

    Example: ufm report massion2026 --out results/report.html
    """
    from contextlib import nullcontext

    from ufm.catalogue import catalogue, find
    from ufm.derivation.memory import anew
    from ufm.errors import UfmError
    from ufm.referee.check import judge
    from ufm.report import write, write_verdicts

    if out.suffix not in (".html", ".htm"):
        raise UfmError(f"--out {out}: the page is HTML; give it a name that ends in .html.")
    found = [theorem for name in names for theorem in find(name)] if names else list(catalogue().values())
    theorems = list({theorem.id: theorem for theorem in found}.values())
    reports = []
    with progress_bars() as progress, anew() if fresh else nullcontext():
        for done, theorem in enumerate(theorems):
            progress("statements", done, len(theorems))
            reports.append(judge(theorem, samples=samples, seed=seed))
        progress("statements", len(theorems), len(theorems))
    paths = write(reports, out, samples=samples, seed=seed)
    if verdicts is not None:
        paths.append(write_verdicts(reports, verdicts, samples=samples, seed=seed))
    if json:
        found = {report.theorem.id: str(report.verdict) for report in reports}
        print_json({"page": str(paths[0]), "data": str(paths[1]), "verdicts": found})
        return
    for path in paths:
        typer.echo(f"wrote {path}")
