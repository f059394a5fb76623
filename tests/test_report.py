"""The page of all verdicts: complete, well formed, offline, without raw TeX; equal reports give equal bytes."""

import json
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from ufm.catalogue import Domain, Equals, bibliography, catalogue
from ufm.derivation.load import lemmas
from ufm.display import prose as inline
from ufm.mathml import mathml, unknown_commands
from ufm.referee.check import judge
from ufm.report import page, write
from ufm.report.bars import bars
from ufm.report.prose import source
from ufm.report.write import collect
from ufm.symbols import K

VOID = {"meta", "input", "link", "br", "img", "hr", "col"}


class Reader(HTMLParser):
    """Elements, ids, links, requests and visible text; `wrong` lists what is not well formed."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.wrong, self.ids, self.links, self.requests, self.text = [], [], [], [], [], []
        self.tags = Counter()

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags[tag] += 1
        if len(given) != len(attrs):
            self.wrong.append(f"an attribute twice in <{tag}>")
        if "id" in given:
            self.ids.append(given["id"])
        if tag == "a":
            self.links.append(given.get("href"))
        self.requests += [given[name] for name in ("src", "srcset", "action", "poster", "data") if name in given]
        if tag == "link":
            self.requests.append(given.get("href"))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open[-1] != tag:
            self.wrong.append(f"</{tag}> closes {self.open[-3:]}")
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.text.append(data)


def read(html):
    reader = Reader()
    reader.feed(html)
    reader.close()
    return reader


@pytest.fixture(scope="module")
def reports():
    known = catalogue()["class_encoding:transition"]
    plain = {"campaign": "", "flow_domain": Domain()}
    etf = replace(known, name="etf", title="Always an ETF <b>&", claims=(Equals("cosine", -1 / (K - 1)),), **plain)
    unproved = replace(known, name="unproved", no_proof="left out & here", **plain)
    nowhere = replace(unproved, name="nowhere", assumes=(replace(known.assumes[0], holds=lambda p: False),))
    proved = replace(catalogue()["class_encoding:bias_invariant"], campaign="class_encoding")  # a proof and a figure
    statements = [proved, catalogue()["massion2026:bias_centring"], etf, unproved, nowhere]
    return [judge(replace(t, flow_domain=Domain()), samples=2, seed=0) for t in statements]


@pytest.fixture(scope="module")
def data(reports):
    return collect(reports, samples=2, seed=0)


@pytest.fixture(scope="module")
def html(data):
    return page(data)


def test_the_page_is_well_formed(html):
    reader = read(html)
    assert html.startswith("<!DOCTYPE html>")
    assert not reader.wrong
    assert not reader.open
    assert reader.tags["math"] > 50
    assert max(Counter(reader.ids).values()) == 1


def test_every_link_has_its_end_and_nothing_is_requested(html):
    reader = read(html)
    for link in reader.links:
        assert link.startswith("https://") or link[1:] in reader.ids, link
    assert {link for link in reader.links if link.startswith("#ref-")}
    assert all(request.startswith("data:image/svg+xml;base64,") for request in reader.requests)
    outside = re.findall(
        r"(?:@import|url\(|fetch\(|XMLHttp|https?://)[^\s<\"]*", re.sub(r"<a href=[^>]*>[^<]*</a>", "", html)
    )
    assert outside == []


def test_no_raw_tex_is_left(html):
    visible = "".join(read(html).text)
    assert "$" not in visible
    assert "\\" not in visible
    assert "_{" not in visible
    assert "^{" not in visible


def test_everything_is_on_the_page(html, data, reports):
    visible = " ".join("".join(read(html).text).split())
    assert [entry["verdict"] for entry in data["entries"]] == [
        "proved", "proved", "refuted", "verified", "inconclusive",
    ]  # fmt: skip
    for entry, report in zip(data["entries"], reports, strict=True):
        theorem = report.theorem
        assert entry["anchor"] in read(html).ids
        assert f"ufm check {theorem.id} --samples 2 --seed 0" in visible
        for words in (theorem.title, theorem.id, report.verdict.value, *(a.text for a in theorem.assumes)):
            assert words in visible, words
        assert len(entry["claims"]) == len(theorem.claims)
        for claim in theorem.claims:
            assert claim.observable in visible
        if report.proof.derivation is not None:
            steps = report.proof.derivation.steps
            assert sum(len(section["steps"]) for section in entry["proof"]["sections"]) == len(steps)
            assert f"{len(steps)} steps" in visible
        for evidence in report.evidence:
            if evidence.problem is not None:
                assert repr(evidence.problem) in visible
    refuted = data["entries"][2]
    assert refuted["counterexample"]["command"] == "ufm check class_encoding:etf --samples 2 --seed 0 --counterexample"
    assert refuted["counterexample"]["command"] in visible
    assert "What was assumed of the source" in visible
    assert "No proof: left out & here." in visible
    assert "Massion" in visible
    assert "nothing was checked" in visible


def test_the_same_reports_give_the_same_bytes(reports, tmp_path, html):
    first = write(reports, tmp_path / "a" / "report.html", samples=2, seed=0)
    second = write(reports, tmp_path / "b" / "report.html", samples=2, seed=0)
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert first[0].read_text() == html
    stored = json.loads(first[1].read_text(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert page(stored) == html  # the page holds nothing that the data do not


def test_the_page_stands_without_javascript(html):
    bare = re.sub(r"<script>.*?</script>", "", html, flags=re.DOTALL)
    assert '<form class="controls" hidden>' in bare
    assert len(re.findall(r"<tr data-verdict", bare)) == 5


@pytest.mark.parametrize("theorem", catalogue().values(), ids=lambda t: t.id)
def test_statements_use_formulae_that_the_page_can_set(theorem):
    for formula in re.findall(r"\$([^$]*)\$", theorem.statement):
        assert not unknown_commands(formula)
    shown = "".join(read(inline(theorem.statement)).text)
    assert "$" not in shown
    assert "\\" not in shown


def test_lemmas_and_literature_can_be_set():
    for lemma in lemmas().values():
        assert not unknown_commands(lemma.latex)
        assert not read(mathml(lemma.latex, display=True)).wrong
    for key, entry in bibliography().items():
        found = source(entry)
        assert found["title"], key
        assert not re.search(r"[{}\\$]", "".join(found.values())), key


@pytest.mark.parametrize(
    ("tex", "expected"),
    [
        ("x_i^2", "<msubsup><mi>x</mi><mrow><mi>i</mi></mrow><mrow><mn>2</mn></mrow></msubsup>"),
        (r"\frac{1}{2}", "<mfrac><mrow><mn>1</mn></mrow><mrow><mn>2</mn></mrow></mfrac>"),
        (r"\sqrt n", "<msqrt><mi>n</mi></msqrt>"),
        (r"\sqrt[4]{n}", "<mroot><mrow><mi>n</mi></mrow><mrow><mn>4</mn></mrow></mroot>"),
        ("W'", "<msup><mi>W</mi><mrow><mo>′</mo></mrow></msup>"),
        (r"\mathbf{1}_K", "<msub><mi>𝟏</mi><mrow><mi>K</mi></mrow></msub>"),
        (r"\mathbb{R}", "<mi>ℝ</mi>"),
        ("a < b", "<mi>a</mi><mo>&lt;</mo><mi>b</mi>"),
        (r"\unheardof x", "<mtext>unheardof</mtext><mi>x</mi>"),
    ],
)
def test_formulae(tex, expected):
    assert expected in mathml(tex)


@pytest.mark.parametrize(
    "tex", [r"\frac{1", r"\left( x", "x_", "^2", "}", "a & b", r"\begin{cases} 1 & x", r"\end{cases}", r"\right)", "\\"]
)
def test_broken_formulae_still_give_well_formed_elements(tex):
    reader = read(mathml(tex))
    assert not reader.wrong
    assert not reader.open
    assert "\\" not in "".join(reader.text).removesuffix("\\")


def test_no_line_break_parts_a_formula_from_its_punctuation():
    html = inline("a free bias, $b=0$, and ($c$). Then $x$ follows `ufm check`.")
    kept = re.findall(r"<span style='white-space:nowrap'><math>.*?</math>([^<]*)</span>", html)
    assert kept == [",", ")."]
    assert html.count("<math>") == 3
    assert "<code>ufm check</code>." in html
    assert "".join(read(html).text).endswith("follows ufm check.")


def test_bars_show_every_size():
    line = {"witness": "optimum", "checked": 3, "outcome": "agrees"}
    for ratio in (0.0, 1e-300, 1.0, 1e300, "inf", "nan"):
        drawn = bars([{**line, "worst_in_tolerances": ratio}])
        assert not read(drawn).wrong
        assert all(0 <= float(x) <= 460 for x in re.findall(r'x2="([-0-9.]+)"', drawn))
    assert bars([{**line, "checked": 0, "worst_in_tolerances": 0.0}]) == ""


@pytest.mark.slow
@pytest.mark.parametrize("scheme", [0, 1], ids=["dark", "light"])
def test_a_browser_draws_it(html, tmp_path, scheme):
    """Headless Chromium lays the formulae out, runs the script, and nothing runs over the edge of a phone."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("Chromium is not installed")
    probe = (
        "<script>const m=document.querySelector('mfrac').getBoundingClientRect();"
        "document.title=[innerWidth,document.documentElement.scrollWidth,m.height>m.width/99?'math':'flat',"
        "document.querySelector('.controls').hidden,getComputedStyle(document.body).backgroundColor].join(' ');"
        "parent.postMessage(document.title,'*')</script></body>"
    )
    (tmp_path / "report.html").write_text(html.replace("</body>", probe))
    (tmp_path / "phone.html").write_text(
        "<body><p id=said></p><script>onmessage=e=>said.textContent=e.data</script>"
        '<iframe src="report.html" style="width:360px;height:800px;border:0"></iframe></body>'
    )
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    flags += [f"--blink-settings=preferredColorScheme={scheme}", "--virtual-time-budget=5000", "--dump-dom"]
    command = [browser, *flags, (tmp_path / "phone.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    said = re.search(r'id="said">([^<]*)<', done.stdout)
    assert said, done.stderr
    inner, scrolled, math, hidden, *background = said.group(1).split(" ")
    assert int(scrolled) <= int(inner) == 360  # a scroll bar may take its share
    assert math == "math"
    assert hidden == "false"
    dark = sum(int(part) for part in re.findall(r"\d+", " ".join(background))[:3]) < 300
    assert dark == (scheme == 0)


def test_every_reference_says_who_wrote_what_when_and_where():
    for key, entry in bibliography().items():
        found = source(entry)
        missing = [name for name in ("authors", "title", "year") if not found[name]]
        assert not missing, key
        assert found["place"] or found["link"] or key == "ufm", key  # the program itself is found where it is read
