"""What notebooks show of an object: a formula and a small table, in HTML that needs no script (Jupyter, marimo)."""

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from ufm.mathml import mathml

_STYLED = {"emph": "em", "textit": "em", "textbf": "strong", "texttt": "code"}
_PAD = "padding:0.1em 0.9em 0.1em 0;text-align:left"  # some notebooks take all padding from tables


def card(title: str, rows: Mapping[str, Any], *, formula: str = "", note: str = "") -> str:
    """A heading, a displayed LaTeX formula, and a table of names and values; markup in a value is a `Markup`."""
    body = "".join(f"<tr>{_head(k)}<td style='{_PAD}'>{_cell(v)}</td></tr>" for k, v in rows.items())
    drawn = displayed(formula) if formula else ""
    words = f"<p>{escape(note)}</p>" if note else ""
    return f"<div><b>{escape(title)}</b>{drawn}<table><tbody>{body}</tbody></table>{words}</div>"


def listing(header: Sequence[str], rows: Sequence[Sequence[Any]], *, caption: str = "", wrapped: bool = False) -> str:
    """A table with a header; wrapped: cells hold sentences, which may break."""
    head = "".join(_head(cell) for cell in header)
    look = f"{_PAD};vertical-align:top" if wrapped else f"{_PAD};white-space:nowrap"
    body = "".join("<tr>" + "".join(f"<td style='{look}'>{_cell(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    above = f"<caption>{escape(caption)}</caption>" if caption else ""
    table = f"<table>{above}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f"<div style='overflow-x:auto'>{table}</div>"


class Markup(str):
    """HTML that is shown as it is."""


def prose(sentence: str) -> Markup:
    r"""A sentence as HTML: `$...$` as MathML, the rest escaped, with \emph and its like as elements."""
    parts = re.split(r"\$([^$]+)\$([.,;:!?)]*)", sentence)
    return Markup("".join(_words(part) + _formula(*parts[i + 1 : i + 3]) for i, part in enumerate(parts) if i % 3 == 0))


def displayed(formula: str) -> Markup:
    """A formula on a line of its own; a wide one scrolls by itself."""
    return Markup(f"<div style='overflow:auto hidden;padding:0.3em 0'>{mathml(formula, display=True)}</div>")


def _formula(formula: str = "", mark: str = "") -> str:
    """A formula, and the punctuation that no line break may part from it."""
    if not formula:
        return ""
    return f"<span style='white-space:nowrap'>{mathml(formula)}{mark}</span>" if mark else mathml(formula)


def _words(text: str) -> str:
    out = escape(text, quote=False).replace("$", "")
    out = re.sub(
        r"\\(emph|textit|textbf|texttt)\{([^{}]*)\}",
        lambda f: f"<{_STYLED[f.group(1)]}>{f.group(2)}</{_STYLED[f.group(1)]}>",
        out,
    )
    out = re.sub(r"`([^`]+)`", r"<code>\1</code>", out)
    return re.sub(r"\\([a-zA-Z]*)\s?", r"\1 ", out) if "\\" in out else out


def pill(word: str, colour: str) -> Markup:
    """A word on a coloured ground, dark letters on light, readable in both of a notebook's themes."""
    look = f"background:{colour};color:#111;border-radius:0.3em;padding:0.05em 0.45em;font-weight:600"
    return Markup(f"<span style='{look}'>{escape(word)}</span>")


def number(value: float) -> str:
    """Twelve digits at most, and words for the ends of the scale."""
    return "∞" if value == float("inf") else f"{value:.12g}"


def _head(text: str) -> str:
    return f"<th style='{_PAD}'>{escape(text)}</th>"


def _cell(value: Any) -> str:
    return str(value) if isinstance(value, Markup) else escape(str(value))
