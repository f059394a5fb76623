"""The command line, as a user meets it: verbs, JSON, exit codes, and errors in one line."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest


def ufm(*words, cwd=None):
    """Run the command in a process of its own, as a shell would."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "140"}
    command = [sys.executable, "-W", "error", "-c", "from ufm.cli import main; main()", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, check=False)


def test_help_names_every_verb_and_each_has_an_example():
    top = ufm("--help")
    assert top.returncode == 0
    assert "Exit codes" in top.stdout
    verbs = re.findall(r"^  ([a-z]+) +[A-Z]", top.stdout.split("Commands:")[1], re.MULTILINE)
    assert {"list", "show", "derive", "check", "solve", "simulate", "sweep", "train"} <= set(verbs)
    for verb in verbs:
        assert f"  {verb} " in top.stdout
        assert "Example:" in ufm(verb, "--help").stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("check", "class_encodin"), "Did you mean 'class_encoding'"),
        (("solve",), "--classes"),
        (("solve", "--classes", "3"), "--t-rel"),
        (("solve", "--classes", "3", "--t-rel", "0.1", "--encoding", "onehot"), "choose one of"),
        (("solve", "--classes", "3", "--t-rel", "0.1", "--lam-b", "-1"), "lam_b = -1"),
        (("solve", "--classes", "3", "--counts", "2,x", "--t-rel", "0.1"), "--counts"),
        (("solve", "--problem", "nowhere.toml"), "no such file"),
        (("solve", "--classes", "3", "--t-rel", "0.1", "--loss", "rescaled_mse:k=5"), "loss.M = None"),
        (("solve", "--classes", "3", "--t-rel", "0.1", "--constraint", "norm_budget:E_W=1,E_H=x"), "constraint.E_H"),
        (("solve", "--classes", "3", "--t-rel", "0.1", "--encoding", "smplex"), "did you mean simplex"),
        (("solve", "--classes", "3", "--t-rel", "0.1", "--encoding", "smoothed"), "smoothed needs eps"),
        (("solve", "--classes", "3", "--t-rel", "0.1", "--with", "eps=0.1"), "one_hot takes K"),
        (("solve", "--classes", "5", "--t-rel", "0.1", "--encoding", "multi_label", "--with", "m=3"), "3 columns"),
        (("solve", "--problem", "p.toml", "--lam-b", "3"), "p.toml states the whole problem"),
        (("solve", "--loss", "cross_entropy", "--problem", "p.toml"), "p.toml states the whole problem"),
        (("check", "--classes", "3", "--t-rel", "0.1", "--claim", "bias[0] = 0"), "every entry"),
        (("figure", "class-encodin"), "Did you mean 'class-encoding'"),
        (("compare", "a.nc", "b.nc"), "no such record"),
        (("measure", "a.npz"), "no such file"),
        (("train", "nothing"), "class_encoding"),
        (("check",), "--claim TEXT"),
        (("check", "class_encoding", "--claim", "cosine = 0"), "one of two"),
        (("check", "--classes", "3", "--t-rel", "0.1", "--claim", "cosine = __import__('os')"), "column 21"),
        (("check", "--classes", "3", "--t-rel", "0.1", "--claim", "cosin = 0"), "Did you mean cosine?"),
        (("report", "class_encoding", "--out", "report.pdf"), ".html"),
    ],
)
def test_what_is_asked_wrongly_is_said_in_one_line(words, said):
    done = ufm(*words)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not done.stdout


@pytest.mark.parametrize(
    "words",
    [
        ("--t-rel", "0.1", "--loss", "rescaled_mse:k=5,M=3"),
        ("--t-rel", "0.1", "--constraint", "non-negative", "--lam-b", "0.1"),
        ("--loss", "cross_entropy", "--constraint", "norm_budget:E_W=1,E_H=5"),
    ],
)
def test_every_loss_and_constraint_can_be_said_by_flag(words):
    done = ufm("solve", "--classes", "3", "--counts", "5,3,2", *words, "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["status"] == "CERTIFIED"
    assert answer["value"] - answer["lower_bound"] <= 1e-8


def test_solve_and_simulate_agree_through_files(tmp_path):
    problem = ("--classes", "3", "--counts", "4", "--t-rel", "0.3", "--lam-b", "0.8")
    solved = ufm("solve", *problem, "--json", "--save", "o.nc", cwd=tmp_path)
    flowed = ufm("simulate", *problem, "--json", "--save", "f.nc", cwd=tmp_path)
    optimum, flow = json.loads(solved.stdout), json.loads(flowed.stdout)
    assert optimum["status"] == "CERTIFIED"
    assert flow["status"] == "STEADY"
    assert optimum["cosine"] == pytest.approx(flow["cosine"], abs=1e-6)
    compared = ufm("compare", "o.nc", "f.nc", "--json", cwd=tmp_path)
    assert compared.returncode == 0, compared.stdout
    assert json.loads(compared.stdout)["agrees"] is True
    assert ufm("solve", *problem[:-1], "0.9", "--save", "p.nc", cwd=tmp_path).returncode == 0
    alone = ufm("compare", "o.nc", cwd=tmp_path)
    assert "only a record of trained networks" in alone.stderr
    assert ufm("solve", *problem[:-2], "--over", "lam_b=0.5,0.8", "--save", "grid.nc", cwd=tmp_path).returncode == 0
    assert "only a record of trained networks" in ufm("compare", "grid.nc", cwd=tmp_path).stderr
    assert ufm("compare", "o.nc", "p.nc", cwd=tmp_path).returncode == 1  # another problem: they disagree


def test_problem_files_and_encodings(tmp_path):
    (tmp_path / "p.toml").write_text(
        'lam_W = 0.02\nlam_H = 0.01\nlam_b = inf\n[targets]\nencoding = "binary"\nparameters = { K = 5 }\ncounts = 3\n'
    )
    from_file = json.loads(ufm("solve", "--problem", "p.toml", "--json", cwd=tmp_path).stdout)
    flags = ("--classes", "5", "--encoding", "binary", "--counts", "3", "--lam-W", "0.02", "--lam-H", "0.01")
    from_flags = json.loads(ufm("solve", *flags, "--json", cwd=tmp_path).stdout)
    assert from_file == from_flags
    smooth = ("--encoding", "smoothed", "--with", "eps=0.1", "--classes", "3", "--t-rel", "0.1", "--lam-b", "1")
    smooth = json.loads(ufm("solve", *smooth, "--json").stdout)
    assert smooth["problem"]["targets"]["parameters"]["encoding"] == {"encoding": "one_hot", "parameters": {"K": 3}}
    groups = ("--encoding", "hierarchical", "--with", "groups=2,3", "--classes", "5", "--t-rel", "0.1")
    assert json.loads(ufm("solve", *groups, "--json").stdout)["status"] == "CERTIFIED"
    random = ("--encoding", "random", "--with", "m=2", "--with", "seed=1", "--classes", "4", "--t-rel", "0.1")
    assert json.loads(ufm("solve", *random, "--json").stdout)["status"] == "CERTIFIED"


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("check zh", ["zhou2022", "zhu2021"]),
        ("show mixon2020:", None),
        ("solve --encoding si", ["simplex"]),
        ("simulate --integrator ken", ["kencarp4", "kencarp5"]),
        ("figure dep", ["depth", "depth-phases"]),
        ("sweep flow", ["flow_phases"]),
        ("train enc", ["encodings"]),
    ],
)
def test_the_shell_completes_names_that_come_along(words, offered, monkeypatch):
    monkeypatch.setenv("_UFM_COMPLETE", "complete_zsh")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", f"ufm {words}")
    run = [sys.executable, "-c", "from ufm.cli.app import app; app(prog_name='ufm')"]
    found = re.findall(r'"([^"]+)"', subprocess.run(run, capture_output=True, text=True, check=False).stdout)
    if offered is None:
        assert found
        assert all(each.startswith("mixon2020") for each in found)
    else:
        assert found == offered


def test_a_users_own_conjecture_is_refuted_with_exit_code_1(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from dataclasses import replace\n"
        "from ufm.catalogue import Domain, Equals, catalogue\n"
        "from ufm.symbols import K\n"
        "known = catalogue()['class_encoding:transition']\n"
        "claims = (Equals('cosine', -1 / (K - 1)),)\n"
        "THEOREMS = (replace(known, name='etf', claims=claims, campaign='', flow_domain=Domain()),)\n"
    )
    done = ufm("check", "mine.py", "--samples", "8", "--json", cwd=tmp_path)
    assert done.returncode == 1
    (report,) = json.loads(done.stdout)["reports"]
    assert report["verdict"] == "refuted"
    assert report["counterexample"]["problem"]["targets"]["parameters"] == {"K": 2}
    short = ufm("check", "mine.py:etf", "--samples", "8", "--counterexample", cwd=tmp_path)
    assert short.returncode == 1
    assert "cvxpy finds" in short.stdout


def test_a_claim_as_text_is_judged_at_one_problem(tmp_path):
    flags = ("--classes", "4", "--t-rel", "0.3", "--lam-b", "0")
    held = ufm("check", *flags, "--claim", "cosine = -1/(K-1)", "--claim", "cosine <= 0")
    assert held.returncode == 0, held.stderr
    assert re.search(r"verdict +verified", held.stdout)
    (tmp_path / "p.toml").write_text(
        'lam_W = 0.1\nlam_H = 0.1\nlam_b = 2.0\n[targets]\nencoding = "one_hot"\nparameters = { K = 3 }\ncounts = 1\n'
    )
    done = ufm("check", "--problem", "p.toml", "--claim", "cosine = -1/(K-1)", "--json", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    (report,) = json.loads(done.stdout)["reports"]
    assert report["verdict"] == "refuted"
    assert report["counterexample"]["problem"]["lam_b"] == 2.0
    assert report["counterexample"]["independent"] is not None


def test_a_report_with_a_refuted_statement_is_written_with_exit_code_0(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from dataclasses import replace\n"
        "from ufm.catalogue import Domain, Equals, catalogue\n"
        "from ufm.symbols import K\n"
        "known = catalogue()['class_encoding:transition']\n"
        "claims = (Equals('cosine', -1 / (K - 1)),)\n"
        "THEOREMS = (replace(known, name='etf', claims=claims, campaign='', flow_domain=Domain()),)\n"
    )
    done = ufm("report", "mine.py", "mine.py:etf", "--samples", "4", "--out", "out/page.html", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["wrote", "out/page.html", "wrote", "out/page.json"]
    assert not done.stderr
    (entry,) = json.loads((tmp_path / "out" / "page.json").read_text())["entries"]
    assert (entry["id"], entry["verdict"]) == ("mine:etf", "refuted")
    assert 'id="mine-etf"' in (tmp_path / "out" / "page.html").read_text()


def test_measure_reads_arrays(tmp_path):
    rng = np.random.default_rng(0)
    np.savez(
        tmp_path / "run.npz",
        H=rng.standard_normal((4, 12)),
        labels=np.repeat([0, 1, 2], 4),
        W=rng.standard_normal((3, 4)),
    )
    values = json.loads(ufm("measure", "run.npz", "--json", cwd=tmp_path).stdout)
    assert values["nc1"] > 0
    np.savez(tmp_path / "short.npz", H=np.eye(3))
    refused = ufm("measure", "short.npz", cwd=tmp_path)
    assert refused.returncode == 2
    assert "no labels" in refused.stderr


def test_catalogue_verbs():
    assert "class_encoding:transition" in ufm("list").stdout
    assert "massion2026:etf_to_of" in {entry["id"] for entry in json.loads(ufm("list", "--json").stdout)}
    shown = ufm("show", "class_encoding:transition")
    assert "assumes" in shown.stdout
    assert "claims   cosine" in shown.stdout
    assert ufm("cite", "massion2026").stdout.startswith("@misc{massion2026,")
    assert [line for line in ufm("cite", "wu2024").stdout.splitlines() if line.startswith("@")] == [
        "@misc{wu2024,",
        "@book{hardy1952,",  # of the lemma that its proof takes as given
    ]
    proof = ufm("derive", "class_encoding:bias_invariant", "--latex")
    assert proof.returncode == 0
    assert "\\begin" in proof.stdout or "$" in proof.stdout
    assert "packages" in json.loads(ufm("doctor", "--json").stdout)


def test_output_in_a_pipe_has_no_escape_codes_or_bars():
    done = ufm("check", "class_encoding:bias_invariant", "--samples", "4")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert done.stderr == ""
    assert re.search(r"verdict +proved", done.stdout)


def test_a_million_classes_are_told_by_their_sizes():
    done = ufm("solve", "--classes", "1000000", "--counts", "100", "--t-rel", "0.3", "--method", "groups")
    assert done.returncode == 0
    assert "by size of the classes" in done.stdout
    assert "1000000 x 7" in done.stdout


def test_the_version_and_the_help_are_answers_not_errors():
    import ufm as package

    said = ufm("--version")
    assert (said.returncode, said.stdout) == (0, f"ufm {package.__version__}\n")
    alone, asked = ufm(), ufm("--help")
    assert (alone.returncode, alone.stderr) == (0, "")
    assert alone.stdout.strip() == asked.stdout.strip()
    module = subprocess.run([sys.executable, "-m", "ufm", "--version"], capture_output=True, text=True, check=True)
    assert module.stdout == said.stdout
