"""The flags that name a user's arrays, shared by the verbs that read them."""

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from ufm.errors import UfmError

_HOLDS = (
    "H (d x N), labels (N, or the targets of a regression, m x N), and W, b if there; W1, W2, ... for several linear "
    "layers, W1 the one that H enters: .npz, .safetensors, or .pt with tensors only."
)
ArraysFile = Annotated[Path, typer.Argument(help=_HOLDS)]
ArraysFiles = Annotated[list[Path], typer.Argument(help=f"{_HOLDS} Several files: one network of a setting each.")]
Names = Annotated[
    list[str] | None,
    typer.Option(
        "--name",
        help="What the file calls an array: --name W=fc.weight, or several layers, last first: --name W=fc2,fc1; "
        "may be repeated.",
    ),
]
Rows = Annotated[
    bool, typer.Option("--rows", help="H, and targets of a regression, have one row a sample (N x d), as in PyTorch.")
]

_WANTED = ("H", "labels", "W", "b", "outside", "gram")


def read_arrays(path: Path, names: list[str] | None, rows: bool) -> dict[str, Any]:
    """H (d x N), labels, W, b, outside and gram (None where absent); UfmError lists what there is where H is missing.

    W is a list of layers, last first, where there are several. H and W are dictionaries by layer where the file has
    arrays named H.fc1, H.fc2, ... (and W.fc1, the layer on top of fc1) instead of H.
    """
    from ufm.tensors import read_tensors

    stored = read_tensors(path)
    given = dict(_name(text) for text in names or [])
    hidden = {} if "H" in given or "H" in stored else _by_layer(stored, "H")
    needed = {**dict.fromkeys(("labels",) if hidden else ("H", "labels")), **given}
    missing = [part for name in needed for part in given.get(name, name).split(",") if part not in stored]
    if missing:
        wanted = " and no ".join(missing)
        raise UfmError(f"{path} has no {wanted}; it has {', '.join(stored) or 'nothing'}. Name arrays with --name.")
    found: dict[str, Any] = {name: stored.get(given.get(name, name)) for name in _WANTED if name != "W"}
    labels = found["labels"]
    found["labels"] = labels.T if rows and labels.ndim == 2 else labels
    N = labels.shape[-1] if labels.ndim == 2 and not rows else len(labels)
    if hidden:
        above = _by_layer(stored, "W")
        H = {layer: _columns(path, x, N, rows) for layer, x in hidden.items()}
        return found | {"H": H, "W": above or None}
    if rows and found["outside"] is not None:
        found["outside"] = found["outside"].T
    return found | {"H": _columns(path, found["H"], N, rows), "W": _layers(path, stored, given.get("W"))}


def _columns(path: Path, H: Any, N: int, rows: bool) -> Any:
    """H with one column a sample."""
    turned = H.T if rows else H
    if turned.ndim == 2 and turned.shape[1] != N == turned.shape[0]:
        fix = "leave --rows out" if rows else "add --rows"
        raise UfmError(f"{path} has {N} labels, and so many {'columns' if rows else 'rows'} in H; {fix}.")
    return turned


def _layers(path: Path, stored: dict[str, Any], named: str | None) -> Any:
    """W, or several layers, last first: those that are named, or W1, W2, ... of which W1 is the one that H enters."""
    if named is not None:
        parts = [stored[part] for part in named.split(",")]
        return parts[0] if len(parts) == 1 else parts
    numbers = sorted(int(name[1:]) for name in stored if re.fullmatch(r"W[1-9]\d*", name))
    if "W" in stored or not numbers:
        return stored.get("W")
    if numbers != list(range(1, len(numbers) + 1)):
        raise UfmError(
            f"{path} has the layers {', '.join(f'W{l}' for l in numbers)}; give all of W1 to W{numbers[-1]}."
        )
    return [stored[f"W{l}"] for l in reversed(numbers)]


def _by_layer(stored: dict[str, Any], letter: str) -> dict[str, Any]:
    """Arrays named H.fc1 by their layer."""
    return {name[2:]: x for name, x in stored.items() if name.startswith(f"{letter}.") and len(name) > 2}


def _name(text: str) -> tuple[str, str]:
    ours, equals, theirs = text.partition("=")
    if not equals or ours not in _WANTED or not all(theirs.split(",")) or ("," in theirs and ours != "W"):
        raise UfmError(f"--name {text}: write it as H=..., labels=..., W=..., b=..., outside=... or gram=...")
    return ours, theirs
