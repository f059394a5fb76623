"""The command line: the names of the library, as verbs."""

from ufm.cli.app import main

__all__ = ["main"]
