"""Proofs and lemmas by name: `derivations/<file>.py` holds PROOFS, `derivations/lemmas/<name>.py` holds LEMMA."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType

from ufm.derivation.derivation import Derivation
from ufm.derivation.lemma import Lemma
from ufm.errors import UfmError
from ufm.share import locate


@cache
def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"ufm_derivations_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UfmError(f"{path.name} is not a Python file that can be loaded.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _files(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in sorted(folder.glob("*.py"))}


def proofs(file: str) -> dict[str, Callable[[], Derivation]]:
    """The proofs in `derivations/<file>.py`, not yet run; none where there is no such file."""
    path = _files(locate("derivations")).get(file)
    return {} if path is None else dict(_module(path).PROOFS)


def available() -> tuple[str, ...]:
    """The ids of all theorems that have a proof, `<file>:<name>`."""
    return tuple(f"{file}:{name}" for file in _files(locate("derivations")) for name in proofs(file))


def has_proof(theorem_id: str) -> bool:
    """Whether there is a proof to run for this theorem."""
    file, _, name = theorem_id.partition(":")
    return name in proofs(file)


@cache
def prove(theorem_id: str) -> Derivation:
    """Run the proof of `<file>:<name>`; each proof runs once in a process."""
    file, _, name = theorem_id.partition(":")
    found = proofs(file).get(name)
    if found is None:
        raise UfmError(f"{theorem_id} has no proof; proofs: {', '.join(available())}.")
    return found()


def lemma(name: str) -> Lemma:
    """The lemma in `derivations/lemmas/<name>.py`."""
    path = _files(locate("derivations", "lemmas")).get(name)
    if path is None:
        raise UfmError(f"there is no lemma {name!r}; lemmas: {', '.join(_files(locate('derivations', 'lemmas')))}.")
    return _module(path).LEMMA


def lemmas() -> dict[str, Lemma]:
    """All lemmas by name."""
    return {name: lemma(name) for name in _files(locate("derivations", "lemmas"))}
