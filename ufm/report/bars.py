"""How far each witness is from contradicting a statement: the worst violation in tolerances, on a log axis, as SVG."""

import math
from html import escape
from typing import Any

_LOW, _HIGH = -9, 9  # decades shown; what lies beyond sits at the end, with an arrow
_LEFT, _RIGHT, _ROW, _TOP = 74, 16, 26, 8
_WIDTH = 460
_MINUS = "\N{MINUS SIGN}"


def bars(evidence: list[dict[str, Any]]) -> str:
    """One strip a witness: a tick for each answer where all were kept, and a dot at the worst; else empty."""
    checked = [e for e in evidence if e["checked"]]
    if not checked:
        return ""
    foot = _TOP + _ROW * len(checked)
    parts = [_axis(foot)]
    for i, e in enumerate(checked):
        parts.append(_bar(e, _TOP + _ROW * i + _ROW / 2))
    said = "; ".join(f"{e['witness']}: {_number(e['worst_in_tolerances'])}" for e in checked)
    label = f"Worst violation in tolerances, on a logarithmic axis. {said}."
    size = f'viewBox="0 0 {_WIDTH} {foot + 40}"'
    return f'<svg class="bars" {size} role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'


def _at(decade: float) -> float:
    return round(_LEFT + (_WIDTH - _LEFT - _RIGHT) * (decade - _LOW) / (_HIGH - _LOW), 2)


def _axis(foot: float) -> str:
    ticks = "".join(
        f'<line x1="{_at(t)}" y1="{foot}" x2="{_at(t)}" y2="{foot + 4}"></line>'
        f'<text x="{_at(t)}" y="{foot + 17}" text-anchor="middle">10<tspan dy="-4" font-size="8">'
        f"{str(t).replace('-', _MINUS)}</tspan></text>"
        for t in range(_LOW, _HIGH + 1, 3)
    )
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    return (
        f'<rect class="beyond" x="{_at(0)}" y="{_TOP}" width="{_at(_HIGH) - _at(0):.2f}" height="{foot - _TOP}"></rect>'
        f'<line x1="{_LEFT}" y1="{foot}" x2="{_WIDTH - _RIGHT}" y2="{foot}"></line>{ticks}'
        f'<line class="limit" x1="{_at(0)}" y1="{_TOP}" x2="{_at(0)}" y2="{foot}"></line>'
        f'<text x="{middle}" y="{foot + 34}" text-anchor="middle">worst violation, in tolerances</text>'
    )


def _bar(e: dict[str, Any], y: float) -> str:
    ratio = float(e["worst_in_tolerances"])
    decade = _decade(ratio)
    x = _at(min(max(decade, _LOW), _HIGH))
    name = f'<text x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{escape(e["witness"])}</text>'
    line = f'<line class="stem" x1="{_LEFT}" y1="{y}" x2="{x}" y2="{y}"></line>'
    if decade > _HIGH or not math.isfinite(ratio):
        mark = f'<path d="M{x - 9} {y - 5}L{x} {y}L{x - 9} {y + 5}Z"></path>'
    else:
        mark = f'<circle cx="{x}" cy="{y}" r="4.5"></circle>'
    strip = _strip(e.get("ratios", []), y)
    return f'<g class="{e["outcome"]}">{line}{strip}{mark}</g>{name}'


def _decade(ratio: float) -> float:
    return _LOW if ratio <= 0 else math.inf if not math.isfinite(ratio) else math.log10(ratio)


def _strip(ratios: list[Any], y: float) -> str:
    """A tick for each answer; answers that would be drawn on the same spot are one."""
    places = {round(_at(min(max(_decade(float(ratio)), _LOW), _HIGH)), 1) for ratio in ratios}
    if not places:
        return ""
    return f'<path class="answers" d="{"".join(f"M{x:g} {y - 6:g}v12" for x in sorted(places))}"></path>'


def _number(ratio: Any) -> str:
    return f"{float(ratio):.2g}"
