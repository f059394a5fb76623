"""Trials: what a TOML file says about networks to train, run by run, each run one record against the theory."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ufm import encodings
from ufm.errors import ProblemError
from ufm.networks.data import ImageSet, load
from ufm.networks.recipe import Recipe
from ufm.networks.runs import runs_of
from ufm.problem import Problem, classes, samples
from ufm.problem.targets import Targets
from ufm.share import read_campaign

_WEIGHTS = ("lam_b", "t_rel", "lam_H", "lam_W", "decay")
OF_RECIPE = ("width", "d", "steps", "batch", "lr", "final_lr")
SWEPT = (*_WEIGHTS, *OF_RECIPE)
_FIELDS = ("name", "images", "counts", "targets", "loss", "layers", *_WEIGHTS, "sweep", "seeds", "recipe")


@dataclass(frozen=True, eq=False)
class Trial:
    """Networks on one image set for one kind of targets, along one weight or one entry of the recipe, several seeds.

    along, values: what is swept; record: the file that holds the recorded networks. Swept entries of the recipe are its
    own, and "width", that of every hidden layer. "decay" is plain weight decay: one weight for the classifier and for
    all layers and offsets of the backbone, and none on the features.
    """

    name: str
    images: ImageSet
    targets: Targets
    fields: Mapping[str, Any]
    along: str
    values: tuple[float, ...]
    seeds: tuple[int, ...]
    recipe: Recipe
    record: str

    def problem(self, value: float) -> Problem:
        """The problem at one value of what is swept.

        Unless the file says otherwise lam_W = t_rel/K for every layer and lam_H = t_rel/N (K: classes, or the target
        dimension), with which t_rel is the relative regularisation of balanced one-hot codes at any depth.
        """
        said = {**self.fields, self.along: value}
        if "decay" in said:
            said |= {"lam_W": said["decay"], "lam_H": 0.0}
        t, layers = float(said.get("t_rel", 0.2)), int(said.get("layers", 1))
        K = getattr(self.targets, "K", self.targets.m)
        lam_W = float(said.get("lam_W", t / K))
        return Problem(
            self.targets,
            loss=said.get("loss", "mse"),
            lam_W=(lam_W,) * layers,
            lam_H=float(said.get("lam_H", t / self.images.N)),
            lam_b=float(said.get("lam_b", np.inf)),
            width=int(value) if self.along == "d" else None,
        )

    def problems(self) -> dict[float, Problem]:
        """{value: problem}, in order."""
        return {value: self.problem(value) for value in self.values}

    def recipe_at(self, value: float) -> Recipe:
        """The recipe at one value of what is swept."""
        decay = value if self.along == "decay" else self.fields.get("decay")
        recipe = self.recipe if decay is None else replace(self.recipe, weight_decay=decay, offset_decay=decay)
        if self.along == "width":
            return replace(recipe, hidden=(int(value),) * len(recipe.hidden))
        if self.along in OF_RECIPE:
            kind = type(getattr(recipe, self.along))
            return replace(recipe, **{self.along: kind(value)})
        return recipe

    def recipes(self) -> dict[float, Recipe]:
        """{value: recipe}, in order."""
        return {value: self.recipe_at(value) for value in self.values}


def load_trials(name: str | Path) -> list[Trial]:
    """The trials of a file of `numerics/campaigns`, or of a TOML file at a path."""
    path, spec = read_campaign(name)
    runs = runs_of(path, spec, _FIELDS, ("name", "images", "sweep"), "recipe")
    return list(_trials(path.stem, runs))


def _trials(file: str, runs: Sequence[Mapping[str, Any]]) -> Iterator[Trial]:
    known: dict[Any, ImageSet] = {}
    for said in runs:
        if len(said["sweep"]) != 1 or not said["sweep"].keys() <= set(SWEPT):
            raise ProblemError("run.sweep", said["sweep"], f"sweep one of {', '.join(SWEPT)}.")
        ((along, values),) = said["sweep"].items()
        counts = said.get("counts")
        key = (said["images"], str(counts))
        if key not in known:
            known[key] = _images(said["images"], counts)
        yield Trial(
            name=said["name"],
            images=known[key],
            targets=_targets(known[key], said.get("targets", "one_hot")),
            fields={k: said[k] for k in ("loss", "layers", *_WEIGHTS) if k in said},
            along=along,
            values=tuple(float(v) for v in values),
            seeds=tuple(said.get("seeds", [0])),
            recipe=Recipe.from_dict(said["recipe"]),
            record=f"{file}_{said['name']}.nc",
        )


def _images(name: str, counts: int | Sequence[int] | None) -> ImageSet:
    if counts is None or isinstance(counts, int):
        return load(name, counts)
    return load(name, max(counts)).sized(counts)


def _targets(images: ImageSet, what: str) -> Targets:
    """Codes of an encoding for the classes, or "moments" of the images for regression."""
    if what == "moments":
        return samples(images.moments())
    known = encodings.available()
    if what not in known:
        raise ProblemError("run.targets", what, f"choose 'moments', or one of the encodings {', '.join(known)}.")
    codes = known[what](images.K, 8, 0) if what == "random" else known[what](images.K)
    return classes(codes, images.counts.tolist())
