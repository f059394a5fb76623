"""Adam with decoupled weight decay: the penalties shrink the factors beside its step."""

from ufm.flow.integrators.descent import Adam

TABLEAU = Adam(
    name="adamw",
    decoupled=True,
    reference="Loshchilov, Hutter: Decoupled weight decay regularization, ICLR 2019, algorithm 2",
)
