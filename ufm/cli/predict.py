"""`ufm predict`: a user's own arrays against the certified optimum of the same sizes."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ufm.cli import problem_flags as flags
from ufm.cli.arrays_file import ArraysFiles, Names, Rows, read_arrays
from ufm.cli.destination import plot_option, save_option
from ufm.cli.terminal import JsonFlag, console, print_json, save_figure

LamH = Annotated[
    str | None,
    typer.Option(
        "--lam-H", help="Of 1/2 ||H||^2; inferred where left out. Two, 1e-6,8e-6: of the features' mean, of the rest."
    ),
]
Fitted = Annotated[
    list[Path] | None,
    typer.Option(
        "--lam-H-from",
        help="Read the two weights, of the features' mean and of the rest, off the balance of this other run (a file "
        "like ARRAYS), and predict with them out of sample; may be repeated, for seeds.",
    ),
]


def predict(
    arrays: ArraysFiles,
    lam_W: Annotated[str, typer.Option("--lam-W", help="Weight of 1/2 ||W||^2; one per layer, last first: 0.1,0.1.")],
    lam_H: LamH = None,
    lam_H_from: Fitted = None,
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

    Several files are several networks of one setting, such as seeds: differences come in units of their spread, too.

    Example: ufm predict run.npz --lam-W 0.02 --lam-H 4e-5 --lam-b 0.5 --plot mine.png
    """
    from ufm.predict import predict as hold

    given = [_read(path, name, rows) for path in arrays]
    layers = flags.numbers("--lam-W", lam_W)
    weights = {
        "lam_W": layers[0] if len(layers) == 1 else layers,
        "lam_H": _feature_weights(lam_H, lam_H_from, name, rows, layers[0]),
        "lam_b": lam_b,
    }
    found = hold(**_together(given), **weights, codes=_codes(encoding, given[0]["labels"]), loss=loss)
    if save is not None:
        found.records[1].save(save)
    if plot is not None:
        _draw(found, plot)
    if as_json:
        by_direction = {k: v.values for k, v in found.records[1].values.items() if "balance_direction" in v.dims}
        print_json({**found.to_dict(), **by_direction})
    else:
        console().print(str(found), markup=False)
        if plot is not None:
            console().print(f"wrote {plot}", markup=False)
    raise typer.Exit(0 if found.agrees else 1)


def _read(path: Path, name: list[str] | None, rows: bool) -> dict[str, Any]:
    """Arrays of one network, its features those that enter the classifier."""
    from ufm.errors import UfmError

    given = read_arrays(path, name, rows)
    if isinstance(given["H"], dict):
        raise UfmError(
            f"{path} has the layers {', '.join(given['H'])}; name the one the classifier reads: --name H=..."
        )
    return {part: given[part] for part in ("H", "labels", "W", "b")}


def _together(given: list[dict[str, Any]]) -> dict[str, Any]:
    """The arguments of `ufm.predict`: lists where there are several networks."""
    if len(given) == 1:
        return given[0]
    listed = {part: [one[part] for one in given] for part in given[0]}
    return {part: None if all(x is None for x in each) else each for part, each in listed.items()}


def _feature_weights(
    stated: str | None, others: list[Path] | None, name: list[str] | None, rows: bool, lam_W: float
) -> Any:
    """lam_H: None to infer it, one number, or two."""
    from ufm.errors import UfmError
    from ufm.predict import effective_weights

    if others:
        if stated is not None:
            raise UfmError(f"--lam-H {stated}: --lam-H-from reads it off another run; give one of the two.")
        runs = [_read(path, name, rows) for path in others]
        if any(run["W"] is None for run in runs):
            raise UfmError("--lam-H-from: without W there is no balance to read weights off; name it with --name W=...")
        return effective_weights([run["H"] for run in runs], [run["W"] for run in runs], lam_W=lam_W)
    numbers = flags.numbers("--lam-H", stated) if stated is not None else None
    return numbers[0] if numbers is not None and len(numbers) == 1 else numbers


def _codes(encoding: str, labels: Any) -> Any:
    """Codes of the classes that occur; None for one-hot ones, which `ufm.predict` makes itself."""
    import numpy as np

    from ufm import encodings
    from ufm.errors import UfmError

    if encoding == "one_hot":
        return None
    known = encodings.available()
    if encoding.replace("-", "_") not in known:
        raise UfmError(f"--encoding {encoding}: choose one of {', '.join(known)}.")
    return known[encoding.replace("-", "_")](np.unique(labels).size)


def _draw(found: Any, path: Path) -> None:
    """The first network over the theory."""
    from ufm.plot.overlay import overlay

    theory, network = (r.select(seed=0) if "seed" in r.values.dims else r for r in found.records)
    save_figure(overlay(theory, network)[0].figure, path)
