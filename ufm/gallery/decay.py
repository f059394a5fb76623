"""Networks with plain weight decay against three theories: one weight, two weights, the metric of the layer below.

All are calibrated, where they are, on the networks without a bias alone, and predict the others.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ufm.constraints import FeatureMetric
from ufm.errors import UfmError
from ufm.gallery.decay_panels import by_bias, by_direction
from ufm.metrics.weight_balance import two_weights
from ufm.optimum import Optimum, solve
from ufm.plot.style import TWO_COLUMNS, sheet, style
from ufm.problem import Problem
from ufm.record import Record, load
from ufm.share import locate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ufm.figure import FigureSpec
    from ufm.referee.witnesses import Witnesses

THEORIES = ("one_weight", "two_weights", "layer_below")
_FINE = 25  # values of lam_b along a line


@dataclass(frozen=True, eq=False)
class Decayed:
    """A record of networks with plain weight decay along lam_b, and what theories say of them.

    mean, centred: effective weights of the features' penalty in the runs without a bias, averaged over their seeds:
    along the direction nearest the mean, and along all others.
    """

    record: Record

    @cached_property
    def problem(self) -> Problem:
        """What the networks were trained on, without the penalty of the backbone."""
        if self.record.problem is None or float(self.record.problem.lam_H) != 0:
            raise UfmError("these networks were not trained with plain weight decay; sweep lam_b with `decay` set.")
        return self.record.problem

    @cached_property
    def calibration(self) -> xr.Dataset:
        """The runs without a bias."""
        return self.record.values.sel(lam_b=math.inf)

    @cached_property
    def weights(self) -> tuple[float, float]:
        """(mean, centred)."""
        mean, centred = np.mean([self._weights_of(run) for _, run in self.calibration.groupby("seed")], axis=0)
        return float(mean), float(centred)

    def _weights_of(self, run: xr.Dataset) -> tuple[float, float]:
        """The two of one network, whose record has W H at the class means, and its singular values over all samples."""
        counts, N = self.problem.classes.counts, self.problem.N
        run = run.squeeze("seed")
        product = run["logits"].transpose("target", "class").values - run["bias"].values[:, None]
        mean = product @ (counts / N)
        V, _, _ = np.linalg.svd((product - mean[:, None]) * np.sqrt(counts), full_matrices=False)
        s = run["singular_values_centred"].values
        return two_weights(run["classifier_gram"].values, mean, V[:, : s.size] * s, N, float(self.problem.lam_W[0]))

    @property
    def lam_b_star(self) -> float:
        """The two weights' transition, t_0/(1 - t_0) with t_0 = K sqrt(n lam_W lam_mean), for equal classes."""
        t = math.sqrt(float(self.problem.lam_W[0]) * self.weights[0] * self.problem.N * self.problem.K)
        return t / (1 - t)

    def one_weight(self, lam_b: float) -> Optimum:
        """The optimum with one weight on all features, from the balance of W and H in total."""
        lam_H = float(self.calibration["lam_H_effective"].mean())
        return solve(self.problem.replace(lam_b=lam_b, lam_H=lam_H))

    def two_weights(self, lam_b: float) -> Optimum:
        """The optimum with one weight on the mean of the features and another on centred ones."""
        mean, centred = self.weights
        metric = FeatureMetric.mean_apart(self.problem.classes.counts, mean / centred)
        return solve(self.problem.replace(lam_b=lam_b, lam_H=centred, constraint=metric))

    def layer_below(self, lam_b: float) -> Optimum:
        """The optimum in the metric of the last hidden layer of the runs without a bias; no weight is fitted."""
        metric = FeatureMetric(self.calibration["feature_metric"].mean("seed").values)
        lam = float(self.problem.lam_W[0])
        return solve(self.problem.replace(lam_b=lam_b, lam_H=lam, constraint=metric))

    @cached_property
    def fine(self) -> np.ndarray:
        """Values of lam_b along a line, closer beside the transition, infinity last."""
        values = self.record.values["lam_b"].values
        finite = values[np.isfinite(values)]
        even = np.geomspace(finite.min() / 1.3, finite.max() * 1.3, _FINE)
        near = self.lam_b_star * np.array([1.0, 1.03, 1.1, 1.2])
        return np.append(np.union1d(even, near[(even[0] < near) & (near < even[-1])]), np.inf)

    @cached_property
    def curves(self) -> dict[str, dict[str, np.ndarray]]:
        """{theory: {observable: along `fine`}}."""
        found = {}
        for theory in THEORIES:
            said = [observed(getattr(self, theory)(float(v))) for v in self.fine]
            found[theory] = {name: np.array([at[name] for at in said]) for name in OBSERVED}
        return found

    def networks(self) -> dict[str, np.ndarray]:
        """{observable: lam_b x seed}."""
        values = self.record.values.transpose("lam_b", "seed", ...)
        return {name: of(values) for name, of in OBSERVED.items()}

    def errors(self, theory: str) -> dict[str, np.ndarray]:
        """{observable: its mean over seeds less what a theory says, at every lam_b}."""
        said = [observed(getattr(self, theory)(float(v))) for v in self.record.values["lam_b"].values]
        return {name: found.mean(axis=1) - [at[name] for at in said] for name, found in self.networks().items()}


def _mean_strength(values: xr.Dataset) -> np.ndarray:
    return values["singular_value_mean"].values


def _cosine(values: xr.Dataset) -> np.ndarray:
    cosines = values["cosines"].values
    K = cosines.shape[-1]
    return (cosines.sum(axis=(-2, -1)) - np.trace(cosines, axis1=-2, axis2=-1)) / (K * (K - 1))


def _centred_strength(values: xr.Dataset) -> np.ndarray:
    return values["singular_values_centred"].values.mean(axis=-1)


OBSERVED = {"mean": _mean_strength, "centred": _centred_strength, "cosine": _cosine}


def observed(optimum: Optimum) -> dict[str, float]:
    """Strength of the mean direction, mean strength of the centred ones, and mean cosine of different class means."""
    values = optimum.record().values
    return {name: float(of(values)) for name, of in OBSERVED.items()}


def table(record: Record) -> str:
    """A Markdown table: networks' mean direction and cosine at every lam_b, and what the theories say of them."""
    decayed, words = Decayed(record), ("one weight", "two weights", "layer below")
    unit = math.sqrt(decayed.problem.N / decayed.problem.K)
    found, wrong = decayed.networks(), {theory: decayed.errors(theory) for theory in THEORIES}
    head = [f"{what}, {who}" for what in ("s_0/sqrt(n)", "cosine") for who in ("networks", *words)]
    lines = [f"| lam_b | {' | '.join(head)} |", "|---" * (1 + len(head)) + "|"]
    for i, lam_b in enumerate(record.values["lam_b"].values):
        cells = [f"{lam_b:g}"]
        for name, size in (("mean", unit), ("cosine", 1.0)):
            seeds = found[name][i] / size
            cells.append(f"{seeds.mean():.4f} ± {seeds.std(ddof=1):.4f}")
            cells += [f"{seeds.mean() - wrong[theory][name][i] / size:.4f}" for theory in THEORIES]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def draw(spec: "FigureSpec", _: "Witnesses | None") -> "Figure":
    """The mean direction and the cosine against lam_b, by kind of network, and the effective weights by direction."""
    deep, shallow, strength, longer, normed = (load(locate("numerics", "records") / name) for name in spec.records)
    three = Decayed(deep)
    panels = (
        (three, "mean", "mean direction, three hidden layers"),
        (three, "cosine", "cosine, three hidden layers"),
        (Decayed(shallow), "cosine", "cosine, one hidden layer"),
        (Decayed(normed), "cosine", "cosine, three hidden layers with batch norm"),
    )
    with style():
        figure = sheet(figsize=(TWO_COLUMNS, 6.9), layout="constrained")
        axes = np.ravel(figure.subplots(3, 2))
        for ax, letter, (decayed, name, title) in zip(axes, "abcd", panels):
            ax.set_title(f"{letter}   {title}", loc="left")
            by_bias(ax, **_lines(decayed, name), longer=_points(longer, name) if decayed is three else None)
        by_direction(axes[4], _weights([strength, deep]))
        axes[4].set_title("e   effective weight of the features, by direction", loc="left")
        axes[5].axis("off")
        axes[5].legend(handles=axes[0].get_legend_handles_labels()[0], loc="center", labelspacing=1)
    return figure


def _lines(decayed: Decayed, name: str) -> dict[str, Any]:
    """Curves and networks of one observable; strengths over sqrt(n)."""
    unit = 1.0 if name == "cosine" else math.sqrt(decayed.problem.N / decayed.problem.K)
    return {
        "fine": decayed.fine,
        "curves": {theory: said[name] / unit for theory, said in decayed.curves.items()},
        "networks": _points(decayed.record, name),
        "star": decayed.lam_b_star,
        "name": name,
    }


def _points(record: Record, name: str) -> tuple[np.ndarray, np.ndarray]:
    """(lam_b, lam_b x seed) of one observable; strengths over sqrt(n)."""
    decayed = Decayed(record)
    unit = 1.0 if name == "cosine" else math.sqrt(decayed.problem.N / decayed.problem.K)
    return record.values["lam_b"].values, decayed.networks()[name] / unit


def _weights(records: list[Record]) -> list[tuple[float, np.ndarray, np.ndarray]]:
    """(weight decay, effective weights over it, mean shares), both seed x direction, of all runs without a bias."""
    found = []
    for record in records:
        values = record.values
        if "lam_b" in values.dims:
            values = values.sel(lam_b=math.inf)
        along = values["decay"].values if "decay" in values.dims else [float(Decayed(record).problem.lam_W[0])]
        for decay in along:
            here = values.sel(decay=decay) if "decay" in values.dims else values
            here = here.transpose("seed", ...)
            found.append((float(decay), here["lam_H_by_direction"].values / decay, here["mean_share"].values))
    return sorted(found, key=lambda row: row[0])
