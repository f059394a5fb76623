"""Gradient descent with Nesterov's momentum, in the form of Sutskever et al. that torch.optim.SGD has."""

from ufm.flow.integrators.descent import Descent

TABLEAU = Descent(
    name="nesterov",
    momentum=0.9,
    nesterov=True,
    reference="Sutskever, Martens, Dahl, Hinton: On the importance of initialization and momentum in deep learning, "
    "ICML 2013",
)
