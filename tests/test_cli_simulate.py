"""`ufm simulate`: what its flags say, what it writes from an empty folder, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from ufm.cli.app import app
from ufm.errors import UfmError
from ufm.record import load

SMALL = ["simulate", "--classes", "3", "--counts", "6", "--t-rel", "0.3", "--width", "4", "--gtol", "1e-6"]


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ufm(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_help_shows_examples_and_names() -> None:
    said = ufm("simulate", "--help")
    for word in ("Example:", "gradient_descent", "--onset", "--constraint", "central", "--plot"):
        assert word in said


def test_path_picture_and_onset_are_written(empty_folder: Path) -> None:
    said = json.loads(
        ufm(*SMALL, "--points", "30", "--plot", "f.svg", "--save", "f.nc", "--onset", "nc1=0.1", "--json")
    )
    record = load(empty_folder / "f.nc")
    t, nc1 = record.values["t"].values, record["nc1"].values
    assert 15 <= t.size <= 30
    onset = said["onset"]["nc1=0.1"]
    assert t[np.flatnonzero(nc1 > 0.1)[-1]] <= onset <= t[np.flatnonzero(nc1 <= 0.1)[0]]
    assert said["status"] == "STEADY"
    assert said["advice"].startswith("Steady")
    assert "<svg" in (empty_folder / "f.svg").read_text()


def test_grids_of_times(empty_folder: Path) -> None:
    ufm(*SMALL, "--t1", "10", "--points", "5", "--spacing", "linear", "--save", "a.nc", "--metrics", "all")
    record = load(empty_folder / "a.nc")
    np.testing.assert_allclose(record.values["t"], [0, 2.5, 5, 7.5, 10])
    assert "cdnv" in record
    ufm(*SMALL, "--t1", "10", "--times", "1,3,10", "--save", "b.npz")
    np.testing.assert_array_equal(load(empty_folder / "b.npz").values["t"], [1, 3, 10])
    ufm(*SMALL, "--save", "end.nc")
    assert load(empty_folder / "end.nc")["value"].ndim == 0


def test_descents_constraints_and_starts() -> None:
    said = json.loads(ufm(*SMALL, "--integrator", "momentum", "--lr", "0.5", "--momentum", "0.8", "--json"))
    assert (said["integrator"], said["lr"], said["momentum"]) == ("momentum", 0.5, 0.8)
    said = json.loads(ufm(*SMALL, "--constraint", "non_negative", "--json"))
    assert said["problem"]["constraint"] == {"name": "non_negative"}
    assert json.loads(ufm(*SMALL, "--path", "central", "--json"))["path"] == "central"
    assert json.loads(ufm(*SMALL, "--start", "balanced", "--scale", "0.1", "--json"))["mode"].startswith("collapsed")
    assert json.loads(ufm(*SMALL, "--start", "collapsed", "--json"))["start"] == "given"
    assert "to t =" in ufm(*SMALL)


def test_grids_of_weights(empty_folder: Path) -> None:
    assert "3 STEADY" in ufm(*SMALL, "--over", "lam_b=0.1:10:3", "--save", "ends.nc")
    assert load(empty_folder / "ends.nc").values.sizes["lam_b"] == 3
    said = json.loads(ufm(*SMALL, "--over", "lam_b=0.1,inf", "--json"))
    assert len(said["value"]) == 2


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["--spacing", "cubic"], "--spacing = 'cubic': choose log or linear"),
        (["--spacing", "linear", "--points", "9"], "give --t1"),
        (["--times", "1,2", "--points", "9", "--t1", "3"], "points or times"),
        (["--times", "1,x", "--t1", "3"], "--times = '1,x'"),
        (["--onset", "nc1"], "write it as nc1=0.01"),
        (["--onset", "nc9=0.1"], "has no 'nc9'"),
        (["--start", "cold"], "--start = 'cold'"),
        (["--integrator", "gradient_descent"], "lr = None: give the length of a step"),
        (["--integrator", "dopri9"], "did you mean 'dopri8'"),
        (["--path", "straight"], "path = 'straight'"),
        (["--t1", "0"], "t1 = 0.0: give a positive finite time"),
        (["--rtol", "1e-17"], "rtol = 1e-17: give a number from 1e-14"),
        (["--metrics", "some"], "metrics = 'some'"),
        (["--plot", "f.xyz"], "--plot = 'f.xyz'"),
        (["--plot", "no_folder/f.png"], "there is no folder no_folder"),
        (["--save", "f.csv"], "--save = 'f.csv': let it end in .nc"),
        (["--save", "no_folder/f.nc"], "there is no folder no_folder"),
    ],
)
def test_bad_flags_name_the_fix(flags: list[str], text: str) -> None:
    with pytest.raises(UfmError) as caught:
        ufm(*SMALL, *flags)
    assert text in str(caught.value)
