"""The axes of a sweep over a problem's weights, checked: {"lam_b": grid, ...}."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ufm.errors import ProblemError
from ufm.problem.problem import Problem
from ufm.problem.targets import is_number

WEIGHTS = ("lam_b", "lam_W", "lam_H")


def checked_axes(problem: Problem, over: Mapping[str, Any], fields: Sequence[str] = WEIGHTS) -> dict[str, np.ndarray]:
    """The weights among the axes as arrays; ProblemError names the field, the value and the fix.

    fields: all that the caller sweeps, to be told where a field is none of them.
    """
    if not over:
        raise ProblemError("over", dict(over), f"give {{field: values}} with fields among {', '.join(fields)}.")
    axes = {}
    for field, values in over.items():
        if field not in WEIGHTS:
            only = "only weights are swept" if tuple(fields) == WEIGHTS else "only these are swept"
            raise ProblemError(f"over[{field!r}]", values, f"{only}: {', '.join(fields)}.")
        array = np.atleast_1d(np.asarray(values))
        if array.ndim != 1 or array.size == 0 or not all(is_number(v) for v in array.tolist()):
            raise ProblemError(f"over[{field!r}]", values, "give a sequence of numbers.")
        array = array.astype(float)
        for i in np.flatnonzero(~(array >= 0) | (np.isinf(array) & (field != "lam_b"))):
            wanted = "in [0, inf]" if field == "lam_b" else ">= 0 and finite"
            raise ProblemError(f"over[{field!r}][{i}]", float(array[i]), f"give numbers {wanted}.")
        axes[field] = array
    if "lam_W" in axes and problem.p != 2:
        raise ProblemError(
            "over['lam_W']", over["lam_W"], "a problem with several layers has no single lam_W to sweep."
        )
    return axes
