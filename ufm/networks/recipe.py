"""A training recipe: network, optimiser and schedule, counted in steps so that runs repeat bit for bit."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from ufm.errors import ProblemError
from ufm.networks.schedule import cosine_rate

if TYPE_CHECKING:  # they load PyTorch
    from ufm.networks.descent import Optimiser
    from ufm.networks.perceptron import Architecture


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is built and trained.

    hidden: widths of the ReLU layers; d: width of the feature layer; features: "linear", or "relu" for features that
    are never negative; batch_norm (`ufm.networks.batch_norm`): "none", "hidden" (every ReLU layer, before the ReLU),
    "features", or "features_fixed" with the gain 1 and the offset 0, not trained; weight_decay, offset_decay: weights
    of half the squared norms of the backbone's layers, and of their offsets and trained gains; feature_scale: what the
    He initialisation of the feature layer is multiplied by (None: 1/sqrt(2d), so that features start at norm O(1)).
    Adam with `lr`, `betas`, `eps` on batches of `batch` samples for `steps` steps; the learning rate rises linearly
    over the first `warm_up` fraction of the steps and falls as a cosine to `final_lr` times its peak. half_precision:
    the fraction of the steps, the first ones, whose products are taken in bfloat16, for processors that are quicker at
    it. checkpoints: how often the history looks at all samples.
    """

    hidden: tuple[int, ...] = (256, 256, 256)
    d: int = 64
    features: str = "linear"
    batch_norm: str = "none"
    weight_decay: float = 0.0
    offset_decay: float = 0.0
    feature_scale: float | None = None
    lr: float = 3e-3
    betas: tuple[float, float] = (0.9, 0.99)
    eps: float = 1e-10
    batch: int = 250
    steps: int = 1200
    warm_up: float = 0.05
    final_lr: float = 5e-4
    half_precision: float = 0.0
    checkpoints: int = 5

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden", tuple(self.hidden))
        object.__setattr__(self, "betas", tuple(self.betas))
        for width in self.hidden:
            _demand(_whole(width, 1), "hidden", self.hidden, "give positive integers, one per ReLU layer.")
        for name, least in (("d", 1), ("batch", 1), ("steps", 1), ("checkpoints", 1)):
            value = getattr(self, name)
            _demand(_whole(value, least), name, value, f"give an integer of at least {least}.")
        _demand(self.features in ("linear", "relu"), "features", self.features, "choose 'linear' or 'relu'.")
        known = ("none", "hidden", "features", "features_fixed")
        _demand(self.batch_norm in known, "batch_norm", self.batch_norm, f"choose one of {', '.join(known)}.")
        for name in ("weight_decay", "offset_decay"):
            value = getattr(self, name)
            _demand(value == 0 or _positive(value), name, value, "give a finite number >= 0.")
        if self.feature_scale is not None:
            _demand(_positive(self.feature_scale), "feature_scale", self.feature_scale, "give a number > 0, or None.")
        for name in ("lr", "eps"):
            _demand(_positive(getattr(self, name)), name, getattr(self, name), "give a finite number > 0.")
        good = len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas)
        _demand(good, "betas", self.betas, "give two numbers in [0, 1).")
        _demand(0 <= self.warm_up < 1, "warm_up", self.warm_up, "give a fraction of the steps in [0, 1).")
        good = 0 <= self.half_precision <= 1
        _demand(good, "half_precision", self.half_precision, "give a fraction of the steps in [0, 1].")
        _demand(0 < self.final_lr <= 1, "final_lr", self.final_lr, "give a fraction of lr in (0, 1].")

    @property
    def normalised(self) -> tuple[bool, ...]:
        """For every layer of the backbone, the feature layer last: whether a batch norm follows it."""
        return (self.batch_norm == "hidden",) * len(self.hidden) + (self.batch_norm.startswith("features"),)

    @property
    def scale(self) -> float:
        """The factor on the feature layer's initialisation."""
        return 1 / math.sqrt(2 * self.d) if self.feature_scale is None else self.feature_scale

    def schedule(self) -> Callable[[int], float]:
        """Learning rate of step 0, 1, ..., steps - 1."""
        warm = max(1, round(self.warm_up * self.steps))
        return lambda step: cosine_rate(step, self.steps, warm, self.lr, self.final_lr)

    def architecture(self, inputs: int, m: int, heads: int = 1) -> "Architecture":
        """Of a network with so many inputs, outputs and linear layers on top.

        A trained gain of the features starts at 1/sqrt(d), for features of norm 1.
        """
        from ufm.networks.perceptron import Architecture

        return Architecture(
            widths=(inputs, *self.hidden, self.d),
            m=m,
            activations=("relu",) * len(self.hidden) + (self.features,),
            normalised=self.normalised,
            heads=heads,
            feature_scale=self.scale,
            feature_gain=1 / math.sqrt(self.d) if self.batch_norm == "features" else 1.0,
            fixed=self.batch_norm == "features_fixed",
        )

    def moving(self) -> "Optimiser":
        """The optimiser."""
        from ufm.networks.descent import Optimiser

        return Optimiser("adam", self.lr, self.betas, self.eps)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a TOML file or a record's header; what is None is left out."""
        plain = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        return {k: v for k, v in plain.items() if v is not None}

    @staticmethod
    def from_dict(spec: dict[str, Any]) -> "Recipe":
        """The inverse of `to_dict`; fields that are left out keep their defaults, an unknown one is named."""
        known = {f.name for f in fields(Recipe)}
        for name in spec.keys() - known:
            raise ProblemError(name, spec[name], f"no such field; a recipe has {', '.join(sorted(known))}.")
        return Recipe(**spec)


def _demand(good: bool, name: str, value: Any, fix: str) -> None:
    if not good:
        raise ProblemError(f"recipe.{name}", value, fix)


def _whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _positive(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and value > 0
