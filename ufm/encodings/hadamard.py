"""Hadamard codes."""

import numpy as np

from ufm.encodings.encoding import Encoding, positive_integer


def hadamard(K: int) -> Encoding:
    """The first K columns of Sylvester's Hadamard matrix: +-1, mutually orthogonal (m x K, m the power of 2 >= K)."""
    from scipy.linalg import hadamard as sylvester

    K = positive_integer(K, "K")
    m = 1 << (K - 1).bit_length()
    return Encoding("hadamard", np.asarray(sylvester(m))[:, :K], {"K": K})
