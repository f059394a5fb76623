"""The files that a verb writes in the end: whether they can be written is said before the work, not after it."""

import os
from pathlib import Path
from typing import Any

import typer

from ufm.errors import ProblemError

PICTURES = (".png", ".svg", ".pdf", ".jpg", ".jpeg", ".eps", ".ps", ".tif", ".tiff", ".webp")


def _checked(flag: str, path: Path | None, endings: tuple[str, ...]) -> Path | None:
    """The path, if its ending is known and its folder can be written into; ProblemError names the flag."""
    if path is None:
        return None
    if path.suffix.lower() not in endings:
        raise ProblemError(flag, str(path), f"let it end in {', '.join(endings[:3])}.")
    if not path.parent.is_dir():
        raise ProblemError(flag, str(path), f"there is no folder {path.parent}; make it, or name another.")
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise ProblemError(flag, str(path), "nothing can be written there; name another place.")
    return path


def record_file(path: Path | None) -> Path | None:
    """The path of a record to come."""
    if path is None:  # before an import that costs a second
        return None
    from ufm.record import ENDINGS

    return _checked("--save", path, ENDINGS)


def picture_file(path: Path | None) -> Path | None:
    """The path of a picture to come."""
    return _checked("--plot", path, PICTURES)


def save_option(text: str) -> Any:
    """The option --save, its path checked before the work begins."""
    return typer.Option("--save", help=text, callback=record_file)


def plot_option(text: str) -> Any:
    """The option --plot, its path checked before the work begins."""
    return typer.Option("--plot", help=text, callback=picture_file)
