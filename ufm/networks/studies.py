"""Studies: deep perceptrons that a TOML file lists run by run, each run one record; a stopped campaign goes on later.

The file says `study = "layers"` (regression, every layer of it) or `study = "norms"` (classes, feature norms in time).
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ufm.errors import ProblemError
from ufm.networks.regimen import Regimen
from ufm.networks.runs import runs_of
from ufm.networks.workers import workers
from ufm.record import Record
from ufm.share import read_campaign

STUDIES = ("layers", "norms")
_FIELDS = ("name", "data", "counts", "rank", "dimension", "seeds", "regimen")


@dataclass(frozen=True)
class Study:
    """One run: networks of one regimen on one data set, with several seeds.

    kind: "layers" or "norms"; data: an image set of `ufm.networks.load`, or for regression also one of
    `ufm.networks.tables`; counts: images per class (None, in a file 0: all that there is); rank, dimension: for
    regression, targets mapped by a fixed matrix of this rank into this dimension (None: the targets as they are);
    record: the file that holds the networks.
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

    def run(self) -> Record:
        """Train the networks and measure them."""
        import torch

        from ufm.networks.deep_regression import layers_record
        from ufm.networks.feature_norms import norms_record

        torch.set_num_threads(1)  # numbers depend on it
        return layers_record(self) if self.kind == "layers" else norms_record(self)


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
    if kind == "norms" and {"rank", "dimension"} & said.keys():
        raise ProblemError("run.rank", said.get("rank"), 'targets of a rank are for study = "layers".')
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
    )
