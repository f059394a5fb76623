"""Pictures of one's own: a swept problem and a network laid over the theory hold the numbers of their records."""

from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import ufm
from ufm import plot
from ufm.cli.app import app
from ufm.errors import UfmError

LABELS = ufm.classes(ufm.encodings.one_hot(4), [40, 20, 20, 5])
PROBLEM = ufm.Problem(LABELS, lam_W=0.02, lam_H=1e-3, lam_b=0.2)


def numbers(line):
    return tuple(np.asarray(values, dtype=float) for values in line.get_data())


@pytest.fixture(scope="module")
def swept():
    return ufm.solve(PROBLEM, over={"lam_H": np.geomspace(1e-4, 1, 7)}).record()


def test_a_sweep_draws_every_direction_and_every_size_of_class(swept):
    spectrum, norms, cosine = plot.sweep_figure(swept).axes
    assert len(spectrum.get_lines()) == 4
    for i, line in enumerate(spectrum.get_lines()):
        assert numbers(line)[1] == pytest.approx(swept["singular_values"].isel(direction=i).values)
    assert norms.get_legend_handles_labels()[1] == ["40", "20", "5"]
    assert numbers(norms.get_lines()[-1])[1] == pytest.approx(swept["class_mean_norm"].sel({"class": 3}).values)
    assert len(cosine.get_lines()) == 1


def test_no_bias_and_a_free_one_stand_at_the_edges():
    record = ufm.solve(PROBLEM, over={"lam_b": [0.0, 0.1, 1.0, np.inf]}).record()
    line, free, none = plot.sweep_figure(record, ["cosine"]).axes[0].get_lines()
    assert numbers(line)[0].tolist() == [0.1, 1.0]
    for edge, weight in ((free, 0.0), (none, np.inf)):
        assert numbers(edge)[1] == pytest.approx(record["cosine"].sel(lam_b=weight).item())


def test_a_regression_is_drawn_without_classes_and_a_constant_without_its_round_off():
    Y = np.array([[1.0, -1.0, 2.0, 0.0], [0.5, 1.0, -1.0, 0.0]])
    over = {"lam_H": np.geomspace(1e-3, 1, 5)}
    free = ufm.solve(
        ufm.Problem(ufm.samples(Y - Y.mean(axis=1, keepdims=True)), lam_W=0.1, lam_H=0.1, lam_b=0), over=over
    )
    spectrum, rows, bias = plot.sweep_figure(free.record()).axes
    assert [len(ax.get_lines()) for ax in (spectrum, rows, bias)] == [2, 2, 2]
    assert bias.get_ylim() == (-1.0, 1.0)  # it is zero, to round-off
    none = ufm.solve(ufm.Problem(ufm.samples(Y), lam_W=0.1, lam_H=0.1), over=over)
    assert len(plot.sweep_figure(none.record()).axes) == 2


@pytest.mark.parametrize(
    ("over", "observables", "said"),
    [
        ({"lam_H": [0.1, 0.2], "lam_b": [0.1, 0.2]}, [], "swept along lam_H and lam_b"),
        ({"lam_H": [0.1, 0.2]}, ["nonsense"], "no 'nonsense'"),
        ({"lam_H": [0.1, 0.2]}, ["gram"], "fewer"),
        ({"lam_b": [0.0, np.inf]}, [], "between 0 and infinity"),
    ],
)
def test_what_cannot_be_drawn_is_named(over, observables, said):
    with pytest.raises(UfmError, match=said):
        plot.sweep_figure(ufm.solve(PROBLEM, over=over).record(), observables)


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    """Features near the optimum, one row a sample, under names of their own."""
    optimum, rng = ufm.solve(PROBLEM), np.random.default_rng(0)
    H = np.repeat(optimum.H, LABELS.counts, axis=1)
    path = tmp_path_factory.mktemp("arrays") / "run.npz"
    moved = H.T + 0.01 * rng.standard_normal(H.T.shape)
    np.savez(path, features=moved, y=LABELS.labels(), W=optimum.W[0], b=optimum.b)
    return path


def test_a_network_is_laid_over_its_theory(arrays):
    stored = np.load(arrays)
    found = ufm.predict(stored["features"].T, stored["y"], stored["W"], stored["b"], lam_W=0.02, lam_H=1e-3, lam_b=0.2)
    theory, network = found.records
    axes = plot.overlay(theory, network).axes
    for ax, name in zip(axes, ("singular_values", "class_mean_norm"), strict=False):
        *dashes, squares = ax.get_lines()
        assert numbers(squares)[1] == pytest.approx(network[name].values)
        assert [numbers(dash)[1][0] for dash in dashes] == pytest.approx(theory[name].values)
    for ax, record in zip(axes[2:], (theory, network), strict=False):
        assert np.asarray(ax.get_images()[0].get_array()) == pytest.approx(record["cosines"].values)


NAMES = ("--name", "H=features", "--name", "labels=y")


def run(*words):
    """Exit code and what was said; an error of ours is what `ufm` prints on standard error."""
    done = CliRunner().invoke(app, [str(word) for word in words])
    return (2, str(done.exception)) if isinstance(done.exception, UfmError) else (done.exit_code, done.output)


def test_both_pictures_from_the_shell(arrays, tmp_path):
    stated = ("--classes", 4, "--counts", "40,20,20,5", "--lam-W", 0.02, "--lam-H", 1e-3)
    code, said = run("solve", *stated, "--over", "lam_H=1e-4:1:5", "--plot", tmp_path / "mine.svg")
    assert code == 0, said
    code, said = run(
        "predict", arrays, "--rows", *NAMES, "--lam-W", 0.02, "--lam-b", 0.2, "--plot", tmp_path / "net.png"
    )
    assert code in (0, 1), said
    assert "wrote" in said
    assert {path.name for path in tmp_path.iterdir()} == {"mine.svg", "net.png"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("solve", "--classes", 4, "--t-rel", 0.2, "--plot", "mine.png"), "--over"),
        (("solve", "--classes", 4, "--t-rel", 0.2, "--over", "lam_H=0.1:0.2:3", "--plot", "mine.xyz"), "xyz"),
        (("sweep", "flow_phase"), "Did you mean 'flow_phases'"),
        (("train", "encoding"), "Did you mean 'encodings'"),
        (("train", "cifar"), "limits"),
        (("train", "nowhere.toml"), "no such file"),
        (("train", "flow_phases"), "`ufm sweep`"),
        (("sweep", "nowhere.toml"), "no such file"),
    ],
)
def test_what_is_asked_wrongly_is_answered_in_one_line(words, said):
    code, text = run(*words)
    assert code == 2
    assert said in text
    assert "\n" not in text.strip()


def test_features_that_stand_the_wrong_way_round_are_named(arrays):
    code, text = run("measure", arrays, *NAMES)
    assert (code, text.endswith("add --rows.")) == (2, True)


def test_the_style_puts_back_what_it_sets_and_nothing_else():
    """A notebook turns itself interactive at its first figure: inside the block or not, it stays so."""
    import matplotlib as mpl

    settings: Any = mpl.rcParams
    before = {name: settings[name] for name in ("font.size", "font.family", "svg.hashsalt", "interactive")}
    with plot.style():
        assert mpl.rcParams["svg.hashsalt"] == "ufm"
        mpl.rcParams["interactive"] = not before["interactive"]
    after = {name: settings[name] for name in before}
    mpl.rcParams["interactive"] = before["interactive"]
    assert after == {**before, "interactive": not before["interactive"]}
