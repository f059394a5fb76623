"""Studies: deep perceptrons that a TOML file lists run by run, each run one record; a stopped campaign goes on later.

The file says `study = "layers"` (regression, every layer of it), `"norms"` (classes, feature norms in time),
`"outside"` (classes, features of other images in time) or `"dimensions"` (regression, intrinsic dimension and errors
held out).
"""

import importlib
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ufm.errors import ProblemError
from ufm.networks.regimen import Regimen
from ufm.networks.runs import runs_of
from ufm.networks.workers import workers
from ufm.record import Record
from ufm.share import read_campaign

# Each kind with the module and the function that train and measure its networks, and the entries that it alone has.
_KINDS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "layers": ("deep_regression", "layers_record", ("rank", "dimension")),
    "norms": ("feature_norms", "norms_record", ()),
    "outside": ("outside", "outside_record", ("classes", "outside")),
    "dimensions": ("dimensions", "dimensions_record", ("rank", "dimension", "held_out")),
}
STUDIES = tuple(_KINDS)
_SHARED = ("name", "data", "counts", "seeds", "regimen")
_FIELDS = tuple(dict.fromkeys((*_SHARED, *(field for _, _, own in _KINDS.values() for field in own))))


@dataclass(frozen=True)
class Study:
    """One run: networks of one regimen on one data set, with several seeds.

    kind: one of STUDIES; data: an image set of `ufm.networks.load`, or for regression also one of
    `ufm.networks.tables`; counts: images per class (None, in a file 0: all that there is); rank, dimension: for
    regression, targets mapped by a fixed matrix of this rank into this dimension (None: the targets as they are);
    held_out: the share of the samples that are not trained on; classes: those that are (empty: all); outside: the image
    set that is looked at besides (empty: the other classes of `data`); record: the file that holds the networks.
    """

    kind: str
    name: str
    data: str
    seeds: tuple[int, ...]
    regimen: Regimen
    record: str
    counts: int | None = None
    rank: int | None = None
    dimension: int | None = None
    held_out: float = 0.0
    classes: tuple[int, ...] = ()
    outside: str = ""

    def run(self) -> Record:
        """Train the networks and measure them; `cpu_seconds` is what all of them took."""
        import torch

        torch.set_num_threads(1)  # numbers depend on it
        module, function, _ = _KINDS[self.kind]
        begin = time.process_time()
        record = getattr(importlib.import_module(f"ufm.networks.{module}"), function)(self)
        return replace(record, values=record.values.assign(cpu_seconds=time.process_time() - begin))


def load_studies(name: str | Path) -> list[Study]:
    """The studies of a file of `numerics/campaigns`, or of a TOML file at a path."""
    path, spec = read_campaign(name)
    kind = spec.get("study")
    if kind not in STUDIES:
        raise ProblemError("study", kind, f"choose one of {', '.join(STUDIES)}.")
    runs = runs_of(path, spec, _FIELDS, ("name", "data"), "regimen")
    return [_study(path.stem, kind, run) for run in runs]


def run_studies(studies: Sequence[Study], processes: int | None = None) -> Iterator[tuple[Study, Record]]:
    """Train all studies, each in a fresh process; yields every record as soon as it is there."""
    if not studies:
        return
    with workers(len(studies), processes) as pool:
        futures = {pool.submit(study.run): study for study in studies}
        for future in as_completed(futures):
            yield futures[future], future.result()


def _study(file: str, kind: str, said: Mapping[str, Any]) -> Study:
    for field in said.keys() - {*_SHARED, *_KINDS[kind][2]}:
        meant = " or ".join(f'study = "{other}"' for other, (_, _, own) in _KINDS.items() if field in own)
        raise ProblemError(f"run.{field}", said[field], f"this entry is for {meant}.")
    return Study(
        kind=kind,
        name=said["name"],
        data=said["data"],
        seeds=tuple(said.get("seeds", [0])),
        regimen=Regimen.from_dict(said["regimen"]),
        record=f"{file}_{said['name']}.nc",
        counts=said.get("counts") or None,
        rank=said.get("rank"),
        dimension=said.get("dimension"),
        held_out=float(said.get("held_out", 0.0)),
        classes=tuple(said.get("classes", ())),
        outside=said.get("outside", ""),
    )
