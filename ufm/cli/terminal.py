"""What the verbs share: tables and progress on a terminal, JSON for programs, silence in a pipe."""

import json
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Progress = Callable[[str, int, int], None]


def console() -> Any:
    """Standard output: plain in a pipe, and wide enough there for the tables."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else 140, soft_wrap=not sys.stdout.isatty())


def print_json(value: Any) -> None:
    """One JSON document; numbers that JSON lacks become the strings "inf", "-inf" and "nan"."""
    typer.echo(json.dumps(_plain(value), indent=2, sort_keys=False))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def table(title: str, header: list[str], rows: list[list[str]], numeric_from: int = 1) -> Any:
    """A table with right-aligned columns from `numeric_from` on."""
    from rich import box
    from rich.table import Table

    made = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for i, name in enumerate(header):
        made.add_column(name, justify="right" if i >= numeric_from else "left")
    for row in rows:
        made.add_row(*row)
    return made


def save_figure(figure: Any, path: Path) -> None:
    """Write a figure in the format that the path's ending names; UfmError where matplotlib does not know it."""
    from ufm.errors import UfmError
    from ufm.plot.style import style

    with style():
        try:
            figure.savefig(path)
        except (ValueError, OSError) as error:
            raise UfmError(f"--plot {path}: {error}.") from None


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """A callback `(what, done, total)` that keeps one bar per task, with the time left, on a terminal."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    bars = Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), disable=not sys.stderr.isatty())
    tasks: dict[str, Any] = {}
    with bars:

        def report(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)

        yield report
