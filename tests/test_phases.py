"""The phase diagram: the analytic boundaries against certified optima, cell by cell, at every depth."""

import numpy as np
import pytest

from ufm.figure import draw
from ufm.gallery.phases import ORDER, critical, order, over_classes, over_weights
from ufm.record import load
from ufm.share import locate


@pytest.mark.parametrize("p", [2, 3, 4])
def test_every_recorded_cell_is_on_its_side_of_the_boundaries(p):
    record = load(locate("numerics", "records") / f"phases_p{p}.nc")
    assert record.problem is not None
    assert record.problem.p == p
    assert float(record["gap"].max()) <= 1e-12
    assert "BEST_KNOWN" not in record.provenance["status"]
    lam_H, lam_b = (np.asarray(record.values[name]) for name in ("lam_H", "lam_b"))
    t = record.problem.K * lam_H[:, None] ** (1 / p)
    threshold, rho = critical(p), lam_b / (1 + lam_b)
    cells = order(record)
    assert np.allclose(over_weights(record).values.t, t[:, 0])
    assert np.array_equal(np.isnan(cells), np.broadcast_to(t >= threshold, cells.shape))
    alive = np.nan_to_num(cells) > 1e-9
    assert np.array_equal(alive, t < rho * threshold)
    if p > 2:  # first order: the mean direction jumps
        assert cells[alive].min() > 0.4


def test_a_shifted_boundary_would_be_seen():
    record = load(locate("numerics", "records") / "phases_p3.nc")
    t = 4 * np.asarray(record.values.lam_H)[:, None] ** (1 / 3)
    wrong = 1.1 * critical(3)
    assert not np.array_equal(np.isnan(order(record)), np.broadcast_to(t >= wrong, (40, 40)))


@pytest.mark.parametrize("p", [2, 3, 4])
def test_the_boundaries_over_the_number_of_classes(p):
    """Every cell of (K, t/K) at lam_b = 1 is on its side of t_c/K and rho t_c/K."""
    K, strength = np.array([2, 3, 7, 20]), critical(p) * np.geomspace(0.011, 0.71, 9)
    cells, t = over_classes(p, K, strength)[ORDER].values, strength[:, None] * K
    threshold = critical(p)
    assert np.array_equal(np.isnan(cells), t >= threshold)
    assert np.array_equal(np.nan_to_num(cells) > 1e-9, t < threshold / 2)


def test_the_figure_draws_two_panels_per_depth():
    figure = draw("phase-diagram")
    titles = [ax.get_title(loc="left")[4:11] for ax in figure.axes[:6]]
    assert titles == ["$p = 2$", "$p = 3$", "$p = 4$"] * 2
    assert [ax.get_xlabel()[:7] for ax in figure.axes[3:6]] == ["classes"] * 3
