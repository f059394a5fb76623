"""`ufm measure`: the metrics of a user's own arrays."""

from pathlib import Path
from typing import Annotated

from ufm.cli.arrays_file import ArraysFile, Names, Rows, read_arrays
from ufm.cli.destination import save_option
from ufm.cli.terminal import JsonFlag, console, print_json, table


def measure(
    arrays: ArraysFile,
    name: Names = None,
    rows: Rows = False,
    save: Annotated[Path | None, save_option("Write the record here (.nc or .npz).")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Neural-collapse metrics of features and, if there, of the classifier on top.

    Example: ufm measure run.npz
    """
    from ufm.measure import measure as take

    given = read_arrays(arrays, name, rows)
    record = take(given["H"], given["labels"], given["W"], given["b"])
    if save is not None:
        record.save(save)
    scalars = {str(k): float(v) for k, v in record.values.data_vars.items() if v.ndim == 0}
    if as_json:
        print_json({str(k): v.values for k, v in record.values.data_vars.items()})
        return
    console().print(table(str(arrays), ["observable", "value"], [[k, f"{v:.8g}"] for k, v in scalars.items()]))
