"""A method that SciPy has: its name there; the driver lets it choose its steps."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Library:
    """A variable-order implicit method of `scipy.integrate`, on the host, with a dense Jacobian.

    most_unknowns: beyond this a dense Jacobian is out of proportion, and the method refused. safety: its tolerance in
    units of ours, since the errors of its steps add up.
    """

    name: str
    solver: str
    most_unknowns: int
    safety: float
    reference: str
