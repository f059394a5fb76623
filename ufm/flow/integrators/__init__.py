"""Integrators, one file each: the folder is the registry, each file holds one TABLEAU, of one of the kinds.

Descents are discrete companions of the flow, not approximations of it: they are chosen by name, never by "auto".
"""

import importlib
import pkgutil
from difflib import get_close_matches
from functools import cache
from typing import Any

from ufm.errors import ProblemError
from ufm.flow.integrators.chebyshev import Chebyshev
from ufm.flow.integrators.descent import Adam, Descent
from ufm.flow.integrators.exponential import Exponential
from ufm.flow.integrators.library import Library
from ufm.flow.integrators.tableau import Tableau

__all__ = [
    "Adam",
    "Chebyshev",
    "Descent",
    "Exponential",
    "Library",
    "Method",
    "Tableau",
    "available",
    "descents",
    "integrator",
]

Method = Tableau | Chebyshev | Exponential | Library
KINDS = ("chebyshev", "descent", "exponential", "library", "tableau")


def available() -> list[str]:
    """Names of every integrator."""
    return list(_names())


@cache
def _names() -> tuple[str, ...]:
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name not in KINDS))


def descents() -> list[str]:
    """Names of the descents among them."""
    return [name for name in available() if isinstance(integrator(name), Descent | Adam)]


def integrator(name: str) -> Any:
    """The method, or the descent, of that name."""
    if name not in available():
        near = get_close_matches(str(name), available(), 1)
        hint = f"did you mean {near[0]!r}?" if near else f"choose 'auto' or one of {', '.join(available())}."
        raise ProblemError("integrator", name, hint)
    return importlib.import_module(f"{__name__}.{name}").TABLEAU
