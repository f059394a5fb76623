"""Docstrings of this project are plain sentences with `code` in single backticks; this makes them safe for Sphinx."""

import re
from typing import Any

_CODE = re.compile(r"(`[^`]*`)")
_SPECIAL = re.compile(r"([*|_\\])")


def plain(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Escape what reStructuredText would read as mark-up, outside `code`, and flatten indented continuation lines."""
    indent = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    for i, line in enumerate(lines):
        parts = _CODE.split(line[indent:])
        escaped = [part if part.startswith("`") else _SPECIAL.sub(r"\\\1", part) for part in parts]
        lines[i] = "".join(escaped)


def setup(app: Any) -> dict[str, bool]:
    """Listen to every docstring."""
    app.connect("autodoc-process-docstring", plain)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
