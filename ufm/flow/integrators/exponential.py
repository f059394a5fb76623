"""An exponential method is data: its nodes, and how it weighs the phi functions of h times the Jacobian."""

import math
from dataclasses import dataclass

Phis = dict[int, float]  # {k: coefficient of phi_k}


@dataclass(frozen=True)
class Exponential:
    """A Rosenbrock-type exponential pair whose linear part is exact, whatever its rates.

    With F = dy/dt, J its Jacobian at y, D_i = F(U_i) - F(y) - J (U_i - y):
        U_i = y + c_i h phi_1(c_i h J) F + h sum_j a_ij(h J) D_j,     y+ = y + h phi_1(h J) F + h sum_i b_i(h J) D_i.
    nodes: c_2, c_3, ..; inner: rows a_ij, weights: b_i, error: b_i less that of the embedded method, each as Phis.
    most_vectors: of a Krylov space; a step that needs more is taken shorter.
    """

    name: str
    order: int
    embedded_order: int
    nodes: tuple[float, ...]
    inner: tuple[tuple[Phis, ...], ...]
    weights: tuple[Phis, ...]
    error: tuple[Phis, ...]
    most_vectors: int
    reference: str
    damps: float = math.inf
