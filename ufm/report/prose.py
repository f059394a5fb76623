"""Bibliography entries in plain letters."""

import re
import unicodedata

_ACCENTS = {'"': "\u0308", "'": "\u0301", "`": "\u0300", "^": "\u0302", "~": "\u0303", "=": "\u0304", ".": "\u0307"}
_ACCENTS |= {"c": "\u0327", "v": "\u030c", "u": "\u0306", "H": "\u030b", "k": "\u0328", "r": "\u030a"}
_NAMED = {"o": "ø", "O": "Ø", "l": "ł", "L": "Ł", "ss": "ß", "ae": "æ", "aa": "å", "i": "ı", "&": "&", "%": "%"}


def fields(bibtex: str) -> dict[str, str]:
    """{field: value} of one BibTeX entry, braces and accents resolved into Unicode."""
    found: dict[str, str] = {}
    at = 0
    while (match := re.compile(r"(\w+)\s*=\s*([{\"]?)").search(bibtex, at)) is not None:
        name, opening = match.group(1).lower(), match.group(2)
        if not opening:
            value = re.compile(r"[^,\n}]*").match(bibtex, match.end())
            found[name], at = (value.group() if value else "").strip(), match.end()
            continue
        end = _closing(bibtex, match.end(), "}" if opening == "{" else '"')
        found[name], at = unicode(bibtex[match.end() : end]), end + 1
    return found


def _closing(text: str, at: int, sign: str) -> int:
    """Where the value that begins here ends: at the sign, outside of all inner braces."""
    depth = 0
    for i in range(at, len(text)):
        if text[i] == sign and depth == 0:
            return i
        depth += {"{": 1, "}": -1}.get(text[i], 0)
    return len(text)


def unicode(text: str) -> str:
    """A BibTeX value in plain letters."""
    text = re.sub(
        r"\\([\"'`^~=.]|[cvuHkr](?![a-zA-Z]))\s*\{?\\?(\w)\}?",
        lambda f: unicodedata.normalize("NFC", f.group(2) + _ACCENTS[f.group(1)]),
        text,
    )
    text = re.sub(r"\\(?:emph|textit|textbf|texttt|url)\b", "", text)
    text = re.sub(r"\\([a-zA-Z]+|[&%])\s?", lambda f: _NAMED.get(f.group(1), f.group(1)), text)
    text = text.replace("---", "—").replace("--", "\u2013").replace("~", " ")
    return re.sub(r"\s+", " ", re.sub(r"[{}$\\]", "", text)).strip()


def source(bibtex: str) -> dict[str, str]:
    """Who, what, where and when, and a link if the entry has one; each may be empty."""
    entry = fields(bibtex)
    people = [_person(name) for name in re.split(r"\s+and\s+", entry.get("author", "")) if name]
    authors = ", ".join(people[:-1]) + (" and " if len(people) > 1 else "") + people[-1] if people else ""
    place = next((entry[f] for f in ("journal", "booktitle", "publisher", "howpublished") if entry.get(f)), "")
    eprint, doi = entry.get("eprint", ""), entry.get("doi", "")
    link = f"https://doi.org/{doi}" if doi else f"https://arxiv.org/abs/{eprint}" if eprint else entry.get("url", "")
    if eprint and not place:
        place = f"arXiv {eprint}"
    found = {"authors": authors, "title": entry.get("title", ""), "place": place, "year": entry.get("year", "")}
    return {**found, "note": entry.get("note", ""), "link": link if link.startswith("https://") else ""}


def _person(name: str) -> str:
    last, comma, first = name.partition(", ")
    return f"{first} {last}" if comma else name
