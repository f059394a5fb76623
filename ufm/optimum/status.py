"""What an optimum's status says, in words that tell the user what to make of it."""

from enum import Enum


class OptimumStatus(Enum):
    """How much is known about a reported optimum; the value is the advice."""

    CERTIFIED = "Global optimum: its value and a dual lower bound agree to the gap shown."
    PROVED = "Global optimum: the closed form is proved for this case; no convex dual exists below the full rank."
    BEST_KNOWN = "Best point found; only the lower bound shown is certain. Raise width to close the gap."
    NOT_ATTAINED = (
        "The infimum is not attained: one of lam_W, lam_H is zero, so the factors can be rescaled for ever. "
        "value is the infimum; W and H are balanced factors of the limiting product. Make both weights positive."
    )

    @property
    def is_global(self) -> bool:
        """Whether `value` is the global minimum (or infimum)."""
        return self is not OptimumStatus.BEST_KNOWN
