"""A loss or a constraint with its parameters in one word: name, or name:field=value,field=value.

A value is a number, a matrix (rows between semicolons: 1 0;0 1), or a file with one (.npy, .csv, .txt). The same words
serve on the command line and in a TOML file, where a table with `name` and the fields says the same.
"""

from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from ufm.errors import ProblemError

_FILES = (".npy", ".csv", ".txt")


def spelled(field: str, spec: Any) -> dict[str, Any]:
    """{"name": ..., field: value} of a word or of such a table; ProblemError names what cannot be read."""
    if isinstance(spec, dict):
        return spec
    if not isinstance(spec, str):
        raise ProblemError(field, spec, "give name:field=value,field=value, or a table with name and fields.")
    name, _, rest = spec.partition(":")
    found: dict[str, Any] = {"name": name.strip().replace("-", "_")}
    for part in filter(None, (part.strip() for part in rest.split(","))):
        key, equals, text = (piece.strip() for piece in part.partition("="))
        if not equals or not key:
            raise ProblemError(field, spec, f"write {part!r} as field=value, in name:field=value,field=value.")
        found[key] = _value(f"{field}.{key}", text)
    return found


def made(field: str, kind: type, spec: dict[str, Any]) -> Any:
    """The dataclass `kind` with the fields of `spec`; ProblemError names a field that is unknown or missing."""
    known = {own.name: own.default is MISSING for own in fields(kind)}
    name, given = spec["name"], {key: value for key, value in spec.items() if key != "name"}
    listed = f"{name} has {', '.join(known)}." if known else f"{name} has no fields."
    for key in given.keys() - known.keys():
        raise ProblemError(f"{field}.{key}", given[key], f"no such field; {listed}")
    for key, required in known.items():
        if required and key not in given:
            example = ",".join(f"{own}=..." for own in known)
            raise ProblemError(f"{field}.{key}", None, f"this field is required, as in {name}:{example}.")
    return kind(**given)


def _value(field: str, text: str) -> Any:
    import numpy as np

    if text.endswith(_FILES):
        if not Path(text).is_file():
            raise ProblemError(field, text, "no such file.")
        try:
            if text.endswith(".npy"):
                return np.load(text, allow_pickle=False)
            return np.loadtxt(text, delimiter="," if text.endswith(".csv") else None, ndmin=2)
        except ValueError:
            raise ProblemError(field, text, "this file holds no matrix of numbers.") from None
    try:
        rows = [[float(entry) for entry in row.split()] for row in text.split(";")]
    except ValueError:
        fix = f"give a number, a matrix as 1 0;0 1, or a file ({', '.join(_FILES)})."
        raise ProblemError(field, text, fix) from None
    if len({len(row) for row in rows}) != 1 or not rows[0]:
        raise ProblemError(field, text, "rows of a matrix have equal lengths: 1 0;0 1.")
    return rows[0][0] if len(rows) == 1 and len(rows[0]) == 1 else rows
