"""Phase diagrams of balanced one-hot labels: which directions survive, in (lam_b, t) and in (K, t/K), for each depth.

t is the regularisation relative to the labels, t = K n^(1/p) Lam; a centred direction survives for t below t_c(p), the
mean direction for t below rho t_c(p) (theory: sections 3 and 4). Cells are certified optima, lines the formulae.
"""

from typing import TYPE_CHECKING

import numpy as np

from ufm import encodings
from ufm.derivation.engine.roots import coexistence
from ufm.errors import UfmError
from ufm.metrics.order import order_parameter
from ufm.optimum import solve
from ufm.plot.phases import phase_diagram
from ufm.plot.style import TWO_COLUMNS, sheet, style
from ufm.plot.words import words
from ufm.problem import Problem, classes
from ufm.record import Record, load
from ufm.share import locate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ufm.figure import FigureSpec
    from ufm.referee.witnesses import Witnesses

ORDER = "order_parameter"
CLASSES = np.unique(np.geomspace(2, 50, 16).round().astype(int))
DIES, MEAN_DIES = "features vanish", "mean direction vanishes"
_NAMES = (
    (0.5, 0.945, "nothing survives", "black"),
    (0.2, 0.72, "simplex\nETF", "white"),
    (0.72, 0.3, "towards an\northogonal\nframe", "black"),
)


def draw(spec: "FigureSpec", _: "Witnesses | None") -> "Figure":
    """Recorded optima on grids of weights, one depth a column; below them a grid over K, solved as it is drawn."""
    records = [load(locate("numerics", "records") / name) for name in spec.records]
    with style():
        figure = sheet(figsize=(TWO_COLUMNS, 4.9), layout="constrained")
        axes = figure.subplots(2, len(records))
        for column, (record, letters) in enumerate(zip(records, ("ad", "be", "cf"), strict=True)):
            p = factors(record)
            depth = "one linear layer" if p == 2 else f"{p - 1} linear layers"
            cells = over_weights(record)
            above = phase_diagram(cells, ORDER, theory=boundaries(p, cells.values.lam_b.values), ax=axes[0, column])
            above.set_title(f"{letters[0]}   $p = {p}$: {depth}", loc="left")
            cells = over_classes(p, CLASSES, critical(p) * np.geomspace(8e-3, 0.7, 28))
            below = phase_diagram(cells, ORDER, theory=boundaries_over_classes(p), ax=axes[1, column])
            below.set_title(f"{letters[1]}   $p = {p}$, $\\lambda_b = 1$", loc="left")
            below.set(xlabel="classes, $K$", ylabel="" if column else "regularisation, $t/K$")
            below.set_xticks([2, 5, 10, 20, 50], ["2", "5", "10", "20", "50"])
            below.minorticks_off()
            above.set_ylabel("" if column else "regularisation, $t$")
        for x, y, name, color in _NAMES:
            place = {"transform": axes[0, 0].transAxes, "ha": "center", "va": "center"}
            axes[0, 0].text(x, y, name, fontsize=7, color=color, **place)
        bar = figure.colorbar(axes[0, 0].collections[0], ax=axes, shrink=0.6, aspect=30)
        bar.set_label(f"{words(ORDER)}, certified optima")
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


def critical(p: int) -> float:
    """t_c(p), 1 for p = 2; above it zero is the global minimum of a direction."""
    return float(coexistence(p))


def factors(record: Record) -> int:
    """p of a record's problem."""
    if record.problem is None:
        raise UfmError("a phase diagram in t needs records with their problem, for depth and class sizes.")
    return record.problem.p


def over_weights(record: Record) -> Record:
    """The order parameter over (t, lam_b), of optima along lam_H and lam_b."""
    p, problem = factors(record), record.problem
    if problem is None:
        raise UfmError("a phase diagram in t needs records with their problem.")
    layers = float(np.prod([float(w) for w in problem.lam_W]))
    weights = np.asarray(record.values.lam_H) * layers
    t = problem.K * (problem.classes.counts[0] * weights) ** (1 / p)
    return _cells(order(record), t=t, lam_b=np.asarray(record.values.lam_b))


def order(record: Record) -> np.ndarray:
    """The order parameter of optima along lam_H, or along lam_H and lam_b, in this order."""
    swept = [name for name in ("lam_H", "lam_b") if name in record.values.dims]
    centred = record["singular_values_centred"].max("centred_direction").transpose(*swept).values
    return order_parameter(record["singular_value_mean"].transpose(*swept).values, centred)


def over_classes(p: int, K: np.ndarray, strength: np.ndarray) -> Record:
    """The order parameter at lam_b = 1 over (t/K, K); one sample a class."""
    columns = []
    for count in K:
        targets = classes(encodings.one_hot(int(count)), 1)
        problem = Problem(targets, lam_W=(1.0,) * (p - 1), lam_H=1.0, lam_b=1.0)
        columns.append(order(solve(problem, over={"lam_H": strength**p}).record()))
    return _cells(np.stack(columns, axis=1), strength=strength, K=K)


def _cells(values: np.ndarray, **coords: np.ndarray) -> Record:
    return Record.of("optimum", {ORDER: (tuple(coords), values)}, coords=coords)


def boundaries(p: int, lam_b: np.ndarray) -> Record:
    """t_c and rho t_c along lam_b, from its smallest value to its largest."""
    fine = np.geomspace(lam_b[0], lam_b[-1], 400)
    heights = {DIES: np.full(fine.size, critical(p)), MEAN_DIES: critical(p) * fine / (1 + fine)}
    return Record.of("theorem", {name: (("lam_b",), y) for name, y in heights.items()}, coords={"lam_b": fine})


def boundaries_over_classes(p: int, rho: float = 0.5) -> Record:
    """t_c/K and rho t_c/K along K, as if it were a real number."""
    fine = np.geomspace(CLASSES[0], CLASSES[-1], 200)
    heights = {DIES: critical(p) / fine, MEAN_DIES: rho * critical(p) / fine}
    return Record.of("theorem", {name: (("K",), y) for name, y in heights.items()}, coords={"K": fine})
