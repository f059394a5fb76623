"""Losses, one file each: the folder is the registry, each file holds one LOSS, or a class of them with parameters."""

import importlib
import pkgutil
from difflib import get_close_matches
from functools import cache
from typing import Any

from ufm.errors import ProblemError
from ufm.losses.loss import Loss
from ufm.losses.rescaled_mse import RescaledMSE, rescaled_mse

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
    """The inverse of a loss's `to_dict`; a name stays a name."""
    if not isinstance(spec, dict):
        return spec
    fields = {key: value for key, value in spec.items() if key != "name"}
    if spec.get("name") != "rescaled_mse":
        raise ProblemError("loss", spec, "a loss with parameters has name = 'rescaled_mse', k and M.")
    try:
        return RescaledMSE(**fields)
    except TypeError as error:
        raise ProblemError("loss", spec, f"{error}.") from None
