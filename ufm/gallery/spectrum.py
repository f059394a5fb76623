"""Regression: the fit has the roots of the target covariance's eigenvalues, less one number; the rest is white."""

from typing import TYPE_CHECKING

import numpy as np

from ufm.catalogue import catalogue
from ufm.errors import UfmError
from ufm.expected import problem_of, swept
from ufm.flow import Flow, simulate
from ufm.metrics.regression import residual_covariance
from ufm.optimum import Optimum, solve
from ufm.plot.against import ladder_colours, line, points
from ufm.plot.style import TWO_COLUMNS, WITNESS_STYLE, network_style, sheet, style
from ufm.problem import Problem, SampleTargets, samples
from ufm.record import Record, load
from ufm.share import locate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ufm.figure import FigureSpec
    from ufm.referee.witnesses import Witnesses

_NAME = "singular_values_centred"
_LAW = "andriopoulos2024:lemma_d1_product"


def draw(spec: "FigureSpec", _: "Witnesses | None") -> "Figure":
    """The theorem as lines; recorded networks, certified optima and flows of their own problems as points."""
    record = load(locate("numerics", "records") / spec.records[0])
    values = record.values[swept(record)].values.astype(float)
    problems = [problem_of(record, float(value)) for value in values]
    found = record[_NAME].transpose(swept(record), "seed", "centred_direction").values / np.sqrt(problems[0].N)
    with style():
        figure = sheet(figsize=(TWO_COLUMNS, 5.6), layout="constrained")
        (left, right), (residual, shares) = figure.subplots(2, 2)
        _against_targets(left, problems, values, found)
        _against_weights(right, problems, values, found)
        for ax in (left, right):
            ax.set_ylim(-0.04 * found.max(), 1.12 * found.max())
        left.set_ylabel(r"singular values of $W H$ (centred)$\,/\sqrt{N}$")
        _left_over(residual, problems, record)
        _collapse(shares, values, record)
        for ax, title in (
            (left, "a   one line a regularisation $t$"),
            (right, "b   one line a direction of the targets"),
            (residual, "c   what the fit leaves: one line a direction"),
            (shares, "d   collapse; theory: 0"),
        ):
            ax.set_title(title, loc="left")
        _legend(figure)
    return figure


def eigenvalues(problem: Problem) -> np.ndarray:
    """Of the covariance of the targets, descending: m."""
    centred = _centred(problem)
    return np.linalg.eigvalsh(centred @ centred.T / problem.N)[::-1]


def _centred(problem: Problem) -> np.ndarray:
    if not isinstance(problem.targets, SampleTargets):
        raise UfmError("the figure of regression needs a record of networks with targets of samples.")
    return problem.targets.Y - problem.targets.Y.mean(axis=1, keepdims=True)


def _against_targets(ax: "Axes", problems: list[Problem], values: np.ndarray, found: np.ndarray) -> None:
    """s against the root of the eigenvalue, for every regularisation that networks were trained at."""
    roots = np.sqrt(eigenvalues(problems[0]))
    fine = np.linspace(0, 1.08 * roots.max(), 200)
    colours = ladder_colours(len(problems))
    for problem, value, networks, colour in zip(problems, values, found, colours, strict=True):
        shift = np.sqrt(float(problem.lam_W[0]) * float(problem.lam_H) * problem.N)
        line(ax, fine, np.maximum(0, fine - shift), colour, f"{value:g}")
        _networks(ax, roots, networks, colour)
        points(ax, "optimum", roots, _strengths(solve(problem).record(), problem), colour)
        points(ax, "flow", roots, _rest(problem), colour)
    ax.set(xlim=(0, fine[-1]), xlabel=r"root of the target covariance's eigenvalue, $\sqrt{\lambda_i}$")
    ax.legend(title="$t$", loc="upper left", title_fontsize=7)


def _against_weights(ax: "Axes", problems: list[Problem], values: np.ndarray, found: np.ndarray) -> None:
    """s against the regularisation, past the point where the last direction falls to zero."""
    law, first = catalogue()[_LAW], problems[0]
    shifts = np.sqrt([float(p.lam_W[0]) * float(p.lam_H) * p.N for p in problems])
    top = 1.1 * np.sqrt(eigenvalues(first)[0])
    fine, coarse = np.linspace(0.01, 1, 120) * top, np.linspace(0.5, 0.97, 7) * top
    lines = np.stack([_strengths(law.predict(_at(first, shift)), first) for shift in fine])
    optima = np.stack([_strengths(solve(_at(first, shift)).record(), first) for shift in coarse])
    flows = np.stack([_rest(_at(first, shift)) for shift in coarse[::2]])
    for i, colour in enumerate(ladder_colours(lines.shape[1])):
        line(ax, fine, lines[:, i], colour)
        _networks(ax, shifts, found[:, :, i].T, colour, along=True)
        points(ax, "optimum", coarse, optima[:, i], colour)
        points(ax, "flow", coarse[::2], flows[:, i], colour)
    ax.set(xlim=(0, top), xlabel=r"regularisation, $\sqrt{N\lambda_W\lambda_H}$")


def _left_over(ax: "Axes", problems: list[Problem], record: Record) -> None:
    """Eigenvalues of the residual's covariance: those of the targets, cut off at c = N lam_W lam_H."""
    cuts = np.array([float(p.lam_W[0]) * float(p.lam_H) * p.N for p in problems])
    found = np.linalg.eigvalsh(record["residual_covariance"].transpose(swept(record), "seed", ...).values)[..., ::-1]
    known = eigenvalues(problems[0])
    fine = np.sort(np.append(np.geomspace(0.5 * cuts[0], 2 * known[0], 120), known))  # with every kink
    # beyond the networks the optima and flows go on, until no direction is kept
    wider = np.append(cuts, np.geomspace(2 * cuts[-1], 1.2 * known[0], 4))
    at = [_at(problems[0], float(np.sqrt(cut))) for cut in wider]
    optima = np.stack([_residual(solve(p)) for p in at])
    flows = np.stack([_residual_at_rest(p) for p in at[::2]])
    for i, colour in enumerate(ladder_colours(known.size)):
        line(ax, fine, np.minimum(fine, known[i]), colour)
        _networks(ax, cuts, found[:, :, i].T, colour)
        points(ax, "optimum", wider, optima[:, i], colour)
        points(ax, "flow", wider[::2], flows[:, i], colour)
    ax.set(xscale="log", yscale="log", xlabel=r"$c = N \lambda_W \lambda_H$")
    ax.set_ylabel("eigenvalues of the residual's covariance")


def _residual(optimum: Optimum) -> np.ndarray:
    """Eigenvalues of the covariance of Y - W H - b 1', descending."""
    Y = optimum.problem.targets.columns
    return np.linalg.eigvalsh(residual_covariance(optimum.H, optimum.product, optimum.b, Y))[::-1]


def _residual_at_rest(problem: Problem) -> np.ndarray:
    covariance = _settled(twin(problem)).record("all")["residual_covariance"].values
    return np.linalg.eigvalsh(covariance)[::-1]


def _collapse(ax: "Axes", values: np.ndarray, record: Record) -> None:
    """NRC1 to NRC3 of the networks."""
    for i, name in enumerate(("nrc1", "nrc2", "nrc3")):
        look = {**network_style(i, "mnist5k"), "label": name.upper(), "linestyle": "none"}
        del look["capsize"]
        if name == "nrc2":  # it lies on NRC1: W reads all that the features hold
            look |= {"markerfacecolor": "none", "markersize": 6}
        for row in record[name].transpose("seed", swept(record)).values:
            ax.plot(values, row, **look)
            look["label"] = None
    ax.set(xscale="log", yscale="log", xlabel="regularisation, $t$", ylabel="shares and distance")
    ax.legend(loc="upper right")


def _at(problem: Problem, shift: float) -> Problem:
    """The problem whose singular values all shrink by `shift` times sqrt N: its weights scaled by one factor."""
    factor = shift / np.sqrt(float(problem.lam_W[0]) * float(problem.lam_H) * problem.N)
    return problem.replace(lam_W=float(problem.lam_W[0]) * factor, lam_H=float(problem.lam_H) * factor)


def twin(problem: Problem) -> Problem:
    """A problem of m + 1 samples with the same target covariance, and the same objective: lam_H N stays as it is.

    With a free bias the objective sees the targets through their covariance alone, and a flow of 5000 samples would
    repeat itself a thousand times.
    """
    count = problem.m + 1
    frame = np.linalg.qr(np.eye(count) - 1 / count)[0][:, : problem.m]  # orthonormal, and orthogonal to ones
    U, s, _ = np.linalg.svd(_centred(problem), full_matrices=False)
    targets = samples((U * s) @ frame.T * np.sqrt(count / problem.N))
    return problem.replace(targets=targets, lam_H=float(problem.lam_H) * problem.N / count)


def _rest(problem: Problem) -> np.ndarray:
    """The singular values over the root of N where the flow of the twin comes to rest."""
    small = twin(problem)
    return _strengths(_settled(small).record(), small)


def _settled(problem: Problem) -> Flow:
    flow = simulate(problem)
    if not flow.status.name.startswith("STEADY"):
        raise UfmError(f"a flow of the figure did not come to rest: {flow.status.value}")
    return flow


def _strengths(record: Record, problem: Problem) -> np.ndarray:
    return np.sort(np.ravel(record[_NAME].values))[::-1] / np.sqrt(problem.N)


def _networks(ax: "Axes", x: np.ndarray, networks: np.ndarray, colour: object, *, along: bool = False) -> None:
    """Seeds (seeds x places) as their mean, with the spread as a bar."""
    mean, spread = networks.mean(axis=0), np.ptp(networks, axis=0) / 2
    look = {**network_style(0, "mnist5k"), "color": colour, "label": None, "markersize": 3.4}
    ax.errorbar(x, mean, yerr=spread, linestyle="none", markeredgecolor="black", markeredgewidth=0.4, **look)


def _legend(figure: "Figure") -> None:
    from matplotlib.lines import Line2D

    square = {"color": "0.3", "marker": "s", "markersize": 3.4, "linestyle": "none"}
    handles = [Line2D([], [], color="0.3", linewidth=1.2, label="theorem")]
    handles += [
        Line2D([], [], **{**WITNESS_STYLE[k], "color": "0.3", "linestyle": "none"}) for k in ("optimum", "flow")
    ]
    handles.append(Line2D([], [], label="networks on MNIST, bars: seeds", **square))
    figure.legend(handles=handles, loc="outside upper center", ncols=4)
