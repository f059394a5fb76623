"""Adam, the penalties' gradients in its running means (coupled weight decay)."""

from ufm.flow.integrators.descent import Adam

TABLEAU = Adam(name="adam", reference="Kingma, Ba: Adam: A method for stochastic optimization, ICLR 2015, algorithm 1")
