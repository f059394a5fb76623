"""The flags that name a user's arrays, shared by the verbs that read them."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ufm.errors import UfmError

ArraysFile = Annotated[
    Path,
    typer.Argument(
        help="H (d x N), labels (N, or the targets of a regression, m x N), and W, b if there: "
        ".npz, .safetensors, or .pt with tensors only."
    ),
]
Names = Annotated[
    list[str] | None, typer.Option("--name", help="What the file calls an array: --name W=fc.weight; may be repeated.")
]
Rows = Annotated[
    bool, typer.Option("--rows", help="H, and targets of a regression, have one row a sample (N x d), as in PyTorch.")
]

_WANTED = ("H", "labels", "W", "b")


def read_arrays(path: Path, names: list[str] | None, rows: bool) -> dict[str, Any]:
    """H (d x N), labels, W and b (None where absent) of a file; UfmError lists what it has where one is missing."""
    from ufm.tensors import read_tensors

    stored = read_tensors(path)
    given = dict(_name(text) for text in names or [])
    missing = [name for name in {**dict.fromkeys(("H", "labels")), **given} if given.get(name, name) not in stored]
    if missing:
        wanted = " and no ".join(given.get(name, name) for name in missing)
        raise UfmError(f"{path} has no {wanted}; it has {', '.join(stored) or 'nothing'}. Name arrays with --name.")
    found = {name: stored.get(given.get(name, name)) for name in _WANTED}
    H = stored[given.get("H", "H")].T if rows else stored[given.get("H", "H")]
    labels = stored[given.get("labels", "labels")]
    found["labels"] = labels.T if rows and labels.ndim == 2 else labels
    N = labels.shape[-1] if labels.ndim == 2 and not rows else len(labels)
    if H.ndim == 2 and H.shape[1] != N == H.shape[0]:
        fix = "leave --rows out" if rows else "add --rows"
        raise UfmError(f"{path} has {N} labels, and so many {'columns' if rows else 'rows'} in H; {fix}.")
    return found | {"H": H}


def _name(text: str) -> tuple[str, str]:
    ours, equals, theirs = text.partition("=")
    if not equals or ours not in _WANTED:
        raise UfmError(f"--name {text}: write it as H=..., labels=..., W=... or b=....")
    return ours, theirs
