"""Gradient descent with momentum, the heavy ball."""

from ufm.flow.integrators.descent import Descent

TABLEAU = Descent(
    name="momentum",
    momentum=0.9,
    reference="Polyak: Some methods of speeding up the convergence of iteration methods, USSR Computational "
    "Mathematics and Mathematical Physics 4 (1964) 1-17",
)
