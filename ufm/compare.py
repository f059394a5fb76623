"""Witnesses side by side: every observable that two records share, their difference, and whether it is allowed."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from html import escape
from typing import Any

import numpy as np
import xarray as xr

from ufm.display import listing, pill
from ufm.errors import UfmError
from ufm.record import Record
from ufm.tolerance import Tolerance, tolerance


@dataclass(frozen=True)
class Row:
    """One observable of one witness against the reference: the worst entry, its coordinates, and the tolerance."""

    observable: str
    witness: str
    at: dict[str, Any]
    reference: float
    value: float
    spread: float | None
    tolerance: Tolerance

    @property
    def difference(self) -> float:
        """Value - reference."""
        return self.value - self.reference

    @property
    def in_spreads(self) -> float | None:
        """The difference in units of the seed-to-seed standard deviation, where there are seeds."""
        return None if not self.spread else self.difference / self.spread

    @property
    def in_tolerances(self) -> float:
        """|difference| over what is allowed."""
        allowed = self.tolerance.allowed(self.reference)
        if allowed == 0:
            return 0.0 if self.difference == 0 else float("inf")
        return abs(self.difference) / allowed

    @property
    def agrees(self) -> bool:
        """Whether the difference is within the tolerance."""
        return bool(self.tolerance.allows(np.asarray(self.value), np.asarray(self.reference)))


@dataclass(frozen=True)
class Comparison:
    """Rows of (observable, witness); prints as a table. records: what was held together, the reference first."""

    reference: str
    rows: tuple[Row, ...]
    records: tuple[Record, ...] = field(default=(), compare=False, repr=False)
    notes: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether every row does."""
        return all(row.agrees for row in self.rows)

    @property
    def worst(self) -> Row:
        """The row that is furthest off, in tolerances."""
        return max(self.rows, key=lambda row: row.in_tolerances)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form."""
        rows = [
            {
                "observable": r.observable,
                "witness": r.witness,
                "at": r.at,
                "reference": r.reference,
                "value": r.value,
                "difference": r.difference,
                "allowed": r.tolerance.allowed(r.reference),
                "agrees": r.agrees,
            }
            for r in self.rows
        ]
        found = {"reference": self.reference, "agrees": self.agrees, "rows": rows}
        return found | ({"notes": list(self.notes)} if self.notes else {})

    def _cells(self) -> Iterator[tuple[str, ...]]:
        for r in self.rows:
            where = ", ".join(f"{k}={v:.4g}" for k, v in r.at.items())
            allowed = r.tolerance.allowed(r.reference)
            mark = "yes" if r.agrees else "NO"
            shown = f"{r.reference:.8g}", f"{r.value:.8g}", f"{r.difference:+.1e}", f"{allowed:.1e}"
            yield (r.observable, r.witness, where, *shown, mark)

    @property
    def _header(self) -> tuple[str, ...]:
        return ("observable", "witness", "worst at", self.reference, "found", "difference", "allowed", "agrees")

    def __str__(self) -> str:
        table = [self._header, *self._cells()]
        widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
        lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in table]
        return "\n".join([*lines, *self.notes])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        agrees = {"yes": pill("yes", "#cfe6f5"), "NO": pill("no", "#f9d3c0")}
        rows = [[*row[:-1], agrees.get(row[-1], row[-1])] for row in self._cells()]
        return listing(self._header, rows) + "".join(f"<p>{escape(note)}</p>" for note in self.notes)


def compare(record: Record, *others: Record) -> Comparison:
    """Hold other records against the first, observable by observable, at their worst entries.

    A scalar of one record is held against every entry of the other. Raises UfmError where nothing is shared.
    """
    rows = []
    for other in others:
        for name in record.values.data_vars:
            if str(name) in other:
                allowed = _in_units(tolerance(other.witness, str(name)), record)
                rows.append(_row(str(name), record[str(name)], other[str(name)], other.witness, allowed))
    if not rows:
        raise UfmError("the records share no observable; `record.values` lists what each one has.")
    return Comparison(record.witness, tuple(rows), (record, *others))


def _in_units(allowed: Tolerance, reference: Record) -> Tolerance:
    """The tolerance with its absolute part in the units of this reference."""
    if not allowed.unit or allowed.unit not in reference:
        return allowed
    size = float(abs(reference[allowed.unit]).max())
    return replace(allowed, abs=allowed.abs * size, unit="") if size > 0 else allowed


def _row(name: str, reference: xr.DataArray, found: xr.DataArray, witness: str, allowed: Tolerance) -> Row:
    common = [d for d in reference.dims if d in found.dims and reference.sizes[d] != found.sizes[d]]
    if common:
        raise UfmError(f"{name} has different sizes along {common[0]}: {reference.sizes} and {found.sizes}.")
    aligned, other = xr.broadcast(reference, found)
    excess = abs(other - aligned) / (allowed.abs + allowed.rel * abs(aligned))
    excess = excess.fillna(np.inf)
    worst = {
        d: int(i)
        for d, i in zip(excess.dims, np.unravel_index(int(np.argmax(excess.values)), excess.shape), strict=True)
    }
    at = {str(d): _label(excess, str(d), i) for d, i in worst.items()}
    spread = found.std("seed") if "seed" in found.dims else None
    spread_here = None
    if spread is not None:
        spread_here = float(spread.isel({d: i for d, i in worst.items() if d in spread.dims}))
    return Row(name, witness, at, float(aligned.isel(worst)), float(other.isel(worst)), spread_here, allowed)


def _label(array: xr.DataArray, dim: str, index: int) -> Any:
    return array.coords[dim].values[index].item() if dim in array.coords else index
