"""`ufm measure`: the metrics of a user's own arrays."""

from pathlib import Path
from typing import Annotated

import typer

from ufm.cli.terminal import JsonFlag, console, print_json, table


def measure(
    arrays: Annotated[Path, typer.Argument(help="An .npz file with H (d x N), labels (N), and W, b if there.")],
    save: Annotated[Path | None, typer.Option(help="Write the record here (.nc or .npz).")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Neural-collapse metrics of features and, if there, of the classifier on top.

    Example: ufm measure run.npz
    """
    import numpy as np

    from ufm.errors import UfmError
    from ufm.measure import measure as take

    if not arrays.exists():
        raise UfmError(f"{arrays}: no such file.")
    with np.load(arrays, allow_pickle=False) as stored:
        missing = {"H", "labels"} - set(stored)
        if missing:
            raise UfmError(f"{arrays} has no {' and no '.join(sorted(missing))}; it has {', '.join(stored)}.")
        record = take(stored["H"], stored["labels"], stored.get("W"), stored.get("b"))
    if save is not None:
        record.save(save)
    scalars = {str(k): float(v) for k, v in record.values.data_vars.items() if v.ndim == 0}
    if as_json:
        print_json({str(k): v.values for k, v in record.values.data_vars.items()})
        return
    console().print(table(str(arrays), ["observable", "value"], [[k, f"{v:.8g}"] for k, v in scalars.items()]))
