"""`ufm predict`: a user's own arrays against the certified optimum of the same sizes."""

from pathlib import Path
from typing import Annotated

import typer

from ufm.cli import problem_flags as flags
from ufm.cli.arrays_file import ArraysFile, Names, Rows, read_arrays
from ufm.cli.destination import plot_option, save_option
from ufm.cli.terminal import JsonFlag, console, print_json, save_figure


def predict(
    arrays: ArraysFile,
    lam_W: Annotated[float, typer.Option("--lam-W", help="Weight of 1/2 ||W||^2.")],
    lam_H: Annotated[float | None, typer.Option("--lam-H", help="Of 1/2 ||H||^2; inferred where left out.")] = None,
    lam_b: flags.LamB = float("inf"),
    encoding: flags.Encoding = "one_hot",
    loss: flags.Loss = "mse",
    name: Names = None,
    rows: Rows = False,
    save: Annotated[Path | None, save_option("Write the measured record here (.nc or .npz).")] = None,
    plot: Annotated[Path | None, plot_option("Draw both, laid over each other (.png, .svg, .pdf).")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Features and classifier against the global minimum with the same weights; exit code 1 where they disagree.

    Example: ufm predict run.npz --lam-W 0.02 --lam-H 4e-5 --lam-b 0.5 --plot mine.png
    """
    import numpy as np

    from ufm import encodings
    from ufm.errors import UfmError
    from ufm.predict import predict as hold

    given = read_arrays(arrays, name, rows)
    codes = None
    if encoding != "one_hot":
        known = encodings.available()
        if encoding.replace("-", "_") not in known:
            raise UfmError(f"--encoding {encoding}: choose one of {', '.join(known)}.")
        codes = known[encoding.replace("-", "_")](np.unique(given["labels"]).size)
    weights = {"lam_W": lam_W, "lam_H": lam_H, "lam_b": lam_b}
    found = hold(given["H"], given["labels"], given["W"], given["b"], **weights, codes=codes, loss=loss)
    if save is not None:
        found.records[1].save(save)
    if plot is not None:
        from ufm.plot.overlay import overlay

        save_figure(overlay(*found.records)[0].figure, plot)
    if as_json:
        by_direction = {k: v.values for k, v in found.records[1].values.items() if v.dims == ("balance_direction",)}
        print_json({**found.to_dict(), **by_direction})
    else:
        console().print(str(found), markup=False)
        if plot is not None:
            console().print(f"wrote {plot}", markup=False)
    raise typer.Exit(0 if found.agrees else 1)
