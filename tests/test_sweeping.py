"""Sweeps: any product of axes, resumed to the last bit after any end, with a word for everything that can go wrong."""

import errno
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import ufm
from ufm.errors import ProblemError, UfmError
from ufm.sweeping import run, store
from ufm.sweeping.plan import load_plan, plan_of
from ufm.sweeping.work import run_batch

PLAN = """
[problem]
loss = "mse"
targets = { encoding = "one_hot", parameters = { K = 3 }, counts = 4 }
lam_W = 0.3
lam_H = 0.03
[sweep]
lam_b = [0.0, 0.5, inf]
start = { seeds = 4 }
[flow]
batch = 2
gtol = 1e-6
"""


@pytest.fixture
def plan(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(PLAN)
    return load_plan(path)


@pytest.fixture
def at_home(monkeypatch):
    """Batches run in this process: fresh ones take seconds to start."""

    @contextmanager
    def pool(workers, batches):
        with ThreadPoolExecutor(1) as executor:
            yield executor

    monkeypatch.setattr(run, "_processes", pool)


@pytest.mark.usefixtures("at_home")
def test_the_record_is_what_simulate_says_at_every_point(plan, tmp_path):
    record = run.sweep(plan, tmp_path)
    assert record["value"].dims == ("lam_b", "start")
    assert record["class_mean_norm"].dims == ("lam_b", "start", "class")
    for place in (0, 5, 11):
        point = plan.point(place)
        problem, seed = plan.at(point)
        (alone,) = ufm.flow.simulate_many([problem], [seed], None, options=ufm.flow.Options(gtol=1e-6))
        found = record.values.sel(point)
        assert float(found["value"]) == float(alone.record()["value"])
    assert record["steady"].values.all()


@pytest.mark.usefixtures("at_home")
def test_stopped_anywhere_it_ends_in_the_same_bits(plan, tmp_path, monkeypatch):
    whole = run.sweep(plan, tmp_path / "whole")
    calls = []

    def stops(plan, batch):
        calls.append(batch)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return run_batch(plan, batch)

    monkeypatch.setattr(run, "run_batch", stops)
    with pytest.raises(KeyboardInterrupt):
        run.sweep(plan, tmp_path / "cut")
    kept = 6 - len(store.Store(plan, tmp_path / "cut").missing())
    assert kept == 2
    monkeypatch.setattr(run, "run_batch", run_batch)
    again = run.sweep(plan, tmp_path / "cut")
    for name in map(str, whole.values.data_vars):
        assert whole[name].values.tobytes() == again[name].values.tobytes(), name
    files = [folder / "small.batches" for folder in (tmp_path / "whole", tmp_path / "cut")]
    for path in sorted(files[0].glob("*.npz")):
        a, b = np.load(path), np.load(files[1] / path.name)
        assert all(a[key].tobytes() == b[key].tobytes() for key in a.files)


@pytest.mark.usefixtures("at_home")
def test_classes_and_counts_and_width_are_axes_too(tmp_path):
    targets = {"encoding": "one_hot", "parameters": {"K": 2}, "counts": 3}
    spec = {
        "problem": {"loss": "mse", "targets": targets, "lam_W": 0.3, "lam_H": 0.03, "lam_b": 0.3},
        "sweep": {"classes": [2, 3], "counts": [2, 5], "width": [4]},
        "flow": {"gtol": 1e-6, "batch": 3},
    }
    record = run.sweep(plan_of(spec, "shapes"), tmp_path)
    assert record["value"].dims == ("classes", "counts", "width")
    assert "gram" not in record  # K x K arrays of different K do not fit into one
    problem = ufm.Problem(ufm.classes(ufm.encodings.one_hot(3), 5), lam_W=0.3, lam_H=0.03, lam_b=0.3)
    found = float(record.values["value"].sel(classes=3, counts=5, width=4))
    assert found == pytest.approx(ufm.solve(problem).value, rel=1e-9)


@pytest.mark.usefixtures("at_home")
def test_leftovers_of_another_sweep_are_not_mixed_in(plan, tmp_path):
    run.sweep(plan, tmp_path)
    other = plan_of({"problem": dict(plan.problem), "sweep": {"lam_b": [1.0]}, "flow": dict(plan.flow)}, plan.name)
    with pytest.raises(UfmError, match=r"another sweep.*axes.*--fresh"):
        run.sweep(other, tmp_path)
    assert run.sweep(other, tmp_path, fresh=True)["value"].shape == (1,)


@pytest.mark.usefixtures("at_home")
def test_a_full_disk_loses_nothing_that_was_done(plan, tmp_path, monkeypatch):
    savez, written = np.savez, []

    def full(path, **arrays):
        if len(written) == 2:
            Path(path).write_bytes(b"half a file")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(path)
        savez(path, **arrays)

    monkeypatch.setattr(store.np, "savez", full)
    with pytest.raises(UfmError, match=r"No space left.*2 of 6 batches are kept.*Make room"):
        run.sweep(plan, tmp_path)
    assert not list(tmp_path.rglob("*.part*"))
    monkeypatch.setattr(store.np, "savez", savez)
    assert run.sweep(plan, tmp_path)["steady"].values.all()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("[sweep]\nlam_x = [1.0]", r"sweep\.lam_x.*lam_b, lam_W, lam_H"),
        ("[sweep]\nlam_b = []", r"sweep\.lam_b"),
        ("[sweep]\nlam_b = [1.0, 1.0]", "each value once"),
        ("[sweep]\nlam_b = [-1.0]", "lam_b"),
        ("[sweep]\nlam_b = { log = [0, 1, 3] }", "positive ends"),
        ("[sweep]\nstart = [-1]", "integers >= 0"),
        ("[sweep]\nlam_b = [1.0]\n[flow]\nbatch = 0", r"flow\.batch"),
        ("[sweep]\nlam_b = [1.0]\n[flow]\nrtoll = 1e-3", r"flow\.rtoll"),
    ],
)
def test_a_mistake_is_named_before_anything_runs(tmp_path, change, says):
    path = tmp_path / "wrong.toml"
    path.write_text(PLAN.split("[sweep]")[0] + change)
    with pytest.raises(ProblemError, match=says):
        load_plan(path)


@pytest.mark.parametrize(
    ("name", "says"), [("decay", "ufm train"), ("deep_regression", "ufm train"), ("class_encoding", "ufm.check")]
)
def test_a_campaign_of_another_kind_says_what_runs_it(name, says):
    with pytest.raises(ProblemError, match=says):
        load_plan(name)


def test_a_sweep_that_comes_along_has_a_name():
    assert load_plan("flow_phases").count == 288
    with pytest.raises(ProblemError, match="Did you mean 'flow_phases'"):
        load_plan("flow_phase")


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on(tmp_path):
    """SIGKILL, twice, at different moments; workers go with their parent; the end is bit-identical."""
    path = tmp_path / "small.toml"
    path.write_text(PLAN.replace("seeds = 4", "seeds = 8"))
    command = [sys.executable, "-c", "from ufm.cli import main; main()", "sweep", str(path), "--workers", "2", "--out"]
    subprocess.run([*command, str(tmp_path / "whole")], check=True, timeout=300, capture_output=True)
    for least in (1, 4):
        process = subprocess.Popen([*command, str(tmp_path / "cut")], start_new_session=True)
        folder, end = tmp_path / "cut" / "small.batches", time.monotonic() + 200
        while len(list(folder.glob("0*[0-9].npz"))) < least and time.monotonic() < end and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        assert _gone(process.pid)
    subprocess.run([*command, str(tmp_path / "cut")], check=True, timeout=300, capture_output=True)
    whole, cut = (ufm.load(tmp_path / name / "small.nc") for name in ("whole", "cut"))
    for name in map(str, whole.values.data_vars):
        assert whole[name].values.tobytes() == cut[name].values.tobytes(), name


@pytest.mark.slow
def test_ctrl_c_ends_it_at_once_and_it_goes_on(tmp_path):
    """SIGINT, and again to the whole group, as `timeout` or an impatient user sends it, while a batch is under way."""
    path = tmp_path / "small.toml"
    path.write_text(PLAN.replace("seeds = 4", "seeds = 8"))
    command = [sys.executable, "-c", "from ufm.cli import main; main()", "sweep", str(path), "--workers", "2", "--out"]
    listens = "import signal, sys, os; signal.signal(signal.SIGINT, signal.default_int_handler); "
    command[2] = listens + command[2]
    process = subprocess.Popen([*command, str(tmp_path)], start_new_session=True)
    folder, end = tmp_path / "small.batches", time.monotonic() + 200
    while len(list(folder.glob("0*[0-9].npz"))) < 1 and time.monotonic() < end and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(30) != 0
    assert _gone(process.pid)
    kept = len(list(folder.glob("0*[0-9].npz")))
    assert kept >= 1
    assert not (tmp_path / "small.nc").exists()
    assert run.sweep(path, tmp_path, workers=1)["steady"].values.all()


def _gone(session):
    """Whether every process of a session ends by itself, soon."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        left = subprocess.run(["ps", "-o", "pid=", "-g", str(session)], capture_output=True, text=True, check=False)
        if not left.stdout.split():
            return True
        time.sleep(0.2)
    return False


def _dies_once(plan, batch):
    """A worker that is killed the first time it sees batch 1."""
    mark = Path(os.environ["UFM_TEST_MARK"])
    if batch == 1 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return run_batch(plan, batch)


def _dies(plan, batch):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_a_dying_worker_is_replaced(plan, tmp_path, monkeypatch):
    monkeypatch.setenv("UFM_TEST_MARK", str(tmp_path / "mark"))
    monkeypatch.setattr(run, "run_batch", _dies_once)
    assert run.sweep(plan, tmp_path, workers=2)["steady"].values.all()
    assert (tmp_path / "mark").exists()


@pytest.mark.slow
def test_workers_that_always_die_are_reported(plan, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "run_batch", _dies)
    with pytest.raises(UfmError, match="workers died 3 times"):
        run.sweep(plan, tmp_path, workers=2)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:distributed", "ignore::DeprecationWarning:tornado")
def test_a_dask_cluster_gives_the_same_bits(plan, tmp_path):
    distributed = pytest.importorskip("distributed", reason="distributed is not installed")
    here = run.sweep(plan, tmp_path / "here", workers=2)
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        there = run.sweep(plan, tmp_path / "there", scheduler=cluster.scheduler_address)
    for name in map(str, here.values.data_vars):
        assert here[name].values.tobytes() == there[name].values.tobytes(), name


def test_no_scheduler_there_is_said(plan, tmp_path):
    pytest.importorskip("distributed", reason="distributed is not installed")
    with pytest.raises(UfmError, match="no Dask scheduler answers"), run._cluster("tcp://127.0.0.1:9", timeout="1s"):
        pass


def test_a_sweep_that_is_stopped_says_what_is_kept(tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from ufm.cli.app import app

    def stopped(plan, out, *, progress, **_):
        progress(36, plan.count)
        raise KeyboardInterrupt

    monkeypatch.setattr("ufm.sweeping.sweep", stopped)
    done = CliRunner().invoke(app, ["sweep", "flow_phases", "--out", str(tmp_path)])
    assert done.exit_code == 130
    assert "36 of 288 flows are done and kept" in done.stderr
