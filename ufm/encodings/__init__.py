"""Class encodings, one file each: the folder is the registry, the function carries the file's name."""

import importlib
import pkgutil
from collections.abc import Callable
from difflib import get_close_matches

from ufm.encodings.encoding import Encoding

_NAMES = sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name != "encoding")
_MAKERS: dict[str, Callable[..., Encoding]] = {
    name: getattr(importlib.import_module(f"{__name__}.{name}"), name) for name in _NAMES
}
globals().update(_MAKERS)  # the function takes the place of the module that holds it

__all__ = ["Encoding", "available", *_NAMES]  # pyright: ignore[reportUnsupportedDunderAll]


def available() -> dict[str, Callable[..., Encoding]]:
    """Every encoding by name."""
    return dict(_MAKERS)


def __getattr__(name: str) -> Callable[..., Encoding]:
    near = get_close_matches(name, _NAMES, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(_NAMES)}"
    raise AttributeError(f"ufm.encodings has no {name!r}; {hint}")
