"""A report of the referee as plain data: what the page shows of it, and what the JSON file holds."""

import math
import re
from itertools import groupby
from typing import Any

from ufm.catalogue import Citation, bibliography
from ufm.catalogue.typeset import typeset
from ufm.derivation.derivation import Derivation, Step
from ufm.derivation.lemma import Lemma
from ufm.derivation.render import closing_words, telling, tex_display
from ufm.referee import Counterexample, Evidence, Report
from ufm.report.prose import source

_BASIS = {
    "text": "The statement was typed from the paper's text.",
    "code": "The statement was typed from the code that the authors released.",
    "abstract": "The statement was typed from the paper's abstract; what the abstract leaves open was filled in here.",
    "memory": "The statement was typed from memory, the paper's text not being at hand: check it against the paper.",
    "own": "The statement is this package's own.",
}


def describe(report: Report, *, samples: int, seed: int) -> dict[str, Any]:
    """Everything the page says of one statement, ready for JSON; formulae and sentences are LaTeX source."""
    theorem, derivation = report.theorem, report.proof.derivation
    entry = {
        "id": theorem.id,
        "anchor": anchor(theorem.id),
        "title": theorem.title,
        "kind": theorem.kind,
        "verdict": str(report.verdict),
        "meaning": report.meaning,
        "statement": theorem.statement,
        "assumes": list(theorem.conditions),
        "claims": [claim._asdict() for claim in typeset(theorem)],
        "needs": report.needs,
        "scaling": theorem.scaling,
        "campaign": theorem.campaign,
        "citation": _citation(theorem.citation),
        "proof": {
            "stands": report.proof.stands,
            "reason": report.proof.reason,
            "closing": "" if derivation is None else closing_words(derivation),
            "sections": [] if derivation is None else _sections(derivation),
        },
        "lemmas": [] if derivation is None else [_lemma(lemma) for lemma in derivation.lemmas],
        "evidence": [_evidence(evidence) for evidence in report.evidence],
        "instead": list(theorem.instead),
        "counterexample": None,
        "command": f"ufm check {theorem.id} --samples {samples} --seed {seed}",
    }
    if report.counterexample is not None:
        entry["counterexample"] = _counterexample(report.counterexample, f"{entry['command']} --counterexample")
        entry["counterexample"]["why"] = theorem.no_proof
    return plain(entry)


def plain(value: Any) -> Any:
    """The value in JSON's own types; numbers that JSON lacks become the strings "inf", "-inf" and "nan"."""
    if isinstance(value, dict):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def anchor(theorem_id: str) -> str:
    """The name of an entry inside the page."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", theorem_id)


def _citation(citation: Citation) -> dict[str, str]:
    found = {"key": citation.key, "locator": citation.locator, "basis": citation.basis}
    return {**found, "basis_in_words": _BASIS.get(citation.basis, ""), **reference(citation.key)}


def reference(key: str) -> dict[str, str]:
    """Authors, title, place, year, note and link of a key; all empty where the bibliography lacks it."""
    return source(bibliography().get(key, ""))


def _lemma(lemma: Lemma) -> dict[str, str]:
    return {
        "name": lemma.name,
        "statement": lemma.statement,
        "latex": lemma.latex,
        "key": lemma.cite,
        "locator": lemma.locator,
    }


def _sections(derivation: Derivation) -> list[dict[str, Any]]:
    grouped = groupby(derivation.steps, key=lambda step: step.section)
    return [{"title": title, "steps": [_step(step) for step in steps]} for title, steps in grouped]


def _step(step: Step) -> dict[str, Any]:
    return {
        "name": step.name,
        "sentence": step.sentence,
        "tex": tex_display(telling(step)),
        "how": step.how,
        "justification": step.justification,
        "lemmas": [lemma.name for lemma in step.lemmas],
    }


def _evidence(evidence: Evidence) -> dict[str, Any]:
    return {**evidence.to_dict(), "problem_in_words": "" if evidence.problem is None else repr(evidence.problem)}


def _counterexample(found: Counterexample, command: str) -> dict[str, Any]:
    return {
        **found.to_dict(),
        "problem_in_words": repr(found.problem),
        "sentence": found.sentence(),
        "command": command,
    }
