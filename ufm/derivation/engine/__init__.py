"""The derivation engine: from a problem in letters to its closed form, by steps that each are verified."""

from ufm.derivation.engine.derive import derive
from ufm.derivation.engine.refusal import OutOfReachError
from ufm.derivation.engine.roots import LargestRoot

__all__ = ["LargestRoot", "OutOfReachError", "derive"]
