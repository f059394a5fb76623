"""The gallery: what stands in each figure is true, point by point; and every figure can be drawn again."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from ufm.catalogue import catalogue
from ufm.expected import errors, problem_of
from ufm.figure import draw, specs
from ufm.gallery.depths import DIES, FACTORS, MEAN_DIES, boundaries
from ufm.gallery.spectrum import eigenvalues, twin
from ufm.gallery.verdict_marks import MARKS
from ufm.gallery.verdicts import recorded
from ufm.optimum import solve
from ufm.plot.style import style
from ufm.record import load
from ufm.share import locate

QUICK = ("depth", "depth-phases", "encodings", "imbalance", "seli", "sizes", "verdicts")


@pytest.fixture(scope="module")
def figures():
    return {name: draw(name) for name in QUICK}


def _lines(ax, marker):
    return [line for line in ax.get_lines() if line.get_marker() == marker and len(line.get_xdata())]


def _numbers(line):
    return tuple(np.asarray(values, dtype=float) for values in line.get_data())


def _curves(ax):
    return [line for line in ax.get_lines() if line.get_marker() in ("None", "") and len(line.get_xdata()) > 50]


@pytest.mark.parametrize("name", ["depth", "depth-phases", "imbalance", "seli", "sizes"])
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


def test_cells_of_depth_change_where_the_lines_are(figures):
    t = np.geomspace(0.02, 1.4, 90)
    for ax, lam_b in zip(figures["depth-phases"].axes[:2], (0.5, 4.0), strict=True):
        cells = np.ma.filled(ax.collections[0].get_array().reshape(90, FACTORS.size), np.nan)
        t_c, t_0 = (boundaries(FACTORS, lam_b)[name].values for name in (DIES, MEAN_DIES))
        assert np.array_equal(np.isnan(cells), t[:, None] >= t_c)
        assert np.array_equal(np.nan_to_num(cells) > 1e-9, t[:, None] < t_0)


@pytest.mark.slow
def test_optima_flows_and_networks_of_regression_lie_on_the_theorem():
    *fits, residual, shares = draw("regression-spectrum").axes
    for ax in fits:
        curves = _curves(ax)
        assert len(curves) == 5
        for marker, allowed in (("+", 1e-3), ("o", 1e-3), ("s", 5e-3)):  # of a largest singular value of 1.2
            for curve, points in zip(curves, _lines(ax, marker), strict=True):
                x, y = _numbers(points)
                line_x, line_y = _numbers(curve)
                assert np.abs(y - np.interp(x, line_x, line_y)).max() < allowed
    for marker, allowed in (("+", 1e-3), ("o", 1e-3), ("s", 2.7)):  # relative; of networks at the weakest weights
        for curve, points in zip(_curves(residual), _lines(residual, marker), strict=True):
            x, y = _numbers(points)
            line_x, line_y = _numbers(curve)
            error = np.abs(y / np.exp(np.interp(np.log(x), np.log(line_x), np.log(line_y))) - 1)
            assert error.max() < allowed
            assert error[-2:].max() < (0.01 if marker == "s" else allowed)
    assert max(_numbers(line)[1].max() for line in shares.get_lines()) < 0.01


def test_a_regression_of_few_samples_is_as_good_as_one_of_many():
    record = load(locate("numerics", "records") / "heads_regression.nc")
    many = problem_of(record, 0.3)
    few = twin(many)
    assert many.m + 1 == few.N
    assert eigenvalues(few) == pytest.approx(eigenvalues(many), rel=1e-12)
    assert solve(few).value == pytest.approx(solve(many).value, rel=1e-12)


@pytest.mark.slow
def test_minority_classifiers_merge_where_the_dotted_line_is():
    left, right = draw("minority-collapse").axes
    thresholds = [_numbers(line)[0][0] for line in left.get_lines() if line.get_linestyle() == ":"]
    assert thresholds[1] == pytest.approx(12.19245, abs=1e-5)  # fang2021's own setting
    for threshold, points in zip(thresholds, _lines(left, "+"), strict=True):
        ratio, cosine = _numbers(points)
        alive = np.isfinite(cosine)
        assert np.array_equal(cosine[alive] > 1 - 1e-9, ratio[alive] > threshold)
        assert cosine[0] == pytest.approx(-1 / 9)
    starts = [float(_numbers(line)[1][0]) for line in _lines(right, "+")]
    assert starts == pytest.approx([1] * 6)  # where classes are equal, every classifier has the budget's norm


def test_every_recorded_verdict_has_its_mark(figures):
    verdicts = recorded("verdicts.json")
    drawn = Counter(line.get_marker() for ax in figures["verdicts"].axes for line in ax.get_lines())
    assert drawn == Counter(MARKS[verdict]["marker"] for verdict in verdicts.values())
    assert {text.get_text() for ax in figures["verdicts"].axes for text in ax.texts} == {
        name.split(":")[0] for name in verdicts
    }


@pytest.mark.slow
def test_the_recorded_verdicts_are_those_of_this_catalogue():
    """Run `make verdicts` where this fails: a statement was added, renamed or taken out since they were recorded."""
    assert set(recorded("verdicts.json")) == set(catalogue())


@pytest.mark.parametrize("name", ["encodings", "verdicts"])
def test_a_figure_looks_as_it_is_committed(name, figures, tmp_path):
    """Pixels, with a tolerance for versions of fonts and of matplotlib."""
    from matplotlib.testing.compare import compare_images

    with style():
        figures[name].savefig(tmp_path / f"{name}.png")
    committed, again = locate("figures") / f"{name}.png", tmp_path / f"{name}.png"
    assert compare_images(str(committed), str(again), tol=8) is None


def test_another_figure_would_be_seen(figures, tmp_path):
    from matplotlib.testing.compare import compare_images

    with style():
        figures["depth"].savefig(tmp_path / "depth.png")
        figures["seli"].savefig(tmp_path / "other.png")
    assert compare_images(str(tmp_path / "depth.png"), str(tmp_path / "other.png"), tol=8) is not None


@pytest.mark.parametrize("name", ["depth-phases", "encodings", "feature-norms", "phase-diagram", "sizes"])
def test_drawings_of_cells_and_of_many_points_stay_small(name):
    """They are one image, not a path each: up to two megabytes otherwise."""
    assert (locate("figures") / f"{name}.svg").stat().st_size < 200_000


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
