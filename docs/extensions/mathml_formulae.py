"""A math renderer for Sphinx that writes MathML with `ufm.mathml`: no script, no font, no network."""

from html import escape
from typing import Any

from ufm.mathml import mathml, unknown_commands


def _checked(source: str, node: Any) -> str:
    unknown = unknown_commands(source)
    if unknown:
        from sphinx.util import logging

        names = ", ".join(f"\\{name}" for name in sorted(unknown))
        log = logging.getLogger(__name__)
        log.warning("a formula uses %s, which MathML output does not know", names, location=node)
    return source


def inline(self: Any, node: Any) -> None:
    """An inline formula."""
    from docutils.nodes import SkipNode

    self.body.append(f'<span class="math">{mathml(_checked(node.astext(), node))}</span>')
    raise SkipNode


def block(self: Any, node: Any) -> None:
    """A displayed formula, with its number if it has one; wide ones scroll by themselves."""
    from docutils.nodes import SkipNode

    number = node.get("number")
    label = f'<span class="eqno">({escape(str(number))})</span>' if number else ""
    self.body.append(f'<div class="math">{label}{mathml(_checked(node.astext(), node), display=True)}</div>')
    raise SkipNode


def setup(app: Any) -> dict[str, bool]:
    """Register the renderer under the name `mathml`."""
    app.add_html_math_renderer("mathml", inline_renderers=(inline, None), block_renderers=(block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
