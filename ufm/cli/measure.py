"""`ufm measure`: the metrics of a user's own arrays."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ufm.cli import completion
from ufm.cli.arrays_file import ArraysFile, Names, Rows, read_arrays
from ufm.cli.destination import save_option
from ufm.cli.terminal import JsonFlag, console, print_json, table

_KEYS = (
    "Observables to compute, and no others: nc1,cdnv,nc4; or all, with those that take long (intrinsic_dimension, "
    "one_vs_rest_means, one_vs_rest_classifier). Their names: --keys list."
)


def measure(
    arrays: ArraysFile,
    name: Names = None,
    rows: Rows = False,
    keys: Annotated[str | None, typer.Option("--keys", help=_KEYS, autocompletion=completion.metrics)] = None,
    save: Annotated[Path | None, save_option("Write the record here (.nc or .npz).")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Neural-collapse metrics of features and, if there, of the classifier on top.

    A file with `outside` (features of other data, d x N') has NC5 and the NECO scores, one with `gram` (K x K) the
    distance to that Gram matrix; one with H.fc1, H.fc2, ... in place of H is measured layer by layer. Numbers are
    printed; arrays, such as one number a class, with --keys, --json or --save.

    Example: ufm measure run.npz --keys nc1,nc4,intrinsic_dimension
    """
    from ufm.measure import measure as take

    given = read_arrays(arrays, name, rows)
    if keys == "list":
        _list(as_json, of_classes=given["labels"].ndim == 1)
        return
    chosen: Any = keys if keys in (None, "all") else [key.strip() for key in keys.split(",")]
    beside = {part: given[part] for part in ("outside", "gram") if given[part] is not None}
    record = take(given["H"], given["labels"], given["W"], given["b"], keys=chosen, **beside)
    if save is not None:
        record.save(save)
    if as_json:
        named = {"layer": record.values["layer"].values} if "layer" in record.values.dims else {}
        print_json(named | {str(k): v.values for k, v in record.values.data_vars.items()})
        return
    _print(str(arrays), record.values, chosen is not None)


def _print(title: str, values: Any, chosen: bool) -> None:
    """Numbers as a table, with a column a layer; of arrays that were asked for their entries, or their size."""
    layers = [str(layer) for layer in values["layer"].values] if "layer" in values.dims else []
    rows = []
    for name, value in values.data_vars.items():
        if value.dims in ((), ("layer",)):
            rows.append([str(name), *(f"{x:.8g}" for x in value.values.reshape(-1))])
        elif chosen and not layers:
            rows.append([str(name), _entries(value)])
    out = console()
    out.print(table(title, ["observable", *(layers or ["value"])], rows))
    shown = {row[0] for row in rows}
    arrays = [str(name) for name in values.data_vars if name not in shown]
    if arrays:
        out.print(f"arrays, shown with --keys, --json or --save: {', '.join(arrays)}", markup=False)


def _entries(value: Any) -> str:
    """The entries of an array with one dimension, or the sizes of a larger one."""
    if value.ndim == 1 and value.size <= 12:
        return ", ".join(f"{x:.5g}" for x in value.values)
    sizes = " x ".join(f"{size} ({dim})" for dim, size in value.sizes.items())
    return f"{sizes}: see --json or --save"


def _list(as_json: bool, of_classes: bool) -> None:
    """The names of all observables of this kind of data, with what each needs."""
    from ufm.metrics.samples import OF_CLASSES, OF_TARGETS

    families = OF_CLASSES if of_classes else OF_TARGETS
    rows = [
        [name, "; ".join(need.words for need in family.needs), family.costs]
        for family in families
        for name in family.names
    ]
    if as_json:
        print_json([dict(zip(("key", "needs", "costs"), row, strict=True)) for row in rows])
    else:
        console().print(table("observables", ["key", "needs", "on request, because it"], rows, numeric_from=9))
