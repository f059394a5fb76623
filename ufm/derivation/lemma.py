"""A lemma: a statement that a proof may use without proving it, with its source and a numerical attack on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Lemma:
    """What is taken from the literature: stated in words and in LaTeX, cited to the page, and open to attack."""

    name: str
    statement: str
    latex: str
    cite: str  # a key of the bibliography
    locator: str  # theorem, section or page in that source
    attack: Callable[
        [np.random.Generator], float
    ]  # the worst relative violation found; a true lemma stays at round-off
