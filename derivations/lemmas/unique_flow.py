"""Solutions of a smooth flow from one start are one solution."""

import numpy as np
from scipy.linalg import expm

from ufm.derivation import Lemma


def attack(rng: np.random.Generator) -> float:
    """How far two solutions of dx/dt = Ax part beyond e^(||A|| t) |x0 - y0|, the bound behind uniqueness, if at all."""
    worst = 0.0
    for _ in range(100):
        size = int(rng.integers(1, 5))
        A = rng.standard_normal((size, size)) * 10.0 ** rng.uniform(-2, 0.5)
        kind = rng.integers(3)
        if kind == 1:  # not normal: transient growth
            A = np.triu(A) + 10 * np.triu(A, 1)
        elif kind == 2:
            A = (A + A.T) / 2
        x0 = rng.standard_normal(size)
        y0 = x0 + 10.0 ** rng.uniform(-6, 0) * rng.standard_normal(size)
        for t in (0.0, 0.1, 1.0, 2.0):
            apart = np.linalg.norm(expm(A * t) @ (x0 - y0))
            bound = np.exp(np.linalg.norm(A, 2) * t) * np.linalg.norm(x0 - y0)
            worst = max(worst, (apart - bound) / bound)
    return float(worst)


LEMMA = Lemma(
    name="unique_flow",
    statement="A differential equation with a locally Lipschitz right-hand side has at most one solution from a start: "
    "a function that satisfies it and has the right value at t = 0 is the flow, as long as it exists.",
    latex=r"\dot x = f(x),\ \dot y = f(y),\ x(0) = y(0)\ \Rightarrow\ x(t) = y(t)",
    cite="teschl2012",
    locator="Theorem 2.2",
    attack=attack,
)
