"""Where one direction neither grows nor shrinks to first order, it alone rules late times."""

import numpy as np

from ufm.derivation import Lemma


def attack(rng: np.random.Generator) -> float:
    """Systems whose centre manifold is known, y = h(x): how far an approximation of order 4 misses it beyond b x^4.

    x' = -c x^3, y' = -k y + (k h + h' x') for h = a x^2 + b x^4 has the manifold y = h exactly; the approximation is
    found as the lemma says, from the vanishing of the residual up to order 4.
    """
    worst = 0.0
    for _ in range(200):
        a, b, c, k = rng.standard_normal(), rng.standard_normal(), rng.exponential(), 0.1 + rng.exponential()
        h = np.polynomial.Polynomial([0, 0, a, 0, b])
        along = np.polynomial.Polynomial([0, 0, 0, -c])
        drive = k * h + h.deriv() * along
        found = drive.coef[2] / k  # residual of y = found x^2, order 2: k found - (drive's own)
        x = 10.0 ** rng.uniform(-2, 0)
        apart = abs(float(h(x)) - found * x**2)
        worst = max(worst, (apart - abs(b) * x**4) / (abs(a) * x**2 + abs(b) * x**4))
    return float(worst)


LEMMA = Lemma(
    name="centre_manifold",
    statement="At a fixed point with one zero eigenvalue and all others negative, every solution that stays near it "
    "approaches exponentially fast one on the centre manifold. A curve through the fixed point along the zero "
    "eigenvector whose invariance fails at order q is that manifold up to order q.",
    latex=r"\dot x = f(x, h(x)) + O(e^{-\gamma t}), \quad N(\phi) = O(|x|^q) \Rightarrow h = \phi + O(|x|^q)",
    cite="carr1981",
    locator="Theorems 2 and 3 of chapter 2",
    attack=attack,
)
