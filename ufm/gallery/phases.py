"""Phase diagrams over bias weight, regularisation, depth and number of classes."""

from typing import TYPE_CHECKING

import numpy as np

from ufm import encodings
from ufm.optimum import solve
from ufm.plot.phases import critical_regularisation, order_parameter, phases
from ufm.problem import Problem, classes
from ufm.record import load
from ufm.share import locate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ufm.figure import FigureSpec
    from ufm.referee.witnesses import Witnesses


def draw(spec: "FigureSpec", _: "Witnesses | None") -> "Figure":
    """Recorded optima on grids of weights, one file a depth; for each depth a grid over K, solved as it is drawn."""
    records = [load(locate("numerics", "records") / name) for name in spec.records]
    K = np.unique(np.geomspace(2, 50, 16).round().astype(int))
    strengths, cells = [], []
    for record in records:
        p = record.problem.p if record.problem is not None else 2
        strengths.append(critical_regularisation(p) * np.geomspace(8e-3, 0.7, 28))
        cells.append(over_classes(p, K, strengths[-1]))
    return phases(records, K, strengths, cells)


def over_classes(p: int, K: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """The order parameter at lam_b = 1 for every strength t/K (rows) and number of classes; one sample a class."""
    columns = []
    for count in K:
        targets = classes(encodings.one_hot(int(count)), 1)
        problem = Problem(targets, lam_W=(1.0,) * (p - 1), lam_H=1.0, lam_b=1.0)
        columns.append(order_parameter(solve(problem, over={"lam_H": strength**p}).record()))
    return np.stack(columns, axis=1)
