"""Multi-label codes."""

from itertools import combinations

import numpy as np

from ufm.encodings.encoding import Encoding, positive_integer
from ufm.errors import ProblemError


def multi_label(m: int, multiplicity: int | list[int] = 1) -> Encoding:
    """Every set of `multiplicity` of m labels is a class; its code has a 1 for each label in the set (m x K)."""
    m = positive_integer(m, "m")
    sizes = [multiplicity] if isinstance(multiplicity, int) else list(multiplicity)
    if not sizes or any(isinstance(s, bool) or not 0 < s <= m for s in sizes):
        raise ProblemError("multiplicity", multiplicity, f"give set sizes between 1 and m = {m}.")
    sets = [chosen for size in sizes for chosen in combinations(range(m), size)]
    codes = np.zeros((m, len(sets)))
    for k, chosen in enumerate(sets):
        codes[list(chosen), k] = 1
    return Encoding("multi_label", codes, {"m": m, "multiplicity": multiplicity})
