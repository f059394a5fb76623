"""Losses, one file each: the folder is the registry, each file holds one LOSS."""

import importlib
import pkgutil
from difflib import get_close_matches
from functools import cache

from ufm.errors import ProblemError
from ufm.losses.loss import Loss

__all__ = ["Loss", "available", "loss"]


def available() -> list[str]:
    """Names of every loss."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name != "loss")


@cache
def loss(name: str) -> Loss:
    """The loss of that name."""
    if name not in available():
        near = get_close_matches(str(name), available(), 1)
        hint = f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(available())}."
        raise ProblemError("loss", name, hint)
    return importlib.import_module(f"{__name__}.{name}").LOSS
