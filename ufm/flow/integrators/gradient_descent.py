"""Gradient descent: y <- y - lr grad L."""

from ufm.flow.integrators.descent import Descent

TABLEAU = Descent(
    name="gradient_descent",
    reference="Cauchy: Methode generale pour la resolution des systemes d'equations simultanees, Comptes Rendus 25 "
    "(1847) 536-538",
)
