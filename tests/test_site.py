"""The built site: every link leads somewhere, every formula is drawn, nothing is fetched, and it fits a telephone."""

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest

SITE = Path(__file__).parents[1] / "build" / "site"
PAGES = sorted(SITE.rglob("*.html")) if (SITE / "index.html").exists() else []
OURS = [page for page in PAGES if "_modules" not in page.parts and page.name not in ("search.html", "genindex.html")]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PAGES, reason="the site is not built; `make docs` builds it in build/site"),
]


class _Page(HTMLParser):
    """Links, fetched resources, ids, and the text outside code."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.fetched: set[str] = set()
        self.ids: set[str] = set()
        self.formulae = 0
        self.words: list[str] = []
        self._silent = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.ids |= {found[name] for name in ("id", "name") if name in found}
        self.formulae += tag == "math"
        self._silent += tag in ("script", "style", "pre", "code")
        if tag == "a" and "href" in found:
            self.links.add(found["href"])
        if tag in ("img", "script", "iframe", "source"):
            self.fetched.add(found.get("src", ""))
        if tag == "link" and found.get("rel") in ("stylesheet", "icon", "preload"):
            self.fetched.add(found.get("href", ""))

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("script", "style", "pre", "code")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.words.append(data)


@pytest.fixture(scope="module")
def read() -> dict[Path, _Page]:
    return {page.resolve(): _Page(page.read_text(encoding="utf-8")) for page in PAGES}


@pytest.mark.parametrize("page", OURS, ids=lambda p: str(p.relative_to(SITE)))
def test_every_link_leads_somewhere(page, read):
    broken = []
    for link in read[page.resolve()].links:
        target = urlparse(link)
        if target.scheme in ("http", "https", "mailto") or link in ("", "#"):
            continue
        path = (page.parent / unquote(target.path)).resolve() if target.path else page.resolve()
        if not path.exists() or (target.fragment and path in read and unquote(target.fragment) not in read[path].ids):
            broken.append(link)
    assert not broken


@pytest.mark.parametrize("page", OURS, ids=lambda p: str(p.relative_to(SITE)))
def test_nothing_is_fetched_and_no_tex_is_left(page, read):
    found = read[page.resolve()]
    assert not [source for source in found.fetched if urlparse(source).scheme in ("http", "https")]
    assert not [source for source in found.fetched if source.startswith("//")]
    text = " ".join(found.words)
    assert not re.findall(r"\\(?:frac|lambda|sqrt|lVert|begin|mathbf)|\$[^$ ]+\$", text)


def test_the_start_page_has_the_picture_and_the_two_commands(read):
    text = (SITE / "index.html").read_text(encoding="utf-8")
    assert "class-encoding" in text
    assert "make demo" in re.sub(r"<[^>]+>", "", text)
    assert "make test" in re.sub(r"<[^>]+>", "", text)


PROOFS = [page for page in OURS if page.parent.name == "proofs" and page.name != "index.html"]


def test_every_file_of_proofs_has_its_page():
    """Also on the page that lists them; files of derivations without a proof of a statement have none."""
    from ufm.derivation import load
    from ufm.share import locate

    names = {path.stem for path in locate("derivations").glob("*.py")}
    assert {page.stem for page in PROOFS} == {name for name in names if load.proofs(name)}
    index = (SITE / "generated" / "proofs" / "index.html").read_text(encoding="utf-8")
    assert all(f'href="{page.name}"' in index for page in PROOFS)


@pytest.mark.parametrize("page", PROOFS, ids=lambda p: p.stem)
def test_every_formula_of_a_proof_is_drawn(page):
    """As many as its derivation wrote, no more and no fewer; a proof that is all words has none."""
    written = (SITE.parents[1] / "docs" / "generated" / "proofs" / f"{page.stem}.md").read_text(encoding="utf-8")
    formulae = re.findall(r"\$\$.+?\$\$|\$[^$]+?\$", re.sub(r"`[^`]*`", "", written), re.DOTALL)
    html = page.read_text(encoding="utf-8")
    article = html[html.index("<article") : html.index("</article>")]
    assert article.count("<math") == len(formulae)


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize(
    "name",
    [
        "index.html",
        "start.html",
        "extend.html",
        "performance.html",
        "tutorials/your-own-network.html",
        "generated/catalogue.html",
        "generated/gallery.html",
        "generated/proofs/class_encoding.html",
    ],
)
def test_a_browser_fits_it_into_the_window(tmp_path, name, width):
    """Headless Chromium: no page is wider than a telephone, and formulae have a height."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("Chromium is not installed")
    site = tmp_path / "site"
    shutil.copytree(SITE, site)
    page = site / name
    probe = (
        "<script>addEventListener('load',()=>{const m=document.querySelector('mfrac,math');"
        "parent.postMessage([innerWidth,document.documentElement.scrollWidth,"
        "m?Math.round(m.getBoundingClientRect().height):99].join(' '),'*')})</script></body>"
    )
    page.write_text(page.read_text(encoding="utf-8").replace("</body>", probe), encoding="utf-8")
    (site / "window.html").write_text(
        "<body><p id=said></p><script>onmessage=e=>said.textContent=e.data</script>"
        f'<iframe src="{name}" style="width:{width}px;height:800px;border:0"></iframe></body>'
    )
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    flags += ["--window-size=1400,900", "--virtual-time-budget=8000", "--dump-dom"]
    command = [browser, *flags, (site / "window.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    said = re.search(r'id="said">([^<]+)<', done.stdout)
    assert said, done.stderr
    inner, scrolled, height = map(int, said.group(1).split(" "))
    assert inner == width
    assert scrolled <= inner
    assert height > 5
