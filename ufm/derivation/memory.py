"""Steps that were verified once are remembered between runs, in the user's cache folder.

What is remembered is one bit under the hash of everything it depends on: the rule, the relations, definitions and
hypotheses of the step, the sources of this package's engine, and SymPy's version. A changed proof has other keys.
Only what was verified is written down; a file that cannot be read or written is passed over.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

import sympy as sp

STEP_SECONDS = 300.0  # no step of this package takes a tenth of that on an idle core

_ANEW: ContextVar[bool] = ContextVar("anew", default=False)
_fresh_keys: set[str] = set()


@contextlib.contextmanager
def anew() -> Iterator[None]:
    """Within this context every step is verified again, whatever is remembered."""
    token = _ANEW.set(True)
    try:
        yield
    finally:
        _ANEW.reset(token)


def is_anew() -> bool:
    """Whether nothing remembered counts here."""
    return _ANEW.get()


def decided(rule: str, inputs: tuple[Any, ...], decide: Callable[[], bool]) -> bool:
    """Whether the step holds: as remembered, or else decided now, within the time limit (TimeoutError)."""
    key = hashlib.sha256("\x00".join((rule, *map(_text, inputs))).encode()).hexdigest()
    if not is_anew() and key in _known():
        return True
    with _time_limit(STEP_SECONDS):
        holds = decide()
    if holds:
        _known().add(key)
        _fresh_keys.add(key)
    return holds


def save() -> None:
    """Write down what was verified since the last time, beside what other processes have written."""
    if not _fresh_keys:
        return
    with contextlib.suppress(OSError):
        path = _path()
        path.parent.mkdir(parents=True, exist_ok=True)
        together = sorted(_read(path) | _fresh_keys)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, suffix=".part") as file:
            json.dump(together, file)
        os.replace(file.name, path)
    _fresh_keys.clear()


def _path() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("ufm") / f"steps-{_engine()}.json"


@cache
def _known() -> set[str]:
    return _read(_path())


def _read(path: Path) -> set[str]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return set()
    return set(found) if isinstance(found, list) and all(isinstance(key, str) for key in found) else set()


@cache
def _engine() -> str:
    """The hash of the engine's sources and of SymPy's version: another engine remembers elsewhere."""
    here = Path(__file__).resolve().parent
    sources = [*sorted(here.rglob("*.py")), here.parent / "symbols.py"]
    digest = hashlib.sha256(sp.__version__.encode())
    for source in sources:
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _text(value: Any) -> str:
    """A faithful text of what a step depends on: SymPy expressions with the assumptions on their letters."""
    if isinstance(value, sp.Basic):
        return sp.srepr(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(sorted(f"{_text(a)}:{_text(b)}" for a, b in value.items())) + "}"
    if isinstance(value, tuple | list):
        return "(" + ",".join(map(_text, value)) + ")"
    if hasattr(value, "slack"):
        return _text((value.slack, value.signs))
    return repr(value)


@contextlib.contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """TimeoutError after so many seconds, where the system can interrupt: in the main thread, with POSIX timers."""
    able = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if not able:
        yield
        return

    def ring(*_: Any) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, ring)
    left, _ = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if left:
            signal.setitimer(signal.ITIMER_REAL, left)
