"""Claims about trained networks: an effect, one number a network, whose mean is said to lie between two bounds.

What the effect needs to know beforehand (a level, a layer, a weight) is fitted to networks of other seeds than the one
that it is read off: every network is judged out of sample.
"""

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr


@dataclass(frozen=True, eq=False)
class Run:
    """One recorded network: its run in the campaign, its seed, its values without the dimension `seed`, and more.

    told: the provenance of its record (data, regimen or recipe).
    """

    setting: str
    seed: int
    values: xr.Dataset
    told: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> np.ndarray:
        return np.asarray(self.values[name].values, dtype=float)

    def holds(self, names: Sequence[str]) -> bool:
        """Whether the record has all of these fields."""
        return all(name in self.values for name in names)

    @property
    def regimen(self) -> Mapping[str, Any]:
        """How the network was trained; empty where its record does not say."""
        return self.told.get("regimen") or self.told.get("recipe") or {}

    def __repr__(self) -> str:
        return f"{self.setting}, seed {self.seed}"


@dataclass(frozen=True, eq=False)
class Networks:
    """The networks that a claim was put to; what a report prints where other statements have a problem."""

    runs: tuple[Run, ...]

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form: seeds by run of the campaign."""
        return {"networks": self._seeds()}

    def _seeds(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for run in self.runs:
            found.setdefault(run.setting, []).append(run.seed)
        return found

    def __repr__(self) -> str:
        parts = [f"{setting} (seeds {', '.join(map(str, seeds))})" for setting, seeds in self._seeds().items()]
        return f"the networks {'; '.join(parts)}"


def _nothing(runs: Sequence[Run]) -> None:
    """Nothing is fitted."""


def _every(run: Run) -> bool:
    return True


def _together(run: Run) -> Hashable:
    return ""


@dataclass(frozen=True)
class Observed:
    """The mean of an effect over networks, each judged with what was fitted to networks of other seeds.

    observable: name of the effect; effect(run, fitted): its number for one network, nan where it has none;
    least, most: the claimed bounds of the mean; fields: what a record must hold; chosen: the networks that the claim
    speaks of; fit(runs), fitted_on: what is taken from other seeds, and from which networks (`chosen` if None);
    apart: networks of different values are fitted and judged apart, and the claim is about every group.
    """

    observable: str
    effect: Callable[[Run, Any], float] = field(repr=False, compare=False)
    least: float = -math.inf
    most: float = math.inf
    fields: tuple[str, ...] = ()
    chosen: Callable[[Run], bool] = field(default=_every, repr=False, compare=False)
    fit: Callable[[Sequence[Run]], Any] = field(default=_nothing, repr=False, compare=False)
    fitted_on: Callable[[Run], bool] | None = field(default=None, repr=False, compare=False)
    apart: Callable[[Run], Hashable] = field(default=_together, repr=False, compare=False)

    def text(self) -> str:
        """The claim in one line."""
        if self.least == self.most:
            return f"mean of {self.observable} = {self.most:g}"
        parts = [f">= {self.least:g}"] * math.isfinite(self.least) + [f"<= {self.most:g}"] * math.isfinite(self.most)
        return f"mean of {self.observable} {' and '.join(parts)}"

    def refuted_by(self) -> str:
        """What the networks would have to show for the claim to fall."""
        parts = [f"below {self.least:g}"] * math.isfinite(self.least)
        parts += [f"above {self.most:g}"] * math.isfinite(self.most)
        return f"a mean {' or '.join(parts)} at 99.9% confidence"
