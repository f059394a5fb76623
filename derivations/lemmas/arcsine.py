"""The arcsine lies between its tangent at zero and a cubic that meets it at one."""

import numpy as np

from ufm.derivation import Lemma


def attack(rng: np.random.Generator) -> float:
    """How far the arcsine leaves t .. t + (pi/2 - 1) t^3, and a chord of it falls below it: small, middling, near 1."""
    t = np.concatenate([rng.random(300), 10.0 ** rng.uniform(-8, 0, 300), 1 - 10.0 ** rng.uniform(-4, 0, 300)])
    value = np.arcsin(t)
    worst = max(float(np.max((t - value) / value)), float(np.max((value - t - (np.pi / 2 - 1) * t**3) / value)))
    share, left, right = rng.random(t.size), t, rng.permutation(t)
    chord = share * value + (1 - share) * np.arcsin(right)
    return max(worst, float(np.max((np.arcsin(np.minimum(1, share * left + (1 - share) * right)) - chord) / chord)))


LEMMA = Lemma(
    name="arcsine",
    statement="For 0 <= t <= 1 the arcsine is convex, at least t, and at most t + (pi/2 - 1) t^3. (All coefficients of "
    "its power series, which converges at 1 to pi/2, are positive.)",
    latex=r"t \le \arcsin t \le t + (\tfrac\pi2 - 1)\,t^3 \quad (0 \le t \le 1)",
    cite="olver2010",
    locator="equation 4.24.1",
    attack=attack,
)
