"""Networks: images that come inside packages, recipes, training, and experiments over grids of weights.

PyTorch loads on first use of `train`, not with this package.
"""

import importlib
from typing import TYPE_CHECKING, Any

from ufm.errors import MissingExtraError
from ufm.networks.data import ImageSet, available, load
from ufm.networks.recipe import Recipe

if TYPE_CHECKING:
    from ufm.networks.experiment import image_problem, measured, run_grid
    from ufm.networks.training import Trained, train

__all__ = ["ImageSet", "Recipe", "Trained", "available", "image_problem", "load", "measured", "run_grid", "train"]

_NEEDS_TORCH = {
    "Trained": "training",
    "image_problem": "experiment",
    "measured": "experiment",
    "run_grid": "experiment",
    "train": "training",
}


def __getattr__(name: str) -> Any:
    if name not in _NEEDS_TORCH:
        raise AttributeError(f"ufm.networks has no {name!r}; it has {', '.join(__all__)}")
    try:
        return getattr(importlib.import_module(f"ufm.networks.{_NEEDS_TORCH[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtraError("torch", "train", "training networks") from None
