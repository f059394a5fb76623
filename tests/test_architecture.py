"""The house: which part may import which, what an import may load, and one file of one name for each thing."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import ufm
from ufm import constraints, encodings, losses
from ufm.catalogue import catalogue
from ufm.derivation.load import available as proofs

PACKAGE = Path(ufm.__file__).parent
ROOT = PACKAGE.parent

BASE = {
    "errors",
    "arrays",
    "tolerance",
    "share",
    "spelling",
    "encodings",
    "losses",
    "constraints",
    "problem",
    "record",
    "symbols",
    "metrics",
    "mathml",
    "display",
    "tensors",
}
WITNESSES = {
    "theorem": {"catalogue", "theorems", "derivation"},
    "optimum": {"optimum"},
    "flow": {"flow"},
    "measured": {"measure", "networks"},
}
ABOVE = {
    "compare",
    "predict",
    "expected",
    "campaign",
    "sweeping",
    "referee",
    "figure",
    "gallery",
    "plot",
    "report",
    "cli",
    "__main__",
}
HEAVY = {"cvxpy", "sympy", "matplotlib", "torch", "cupy", "scipy", "xarray", "pandas"}


def imports(path: Path) -> set[str]:
    """Parts of ufm that a file imports, at any depth of its functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "ufm":
            names = [node.module] if "." in node.module else [f"ufm.{alias.name}" for alias in node.names]
            found |= {name.split(".")[1] for name in names}
        elif isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("ufm.")}
    return found


def part(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


FILES = [p for p in sorted(PACKAGE.rglob("*.py")) if p.name != "__init__.py" or p.parent != PACKAGE]


def allowed(name: str) -> set[str]:
    if name in BASE:
        return BASE
    for group in WITNESSES.values():
        if name in group:
            return BASE | group
    return BASE | ABOVE | set().union(*WITNESSES.values())


def test_every_part_has_its_place():
    assert {part(p) for p in FILES} <= BASE | ABOVE | set().union(*WITNESSES.values())


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_witness_sees_another(path):
    assert imports(path) <= allowed(part(path))


def test_the_rule_would_catch_a_flow_that_sees_the_theorem(tmp_path):
    spy = tmp_path / "spy.py"
    spy.write_text("def f():\n    from ufm.theorems.class_encoding import THEOREMS\n    return THEOREMS\n")
    assert not imports(spy) <= allowed("flow")


def test_statements_and_proofs_are_typed_twice():
    """Double-entry book-keeping: neither side reads the other, so neither can drift alone."""
    for path in (ROOT / "derivations").rglob("*.py"):
        assert not imports(path) & {"theorems", "catalogue"}, path
    for path in (PACKAGE / "theorems").glob("*.py"):
        assert "derivation" not in imports(path), path


@pytest.mark.parametrize("theorem", catalogue().values(), ids=lambda t: t.id)
def test_every_statement_has_a_proof_or_a_reason(theorem):
    assert bool(theorem.no_proof) != (theorem.id in proofs())


def test_folders_are_registries():
    assert set(encodings.available()) == {p.stem for p in (PACKAGE / "encodings").glob("*.py")} - {
        "__init__",
        "encoding",
    }
    assert set(losses.available()) == {p.stem for p in (PACKAGE / "losses").glob("*.py")} - {"__init__", "loss"}
    assert set(constraints.available()) == {p.stem for p in (PACKAGE / "constraints").glob("*.py")} - {
        "__init__",
        "constraint",
    }
    assert {t.file for t in catalogue().values()} == {p.stem for p in (PACKAGE / "theorems").glob("*.py")} - {
        "__init__"
    }


def test_data_folders_are_not_packages():
    for folder in ("derivations", "numerics", "figures", "tests"):
        assert not list((ROOT / folder).rglob("__init__.py"))


@pytest.mark.parametrize(
    "code",
    ["import ufm", "import ufm; ufm.Problem, ufm.classes, ufm.encodings, ufm.UfmError", "import ufm.cli"],
)
def test_imports_stay_light(code):
    script = f"{code}\nimport sys\nprint(*sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_no_assert_or_print_reaches_a_user():
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            assert not isinstance(node, ast.Assert), f"{path}:{node.lineno}: raise a UfmError instead"
