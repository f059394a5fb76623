"""Where the proofs, campaigns, records and figure specs lie: inside an installed wheel, or beside the package."""

import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ufm.errors import ProblemError, UfmError

_PACKAGE = Path(__file__).resolve().parent


def locate(*parts: str) -> Path:
    """The path of shared data, for instance `locate("numerics", "records")`; UfmError where it is missing."""
    for root in (_PACKAGE / "_share", _PACKAGE.parent):
        path = root.joinpath(*parts)
        if path.exists():
            return path
    raise UfmError(f"{'/'.join(parts)} came neither with this installation nor with a checkout; reinstall ufm.")


def read_campaign(name: str | Path) -> tuple[Path, dict[str, Any]]:
    """The TOML file of a campaign that comes along, or at a path that ends in .toml, and what it says.

    ProblemError where there is none of that name, with the names that there are, or where it is not TOML.
    """
    if str(name).endswith(".toml"):
        path = Path(name)
        if not path.is_file():
            raise ProblemError("campaign", str(name), "there is no such file.")
    else:
        known = {path.stem: path for path in sorted(locate("numerics", "campaigns").glob("*.toml"))}
        if name not in known:
            near = get_close_matches(str(name), known, 1)
            hint = f"Did you mean {near[0]!r}? " if near else ""
            fix = f"{hint}The campaigns that come along are {', '.join(known)}; one of your own is a path to a .toml."
            raise ProblemError("campaign", str(name), fix)
        path = known[str(name)]
    try:
        return path, tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ProblemError("campaign", str(path), f"this is not TOML: {error}.") from None
