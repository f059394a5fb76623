"""Hierarchical codes."""

import numpy as np

from ufm.encodings.encoding import Encoding, positive_integer
from ufm.errors import ProblemError


def hierarchical(groups: list[int]) -> Encoding:
    """One-hot code of the group above one-hot code of the class: groups[g] classes in group g (G + K x K)."""
    if len(groups) == 0:
        raise ProblemError("groups", groups, "give the number of classes in each group, for instance [3, 3, 4].")
    sizes = [positive_integer(size, f"groups[{g}]") for g, size in enumerate(groups)]
    coarse = np.repeat(np.eye(len(sizes)), sizes, axis=1)
    return Encoding("hierarchical", np.vstack([coarse, np.eye(sum(sizes))]), {"groups": sizes})
