"""LSODA: Adams and backward differentiation formulae of orders 1-12 and 1-5, for small stiff flows."""

from ufm.flow.integrators.library import Library

TABLEAU = Library(
    name="lsoda",
    solver="LSODA",
    most_unknowns=2000,
    safety=0.1,
    reference="Petzold: Automatic selection of methods for solving stiff and nonstiff systems of ordinary differential "
    "equations, SIAM Journal on Scientific and Statistical Computing 4 (1983) 136-148",
)
