"""`ufm compare`: records side by side."""

from pathlib import Path
from typing import Annotated

import typer

from ufm.cli.terminal import JsonFlag, console, print_json


def compare(
    records: Annotated[list[Path], typer.Argument(help="Records, the first the reference; or one, of networks.")],
    as_json: JsonFlag = False,
) -> None:
    """Hold records against the first one, or networks against theory; exit code 1 beyond tolerance.

    One record of trained networks alone is held against the certified optimum of its own problem.

    Example: ufm compare optimum.nc flow.nc
    """
    from ufm.compare import compare as hold
    from ufm.expected import held
    from ufm.record import load

    first, *others = (load(path) for path in records)
    found = hold(first, *others) if others else held(first)
    if as_json:
        print_json(found.to_dict())
    else:
        console().print(str(found), markup=False)
    raise typer.Exit(0 if found.agrees else 1)
