"""The page: plain data in, one HTML file out that needs nothing else, not even a network."""

from base64 import b64encode
from collections import Counter
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from ufm.display import prose as inline
from ufm.errors import UfmError
from ufm.mathml import mathml
from ufm.referee import Verdict
from ufm.report.bars import bars
from ufm.share import locate

_HOW = {
    "sympy": '<span class="how ok" title="verified by SymPy">✓</span>',
    "refused": '<span class="how bad">not verified</span>',
    "lemma": '<span class="how">by a lemma</span>',
    "definition": "",
}


def page(data: dict[str, Any]) -> str:
    """The whole page from the data of `ufm.report.write.collect`."""
    entries = data["entries"]
    tally = Counter(entry["verdict"] for entry in entries)
    anchors = {entry["id"]: entry["anchor"] for entry in entries}
    return Template(_asset("page.html")).substitute(
        style=_asset("style.css"),
        script=_asset("script.js"),
        count=f"{len(entries)} statement{'' if len(entries) == 1 else 's'}",
        tally="".join(_tally(verdict, tally[str(verdict)]) for verdict in Verdict),
        options="".join(f'<option value="{v}">{v}</option>' for v in Verdict if tally[str(v)]),
        how=_how(data),
        rows="".join(_row(entry) for entry in entries),
        entries="".join(_entry(entry, anchors) for entry in entries),
        references="".join(_reference(key, found) for key, found in data["references"].items()),
        version=escape(data["version"]),
    )


def _asset(name: str) -> str:
    return files("ufm.report").joinpath(name).read_text(encoding="utf-8")


def _tally(verdict: Verdict, count: int) -> str:
    return f"<div><dt>{_pill(str(verdict))} <b>{count}</b></dt><dd>{escape(verdict.value)}</dd></div>"


def _pill(verdict: str) -> str:
    return f'<span class="pill {verdict}">{verdict}</span>'


def _how(data: dict[str, Any]) -> str:
    return (
        f"Each statement was put to certified optima at {data['samples']} quasi-random points of its domain, at the "
        "domain's edges, at degenerate points (thresholds met exactly, ties, lost rank) and where an adversary "
        f"climbed; to descents of competitors; and to gradient flows from random starts (seed {data['seed']}). "
        "Statements about metrics were put to as many arrays, random and degenerate, and to an adversary that moves "
        "them uphill; statements about trained networks to recorded ones, each judged by what other seeds taught."
    )


def _row(entry: dict[str, Any]) -> str:
    words = " ".join([entry["id"], entry["title"], entry["verdict"], entry["kind"], _who(entry["citation"])]).lower()
    return (
        f'<tr data-verdict="{entry["verdict"]}" data-words="{escape(words)}">'
        f"<td>{_pill(entry['verdict'])}</td>"
        f'<td class="title"><a href="#{entry["anchor"]}">{inline(entry["title"])}</a>'
        f"<code>{escape(entry['id'])}</code></td>"
        f'<td class="source">{escape(_who(entry["citation"]))}</td>'
        f'<td class="kind">{entry["kind"]}</td></tr>'
    )


def _who(citation: dict[str, str]) -> str:
    """Authors, shortened, and the year; the key where the bibliography has no authors."""
    names = citation["authors"].replace(" and ", ", ").split(", ")
    if not citation["authors"]:
        return citation["key"]
    if len(names) > 3:
        names = [names[0], "et al."]
    return f"{', '.join(names)} ({citation['year']})"


def _entry(entry: dict[str, Any], anchors: dict[str, str]) -> str:
    return (
        f'<article id="{entry["anchor"]}" class="{entry["verdict"]}">'
        f'<header><h2>{inline(entry["title"])} <a class="here" href="#{entry["anchor"]}" '
        f'aria-label="Link to this entry">#</a></h2>'
        f"<p>{_pill(entry['verdict'])} {inline(entry['meaning'])}</p>"
        f'<p class="small"><code>{escape(entry["id"])}</code> · {entry["kind"]} · {_cited(entry["citation"])}</p>'
        f"</header>"
        f"{_contradiction(entry, anchors)}"
        f'<p class="statement">{inline(entry["statement"])}</p>'
        f"{_assumptions(entry)}{_claims(entry)}{_proof(entry)}{_lemmas(entry)}{_evidence(entry)}{_figures(entry)}"
        f'<p class="small">Judge it again: <code>{escape(entry["command"])}</code></p>'
        f'<p class="small"><a href="#verdicts">Back to all verdicts</a></p></article>'
    )


def _cited(citation: dict[str, str]) -> str:
    return f'<a href="#ref-{escape(citation["key"])}">{escape(_who(citation))}</a>, {inline(citation["locator"])}'


def _contradiction(entry: dict[str, Any], anchors: dict[str, str]) -> str:
    """The counterexample, first and plainly: why, what was assumed of the paper's text, and what holds instead."""
    found = entry["counterexample"]
    if found is None:
        return f'<p class="basis">{escape(entry["citation"]["basis_in_words"])}</p>'
    observables = {claim["text"]: claim["observable"] for claim in entry["claims"]}
    short = len(found["claim"]) <= 60
    named = f"the claim <code>{escape(found['claim'])}</code>" if short else _named(found["claim"], observables)
    before = "earlier on the flow" if found["in_turn"] else "claimed"
    rows = [(before, found["claimed"]), (found["found_by"] or "certified optimum", found["found"])]
    if found["independent"] is not None:
        rows.append((f"{found['independent_by']}, independently", found["independent"]))
    numbers = "".join(f"<div><dt>{escape(name)}</dt><dd>{_number(value, 8)}</dd></div>" for name, value in rows)
    return (
        '<section class="counterexample"><h3>Counterexample</h3>'
        f"{_against(entry)}<p>{named[:1].upper() + named[1:]} fails for "
        f'<code class="problem">{escape(found["problem_in_words"])}</code>, {_given(found)}'
        f"by {_number(found['in_tolerances'], 2)} {escape(found['unit'])}.</p>"
        f'<dl class="numbers">{numbers}</dl>'
        f"{_why(found)}{_instead(entry, anchors)}"
        f"<p>Rerun it: <code>{escape(found['command'])}</code></p>"
        f"<p>What was assumed of the source: {escape(entry['citation']['basis_in_words'])}{_as_given(entry)}</p>"
        "</section>"
    )


def _against(entry: dict[str, Any]) -> str:
    """Whom the verdict contradicts, where the statement is somebody else's."""
    citation = entry["citation"]
    return "" if citation["basis"] == "own" else f"<p>The verdict contradicts {_cited(citation)}, as given here.</p>"


def _as_given(entry: dict[str, Any]) -> str:
    """What exactly is refuted, where the paper's own words were not at hand."""
    unsure = entry["citation"]["basis"] in ("memory", "abstract")
    return " What is refuted is the statement as it is given here." if unsure else ""


def _given(found: dict[str, Any]) -> str:
    return f'<code class="problem">{escape(found["given"])}</code>, ' if found["given"] else ""


def _why(found: dict[str, Any]) -> str:
    """The reason in one sentence, where the entry has one."""
    refuted = "It is refuted"
    if not found["why"].startswith(refuted):
        return ""
    return f"<p>Why: {inline(found['why'].removeprefix(refuted).lstrip(': '))}</p>"


def _instead(entry: dict[str, Any], anchors: dict[str, str]) -> str:
    """Links to what holds instead, plain names where the page does not have it."""
    names = [
        f'<a href="#{anchors[name]}"><code>{escape(name)}</code></a>'
        if name in anchors
        else f"<code>{escape(name)}</code>"
        for name in entry["instead"]
    ]
    return f"<p>What holds instead: {', '.join(names)}.</p>" if names else ""


def _number(value: Any, digits: int) -> str:
    """A number to some digits, its exponent set as one; "inf" and "nan" as they are."""
    text = f"{float(value):.{digits}g}"
    mantissa, e, exponent = text.partition("e")
    if not e:
        return text.replace("-", "−").replace("inf", "∞")
    return f"{mantissa}·10<sup>{int(exponent)}</sup>".replace("-", "−")


def _assumptions(entry: dict[str, Any]) -> str:
    if not entry["assumes"]:
        return "<h3>Assumes</h3><p>Nothing beyond the problem's form.</p>"
    return "<h3>Assumes</h3><ul>" + "".join(f"<li>{inline(text)}</li>" for text in entry["assumes"]) + "</ul>"


def _claims(entry: dict[str, Any]) -> str:
    items = "".join(f"<li>{_claim(claim)}</li>" for claim in entry["claims"])
    units = (
        ""
        if entry["scaling"] == "ufm"
        else f'<p class="small">The weights are in the paper\'s scaling, <code>{escape(entry["scaling"])}</code>.</p>'
    )
    return f'<h3>Claims</h3><ul class="claims">{items}</ul>{units}'


def _claim(claim: dict[str, Any]) -> str:
    if not claim["tex"]:
        return f"<code>{escape(claim['text'])}</code>"
    where = f" {escape(claim['where'])}" if claim["where"] else ""
    return f'<code>{escape(claim["observable"])}</code> <span class="formula">{mathml(claim["tex"])}</span>{where}'


def _proof(entry: dict[str, Any]) -> str:
    proof = entry["proof"]
    if not proof["sections"]:
        return f"<h3>Proof</h3><p>{inline(_sentence(proof['reason']))}</p>"
    steps = sum(len(section["steps"]) for section in proof["sections"])
    says = "It ends at the statement" if proof["stands"] else "It does not count: " + inline(proof["reason"])
    body = "".join(_section(section) for section in proof["sections"])
    return (
        f'<h3>Proof</h3><details class="proof"><summary>{steps} steps. {says}.</summary>{body}'
        f"<p>{inline(proof['closing'])}</p></details>"
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "." if text else ""


def _section(section: dict[str, Any]) -> str:
    title = f"<h4>{inline(section['title'])}</h4>" if section["title"] else ""
    return title + "".join(_step(step) for step in section["steps"] if step["sentence"] or step["tex"])


def _step(step: dict[str, Any]) -> str:
    named = ", ".join(escape(name.replace("_", " ")) for name in step["lemmas"]) if step["how"] == "lemma" else ""
    lemma = f" (lemma {named})" if named else ""
    refusal = f" {inline(step['justification'])}" if step["how"] == "refused" else ""
    formula = f'<div class="formula">{mathml(step["tex"], display=True)}</div>' if step["tex"] else ""
    return f'<div class="step"><p>{inline(step["sentence"])}{lemma} {_HOW[step["how"]]}{refusal}</p>{formula}</div>'


def _lemmas(entry: dict[str, Any]) -> str:
    if not entry["lemmas"]:
        return ""
    items = "".join(
        f"<li><b>{escape(lemma['name'].replace('_', ' '))}</b> "
        f'(<a href="#ref-{escape(lemma["key"])}">{escape(lemma["key"])}</a>, {inline(lemma["locator"])}). '
        f'{inline(lemma["statement"])}<div class="formula">{mathml(lemma["latex"], display=True)}</div></li>'
        for lemma in entry["lemmas"]
    )
    return f"<h3>Given these lemmas</h3><ul>{items}</ul>"


def _evidence(entry: dict[str, Any]) -> str:
    observables = {claim["text"]: claim["observable"] for claim in entry["claims"]}
    items = "".join(_witness(evidence, observables) for evidence in entry["evidence"])
    return f'<h3>Evidence</h3><ul class="evidence">{items}</ul>{bars(entry["evidence"])}'


def _witness(evidence: dict[str, Any], observables: dict[str, str]) -> str:
    if not evidence["checked"]:
        return f"<li><b>{escape(evidence['witness'])}</b>: nothing was checked. {inline(evidence['note'])}</li>"
    says = f"<strong>{evidence['outcome']}</strong>" if evidence["outcome"] == "disagrees" else evidence["outcome"]
    where = f' for <code class="problem">{escape(evidence["problem_in_words"])}</code>' if evidence["problem"] else ""
    return (
        f"<li><b>{escape(evidence['witness'])}</b> {says} on {evidence['asked']} ({inline(evidence['note'])}); at "
        f"worst {_number(evidence['worst_in_tolerances'], 2)} tolerances: claimed {_number(evidence['claimed'], 6)}, "
        f"found {_number(evidence['found'], 6)}, in {_named(evidence['claim'], observables)}{where}.</li>"
    )


def _named(claim: str, observables: dict[str, str]) -> str:
    """A claim where it is short; else by its observable, as it stands above as a formula."""
    if len(claim) <= 60 or claim not in observables:
        return f"<code>{escape(claim)}</code>"
    return f"the claim on <code>{escape(observables[claim])}</code>"


def _figures(entry: dict[str, Any]) -> str:
    """The committed figures of the entry's campaign, inlined; each image is a document of its own, so no ids clash."""
    if not entry["campaign"]:
        return ""
    from ufm.figure import specs

    shown = ""
    for spec in specs().values():
        if spec.campaign != entry["campaign"]:
            continue
        try:
            drawn = b64encode(locate("figures", f"{spec.name}.svg").read_bytes()).decode()
        except UfmError:  # an installation without the drawn figures: the words stay
            continue
        caption = escape(spec.sentence)
        image = f'<img alt="{caption}" src="data:image/svg+xml;base64,{drawn}">'
        shown += f"<figure>{image}<figcaption>{caption}</figcaption></figure>"
    return shown


def _reference(key: str, found: dict[str, str]) -> str:
    title = f"<cite>{escape(found['title'])}</cite>" if found["title"] else ""
    parts = [escape(found["authors"]), title, escape(found["place"]), escape(found["year"]), escape(found["note"])]
    text = ". ".join(part.rstrip(".") for part in parts if part) or "Not in the bibliography"
    link = f' <a href="{escape(found["link"])}">{escape(found["link"])}</a>' if found["link"] else ""
    return f'<li id="ref-{escape(key)}"><code>{escape(key)}</code> {text}.{link}</li>'
