"""What an optimum's status says, in words that tell the user what to make of it."""

from enum import Enum


class OptimumStatus(Enum):
    """How much is known about a reported optimum; the value is the advice."""

    CERTIFIED = "Global optimum: its value and a lower bound recomputed from the data agree to the gap shown."
    PROVED = "Global optimum: a closed form that is proved for this case (theory: sections 3 and 4)."
    BEST_KNOWN = "Best point found; only the lower bound shown is certain. Raise width where it limits the rank."
    NOT_ATTAINED = (
        "The infimum is not attained: some of lam_W, lam_H are zero, so the factors can be rescaled for ever. "
        "value is the infimum; W and H are balanced factors of the limiting product. Make all weights positive."
    )
    AT_INFINITY = (
        "The infimum is not attained: the loss falls for ever as some logits grow, and nothing holds them (an "
        "unpenalised product with a zero target, or a free bias of an output that no target uses). value is the "
        "infimum; the point shown reaches it to round-off. Make lam_W, lam_H, or lam_b, positive."
    )
    OPEN_GAP = "Best point found by a convex solver that stopped early; the lower bound shown holds. See the gap."
    SEARCHED = (
        "Best point found from many starts of a problem that is not convex; only the lower bound shown is certain. "
        "For the squared loss without a constraint, its bias of up to five dimensions, method='branch and bound' can "
        "close the gap."
    )
    METASTABLE = (
        "Local minimum, asked for by name; the global one (method='auto') may lie lower. See branches(problem)."
    )

    @property
    def is_attained(self) -> bool:
        """Whether some point has this value; else the factors shown are those of a limit."""
        return self not in (OptimumStatus.NOT_ATTAINED, OptimumStatus.AT_INFINITY)

    @property
    def is_global(self) -> bool:
        """Whether `value` is the global minimum (or infimum)."""
        local = (OptimumStatus.BEST_KNOWN, OptimumStatus.OPEN_GAP, OptimumStatus.SEARCHED, OptimumStatus.METASTABLE)
        return self not in local
