"""Runge-Kutta-Chebyshev of order 2: explicit, for stiff flows too large for a dense Jacobian."""

from ufm.flow.integrators.chebyshev import Chebyshev

TABLEAU = Chebyshev(
    name="rkc2",
    order=2,
    embedded_order=2,
    damping=4.0,
    most_stages=250,
    reference="Sommeijer, Shampine, Verwer: RKC: An explicit solver for parabolic PDEs, Journal of Computational and "
    "Applied Mathematics 88 (1998) 315-326",
)
