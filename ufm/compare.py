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
from ufm.tolerance import Tolerance, roundoff, tolerance

_ZERO = 1e-9  # an observable that the reference says is 0, to the accuracy of a certified optimum


@dataclass(frozen=True)
class Row:
    """One observable of one witness against the reference: the worst entry, its coordinates, and the tolerance.

    scale: the observable's largest reference in size, None for numbers of size 1, such as cosines; mean, spread: over
    the seeds there (the standard deviation of one seed), None where there are fewer than two.
    """

    observable: str
    witness: str
    at: dict[str, Any]
    reference: float
    value: float
    scale: float | None
    mean: float | None
    spread: float | None
    tolerance: Tolerance

    @property
    def difference(self) -> float:
        """Value - reference."""
        return self.value - self.reference

    @property
    def relative(self) -> float:
        """The difference over the observable's largest reference; the difference itself for numbers of size 1."""
        return self.difference / self.scale if self.scale else self.difference

    @property
    def in_spreads(self) -> float | None:
        """The mean over seeds less the reference, in units of the seed-to-seed spread, where there are seeds."""
        if self.mean is None or self.spread is None or self.spread <= roundoff(abs(self.mean)):
            return None
        return (self.mean - self.reference) / self.spread

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
                "relative": r.relative,
                "in_spreads": r.in_spreads,
                "allowed": r.tolerance.allowed(r.reference),
                "agrees": r.agrees,
            }
            for r in self.rows
        ]
        found = {"reference": self.reference, "agrees": self.agrees, "rows": rows}
        return found | ({"notes": list(self.notes)} if self.notes else {})

    def _cells(self) -> Iterator[tuple[str, ...]]:
        for r in self.rows:
            where = ", ".join(f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in r.at.items())
            allowed = r.tolerance.allowed(r.reference)
            mark = "yes" if r.agrees else "NO"
            shown = f"{r.reference:.8g}", f"{r.value:.8g}", f"{r.difference:+.1e}", f"{r.relative:+.1e}"
            spreads = ("" if r.in_spreads is None else f"{r.in_spreads:+.1f}",) if self._has_spreads else ()
            yield (r.observable, r.witness, where, *shown, *spreads, f"{allowed:.1e}", mark)

    @property
    def _has_spreads(self) -> bool:
        return any(r.in_spreads is not None for r in self.rows)

    @property
    def _header(self) -> tuple[str, ...]:
        spreads = ("in spreads",) if self._has_spreads else ()
        numbers = (self.reference, "found", "difference", "relative", *spreads, "allowed")
        return ("observable", "witness", "worst at", *numbers, "agrees")

    def __str__(self) -> str:
        table = [self._header, *self._cells()]
        widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
        lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in table]
        return "\n".join([*lines, *self.notes])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """The table of the terminal; whether they agree stands first, where a narrow notebook shows it."""
        agrees = {"yes": pill("yes", "#cfe6f5"), "NO": pill("no", "#f9d3c0")}
        rows = [[row[0], agrees.get(row[-1], row[-1]), *row[1:-1]] for row in self._cells()]
        head = self._header
        return listing((head[0], head[-1], *head[1:-1]), rows) + "".join(
            f"<p>{escape(note)}</p>" for note in self.notes
        )


def compare(record: Record, *others: Record, by_size: bool = False) -> Comparison:
    """Hold other records against the first, observable by observable, at their worst entries.

    The worst entry is the furthest off in tolerances, or by the size of the difference where by_size is asked for.
    Networks with several seeds show their mean's distance from the reference in units of the seed-to-seed spread.

    A scalar of one record is held against every entry of the other. Raises UfmError where nothing is shared.
    """
    rows = []
    for other in others:
        for name in record.values.data_vars:
            if str(name) in other:
                allowed = _in_units(tolerance(other.witness, str(name)), record)
                rows.append(_row(str(name), record[str(name)], other[str(name)], other.witness, allowed, by_size))
    if not rows:
        raise UfmError("the records share no observable; `record.values` lists what each one has.")
    return Comparison(record.witness, tuple(rows), (record, *others))


def _in_units(allowed: Tolerance, reference: Record) -> Tolerance:
    """The tolerance with its absolute part in the units of this reference."""
    if not allowed.unit or allowed.unit not in reference:
        return allowed
    size = float(abs(reference[allowed.unit]).max())
    return replace(allowed, abs=allowed.abs * size, unit="") if size > 0 else allowed


def _row(
    name: str, reference: xr.DataArray, found: xr.DataArray, witness: str, allowed: Tolerance, by_size: bool
) -> Row:
    common = [d for d in reference.dims if d in found.dims and reference.sizes[d] != found.sizes[d]]
    if common:
        raise UfmError(f"{name} has different sizes along {common[0]}: {reference.sizes} and {found.sizes}.")
    aligned, other = xr.broadcast(reference, found)
    excess = abs(other - aligned) / (1.0 if by_size else allowed.abs + allowed.rel * abs(aligned))
    excess = excess.fillna(np.inf)
    worst = {
        d: int(i)
        for d, i in zip(excess.dims, np.unravel_index(int(np.argmax(excess.values)), excess.shape), strict=True)
    }
    at = {str(d): _label(excess, str(d), i) for d, i in worst.items()}
    reference_here, mean, spread = float(aligned.isel(worst)), None, None
    if found.sizes.get("seed", 1) > 1:
        place = {d: i for d, i in worst.items() if d in found.dims and d != "seed"}
        seeds = found.isel(place).values
        mean, spread = float(np.mean(seeds)), float(np.std(seeds, ddof=1))
    scale = float(np.max(np.abs(reference.values), initial=0.0))
    if allowed.rel == 0 or scale <= _ZERO:
        scale = None
    return Row(name, witness, at, reference_here, float(other.isel(worst)), scale, mean, spread, allowed)


def _label(array: xr.DataArray, dim: str, index: int) -> Any:
    return array.coords[dim].values[index].item() if dim in array.coords else index
