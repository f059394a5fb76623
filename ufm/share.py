"""Where the proofs, campaigns, records and figure specs lie: inside an installed wheel, or beside the package."""

from pathlib import Path

from ufm.errors import UfmError

_PACKAGE = Path(__file__).resolve().parent


def locate(*parts: str) -> Path:
    """The path of shared data, for instance `locate("numerics", "records")`; UfmError where it is missing."""
    for root in (_PACKAGE / "_share", _PACKAGE.parent):
        path = root.joinpath(*parts)
        if path.exists():
            return path
    raise UfmError(f"{'/'.join(parts)} came neither with this installation nor with a checkout; reinstall ufm.")
