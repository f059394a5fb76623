"""Every statement that the package knows: the folder `ufm/theorems` is the registry."""

import importlib
import importlib.util
import pkgutil
from dataclasses import replace
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import ModuleType

import ufm.theorems
from ufm.catalogue.theorem import Theorem
from ufm.errors import UfmError


@cache
def catalogue() -> dict[str, Theorem]:
    """{id: Theorem} of all files of `ufm/theorems`, in the order of the files and of their THEOREMS."""
    found: dict[str, Theorem] = {}
    for module in pkgutil.iter_modules(ufm.theorems.__path__):
        found |= _of_module(importlib.import_module(f"ufm.theorems.{module.name}"), module.name)
    return found


def find(name: str) -> list[Theorem]:
    """Theorems by id (`file:name`), by file, or of a Python file that defines THEOREMS (`mine.py`, `mine.py:name`)."""
    path, suffix, one = name.partition(".py")
    if suffix and one[:1] in ("", ":"):
        return _chosen(_of_path(Path(path + suffix)), one[1:])
    known = catalogue()
    if name in known:
        return [known[name]]
    in_file = [theorem for theorem in known.values() if theorem.file == name]
    if in_file:
        return in_file
    near = get_close_matches(name, [*known, *{t.file for t in known.values()}], 1, 0.5)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    raise UfmError(f"no theorem {name!r} in the catalogue. {hint}`ufm list` shows all of them.")


def _chosen(found: dict[str, Theorem], name: str) -> list[Theorem]:
    chosen = [theorem for theorem in found.values() if name in ("", theorem.name)]
    if not chosen:
        raise UfmError(f"no theorem {name!r} in this file; it has {', '.join(t.name for t in found.values())}.")
    return chosen


def _of_path(path: Path) -> dict[str, Theorem]:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise UfmError(f"{path}: no such file.")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UfmError(f"{path} cannot be run: {type(error).__name__}: {error}.") from error
    return _of_module(module, path.stem)


def _of_module(module: ModuleType, file: str) -> dict[str, Theorem]:
    theorems = getattr(module, "THEOREMS", None)
    if theorems is None:
        raise UfmError(f"{module.__file__} defines no THEOREMS; give it a tuple of ufm.catalogue.Theorem.")
    if not isinstance(theorems, tuple | list) or not all(isinstance(theorem, Theorem) for theorem in theorems):
        raise UfmError(
            f"{module.__file__}: THEOREMS is to be a tuple of ufm.catalogue.Theorem, such as (Theorem(...),)."
        )
    placed = [replace(theorem, file=file) for theorem in theorems]
    return {theorem.id: theorem for theorem in placed}
