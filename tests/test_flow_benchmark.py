"""The benchmark of the flow still runs, at sizes that say nothing about speed, and gives its reasons by itself."""

import importlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[1] / "numerics" / "benchmarks"


@pytest.fixture
def bench(tmp_path, monkeypatch) -> Any:
    """The script on tiny problems, without the peers that compile, writing elsewhere."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    flow, peers = importlib.import_module("flow"), importlib.import_module("flow_peers")
    monkeypatch.setattr(peers, "installed", lambda name: False)
    monkeypatch.setattr(flow, "OUT", tmp_path)
    monkeypatch.setattr(flow, "RECORDS", tmp_path)
    sizes = {"toy": (3, 8, 4), "c500": (3, 12, 10), "c5000": (3, 12, 20), "inet": (6, 20, 5)}
    monkeypatch.setattr(flow, "SIZES", sizes)
    monkeypatch.setattr(flow, "AXES", {"N": [(3, 8, 4), (3, 8, 8)], "d": [(3, 8, 4)], "K": [(3, 8, 4)]})
    monkeypatch.setattr(flow, "TOLERANCES", (1e-3, 1e-4))
    shutil.copy(BENCHMARKS / "flow.json", tmp_path)
    yield flow
    for name in ("flow", "flow_peers", "flow_goals"):
        sys.modules.pop(name, None)


def test_every_goal_is_in_the_table_and_every_missed_one_has_a_reason():
    said = (BENCHMARKS / "flow.md").read_text()
    rows = [line.split("|")[1:-1] for line in said.split("## Goals")[1].split("##")[0].splitlines() if "|" in line][2:]
    assert {int(row[0]) for row in rows} == set(range(11))
    assert {row[3].strip() for row in rows} <= {"yes", "**no**"}
    missed = sorted(int(row[0]) for row in rows if row[3].strip() == "**no**")
    reasons = [line for line in said.splitlines() if line.startswith("- **") and "no reason" not in line]
    assert [int(line.split("**")[1]) for line in reasons[: len(missed)]] == missed
    assert all(len(line) > 80 for line in reasons[: len(missed)])


@pytest.mark.slow
@pytest.mark.parametrize(
    "names", [["rhs", "toy", "cifar", "unbiased"], ["stiff", "riccati", "inet", "whole", "scaling"]]
)
def test_sections_run_and_merge(bench, monkeypatch, names):
    before = json.loads((bench.OUT / "flow.json").read_text())["sections"]
    monkeypatch.setattr(sys, "argv", ["flow.py", *names])
    bench.main()
    after = json.loads((bench.OUT / "flow.json").read_text())["sections"]
    assert {name for name in after if after[name] != before.get(name)} == set(names)
    goals = [goal for name in names for goal in after[name]["goals"]]
    assert all("%" in goal["why"] or goal["number"] in (0, 1, 2, 10) for goal in goals)
    said = (bench.OUT / "flow.md").read_text()
    assert all(f"- **{goal['number']}** ({goal['measured']})" in said for goal in goals if not goal["met"])
    assert (bench.OUT / "flow.svg").exists()


def test_an_unknown_section_is_named(bench, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["flow.py", "stifff"])
    with pytest.raises(SystemExit):
        bench.main()
    assert "no section stifff; choose of rhs" in capsys.readouterr().err
