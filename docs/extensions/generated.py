"""Pages that are written at build time from what the project knows: proofs, verdicts, figures, literature.

`make docs` puts `verdicts.json` and `report.html` (of `ufm report`) into `docs/generated/` before Sphinx starts.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from ufm import figure
from ufm.derivation import load
from ufm.expected import table
from ufm.gallery import deep_regression, dimensions, feature_norms
from ufm.gallery.decay import table as decay_table
from ufm.record import Record
from ufm.record import load as load_record
from ufm.referee import Verdict
from ufm.report.entry import reference
from ufm.share import locate

FOLDER = Path(__file__).parents[1] / "generated"
VERDICTS = FOLDER / "report.json"
# The experiments, by how the files of their records begin; the first that fits.
_EXPERIMENTS = {
    "class_encoding_mnist5k": "a",
    "class_encoding_fashion": "a",
    "encodings": "a",
    "heads_imbalance": "b",
    "heads_two_layers": "c",
    "heads_three_layers": "c",
    "heads_regression": "d",
    "feature_norms": "f",
    "decay": "g",
    "heads_cross_entropy": "h",
    "heads_relu_features": "i",
    "limits": "i",
}


def write_all(app: Any, config: Any) -> None:
    """Write every generated page; the ones that nobody changed keep their time stamp, so that builds stay quick."""
    if not VERDICTS.exists():
        from sphinx.errors import ExtensionError

        raise ExtensionError(f"{VERDICTS.name} is missing in docs/generated: run `make docs`, which writes it first.")
    data = json.loads(VERDICTS.read_text(encoding="utf-8"))
    proved = {name: load.proofs(name) for name in sorted(path.stem for path in locate("derivations").glob("*.py"))}
    pages = {"catalogue.md": _catalogue(data), "gallery.md": _gallery(), "references.md": _references(data)}
    pages["networks-table.md"] = _networks()
    pages["networks-cost.md"] = _cost()
    pages["decay-table.md"] = decay_table(load_record(locate("numerics", "records") / "decay_bias.nc"))
    layers = locate("numerics", "records").glob("deep_regression_*.nc")
    pages["deep-regression-table.md"] = deep_regression.table([load_record(path) for path in layers])
    pages["dimensions-table.md"] = dimensions.table(list(_records("dimensions").values()))
    pages["feature-norms-table.md"] = feature_norms.table(
        {feature_norms.setting_of(name): record for name, record in _records("feature-norms").items()}
    )
    pages["proofs/index.md"] = _proofs_index(proved)
    pages |= {f"proofs/{name}.md": _proofs(name, list(found)) for name, found in proved.items() if found}
    for name, text in pages.items():
        path = FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    for stale in set(FOLDER.rglob("*.md")) - {FOLDER / name for name in pages}:
        stale.unlink()


def _pill(verdict: str) -> str:
    return f'<span class="verdict verdict-{verdict}">{verdict}</span>'


def _link(entry: dict[str, Any]) -> str:
    """The title, leading to its place on the report page, which lies beside the site's root."""
    return f'<a href="../report.html#{entry["anchor"]}">{entry["title"]}</a>'


def _catalogue(data: dict[str, Any]) -> str:
    entries = data["entries"]
    tally = Counter(entry["verdict"] for entry in entries)
    out = [
        "# The catalogue\n",
        f"{len(entries)} statements, typed from the literature as printed and judged by one procedure for all. Every",
        'title leads to its entry on the <a href="../report.html">report page</a>: statement, assumptions, proof,',
        "evidence, counterexample. The same from a shell: `ufm list`, `ufm show ID`, `ufm check ID`.\n",
    ]
    out += [f"- {_pill(str(v))} {tally[str(v)]}: {v.value}" for v in Verdict if tally[str(v)]]
    refuted = [entry for entry in entries if entry["verdict"] == "refuted"]
    if refuted:
        out.append("\n## Refuted\n")
        out += [
            f"- {_link(entry)} (`{entry['id']}`): {_source(entry)}. Rerun: `{entry['command']}`." for entry in refuted
        ]
    out.append("\n## All statements\n")
    for file in dict.fromkeys(entry["id"].split(":")[0] for entry in entries):
        rows = [entry for entry in entries if entry["id"].split(":")[0] == file]
        out += [f"### {_source(rows[0], locator=False)}\n", "| verdict | statement | where | kind |"]
        out.append("|---|---|---|---|")
        out += [
            f"| {_pill(entry['verdict'])} | {_link(entry)}<br>`{entry['id']}` "
            f"| {entry['citation']['locator']} | {entry['kind']} |"
            for entry in rows
        ]
        out.append("")
    return "\n".join(out)


def _source(entry: dict[str, Any], *, locator: bool = True) -> str:
    cited = entry["citation"]
    names = cited["authors"].replace(" and ", ", ").split(", ")
    who = ", ".join(names) if len(names) <= 3 else f"{names[0]} et al."
    text = f"{who or cited['key']} ({cited['year']})" if cited.get("year") else cited["key"]
    return f"{text}, {cited['locator']}" if locator else text


def _gallery() -> str:
    out = [
        "# Gallery\n",
        "Every figure is drawn from committed records and formulae by a specification of one sentence. Lines are",
        "theory, points are computed or measured. `ufm figure NAME` draws one, `ufm figure --all` all of them.\n",
    ]
    for name, spec in figure.specs().items():
        out += [
            f"## {name}\n",
            f"{spec.sentence}\n",
            f"```{{image}} ../../figures/{name}.png\n:alt: {spec.sentence}\n:class: figure-sheet\n```\n",
            "::::{dropdown} The code",
            f"```sh\nufm figure {name} --out .\n```",
            f"```python\nfrom ufm import figure\n\nfigure.draw({name!r}).savefig({name + '.pdf'!r})\n```",
            f"```{{literalinclude}} ../../figures/{name}.toml\n:language: toml\n```",
            "::::\n",
        ]
    return "\n".join(out)


def _records(name: str) -> dict[str, Record]:
    """The records that a figure shows, by file."""
    return {file: load_record(locate("numerics", "records") / file) for file in figure.specs()[name].records}


def _experiments() -> list[tuple[str, str, Record]]:
    """(letter, name, record) of all networks that have an optimum to be held against, by letter."""
    rows = []
    for path in sorted(locate("numerics", "records").glob("*.nc")):
        letter = next((letter for prefix, letter in _EXPERIMENTS.items() if path.stem.startswith(prefix)), "")
        if letter:
            rows.append((letter, path.stem.replace("_", " "), load_record(path)))
    return sorted(rows, key=lambda row: row[0])


def _networks() -> str:
    """One row a record: how far its networks are from theory."""
    return table([(f"({letter}) {name}", record) for letter, name, record in _experiments()])


def _cost() -> str:
    """What the networks of (a) to (d) and (g) to (i) took, as their records say."""
    rows = ["| experiment | networks | CPU seconds |", "|---|---|---|"]
    networks, seconds = 0, 0.0
    for letter in "abcdghi":
        found = [record["cpu_seconds"].values for each, _, record in _experiments() if each == letter]
        count, spent = sum(each.size for each in found), float(sum(each.sum() for each in found))
        rows.append(f"| ({letter}) | {count} | {spent:,.0f} |")
        networks, seconds = networks + count, seconds + spent
    rows.append(f"| all | {networks} | {seconds:,.0f} |")
    told = f"That is {seconds / 60:.0f} minutes of one core, and half as long on two: {seconds / 7200:.1f} hours."
    return "\n".join([*rows, "", told, ""])


def _references(data: dict[str, Any]) -> str:
    out = ["# References\n", "What the catalogue and its lemmas cite. `ufm cite` prints BibTeX of what you used.\n"]
    for key in sorted(data["references"]):
        found = reference(key)
        where = f" <{found['url']}>" if found.get("url") else ""
        who, year, title = (found.get(part, "") for part in ("authors", "year", "title"))
        out.append(f"- **{key}** {who} ({year}). *{title}*.{where}")
    return "\n".join(out) + "\n"


def _proofs_index(proved: dict[str, Any]) -> str:
    out = [
        "# Proofs\n",
        "One page a file of `derivations/`. Each proof starts at the loss and never reads the statement it proves;",
        "every step is verified by SymPy for symbolic parameters, or rests on a named lemma, and the pages are",
        "written by running the proofs. `ufm derive ID` prints one, `--latex` and `--markdown` for a paper.\n",
        "```{toctree}",
    ]
    return "\n".join(out + [name for name, found in proved.items() if found] + ["```\n"])


def _proofs(name: str, statements: list[str]) -> str:
    parts = [load.prove(f"{name}:{statement}").markdown().strip() for statement in statements]
    parts = ["\n".join(_deeper(line) for line in part.splitlines()) for part in parts]
    return f"# {name}\n\n`derivations/{name}.py`\n\n" + "\n\n".join(parts) + "\n"


def _deeper(line: str) -> str:
    return f"#{line}" if line.startswith("#") else line


def setup(app: Any) -> dict[str, bool]:
    """Write the pages before anything is read."""
    app.connect("config-inited", write_all)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
