"""A regimen: deep perceptrons under weight decay, trained by epochs, with cross-entropy first where it says so."""

import math
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from ufm.errors import ProblemError
from ufm.networks.schedule import cosine_rate

if TYPE_CHECKING:  # they load PyTorch
    from ufm.networks.descent import Optimiser
    from ufm.networks.perceptron import Architecture

_CHOICES = {"activation": ("relu", "gelu", "tanh"), "optimiser": ("adam", "sgd")}


@dataclass(frozen=True, kw_only=True)
class Regimen:
    """How perceptrons of `depth` hidden layers of `width` are built and trained.

    entropy_epochs of cross-entropy, then squared_epochs of the squared loss (1/2N) sum ||z - y||^2, each with an
    optimiser of its own and a learning rate that falls as a cosine from lr to final_lr times lr, after a linear rise
    over the first `warm_up` fraction of its steps. weight_decay: weight of half the squared norm of all parameters, as
    optimisers mean it; with a feature_penalty, weight of half the squared norm of all features, decay acts on the last
    layer alone and the objective is a UFM's. momentum: SGD's, and Adam's first beta; beta: Adam's second. batch:
    samples a step. rescale, rescale_epoch: after that epoch of the squared loss the features are multiplied by this
    factor (through their layer) and the classifier divided by it, so that the network's function stays as it is.
    looks: measurements of all samples in a phase, evenly spread; 0 means one an epoch.
    """

    depth: int = 5
    width: int = 128
    activation: str = "relu"
    weight_decay: float = 1e-3
    feature_penalty: float = 0.0
    optimiser: str = "adam"
    lr: float = 1e-3
    final_lr: float = 0.01
    warm_up: float = 0.0
    momentum: float = 0.9
    beta: float = 0.99
    batch: int = 50
    entropy_epochs: int = 0
    squared_epochs: int = 100
    rescale: float = 1.0
    rescale_epoch: int = 0
    looks: int = 0

    def __post_init__(self) -> None:
        for name, known in _CHOICES.items():
            _demand(getattr(self, name) in known, name, getattr(self, name), f"choose one of {', '.join(known)}.")
        for name, least in (("depth", 1), ("width", 1), ("batch", 1)):
            _demand(_whole(getattr(self, name), least), name, getattr(self, name), f"give an integer >= {least}.")
        for name in ("entropy_epochs", "squared_epochs", "looks"):
            _demand(_whole(getattr(self, name), 0), name, getattr(self, name), "give an integer >= 0.")
        for name in ("lr", "rescale"):
            _demand(_number(getattr(self, name)) > 0, name, getattr(self, name), "give a finite number > 0.")
        for name in ("weight_decay", "feature_penalty"):
            _demand(_number(getattr(self, name)) >= 0, name, getattr(self, name), "give a finite number >= 0.")
        for name in ("momentum", "beta", "warm_up"):
            _demand(0 <= _number(getattr(self, name)) < 1, name, getattr(self, name), "give a number in [0, 1).")
        _demand(0 < _number(self.final_lr) <= 1, "final_lr", self.final_lr, "give a fraction of lr in (0, 1].")
        whole = self.entropy_epochs + self.squared_epochs
        _demand(whole > 0, "squared_epochs", self.squared_epochs, "give one epoch at least, or entropy_epochs.")
        good = _whole(self.rescale_epoch, 0) and (not self.rescale_epoch or self.rescale_epoch < self.squared_epochs)
        _demand(good, "rescale_epoch", self.rescale_epoch, f"give an epoch before {self.squared_epochs}; 0 for none.")
        good = self.rescale == 1 or (self.rescale_epoch > 0 and self.activation == "relu")
        _demand(good, "rescale", self.rescale, "only ReLU features scale with their layer; and name a rescale_epoch.")

    def rate(self, step: int, steps: int) -> float:
        """Learning rate of step 0, 1, ..., steps - 1 of a phase."""
        return cosine_rate(step, steps, round(self.warm_up * steps), self.lr, self.final_lr)

    def architecture(self, inputs: int, m: int) -> "Architecture":
        """Of a network with so many inputs and outputs; its last hidden layer holds the features."""
        from ufm.networks.perceptron import Architecture

        widths = (inputs, *[self.width] * self.depth)
        return Architecture(widths, m, (self.activation,) * self.depth, (False,) * self.depth)

    def moving(self) -> "Optimiser":
        """The optimiser; with a feature penalty the decay is part of the objective instead."""
        from ufm.networks.descent import Optimiser

        decay = 0.0 if self.feature_penalty else self.weight_decay
        return Optimiser("sgd" if self.optimiser == "sgd" else "adam", self.lr, (self.momentum, self.beta), decay=decay)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a TOML file or a record's header."""
        return asdict(self)

    @staticmethod
    def from_dict(spec: dict[str, Any]) -> "Regimen":
        """The inverse of `to_dict`; fields that are left out keep their defaults, an unknown one is named."""
        known = [f.name for f in fields(Regimen)]
        for name in spec.keys() - set(known):
            raise ProblemError(f"regimen.{name}", spec[name], f"no such field; a regimen has {', '.join(known)}.")
        return Regimen(**spec)


def _demand(good: bool, name: str, value: Any, fix: str) -> None:
    if not good:
        raise ProblemError(f"regimen.{name}", value, fix)


def _whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _number(value: Any) -> float:
    """The number itself, or NaN, which no comparison lets through."""
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if good else math.nan
