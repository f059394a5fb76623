"""The tables [[run]] of a campaign file, each with what [common] says where the run does not."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ufm.errors import ProblemError


def runs_of(
    path: Path, spec: Mapping[str, Any], fields: Sequence[str], needed: Sequence[str], table: str
) -> list[dict[str, Any]]:
    """One mapping a run; `table` is the entry that is merged with that of [common] entry by entry.

    fields: all entries that a run may have; needed: those that it must have. ProblemError names what is unknown or
    missing, and a name that two runs share: it names their record.
    """
    if not spec.get("run"):
        raise ProblemError("run", None, f"{path.name} needs at least one table [[run]].")
    common, runs = spec.get("common", {}), []
    for run in spec["run"]:
        said = {**common, **run, table: {**common.get(table, {}), **run.get(table, {})}}
        for field in said.keys() - set(fields):
            raise ProblemError(f"run.{field}", said[field], f"no such entry; a run has {', '.join(fields)}.")
        for field in needed:
            if field not in said:
                raise ProblemError(f"run.{field}", None, "every run needs this entry, or [common] does.")
        if any(said["name"] == other["name"] for other in runs):
            raise ProblemError("run.name", said["name"], "give every run a name of its own; it names the record.")
        runs.append(said)
    return runs
