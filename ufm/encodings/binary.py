"""Binary codes."""

import numpy as np

from ufm.encodings.encoding import Encoding, positive_integer


def binary(K: int) -> Encoding:
    """Class k as the bits of k, least significant first, in {0, 1} (max(1, ceil(log2 K)) x K)."""
    K = positive_integer(K, "K")
    m = max(1, (K - 1).bit_length())
    return Encoding("binary", (np.arange(K) >> np.arange(m)[:, None]) & 1, {"K": K})
