"""Where a sweep keeps its batches: one file each, complete or absent, beside the plan that they belong to."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from ufm.errors import UfmError
from ufm.record import Record, load, versions
from ufm.sweeping.plan import SweepPlan


class Store:
    """The folder `<out>/<name>.batches`, and the record `<out>/<name>.nc` that it becomes."""

    def __init__(self, plan: SweepPlan, out: Path, *, fresh: bool = False) -> None:
        """Open or make the folder; UfmError where it holds another plan's batches, or other versions made them."""
        self.plan, self.folder, self.record = plan, out / f"{plan.name}.batches", out / f"{plan.name}.nc"
        if fresh and self.folder.exists():
            shutil.rmtree(self.folder)
        mine = {"digest": plan.digest, "spec": plan.spec, "versions": versions()["versions"]}
        mine = json.loads(json.dumps(mine))
        header = self.folder / "plan.json"
        if header.exists():
            self._same(json.loads(header.read_text(encoding="utf-8")), mine)
        else:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise UfmError(f"--out {out}: no folder can be made there ({error.strerror or error}).") from None
            self._write(header, lambda path: path.write_text(json.dumps(mine, indent=1), encoding="utf-8"))
        for leftover in self.folder.glob("*.part*"):
            leftover.unlink()

    def _same(self, theirs: dict[str, Any], mine: dict[str, Any]) -> None:
        fix = "give another --out, or --fresh to throw those batches away."
        if theirs["digest"] != mine["digest"]:
            differs = [key for key, value in mine["spec"].items() if theirs["spec"].get(key) != value]
            raise UfmError(f"{self.folder} holds batches of another sweep (it differs in {', '.join(differs)}); {fix}")
        if theirs["versions"] != mine["versions"]:
            differs = [k for k, v in mine["versions"].items() if theirs["versions"].get(k) != v]
            raise UfmError(f"{self.folder} was begun with other versions of {', '.join(differs)}; {fix}")

    def path(self, batch: int) -> Path:
        """The file of one batch."""
        return self.folder / f"{batch:06d}.npz"

    def missing(self) -> list[int]:
        """Batches that are not there yet."""
        return [batch for batch in range(self.plan.batches) if not self.path(batch).exists()]

    def put(self, batch: int, arrays: dict[str, np.ndarray]) -> None:
        """Write one batch: all of it, or nothing."""
        self._write(self.path(batch), lambda path: np.savez(path, **arrays))  # pyright: ignore[reportArgumentType]

    def _write(self, path: Path, write: Any) -> None:
        part = path.with_name(f"{path.stem}.part{path.suffix}")
        try:
            write(part)
            with part.open("rb+") as file:
                os.fsync(file.fileno())
            part.replace(path)
        except OSError as error:
            part.unlink(missing_ok=True)
            done = self.plan.batches - len(self.missing())
            raise UfmError(
                f"{path} could not be written ({error.strerror or error}); {done} of {self.plan.batches} batches are "
                "kept. Make room, and give the same command again."
            ) from None

    def gather(self) -> Record:
        """All batches as one record over the axes, written beside the folder."""
        batches = [dict(np.load(self.path(batch))) for batch in range(self.plan.batches)]
        names = [name for name in batches[0] if all(name in batch for batch in batches) and "|" not in name]
        values: dict[str, Any] = {}
        for name in names:
            column = np.concatenate([batch[name] for batch in batches])
            dims = str(batches[0][f"dims|{name}"]).split(",") if batches[0][f"dims|{name}"] else []
            values[name] = ((*self.plan.axes, *dims), column.reshape(*self.plan.shape, *column.shape[1:]))
        problem = self.plan.at(self.plan.point(0))[0]
        axes = {name: np.asarray(axis) for name, axis in self.plan.axes.items()}
        provenance = {"sweep": self.plan.name, "spec": self.plan.digest, "flow": dict(self.plan.flow)}
        record = Record.of("flow", values, problem=problem, coords=axes, provenance=provenance)
        part = self.record.with_name(f"{self.record.stem}.part.nc")
        try:
            record.save(part)
            part.replace(self.record)
        except (OSError, UfmError) as error:
            part.unlink(missing_ok=True)
            raise UfmError(f"{self.record} could not be written ({error}); every batch is kept.") from None
        return load(self.record)
