"""exprb43: order 4, every linear rate exact, the bias's among them, for stiff flows too large for a dense Jacobian."""

from ufm.flow.integrators.exponential import Exponential

TABLEAU = Exponential(
    name="exprb43",
    order=4,
    embedded_order=3,
    nodes=(0.5, 1.0),
    inner=((), ({1: 1.0},)),
    weights=({3: 16.0, 4: -48.0}, {3: -2.0, 4: 12.0}),
    error=({4: -48.0}, {4: 12.0}),
    most_vectors=120,
    reference="Hochbruck, Ostermann, Schweitzer: Exponential Rosenbrock-type methods, SIAM Journal on Numerical "
    "Analysis 47 (2009) 786-803, exprb43",
)
