"""Losses, one file each: the folder is the registry, each file holds one LOSS, or a class of them with parameters."""

import importlib
import pkgutil
from difflib import get_close_matches
from functools import cache
from typing import Any

from ufm.errors import ProblemError
from ufm.losses.loss import Loss
from ufm.losses.rescaled_mse import RescaledMSE, rescaled_mse
from ufm.spelling import made, spelled

__all__ = ["Loss", "RescaledMSE", "available", "from_dict", "loss", "rescaled_mse"]


def available() -> list[str]:
    """Names of every loss."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name != "loss")


@cache
def loss(name: str | RescaledMSE) -> Loss:
    """The loss of that name, or with those parameters."""
    if isinstance(name, RescaledMSE):
        return name.loss()
    if name not in available():
        near = get_close_matches(str(name), available(), 1)
        hint = f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(available())}."
        raise ProblemError("loss", name, hint)
    found = importlib.import_module(f"{__name__}.{name}").LOSS
    if not isinstance(found, Loss):
        raise ProblemError("loss", name, f"this loss has parameters; give ufm.losses.{name}(k, M).")
    return found


def from_dict(spec: Any) -> str | RescaledMSE:
    """A loss from its name, from one word with parameters (`rescaled_mse:k=5,M=3`), or from the table of `to_dict`."""
    if isinstance(spec, str) and ":" not in spec and spec.replace("-", "_") != "rescaled_mse":
        return spec
    found = spelled("loss", spec)
    if found.get("name") != "rescaled_mse":
        wrong = found.get("name")
        fix = f"{wrong} has no parameters." if wrong in available() else "only rescaled_mse has parameters, k and M."
        raise ProblemError("loss", spec, fix)
    return made("loss", RescaledMSE, found)
