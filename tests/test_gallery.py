"""The gallery: what stands in each figure is true, point by point; and every figure can be drawn again."""

from dataclasses import replace

import numpy as np
import pytest

from ufm.expected import errors
from ufm.figure import draw, specs
from ufm.record import load
from ufm.share import locate

QUICK = ("depth", "encodings", "imbalance", "seli", "sizes")


@pytest.fixture(scope="module")
def figures():
    return {name: draw(name) for name in QUICK}


def _lines(ax, marker):
    return [line for line in ax.get_lines() if line.get_marker() == marker and len(line.get_xdata())]


def _curves(ax):
    return [line for line in ax.get_lines() if line.get_marker() in ("None", "") and len(line.get_xdata()) > 50]


@pytest.mark.parametrize("name", ["depth", "imbalance", "seli", "sizes"])
def test_axes_say_what_they_show(figures, name):
    panels = [ax for ax in figures[name].axes if ax.get_label() != "<colorbar>"]
    assert all(ax.get_xlabel() and ax.get_title(loc="left") for ax in panels)
    assert panels[0].get_ylabel() or panels[0].get_title(loc="left")


@pytest.mark.parametrize("panel", [0, 1])
def test_optima_and_flows_lie_on_the_theorem_of_imbalance(figures, panel):
    ax = figures["imbalance"].axes[panel]
    curves = _curves(ax)
    assert len(curves) == 6
    for marker, allowed in (("+", 2e-2), ("o", 2e-2)):  # the line is drawn through 241 points
        for curve, points in zip(curves, _lines(ax, marker), strict=True):
            x, y = (np.asarray(values, dtype=float) for values in points.get_data())
            on_line = np.interp(np.log(x), np.log(np.asarray(curve.get_xdata(), dtype=float)), curve.get_ydata())
            assert np.abs(y - on_line).max() < allowed


@pytest.mark.parametrize(("panel", "p"), [(0, 2), (1, 3), (2, 4)])
def test_every_nonzero_point_of_depth_is_critical(figures, panel, p):
    ax = figures["depth"].axes[panel]
    for marker in ("+", "o"):
        for points in _lines(ax, marker):
            t, x = (np.asarray(values, dtype=float) for values in points.get_data())
            alive = x > 1e-6
            assert np.allclose(x[alive] ** ((p - 2) / p) * (1 - x[alive]), t[alive], atol=1e-6)
    assert any((np.asarray(points.get_ydata()) < 1e-9).any() for points in _lines(ax, "+"))


def test_cross_entropy_comes_closer_to_the_simplex_encoded_labels_with_every_decade(figures):
    right = figures["seli"].axes[1]
    limits = [np.asarray(line.get_ydata(), dtype=float)[0] for line in right.get_lines() if len(line.get_xdata()) == 2]
    for limit, points in zip(limits, _lines(right, "+"), strict=True):
        away = np.abs(np.asarray(points.get_ydata(), dtype=float) - limit)
        assert (np.diff(away[2:]) < 0).all()


def test_unit_margins_have_the_encoded_labels_geometry(figures):
    left = figures["seli"].axes[0]
    for curve, points in zip(_curves(left), _lines(left, "+"), strict=True):
        x, y = (np.asarray(values, dtype=float) for values in points.get_data())
        ends = np.asarray(curve.get_ydata(), dtype=float)[[0, -1]]
        assert y[[0, -1]] == pytest.approx(ends, abs=1e-6)
        assert x[[0, -1]].tolist() == [1, 100]


def test_ranks_change_where_the_lines_are(figures):
    for ax, top in zip(figures["sizes"].axes[:2], (4, 3), strict=True):
        cells = ax.collections[0].get_array().reshape(90, 60)
        strength, ratios = np.geomspace(0.05, 1.2, 90), np.geomspace(1, 100, 60)
        small = strength[:, None] < 0.97 / np.sqrt(ratios)
        assert (cells[small] == top).all()
        assert (cells[strength > 1.01] == 0).all()


def test_a_free_bias_centres_every_encoding(figures):
    texts = [text.get_text() for ax in figures["encodings"].axes for text in ax.texts]
    assert texts.count("−.33") >= 4 * 12


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(specs()) - set(QUICK)))
def test_every_other_figure_can_be_drawn_again(name):
    assert draw(name).axes or draw(name).subfigs


RECORDS = [name for spec in specs().values() if spec.draw == "trials" for name in spec.records]


@pytest.mark.parametrize("name", RECORDS)
def test_recorded_networks_meet_the_optimum_of_their_own_problem(name):
    record = load(locate("numerics", "records") / name)
    assert record["value"].size >= 8
    found = errors(record)
    assert abs(found["singular_values"].relative) < 0.01
    assert 0 <= found["excess_loss"].value < 0.02  # never below a certified minimum
    assert abs(found["class_mean_norm"].relative if "class_mean_norm" in found else 0) < 0.01
    if "nc1_ratio" in record:
        assert float(record["nc1_ratio"].max()) < 0.01


def test_a_record_that_is_off_is_seen():
    record = load(locate("numerics", "records") / RECORDS[0])
    wrong = replace(record, values=record.values.assign(singular_values=record["singular_values"] * 1.02))
    assert abs(errors(wrong)["singular_values"].relative) > 0.01
