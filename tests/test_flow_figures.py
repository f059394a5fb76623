"""Figures of the flow: the points lie on the lines, and every integrator gets its line."""

from typing import Any

import numpy as np
import pytest

from ufm.catalogue import Motion
from ufm.errors import UfmError
from ufm.figure import draw
from ufm.flow import simulate
from ufm.flow.integrators import available, descents
from ufm.gallery import collapse
from ufm.plot.course import course
from ufm.problem import Problem, classes


@pytest.mark.parametrize(
    ("start", "theorem"),
    [(collapse._aligned, "trajectories:logistic_modes"), (collapse._balanced, "trajectories:riccati")],
)
def test_points_lie_on_the_lines(start: Any, theorem: str) -> None:
    problem, W, H = start()
    motion = Motion(problem, W, H, collapse._times(problem, 0.01, 6, 9))
    line = collapse._predicted_modes(theorem, motion)
    np.testing.assert_allclose(np.asarray(collapse.watched(motion)["modes"]), line, rtol=1e-7)


@pytest.mark.slow
def test_lines_of_collapse_are_where_the_points_are() -> None:
    """Panel c: the closed forms of both forms of NC1 pass through the simulated points."""
    ax = draw("collapse-in-time").axes[2]
    curves = [np.asarray(line.get_xydata(), dtype=float).T for line in ax.get_lines()]
    for (x, y), (points, found) in (curves[:2], curves[2:4]):
        on_line = np.exp(np.interp(np.log(points), np.log(x), np.log(y)))
        seen = on_line > 1e-20  # below, the within-class part is round-off of the features
        np.testing.assert_allclose(found[seen], on_line[seen], rtol=5e-3)  # the interpolation between its points


@pytest.mark.slow
def test_every_integrator_has_its_line() -> None:
    figure = draw("steps-in-time")
    names = [name for name in available() if name not in descents()]
    for ax in figure.axes:
        assert [line.get_label() for line in ax.get_lines()] == names


def test_time_is_flat_in_samples_and_linear_without_the_reduction() -> None:
    """As recorded: ten thousand times the samples cost less than four times the time."""
    panel = draw("scaling").axes[0]
    curves = {str(line.get_label()): np.asarray(line.get_xydata(), dtype=float) for line in panel.get_lines()}
    for name in ("kencarp4 (IMEX)", "kencarp5 (IMEX)", "rkc2 (stabilised)"):
        (N, seconds), (most, slowest) = curves[name][1], curves[name][-1]
        assert most >= 1e4 * N
        assert slowest < 4 * seconds
    full = curves["all samples, naive gradient (estimated)"]
    assert full[-1, 1] > 50 * full[1, 1]


def test_a_course_needs_times() -> None:
    problem = Problem(classes(np.eye(3), 4), lam_W=0.05, lam_H=0.05, lam_b=0.2, width=4)
    flow = simulate(problem, 0, t1=20.0, save=12)
    assert flow.path is not None
    axes = course(flow.path.record())
    assert [ax.get_title(loc="left")[0] for ax in axes] == ["a", "b", "c", "d"]
    assert len(axes[2].get_lines()) == 3
    with pytest.raises(UfmError, match="save more times"):
        course(flow.record())
