"""LaTeX formulae as MathML, which every browser draws without a script, a font or a network.

The subset is what statements, lemmas and `ufm.derivation.render` write. A command it does not know becomes its bare
name in upright letters, so that a page never shows TeX.
"""

import re
from collections import deque
from collections.abc import Iterator
from html import escape

_TOKEN = re.compile(r"\\begin\{[a-z]+\*?\}|\\end\{[a-z]+\*?\}|\\[a-zA-Z]+|\\.|\d+(?:\.\d+)?|\s+|.", re.DOTALL)
_LETTERS = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ϵ", "varepsilon": "ε", "zeta": "ζ", "eta": "η",
    "theta": "θ", "vartheta": "ϑ", "iota": "ι", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ", "pi": "π",
    "rho": "ρ", "varrho": "ϱ", "sigma": "σ", "tau": "τ", "upsilon": "υ", "phi": "ϕ", "varphi": "φ", "chi": "χ",
    "psi": "ψ", "omega": "ω", "Gamma": "Γ", "Delta": "Δ", "Theta": "Θ", "Lambda": "Λ", "Xi": "Ξ", "Pi": "Π",
    "Sigma": "Σ", "Upsilon": "Υ", "Phi": "Φ", "Psi": "Ψ", "Omega": "Ω", "infty": "∞", "ell": "ℓ", "emptyset": "∅",
    "Re": "ℜ", "Im": "ℑ", "dots": "…", "ldots": "…", "cdots": "⋯", "vdots": "⋮", "ddots": "⋱", "top": "⊤",
    "dagger": "†", "star": "⋆", "hbar": "ℏ", "partial": "∂", "nabla": "∇", "mathsection": "§", "S": "§",
}  # fmt: skip
_OPERATORS = {
    "le": "≤", "leq": "≤", "leqslant": "≤", "ge": "≥", "geq": "≥", "geqslant": "≥", "ne": "≠", "neq": "≠",
    "equiv": "≡", "approx": "≈", "sim": "∼", "simeq": "≃", "cong": "≅", "propto": "∝", "ll": "≪", "gg": "≫",
    "lesssim": "≲", "gtrsim": "≳", "asymp": "≍", "in": "∈", "notin": "∉", "ni": "∋", "subset": "⊂", "subseteq": "⊆",
    "supset": "⊃", "supseteq": "⊇", "cup": "∪", "cap": "∩", "setminus": "∖", "times": "×", "cdot": "⋅", "circ": "∘",
    "otimes": "⊗", "oplus": "⊕", "odot": "⊙", "pm": "±", "mp": "∓", "div": "÷", "ast": "∗", "wedge": "∧", "land": "∧",
    "vee": "∨", "lor": "∨", "neg": "¬", "lnot": "¬", "forall": "∀", "exists": "∃", "to": "→", "rightarrow": "→",
    "leftarrow": "←", "longrightarrow": "⟶", "uparrow": "↑", "downarrow": "↓", "mapsto": "↦", "implies": "⟹",
    "Rightarrow": "⇒", "Leftarrow": "⇐", "iff": "⟺", "Leftrightarrow": "⇔", "leftrightarrow": "↔", "perp": "⊥",
    "parallel": "∥", "mid": "∣", "prec": "≺", "preceq": "⪯", "preccurlyeq": "≼", "succ": "≻", "succeq": "⪰",
    "succcurlyeq": "≽", "colon": ":", "coloneqq": "≔", "prime": "′", "bullet": "∙", "int": "∫", "oint": "∮",
    "lVert": "‖", "rVert": "‖", "Vert": "‖", "|": "‖", "lvert": "|", "rvert": "|", "vert": "|", "langle": "⟨",
    "rangle": "⟩", "lfloor": "⌊", "rfloor": "⌋", "lceil": "⌈", "rceil": "⌉", "{": "{", "}": "}", "lbrace": "{",
    "rbrace": "}", "lbrack": "[", "rbrack": "]", "%": "%", "&": "&", "_": "_", "#": "#", "$": "﹩", "backslash": "∖",
}  # fmt: skip
_LARGE = {"sum": "∑", "prod": "∏", "bigcup": "⋃", "bigcap": "⋂", "bigoplus": "⨁", "bigotimes": "⨂"}
_LIMITS = {"max", "min", "sup", "inf", "lim", "argmin", "argmax", "limsup", "liminf"}
_FUNCTIONS = {"cos", "sin", "tan", "cosh", "sinh", "tanh", "exp", "log", "ln", "det", "dim", "ker", "deg", "arg", "Pr"}
_FUNCTIONS |= {"tr", "diag", "rank", "sign", "coth", "arccos", "arcsin", "arctan", "gcd", "mod"}
_SPACES = {",": "0.17em", ":": "0.22em", ">": "0.22em", ";": "0.28em", "!": "-0.1em", "quad": "1em", "qquad": "2em"}
_SPACES |= {" ": "0.28em", "\n": "0.28em", "thinspace": "0.17em"}
_ACCENTS = {"bar": "¯", "overline": "¯", "hat": "^", "widehat": "^", "tilde": "~", "widetilde": "~", "vec": "→"}
_ACCENTS |= {"dot": "˙", "ddot": "¨", "check": "ˇ"}
_UNDER = {"underline": "_", "underbrace": "⏟"}
_UPRIGHT = {"mathrm", "operatorname", "text", "textrm", "textit", "textbf", "texttt", "mathsf", "mathtt", "textnormal"}
_ALPHABETS = {"mathbf": (0x1D400, 0x1D41A, 0x1D7CE), "boldsymbol": (0x1D400, 0x1D41A, 0x1D7CE)}
_ALPHABETS |= {"bm": (0x1D400, 0x1D41A, 0x1D7CE), "mathbb": (0x1D538, 0x1D552, 0x1D7D8)}
_ALPHABETS |= {"mathcal": (0x1D4D0, 0x1D4EA, None), "mathscr": (0x1D4D0, 0x1D4EA, None)}
_HOLES = {"mathbb": dict(zip("CHNPQRZ", "ℂℍℕℙℚℝℤ", strict=True))}  # letters that Unicode keeps elsewhere
_SILENT = {"displaystyle", "textstyle", "scriptstyle", "limits", "nolimits", "nonumber", "notag", "big", "Big", "bigg"}
_SILENT |= {"Bigg", "bigl", "bigr", "Bigl", "Bigr", "biggl", "biggr", "left", "right", "middle", "hline"}
_FRACTIONS, _STRUCTURE = {"frac", "tfrac", "dfrac"}, {"sqrt", "binom", "begin", "end", "\\"}

KNOWN = frozenset(
    {*_LETTERS, *_OPERATORS, *_LARGE, *_LIMITS, *_FUNCTIONS, *_SPACES, *_ACCENTS, *_UNDER, *_UPRIGHT, *_ALPHABETS}
    | {*_SILENT, *_FRACTIONS, *_STRUCTURE}
)

Tokens = deque[str]

# Browsers take the alignment of a column from its style alone: right and left of the relation in turn, or all left.
_RIGHT, _LEFT = (f" style='text-align:{side};text-align:-webkit-{side};padding:0.22em 0'" for side in ("right", "left"))
_COLUMNS = {"aligned": (_RIGHT, _LEFT)} | {"cases": (" style='text-align:left;padding:0.15em 0.7em 0.15em 0'",) * 2}


def mathml(tex: str, *, display: bool = False) -> str:
    """A LaTeX formula as a `<math>` element; what is left open in it is closed at its end."""
    tokens = deque(token for token in _TOKEN.findall(tex) if not token.isspace())
    opening = '<math display="block">' if display else "<math>"
    return f"{opening}{_all(tokens)}</math>"


def unknown_commands(tex: str) -> set[str]:
    """The commands of a formula that `mathml` can only spell out."""
    return {name for name in re.findall(r"\\([a-zA-Z]+|.)", tex, re.DOTALL) if name not in KNOWN}


def _all(tokens: Tokens) -> str:
    """Everything, past brackets and separators that nobody opened."""
    out = []
    while tokens:
        out.append(_row(tokens, frozenset()))
        if tokens:
            tokens.popleft()
    return f"<mrow>{''.join(out)}</mrow>"


def _row(tokens: Tokens, stop: frozenset[str]) -> str:
    """Atoms with their scripts, up to a token that ends the row (which is left in place)."""
    out = []
    while tokens and tokens[0] not in stop and tokens[0] not in ("}", "&", "\\\\") and not _ends(tokens[0]):
        out.append(_scripted(tokens))
    return "".join(out)


def _ends(token: str) -> bool:
    return token.startswith("\\end{") or token == "\\right"


def _scripted(tokens: Tokens) -> str:
    """One atom with the subscript, the superscript and the primes that follow it."""
    under = tokens[0].removeprefix("\\") in _LIMITS | _LARGE.keys()
    base = "<mrow></mrow>" if tokens[0] in ("_", "^", "'") else _atom(tokens)
    sub, sup = "", ""
    while tokens and tokens[0] in ("_", "^", "'"):
        mark = tokens.popleft()
        if mark == "'":
            sup += "<mo>′</mo>"
        elif mark == "_":
            sub += _argument(tokens)
        else:
            sup += _argument(tokens)
    sub, sup = (f"<mrow>{part}</mrow>" if part else "" for part in (sub, sup))
    if sub and sup:
        tag = "munderover" if under else "msubsup"
    elif sub:
        tag = "munder" if under else "msub"
    elif sup:
        tag = "mover" if under else "msup"
    else:
        return base
    return f"<{tag}>{base}{sub}{sup}</{tag}>"


def _atom(tokens: Tokens) -> str:
    """A letter, a number, a sign, a group, or a command with its arguments."""
    if not tokens or tokens[0] in ("}", "&", "\\\\") or _ends(tokens[0]):
        return "<mrow></mrow>"
    token = tokens.popleft()
    if token == "{":
        return f"<mrow>{_group(tokens)}</mrow>"
    if token.startswith("\\begin{"):
        return _table(token[7:-1].rstrip("*"), tokens)
    if token.startswith("\\") and len(token) > 1:
        return _command(token[1:], tokens)
    if token[0].isdigit():
        return f"<mn>{token}</mn>"
    if token.isalpha():
        return f"<mi>{escape(token)}</mi>"
    if token == "~":
        return _space("0.28em")
    shown = {"-": "−", "*": "∗"}.get(token, token)
    return f'<mo stretchy="false">{escape(shown)}</mo>' if token in "()[]|/" else f"<mo>{escape(shown)}</mo>"


def _argument(tokens: Tokens) -> str:
    """What a command or a script takes: as in TeX one digit of a number that has no braces, `frac12` being a half."""
    if tokens and tokens[0][0].isdigit() and len(tokens[0]) > 1:
        digit, tokens[0] = tokens[0][0], tokens[0][1:]
        return f"<mn>{digit}</mn>"
    return _atom(tokens)


def _group(tokens: Tokens) -> str:
    """The inside of braces, whose opening one is gone; the closing one is taken."""
    inside = _row(tokens, frozenset())
    while tokens and tokens[0] != "}":  # a stray separator
        tokens.popleft()
        inside += _row(tokens, frozenset())
    if tokens:
        tokens.popleft()
    return inside


def _command(name: str, tokens: Tokens) -> str:
    if name in _LETTERS:
        return f"<mi>{_LETTERS[name]}</mi>"
    if name in _LARGE:
        return f'<mo movablelimits="true">{_LARGE[name]}</mo>'
    if name in _LIMITS:
        return f'<mo movablelimits="true" lspace="0.17em" rspace="0.17em">{name}</mo>'
    if name in _FUNCTIONS:
        return f'<mi>{name}</mi><mspace width="0.1em"></mspace>'
    if name in _SPACES:
        return _space(_SPACES[name])
    if name == "left":
        return _fenced(tokens)
    if name in _OPERATORS:
        return f'<mo stretchy="false">{escape(_OPERATORS[name])}</mo>'
    if name in _SILENT:
        return ""
    if name in _FRACTIONS:
        return f"<mfrac>{_argument(tokens)}{_argument(tokens)}</mfrac>"
    if name == "binom":
        pair = f"{_argument(tokens)}{_argument(tokens)}"
        return f'<mrow><mo>(</mo><mfrac linethickness="0">{pair}</mfrac><mo>)</mo></mrow>'
    if name == "sqrt":
        return _root(tokens)
    if name in _ACCENTS:
        return f'<mover accent="true">{_argument(tokens)}<mo stretchy="false">{_ACCENTS[name]}</mo></mover>'
    if name in _UNDER:
        return f"<munder>{_argument(tokens)}<mo>{_UNDER[name]}</mo></munder>"
    if name in _UPRIGHT:
        return f"<mtext>{escape(_words(tokens))}</mtext>"
    if name in _ALPHABETS:
        return _in_alphabet(name, _words(tokens))
    return f"<mtext>{escape(name)}</mtext>"


def _space(width: str) -> str:
    return f'<mspace width="{width}"></mspace>'


def _words(tokens: Tokens) -> str:
    """The raw argument of a command that sets words: a group, or one token."""
    if not tokens:
        return ""
    if tokens[0] != "{":
        return tokens.popleft().lstrip("\\")
    tokens.popleft()
    out, depth = [], 1
    while tokens:
        token = tokens.popleft()
        depth += {"{": 1, "}": -1}.get(token, 0)
        if depth == 0:
            break
        name = token[1:]
        known = _LETTERS.get(name, _OPERATORS.get(name, name)) if token.startswith("\\") else token
        out.append("" if token in "{}" else " " if token in ("\\ ", "\\,") else known)
    text = "".join(out)
    return {"for": " for ", "otherwise": " otherwise"}.get(text, text)


def _in_alphabet(name: str, text: str) -> str:
    """Bold, blackboard and script letters by their Unicode characters: browsers ignore other ways to ask for them."""
    capital, small, digit = _ALPHABETS[name]
    out = ""
    for letter in text:
        code = letter
        if letter in _HOLES.get(name, {}):
            code = _HOLES[name][letter]
        elif "A" <= letter <= "Z":
            code = chr(capital + ord(letter) - ord("A"))
        elif "a" <= letter <= "z":
            code = chr(small + ord(letter) - ord("a"))
        elif letter.isdigit() and digit is not None:
            code = chr(digit + int(letter))
        out += code
    return f"<mi>{escape(out)}</mi>"


def _root(tokens: Tokens) -> str:
    if not tokens or tokens[0] != "[":
        return f"<msqrt>{_argument(tokens)}</msqrt>"
    tokens.popleft()
    index = _row(tokens, frozenset("]"))
    if tokens:
        tokens.popleft()
    return f"<mroot>{_argument(tokens)}<mrow>{index}</mrow></mroot>"


def _fenced(tokens: Tokens) -> str:
    r"""`\left( ... \right)`: signs that grow with what they hold."""
    left = _fence(tokens)
    inside = _row(tokens, frozenset())
    while tokens and not _ends(tokens[0]):  # a stray brace or separator
        tokens.popleft()
        inside += _row(tokens, frozenset())
    if tokens and tokens[0] == "\\right":
        tokens.popleft()
        return f"<mrow>{left}{inside}{_fence(tokens)}</mrow>"
    return f"<mrow>{left}{inside}</mrow>"


def _fence(tokens: Tokens) -> str:
    token = tokens.popleft() if tokens else "."
    sign = _OPERATORS.get(token[1:], "") if token.startswith("\\") else token
    return "" if sign in (".", "") else f'<mo fence="true" stretchy="true">{escape(sign)}</mo>'


def _table(kind: str, tokens: Tokens) -> str:
    """`aligned`, `cases` and the matrices."""
    looks = _COLUMNS.get(kind, ("", ""))
    rows = "".join(
        f"<mtr>{''.join(f'<mtd{looks[i % 2]}>{cell}</mtd>' for i, cell in enumerate(cells))}</mtr>"
        for cells in _cells(kind, tokens)
    )
    table = f'<mtable class="{escape(kind)}" displaystyle="{"true" if kind == "aligned" else "false"}">{rows}</mtable>'
    left, right = {"cases": ("{", ""), "pmatrix": ("(", ")"), "bmatrix": ("[", "]")}.get(kind, ("", ""))
    fences = [f'<mo fence="true" stretchy="true">{sign}</mo>' if sign else "" for sign in (left, right)]
    return f"<mrow>{fences[0]}{table}{fences[1]}</mrow>"


def _cells(kind: str, tokens: Tokens) -> Iterator[list[str]]:
    if kind == "array" and tokens and tokens[0] == "{":
        _words(tokens)  # the columns' alignment
    cells: list[str] = []
    while tokens:
        cells.append(f"<mrow>{_row(tokens, frozenset())}</mrow>")
        if not tokens:
            break
        token = tokens.popleft()
        if token == "&":
            continue
        if token == "\\\\":
            yield cells
            cells = []
        elif token.startswith("\\end{"):
            break
    yield cells
