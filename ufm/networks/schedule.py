"""The learning rate of a step: a linear rise, then half a cosine down."""

import math


def cosine_rate(step: int, steps: int, warm: int, peak: float, last: float) -> float:
    """Learning rate of step 0, 1, ..., steps - 1: up to `peak` over the first `warm` steps, then towards `last` of it.

    last: a fraction of the peak, reached as the steps end.
    """
    if step < warm:
        return peak * (step + 1) / warm
    fall = (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm))) / 2
    return peak * (last + (1 - last) * fall)
