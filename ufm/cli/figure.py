"""`ufm figure`: redraw figures from records."""

from pathlib import Path
from typing import Annotated

import typer

from ufm.cli import completion
from ufm.cli.terminal import JsonFlag, console, print_json


def figure(
    name: Annotated[
        str,
        typer.Argument(help="Name of the figure; left out, the figures are listed.", autocompletion=completion.figures),
    ] = "",
    every: Annotated[bool, typer.Option("--all", help="Draw all of them.")] = False,
    out: Annotated[Path, typer.Option(help="Folder to write SVG and PNG into.")] = Path("results"),
    json: JsonFlag = False,
) -> None:
    """Draw a figure from formulae and recorded data, without training.

    Example: ufm figure class-encoding
    """
    from ufm.figure import save, specs

    if not name and not every:
        sentences = {spec.name: spec.sentence for spec in specs().values()}
        if json:
            print_json(sentences)
        for each, sentence in () if json else sentences.items():
            console().print(f"{each}: {sentence}", markup=False)
        return
    written: dict[str, list[str]] = {}
    for chosen in specs() if every else [name]:
        written[chosen] = [str(path) for path in save(chosen, out)]
        for path in [] if json else written[chosen]:
            console().print(f"wrote {path}", markup=False)
    if json:
        print_json(written)
