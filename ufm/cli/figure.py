"""`ufm figure`: redraw figures from records."""

from pathlib import Path
from typing import Annotated

import typer

from ufm.cli.terminal import console


def figure(
    name: Annotated[str, typer.Argument(help="Name of the figure; left out, the figures are listed.")] = "",
    every: Annotated[bool, typer.Option("--all", help="Draw all of them.")] = False,
    out: Annotated[Path, typer.Option(help="Folder to write SVG and PNG into.")] = Path("results"),
) -> None:
    """Draw a figure from formulae and recorded data, without training.

    Example: ufm figure class-encoding
    """
    from ufm.figure import save, specs

    screen = console()
    if not name and not every:
        for spec in specs().values():
            screen.print(f"{spec.name}: {spec.sentence}", markup=False)
        return
    for chosen in specs() if every else [name]:
        for path in save(chosen, out):
            screen.print(f"wrote {path}", markup=False)
