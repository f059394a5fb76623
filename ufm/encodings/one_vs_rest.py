"""Signed one-versus-rest codes."""

from ufm.encodings.encoding import Encoding, positive_integer


def one_vs_rest(K: int) -> Encoding:
    """C = 2 I - 11': +1 for the own class, -1 for every other (K x K)."""
    K = positive_integer(K, "K")
    return Encoding("one_vs_rest", None, {"K": K}, (K, K), exchangeable=(2.0, -1.0))
