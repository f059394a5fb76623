"""What the engine says where it has no steps."""

from ufm.errors import UfmError


class OutOfReachError(UfmError):
    """A problem whose optimum the engine cannot derive: the text says which part of it is out of reach, and why."""
