"""The one bibliography, by citation key."""

import re
from functools import cache
from importlib.resources import files


@cache
def bibliography() -> dict[str, str]:
    """{key: BibTeX entry} of `ufm/theorems/references.bib`."""
    text = files("ufm.theorems").joinpath("references.bib").read_text()
    entries = re.split(r"\n(?=@)", text.strip())
    return {re.match(r"@\w+\{([^,]+),", entry).group(1): entry.strip() for entry in entries}  # pyright: ignore
