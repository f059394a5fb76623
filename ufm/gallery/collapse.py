"""Collapse in time: closed forms of the catalogue as lines, points of the integrated flow of all samples on them."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ufm import encodings
from ufm.catalogue import Motion, catalogue
from ufm.catalogue.starts import aligned_layers, over_samples, semi_orthogonal, target_axes
from ufm.errors import UfmError
from ufm.flow import State, simulate
from ufm.metrics.split import split_classes
from ufm.plot.course import shade
from ufm.plot.style import TWO_COLUMNS, sheet, style
from ufm.problem import Problem, classes
from ufm.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ufm.figure import FigureSpec
    from ufm.referee.witnesses import Witnesses

_POINTS, _FINE = 25, 300


def draw(_: "FigureSpec", __: "Witnesses | None") -> "Figure":
    """Logistic modes of an aligned start, Riccati modes of one aligned with nothing, and NC1 in both its forms."""
    with style():
        figure = sheet(figsize=(TWO_COLUMNS, 2.8), layout="constrained")
        axes = list(np.ravel(figure.subplots(1, 3)))
        _modes(axes[0], _aligned(), "trajectories:logistic_modes")
        _modes(axes[1], _balanced(), "trajectories:riccati")
        _nc1(axes[2])
        titles = ("aligned start", "start aligned with nothing", "within-class variability")
        for ax, letter, title in zip(axes, "abc", titles, strict=True):
            ax.set_title(f"{letter}   {title}", loc="left")
            ax.set_xlabel(r"time, $\lambda t$")
        axes[0].set_ylabel(r"mode strength $u_i' W H v_i$")
        line = axes[0].plot([], [], color="0.3", linewidth=1.2, label="closed form")
        points = axes[0].plot(
            [], [], "o", color="0.3", markerfacecolor="none", markersize=4, label="flow of all samples"
        )
        figure.legend(handles=[*line, *points], loc="outside upper center", ncols=2)
    return figure


def watched(motion: Motion) -> Record:
    """The flow of a motion at its times, every sample integrated."""
    times = np.asarray(motion.times)
    start = State(motion.W, motion.H, motion.b)
    flow = simulate(motion.problem, start, t1=float(times[-1]), save=times, rtol=1e-10, mode="full")
    if flow.path is None or len(flow.path) < times.size:
        raise UfmError(f"the flow ended at t = {flow.t:.6g}: {flow.status.value}")
    return flow.path.record()


def _imbalanced(l_rel: float) -> Problem:
    counts = [24, 12, 6, 3]
    weight = l_rel * math.sqrt(min(counts)) / sum(counts)
    return Problem(classes(encodings.one_hot(4), counts), lam_W=weight, lam_H=weight, width=6)


def _times(problem: Problem, first: float, last: float, count: int) -> np.ndarray:
    return np.geomspace(first, last, count) / float(problem.lam_H)


def _aligned() -> tuple[Problem, Any, Any]:
    problem, rng = _imbalanced(0.2), np.random.default_rng(1)
    return (problem, *aligned_layers(problem, rng, *[np.full(4, 0.1)] * 2))


def _balanced() -> tuple[Problem, Any, Any]:
    """W'W = HH', the left axes of W H turned against its right ones, so that modes feed each other on the way."""
    problem, rng = _imbalanced(0.2), np.random.default_rng(5)
    U, _, Vt = target_axes(problem)
    root = 0.35 * rng.standard_normal((4, 6))
    left, right = semi_orthogonal(rng, 4, 4), semi_orthogonal(rng, 4, 4)
    if np.linalg.det(left.T @ right) < 0:
        right[:, 0] *= -1
    return problem, (U @ left @ root,), over_samples(problem, (Vt.T @ right @ root).T)


def _modes(ax: "Axes", start: tuple[Problem, Any, Any], theorem: str) -> None:
    problem, W, H = start
    coarse, fine = (Motion(problem, W, H, _times(problem, 0.01, 6, n)) for n in (_POINTS, _FINE))
    unit, found = float(problem.lam_H), np.asarray(watched(coarse)["modes"])
    line = _predicted_modes(theorem, fine)
    for i in range(line.shape[1]):
        color = shade(i, line.shape[1])
        ax.plot(unit * fine.times, line[:, i], color=color, linewidth=1.2, zorder=1)
        ax.plot(unit * coarse.times, found[:, i], "o", color=color, markerfacecolor="none", markersize=4, zorder=2)
    ax.set_xscale("log")


def _predicted_modes(theorem: str, motion: Motion) -> np.ndarray:
    """The modes (T x r) that a theorem of the catalogue gives, from QQ' where that is what it speaks of."""
    course = catalogue()[theorem].follow(motion)
    if "modes" in course:
        return np.asarray(course["modes"])
    U, _, Vt = target_axes(motion.problem)
    blocks = np.asarray(course["factors_gram"])[:, : U.shape[0], U.shape[0] :]
    return np.einsum("mi,tmk,ik->ti", U, blocks, Vt)


def _nc1(ax: "Axes") -> None:
    """tr S_W/tr S_B falls at 2 lam, for what lies outside the row space of W; tr(S_W S_B^+) at 2 sigma/N."""
    K, n = 4, 10
    weight = 0.12 * math.sqrt(n) / (K * n)
    problem = Problem(classes(encodings.one_hot(K), n), lam_W=weight, lam_H=weight, width=8)
    rng = np.random.default_rng(2)
    W, H = aligned_layers(problem, rng, *[np.full(K, 0.2)] * 2)
    noise = 1e-4 * rng.standard_normal(H.shape)
    noise -= np.repeat(noise.reshape(8, K, n).mean(axis=2), n, axis=1)
    coarse = Motion(problem, W, H + noise, _times(problem, 0.01, 3, _POINTS))
    times = np.concatenate([[0.0], _times(problem, 0.01, 3, _FINE)])
    record = watched(coarse)
    course = catalogue()["trajectories:within_class"].follow(Motion(problem, W, H + noise, times))
    strength = _predicted_modes("trajectories:logistic_modes", Motion(problem, W, H, times))[:, 0]
    inside, outside = (np.asarray(course[name]) for name in ("within_inside", "within_outside"))
    lines = {
        "nc1_ratio": (inside**2 + outside**2) / ((K - 1) * strength),
        "nc1": _inside_span(problem, H, noise) * (inside / inside[0]) ** 2 * strength[0] / strength,
    }
    look = {
        "nc1_ratio": ("#0072B2", r"tr$\,\Sigma_W$/tr$\,\Sigma_B$"),
        "nc1": ("#D55E00", r"tr$(\Sigma_W\Sigma_B^+)/K$"),
    }
    for name, line in lines.items():
        color, label = look[name]
        ax.plot(weight * times[1:], line[1:], color=color, linewidth=1.2, zorder=1, label=label)
        ax.plot(weight * coarse.times, record[name], "o", color=color, markerfacecolor="none", markersize=4, zorder=2)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.legend(loc="lower left")


def _inside_span(problem: Problem, H: np.ndarray, within: np.ndarray) -> float:
    """tr(S_W S_B^+)/K at the start: within-class parts in the span of the centred class means, over their scatter."""
    split = split_classes(H, problem.classes.labels())
    root = split.deviations * np.sqrt(split.counts)
    return float(np.sum((np.linalg.pinv(root @ root.T) @ within) * within)) / problem.K
