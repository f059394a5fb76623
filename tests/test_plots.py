"""Pictures of one's own: a swept problem and a network laid over the theory hold the numbers of their records."""

import inspect
import re
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import ufm
from ufm import plot
from ufm.cli.app import app
from ufm.errors import UfmError
from ufm.expected import problem_of
from ufm.expected import swept as swept_by
from ufm.share import locate

LABELS = ufm.classes(ufm.encodings.one_hot(4), [40, 20, 20, 5])
PROBLEM = ufm.Problem(LABELS, lam_W=0.02, lam_H=1e-3, lam_b=0.2)


def numbers(line):
    return tuple(np.asarray(values, dtype=float) for values in line.get_data())


@pytest.fixture(scope="module")
def swept():
    return ufm.solve(PROBLEM, over={"lam_H": np.geomspace(1e-4, 1, 7)}).record()


def test_a_sweep_draws_every_direction_and_every_size_of_class(swept):
    spectrum, norms, cosine = plot.sweep(swept)
    assert len(spectrum.get_lines()) == 4
    for i, line in enumerate(spectrum.get_lines()):
        assert numbers(line)[1] == pytest.approx(swept["singular_values"].isel(direction=i).values)
    assert norms.get_legend_handles_labels()[1] == ["40", "20", "5"]
    assert numbers(norms.get_lines()[-1])[1] == pytest.approx(swept["class_mean_norm"].sel({"class": 3}).values)
    assert len(cosine.get_lines()) == 1


def test_no_bias_and_a_free_one_stand_at_the_edges():
    record = ufm.solve(PROBLEM, over={"lam_b": [0.0, 0.1, 1.0, np.inf]}).record()
    line, free, none = plot.sweep(record, ["cosine"])[0].get_lines()
    assert numbers(line)[0].tolist() == [0.1, 1.0]
    for edge, weight in ((free, 0.0), (none, np.inf)):
        assert numbers(edge)[1] == pytest.approx(record["cosine"].sel(lam_b=weight).item())


def test_a_regression_is_drawn_without_classes_and_a_constant_without_its_round_off():
    Y = np.array([[1.0, -1.0, 2.0, 0.0], [0.5, 1.0, -1.0, 0.0]])
    over = {"lam_H": np.geomspace(1e-3, 1, 5)}
    free = ufm.solve(
        ufm.Problem(ufm.samples(Y - Y.mean(axis=1, keepdims=True)), lam_W=0.1, lam_H=0.1, lam_b=0), over=over
    )
    spectrum, rows, bias = plot.sweep(free.record())
    assert [len(ax.get_lines()) for ax in (spectrum, rows, bias)] == [2, 2, 2]
    assert bias.get_ylim() == (-1.0, 1.0)  # it is zero, to round-off
    none = ufm.solve(ufm.Problem(ufm.samples(Y), lam_W=0.1, lam_H=0.1), over=over)
    assert len(plot.sweep(none.record())) == 2


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
        plot.sweep(ufm.solve(PROBLEM, over=over).record(), observables)


FUNCTIONS = {
    name: getattr(plot, name)
    for name in plot.__all__
    if inspect.isfunction(getattr(plot, name)) and name not in ("style", "network_style")
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_picture_takes_records_and_perhaps_axes_and_returns_axes(name):
    """Records first, what to show next, `ax` or `axes` last and by name only; an example and the errors are said."""
    given = list(inspect.signature(FUNCTIONS[name]).parameters.values())
    assert given[0].annotation == "Record" or given[0].annotation is ufm.Record
    last, returned = given[-1], inspect.signature(FUNCTIONS[name]).return_annotation
    assert last.kind is inspect.Parameter.KEYWORD_ONLY
    assert last.default is None
    assert (last.name, str(getattr(returned, "__name__", returned))) in (("ax", "Axes"), ("axes", "Panels"))
    text = inspect.getdoc(FUNCTIONS[name]) or ""
    assert f"`plot.{name}(" in text
    assert "UfmError" in text


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
    axes = plot.overlay(theory, network)
    for ax, name in zip(axes, ("singular_values", "class_mean_norm"), strict=False):
        *dashes, squares = ax.get_lines()
        assert numbers(squares)[1] == pytest.approx(network[name].values)
        assert [numbers(dash)[1][0] for dash in dashes] == pytest.approx(theory[name].values)
    for ax, record in zip(axes[2:], (theory, network), strict=False):
        assert np.asarray(ax.get_images()[0].get_array()) == pytest.approx(record["cosines"].values)


@pytest.fixture(scope="module")
def examples(arrays, tmp_path_factory):
    """What the examples of the docstrings speak of."""
    stored, trial = np.load(arrays), ufm.load(locate("numerics", "records") / "encodings_one_hot.nc")
    found = ufm.predict(stored["features"].T, stored["y"], stored["W"], stored["b"], lam_W=0.02, lam_H=1e-3, lam_b=0.2)
    grid = {"lam_H": np.geomspace(1e-4, 1e-2, 3), "lam_b": np.array([0.1, 1.0, 10.0])}
    theory = ufm.solve(PROBLEM, over={"lam_b": [0.1, 1.0, np.inf]}).record()
    network = ufm.solve(PROBLEM, over={"lam_b": [0.1, np.inf]}).record()
    along = swept_by(trial)
    values = trial.values[along].values
    names = {
        "found": found,
        "record": found.records[0],
        "optima": ufm.solve(PROBLEM, over=grid),
        "sweep": ufm.solve(PROBLEM, over={"lam_H": grid["lam_H"]}),
        "flow": ufm.simulate(ufm.Problem(ufm.classes(np.eye(3), 4), lam_W=0.05, lam_H=0.05), save=12),
        "lam_b": {"theory": theory, "optimum": network, "flow": network, "networks": network, "lam_b_star": 0.5},
        "trial": (trial, ufm.solve(problem_of(trial, values[0]), over={along: values}).record()),
    }
    return names


def shown(name: str, known: dict[str, Any]) -> Any:
    """The first example of a docstring, run on records that fit it."""
    code = next(c for c in re.findall(r"`(plot\.[^`]+)`", inspect.getdoc(FUNCTIONS[name]) or "") if f"{name}(" in c)
    theory, network = known["found"].records
    scope: dict[str, Any] = {"plot": plot, "ufm": ufm, **known, "theory": theory, "network": network}
    if name in ("sweep", "along_weight"):
        scope["optima"] = known["sweep"]
    if name in ("against_weight", "distance_to_theorem"):
        scope |= known["lam_b"]
    if name == "spectra":
        trial, scope["theory"] = known["trial"]
        code = code.replace('ufm.load("trial.nc")', "trial")
        scope["trial"] = trial
    return eval(code, scope)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_example_draws_and_a_notebook_shows_it(name, examples):
    drawn = shown(name, examples)
    assert np.all([ax.has_data() for ax in np.ravel(drawn)])
    assert drawn._repr_png_().startswith(b"\x89PNG")


def test_axes_that_are_given_are_drawn_on(examples):
    from matplotlib.figure import Figure

    theory, network = examples["found"].records
    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert plot.steps(theory, network, ax=left) is left
    assert plot.cosines(network, ax=right) is right
    four = Figure().subplots(2, 2)
    assert [*plot.overlay(theory, network, axes=four)] == [*four.flat]
    with pytest.raises(UfmError, match="4 panels"):
        plot.overlay(theory, network, axes=[left, right])
    with pytest.raises(UfmError, match="projection"):
        plot.frame(network, ax=left)


def test_an_observable_that_is_missing_is_named_with_the_nearest_one(examples):
    theory, network = examples["found"].records
    with pytest.raises(UfmError, match="no 'singular_vals'; did you mean 'singular_values'"):
        plot.steps(theory, network, "singular_vals")


def test_a_phase_diagram_holds_the_numbers_of_its_record(examples):
    record = examples["optima"].record()
    cells = np.asarray(plot.phase_diagram(record, "cosine").collections[0].get_array(), dtype=float)
    assert cells.reshape(3, 3) == pytest.approx(record["cosine"].transpose("lam_H", "lam_b").values)
    with pytest.raises(UfmError, match="two swept coordinates"):
        plot.phase_diagram(record, "singular_values")


def test_a_frame_has_the_angles_and_lengths_of_its_class_means():
    """Of three dimensions nothing is lost in space: the Gram matrix of the arrows is that of the record, scaled."""
    labels = ufm.classes(ufm.encodings.one_hot(3), [40, 20, 5])
    record = ufm.solve(ufm.Problem(labels, lam_W=0.01, lam_H=1e-3, lam_b=0.2)).record()
    arrows: list[Any] = [line for line in plot.frame(record).get_lines() if line.get_marker() == "o"]
    tips = np.array([np.ravel(arrow.get_data_3d()) for arrow in arrows])
    longest = record["class_mean_norm"].values.max()
    assert tips @ tips.T == pytest.approx(record["gram"].values / longest**2, abs=1e-9)


def test_distances_to_a_theorem_are_differences_of_the_records(examples):
    scope = examples["lam_b"]
    theory, found = scope["theory"], scope["optimum"]
    off = ufm.Record(found.witness, found.values.assign(cosine=found["cosine"] + 0.25), found.problem)
    (points,) = plot.distance_to_theorem(theory, off).get_lines()
    assert numbers(points)[1] == pytest.approx([0.25, 0.25])
    with pytest.raises(UfmError, match=r"no lam_b = 1$|no lam_b = 1\."):
        plot.distance_to_theorem(found, theory)


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
