"""One-hot codes."""

from ufm.encodings.encoding import Encoding, positive_integer


def one_hot(K: int) -> Encoding:
    """C = I_K: class k is the k-th unit vector (K x K)."""
    K = positive_integer(K, "K")
    return Encoding("one_hot", None, {"K": K}, (K, K), exchangeable=(1.0, 0.0))
