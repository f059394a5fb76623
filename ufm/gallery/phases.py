"""Phase diagrams over bias weight, regularisation, depth and number of classes."""

from typing import TYPE_CHECKING

import numpy as np

from ufm import encodings
from ufm.optimum import solve
from ufm.plot.phases import order_parameter, phases
from ufm.problem import Problem, classes
from ufm.record import load
from ufm.share import locate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ufm.figure import FigureSpec
    from ufm.referee.witnesses import Witnesses


def draw(spec: "FigureSpec", _: "Witnesses | None") -> "Figure":
    """Recorded optima on grids of weights, one file a depth; and a grid over K, solved as it is drawn (p = 2)."""
    K = np.unique(np.geomspace(2, 100, 24).round().astype(int))
    strength = np.geomspace(5e-3, 0.7, 40)
    columns = []
    for count in K:
        problem = Problem(classes(encodings.one_hot(int(count)), 1), lam_W=1.0, lam_H=1.0, lam_b=1.0)
        columns.append(order_parameter(solve(problem, over={"lam_H": strength**2}).record()))
    records = [load(locate("numerics", "records") / name) for name in spec.records]
    return phases(records, K, strength, np.stack(columns, axis=1), rho=0.5)
