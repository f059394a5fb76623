"""The page "Extend", followed literally: its files, put into a copy of the project, do what it says."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import ufm

ROOT = Path(ufm.__file__).parent.parent
PAGE = ROOT / "docs" / "extend.md"
pytestmark = pytest.mark.slow

SCRIPT = """
import numpy as np
import pytest

import ufm
from ufm import encodings
from ufm.constraints.bounded import Bounded

labels = ufm.classes(encodings.one_hot(3), 4)
problem = ufm.Problem(labels, lam_W=0.05, lam_H=0.02)

around = ufm.Problem(ufm.classes(encodings.cyclic(5), 4), lam_W=0.05, lam_H=0.02)
assert ufm.solve(around).status.name.startswith("CERTIFIED")
assert ufm.Problem.from_dict(around.to_dict()).fingerprint == around.fingerprint

robust = problem.replace(loss="huber")
flow = ufm.simulate(robust, start=0)
assert flow.status.name.startswith("STEADY")
assert 0 < float(flow.record()["value"]) < 0.5
with pytest.raises(ufm.ProblemError, match="lower bound for this loss"):
    ufm.solve(robust)

tight = problem.replace(constraint=Bounded(0.5))
assert ufm.Problem.from_dict(tight.to_dict()).fingerprint == tight.fingerprint
with pytest.raises(ufm.ProblemError, match="no solver knows this constraint"):
    ufm.solve(tight)
with pytest.raises(ufm.ProblemError, match="no flow"):
    ufm.simulate(tight)

third = ufm.simulate(problem, start=0, integrator="bosh3")
assert ufm.compare(ufm.solve(problem).record(), third.record()).agrees

optimum = ufm.solve(problem)
assert 0 < float(ufm.measure(np.repeat(optimum.H, 4, axis=1), labels)["mean_peak"]) <= 1

report = ufm.check("two_classes:strength", samples=8)["two_classes:strength"]
assert str(report.verdict) == "proved", report
"""


@pytest.fixture(scope="module")
def extended(tmp_path_factory):
    """A copy of the project with every file of the page, and the line of the metric."""
    folder = tmp_path_factory.mktemp("extended")
    for name in ("ufm", "derivations", "figures", "tests", "numerics/records", "numerics/campaigns"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    page = PAGE.read_text(encoding="utf-8")
    files = re.findall(r"```\{code-block\} python\n:caption: (\S+)\n\n(.*?)```", page, re.DOTALL)
    for path, text in files:
        assert not (folder / path).exists()
        (folder / path).write_text(text, encoding="utf-8")
    assert len(files) == 7
    samples = folder / "ufm" / "metrics" / "samples.py"
    text = samples.read_text(encoding="utf-8")
    (line,) = re.findall(r'`(_one\("mean_peak".*?\),)`', page)
    text = text.replace("ncc, norms, rank", "ncc, norms, peak, rank")
    text = text.replace("OF_CLASSES: tuple[Family, ...] = (", f"OF_CLASSES: tuple[Family, ...] = (\n    {line}")
    samples.write_text(text, encoding="utf-8")
    return folder


INTEGRATOR = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_flow_integrators.py", "-k", "bosh3")


def _run(folder, *command):
    path = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run([sys.executable, *command], cwd=folder, env=path, capture_output=True, text=True, check=False)


def test_every_file_of_the_page_does_what_it_says(extended):
    done = _run(extended, "-c", SCRIPT)
    assert done.returncode == 0, done.stderr


def test_the_tests_take_up_a_new_integrator(extended):
    done = _run(extended, *INTEGRATOR)
    assert done.returncode == 0, done.stdout
    assert re.search(r"[3-9] passed|\d\d passed", done.stdout)
    wrong = extended / "ufm" / "flow" / "integrators" / "bosh3.py"
    wrong.write_text(wrong.read_text(encoding="utf-8").replace("(0.0, 3 / 4)", "(0.0, 2 / 3)"), encoding="utf-8")
    done = _run(extended, *INTEGRATOR)
    assert done.returncode == 1
