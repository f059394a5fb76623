"""Networks: images that come inside packages, recipes, training, and experiments over grids of weights.

PyTorch loads on first use of `train`, not with this package.
"""

import importlib
from typing import TYPE_CHECKING, Any

from ufm.errors import MissingExtraError
from ufm.networks.data import ImageSet, available, load
from ufm.networks.recipe import Recipe

if TYPE_CHECKING:
    from ufm.networks.training import Trained, train

__all__ = ["ImageSet", "Recipe", "Trained", "available", "load", "train"]


def __getattr__(name: str) -> Any:
    if name not in ("Trained", "train"):
        raise AttributeError(f"ufm.networks has no {name!r}; it has {', '.join(__all__)}")
    try:
        return getattr(importlib.import_module("ufm.networks.training"), name)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtraError("torch", "train", "training a network") from None
