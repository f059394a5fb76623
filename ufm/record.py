"""The record: what a witness says of a problem, as labelled arrays with their provenance; one file format for all."""

import json
import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from html import escape
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr

from ufm.errors import UfmError
from ufm.problem import Problem

Witness = Literal["theorem", "optimum", "flow", "measured", "metrics"]
SCHEMA = 1
ENDINGS = (".nc", ".npz")
_HEADER = "ufm_header"


@dataclass(frozen=True, eq=False)
class Record:
    """Values (and errors, where known) of observables, each an array with named dimensions.

    problem: what was asked, or None for bare measurements; witness: who says it; values, errors: labelled arrays,
    errors under the names of the values they belong to (same shape, absolute). A stack of records along a dimension
    (lam_b, seed, ...) keeps the first one's problem, and `problem_at` puts the coordinates back in.
    """

    witness: Witness
    values: xr.Dataset
    problem: Problem | None = None
    errors: xr.Dataset = field(default_factory=xr.Dataset)
    seed: int | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @staticmethod
    def of(
        witness: Witness,
        values: Mapping[str, tuple[tuple[str, ...], Any] | Any],
        *,
        problem: Problem | None = None,
        coords: Mapping[str, Any] | None = None,
        errors: Mapping[str, tuple[tuple[str, ...], Any] | Any] | None = None,
        seed: int | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> "Record":
        """Build a record from plain arrays: `{name: scalar}` or `{name: (("class",), array)}`."""
        return Record(
            witness,
            xr.Dataset({k: _variable(v) for k, v in values.items()}, coords=coords),
            problem,
            xr.Dataset({k: _variable(v) for k, v in (errors or {}).items()}),
            seed,
            {**versions(), **(provenance or {})},
        )

    def __getitem__(self, name: str) -> xr.DataArray:
        if name not in self.values:
            near = get_close_matches(name, map(str, self.values), 1)
            hint = f"did you mean {near[0]!r}? It has" if near else "it has"
            has = ", ".join(map(str, self.values))
            raise UfmError(f"this {self.witness} record has no {name!r}; {hint} {has}.")
        return self.values[name]

    def __contains__(self, name: str) -> bool:
        return name in self.values.data_vars

    def select(self, **where: Any) -> "Record":
        """The record at these coordinates, to round-off, for instance `select(lam_b=0.1, seed=0)`."""
        index = {name: self._position(name, value) for name, value in where.items()}
        values = self.values.isel(index)
        errors = self.errors.isel({name: i for name, i in index.items() if name in self.errors.dims})
        return Record(self.witness, values, self.problem_at(values), errors, self.seed, self.provenance)

    def _position(self, name: str, value: Any) -> int:
        """Where a coordinate has this value."""
        if name not in self.values.coords or name not in self.values.dims:
            raise UfmError(
                f"this record has no dimension {name!r} with values; it has {', '.join(map(str, self.values.coords))}."
            )
        labels = self.values.coords[name].values
        hit = np.isclose(labels, value, rtol=1e-9, atol=0) if labels.dtype.kind in "iuf" else labels == value
        if not hit.any():
            raise UfmError(f"{name} = {value} is not recorded; recorded are {', '.join(map(str, labels))}.")
        return int(np.argmax(hit))

    def problem_at(self, values: xr.Dataset) -> Problem | None:
        """This record's problem with the scalar coordinates of `values` (lam_b, lam_W, lam_H) put in."""
        names = [c for c in ("lam_b", "lam_W", "lam_H") if c in values.coords and values.coords[c].ndim == 0]
        if self.problem is None or not names:
            return self.problem
        return self.problem.replace(**{c: float(values.coords[c]) for c in names})

    def save(self, path: str | Path) -> Path:
        """Write netCDF (.nc) or NumPy arrays (.npz); returns the path. UfmError where that is not possible."""
        path = Path(path)
        if path.suffix not in ENDINGS:
            raise UfmError(f"{path}: a record ends in {' (netCDF) or '.join(ENDINGS)}.")
        try:
            self._write(path)
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else error
            raise UfmError(f"{path} cannot be written: {why}. Make room, or name a folder that exists.") from None
        return path

    def _write(self, path: Path) -> None:
        header = json.dumps(self._header(), sort_keys=True)
        if path.suffix == ".npz":
            arrays = {f"value:{k}": np.asarray(v) for k, v in self.values.variables.items()}
            arrays |= {f"error:{k}": np.asarray(v) for k, v in self.errors.variables.items()}
            dims = {f"{kind}:{k}": list(v.dims) for kind, ds in self._parts() for k, v in ds.variables.items()}
            np.savez(path, **{"header": np.asarray(header), "dims": np.asarray(json.dumps(dims)), **arrays})  # pyright: ignore
            return
        encoding = {k: {"zlib": True, "complevel": 6} for k, v in self.values.data_vars.items() if v.size > 64}
        values = self.values.assign_attrs({_HEADER: header})
        values.to_netcdf(path, engine="h5netcdf", encoding=encoding)
        if self.errors.data_vars:
            self.errors.to_netcdf(path, engine="h5netcdf", mode="a", group="errors")

    def _parts(self) -> list[tuple[str, xr.Dataset]]:
        return [("value", self.values), ("error", self.errors)]

    def _header(self) -> dict[str, Any]:
        problem = None if self.problem is None else self.problem.to_dict()
        return {
            "schema": SCHEMA,
            "witness": self.witness,
            "problem": problem,
            "seed": self.seed,
            "provenance": dict(self.provenance),
        }

    def __repr__(self) -> str:
        sizes = ", ".join(f"{k} {v}" for k, v in self.values.sizes.items())
        return f"Record({self.witness}; {', '.join(map(str, self.values.data_vars))}; {sizes})"

    def _repr_html_(self) -> str:
        """Who says it of what, and the labelled arrays, opened."""
        of = "" if self.problem is None else f" of {self.problem!r}"
        seed = "" if self.seed is None else f", seed {self.seed}"
        with xr.set_options(display_expand_data_vars=True):
            arrays = self.values._repr_html_()
        return f"<div><b>Record ({escape(self.witness)}{seed})</b>{escape(of)}</div>{arrays}"


def load(path: str | Path) -> Record:
    """Read a record that `Record.save` wrote, netCDF or `.npz`; UfmError where it is neither."""
    path = Path(path)
    if not path.exists():
        raise UfmError(f"{path}: no such record.")
    if path.suffix == ".npz":
        return _load_npz(path)
    try:
        with xr.open_dataset(path, engine="h5netcdf") as opened:
            values = opened.load()
    except OSError as error:
        raise UfmError(f"{path} is not a record: {error}.") from None
    header = _read_header(path, values.attrs.pop(_HEADER, None))
    try:
        with xr.open_dataset(path, engine="h5netcdf", group="errors") as opened:
            errors = opened.load()
    except (OSError, KeyError):  # no such group: the record carries no errors
        errors = xr.Dataset()
    return _assemble(header, values, errors)


def stack(records: Iterable[Record], **dimension: Any) -> Record:
    """Records side by side along one new dimension, `stack(records, lam_b=[...])`, in the order of its values.

    Where one lacks an observable of another, it has NaN. UfmError where there is no record, where they are of different
    witnesses, or where there is not one value a record.
    """
    records = list(records)
    if len(dimension) != 1 or not records or np.size(next(iter(dimension.values()))) != len(records):
        given = ", ".join(f"{name}: {np.size(values)} values" for name, values in dimension.items()) or "no dimension"
        raise UfmError(f"{len(records)} records, {given}: give stack(records, lam_b=[...]) one value a record.")
    ((name, labels),) = dimension.items()
    index = xr.DataArray(np.asarray(labels), dims=name, name=name)
    first = records[0]
    if {r.witness for r in records} != {first.witness}:
        raise UfmError("records of different witnesses do not stack; compare them instead.")
    values = xr.concat([r.values for r in records], dim=index, join="exact")
    errors = xr.concat([r.errors for r in records], dim=index, join="exact") if first.errors.data_vars else first.errors
    seed = first.seed if len({r.seed for r in records}) == 1 else None
    return Record(first.witness, values, first.problem, errors, seed, first.provenance)


def versions() -> dict[str, Any]:
    """Versions of what computed a record; no clock and no host name, so that equal runs give equal files."""
    return {"versions": dict(_versions())}


@cache
def _versions() -> Mapping[str, str]:
    """Read once in a process: it takes longer than many a record."""
    found = {"python": platform.python_version()}
    for package in ("ufm", "numpy", "scipy", "torch"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _variable(value: Any) -> tuple[tuple[str, ...], np.ndarray]:
    if isinstance(value, tuple):
        dims, array = value
        return dims, np.asarray(array)
    return (), np.asarray(value)


def _read_header(path: Path, text: str | None) -> dict[str, Any]:
    if text is None:
        raise UfmError(f"{path} is a netCDF file, but not a record of ufm: it has no {_HEADER}.")
    header = json.loads(text)
    if header["schema"] > SCHEMA:
        raise UfmError(f"{path} was written by a newer ufm (schema {header['schema']} > {SCHEMA}): upgrade ufm.")
    return header


def _assemble(header: dict[str, Any], values: xr.Dataset, errors: xr.Dataset) -> Record:
    problem = None if header["problem"] is None else Problem.from_dict(header["problem"])
    return Record(header["witness"], values, problem, errors, header["seed"], header["provenance"])


def _load_npz(path: Path) -> Record:
    with np.load(path, allow_pickle=False) as stored:
        if "header" not in stored:
            raise UfmError(f"{path} holds bare arrays, not a record; read them with numpy and use ufm.measure.")
        header, dims = _read_header(path, str(stored["header"])), json.loads(str(stored["dims"]))
        parts: dict[str, dict[str, Any]] = {"value": {}, "error": {}}
        for key, names in dims.items():
            kind, _, name = key.partition(":")
            parts[kind][name] = (tuple(names), stored[key])
    coords = {k: v for k, v in parts["value"].items() if v[0] == (k,)}
    values = xr.Dataset({k: v for k, v in parts["value"].items() if k not in coords}, coords=coords)
    return _assemble(header, values, xr.Dataset(parts["error"]))
