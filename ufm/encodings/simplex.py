"""Simplex codes."""

from typing import Any

import numpy as np

from ufm.encodings.encoding import LARGEST, Encoding, positive_integer


def simplex(K: int) -> Encoding:
    """Unit vectors with all cosines -1/(K-1), in their own K-1 dimensions (K-1 x K); their mean is the origin.

    Where K is a letter, or too many to write out, the same codes up to a rotation: in K dimensions, for groups.
    """
    K = positive_integer(K, "K", least=2)
    if not isinstance(K, int) or K * (K - 1) > LARGEST:
        radius = (K / (K - 1)) ** (0.5 if isinstance(K, int) else _half())
        return Encoding("simplex", None, {"K": K}, (K, K), exchangeable=(radius, -radius / K))
    # Helmert rows: an orthonormal basis of the space orthogonal to the all-ones vector.
    helmert = np.zeros((K - 1, K))
    for j in range(1, K):
        helmert[j - 1, :j], helmert[j - 1, j] = 1, -j
        helmert[j - 1] /= np.sqrt(j * (j + 1))
    return Encoding("simplex", np.sqrt(K / (K - 1)) * helmert, {"K": K})


def _half() -> Any:
    from sympy import Rational

    return Rational(1, 2)
