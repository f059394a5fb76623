"""Ordinal (thermometer) codes."""

import numpy as np

from ufm.encodings.encoding import Encoding, positive_integer


def ordinal(K: int) -> Encoding:
    """C_jk = 1 if k > j else 0: class k of an ordered set lies beyond k thresholds (K-1 x K)."""
    K = positive_integer(K, "K", least=2)
    return Encoding("ordinal", np.arange(K) > np.arange(K - 1)[:, None], {"K": K})
