"""Notebooks: what Jupyter and marimo show of a problem, an optimum, a flow, a comparison and a proof."""

import json
import re
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.slow

CELLS = {
    "problem": """
        problem = ufm.Problem(ufm.classes(ufm.encodings.one_hot(3), 5), lam_W=0.1, lam_H=0.02, lam_b=0.2)
        problem
    """,
    "optimum": "optimum = ufm.solve(problem)\noptimum",
    "flow": "flow = ufm.simulate(problem)\nflow",
    "comparison": "ufm.compare(optimum.record(), flow.record())",
    "proof": 'proof = load.prove("class_encoding:bias_invariant")\nproof',
    "derivation": "ufm.derive(ufm.Problem(ufm.classes(ufm.encodings.one_hot(K), n), lam_W=lam_W, lam_H=lam_H))",
}
PICTURES = {
    "picture": 'from ufm import figure\nfigure.draw("verdicts")',
    "panels": "from ufm import plot\nplot.sweep(ufm.solve(problem, over={'lam_H': [0.01, 0.02, 0.04]}).record())",
}
IMPORTS = "import ufm\nfrom ufm.derivation import load\nfrom ufm.symbols import K, lam_H, lam_W, n"


def test_jupyter_shows_tables_and_formulae():
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    sources = (IMPORTS, *CELLS.values(), *PICTURES.values())
    cells = [nbformat.v4.new_code_cell(textwrap.dedent(source)) for source in sources]
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    ran = zip((*CELLS, *PICTURES), notebook.cells[1:], strict=True)
    shown = {name: cell.outputs[-1].data if cell.outputs else {} for name, cell in ran}
    assert "<math" in shown["problem"]["text/html"]
    for name in ("optimum", "flow", "comparison"):
        assert "<table" in shown[name]["text/html"]
    assert shown["picture"]["image/png"]
    for name in ("proof", "derivation"):
        assert "<math" in shown[name]["text/html"]
        assert "$$" in shown[name]["text/markdown"]
    assert shown["panels"]["image/png"]


def test_marimo_shows_tables_and_formulae(tmp_path):
    pytest.importorskip("marimo")
    names = "ufm, load, K, lam_H, lam_W, n, problem, optimum, flow"
    axes = ["ufm.plot.cosines(optimum.record())", "ufm.plot.overlay(optimum.record(), optimum.record())"]
    cells = [IMPORTS, *CELLS.values(), *axes]
    body = "".join(
        f"@app.cell\ndef _({_wanted(cell, names)}):\n{textwrap.indent(textwrap.dedent(cell).strip(), '    ')}\n"
        f"    return {_defined(cell)}\n\n"
        for cell in cells
    )
    (tmp_path / "nb.py").write_text(f"import marimo\n\napp = marimo.App()\n\n\n{body}")
    command = [sys.executable, "-m", "marimo", "export", "html", "nb.py", "-o", "nb.html", "--no-include-code"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "nb.html").read_text(encoding="utf-8")
    outputs = [
        json.loads(f'"{found}"') for found in re.findall(r'"text/(?:html|markdown)": ?"((?:[^"\\]|\\.)*)"', page)
    ]
    assert len(outputs) == len(CELLS)
    problem, *tables, proof, derivation = outputs
    assert "<math" in problem
    assert all("<table" in table for table in tables)
    assert all("<math" in text for text in (proof, derivation))
    assert not any("Traceback" in text for text in outputs)
    assert page.count("data:image/png;base64") == len(axes)


def _defined(cell: str) -> str:
    """The names that a cell of a marimo notebook hands on."""
    names = re.findall(r"^\s*(\w+) = ", cell, re.MULTILINE)
    if "import" in cell:
        names = ["ufm", "load", "K", "lam_H", "lam_W", "n"]
    return f"({', '.join(names)},)" if names else ""


def _wanted(cell: str, names: str) -> str:
    """The names that it takes."""
    if "import" in cell:
        return ""
    own = re.findall(r"^\s*(\w+) = ", cell, re.MULTILINE)
    return ", ".join(name for name in names.split(", ") if re.search(rf"\b{name}\b", cell) and name not in own)
