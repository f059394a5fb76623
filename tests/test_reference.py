"""The API reference: everything that `import ufm` offers stands in it, and every function says what it raises."""

import inspect
import re
from pathlib import Path

import pytest

import ufm

PAGES = Path(ufm.__file__).parents[1] / "docs" / "reference"
OFFERED = {name: getattr(ufm, name) for name in dir(ufm) if not inspect.ismodule(getattr(ufm, name))}
FUNCTIONS = {name: thing for name, thing in OFFERED.items() if inspect.isfunction(thing)}
WITHOUT_ERRORS = {"catalogue"}  # it takes nothing


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_says_what_it_raises(name):
    """ProblemError, UfmError, or one of theirs; `as in` sends to a function that says so."""
    text = inspect.getdoc(FUNCTIONS[name]) or ""
    assert name in WITHOUT_ERRORS or re.search(r"Error|Errors as there", text)


@pytest.mark.skipif(not PAGES.exists(), reason="the pages of the reference are in the checkout alone")
@pytest.mark.parametrize("name", OFFERED)
def test_everything_that_is_offered_stands_in_the_reference(name):
    pages = "\n".join(page.read_text(encoding="utf-8") for page in PAGES.glob("*.md"))
    assert re.search(rf"auto(?:class|function|exception):: ufm(?:\.\w+)*\.{name}\b|^\s+{name}\b", pages, re.MULTILINE)
