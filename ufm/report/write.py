"""Write the page and its data."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ufm.record import versions
from ufm.referee import Report
from ufm.report.entry import describe, reference
from ufm.report.page import page

SCHEMA = 1


def collect(reports: Iterable[Report], *, samples: int, seed: int) -> dict[str, Any]:
    """The data of the page: how the verdicts were found, one entry a statement, and the literature they name.

    No clock and no machine in it: equal reports give equal bytes.
    """
    entries = [describe(report, samples=samples, seed=seed) for report in reports]
    keys = {entry["citation"]["key"] for entry in entries}
    keys |= {lemma["key"] for entry in entries for lemma in entry["lemmas"]}
    return {
        "schema": SCHEMA,
        "version": versions()["versions"].get("ufm", ""),
        "samples": samples,
        "seed": seed,
        "entries": entries,
        "references": {key: reference(key) for key in sorted(keys)},
    }


def write(reports: Iterable[Report], path: Path, *, samples: int, seed: int) -> list[Path]:
    """Write `path` (HTML) and the JSON file of the same name beside it; returns both paths."""
    data = collect(reports, samples=samples, seed=seed)
    beside = path.with_suffix(".json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(data), encoding="utf-8", newline="\n")
    beside.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")
    return [path, beside]


def write_verdicts(reports: Iterable[Report], path: Path, *, samples: int, seed: int) -> Path:
    """Write the verdicts alone, {id: verdict}, as JSON: what `figures/verdicts.toml` draws."""
    verdicts = {report.theorem.id: str(report.verdict) for report in reports}
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"samples": samples, "seed": seed, "verdicts": verdicts}, indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")
    return path
