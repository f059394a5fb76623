"""A derivation as LaTeX, as Markdown and as Unicode text: one proof, three typefaces."""

from __future__ import annotations

import re
import textwrap
from itertools import groupby
from typing import Any

import sympy as sp
from sympy.printing.latex import LatexPrinter
from sympy.printing.pretty.pretty import PrettyPrinter
from sympy.printing.pretty.stringpict import prettyForm, stringPict

from ufm.derivation.derivation import Derivation, Step
from ufm.derivation.lemma import Lemma
from ufm.derivation.words import Listed
from ufm.display import displayed, prose

# letters that SymPy would not typeset as the notation page does: name -> (LaTeX, Unicode)
_LETTERS = {
    "t_rel": (r"t_{\mathrm{rel}}", "t_rel"),
    "lambda_b^*": (r"\lambda_b^{*}", "λ_b*"),
    "ybar": (r"\bar{y}", "ȳ"),
    "ybar 1'": (r"\bar{y}\,\mathbf{1}_N'", "ȳ 𝟏_N'"),
    "Sigma^{1/2}": (r"\Sigma^{1/2}", "Σ^½"),
    "Sigma^{-1/2}": (r"\Sigma^{-1/2}", "Σ^-½"),
    "Sigma_K^{1/2}": (r"\Sigma^{1/2}", "Σ^½"),
    "(C_c'C_c)^{1/2}": (r"(C_c'C_c)^{1/2}", "(C_c'C_c)^½"),
    "(A'A)^{1/2}": (r"(A'A)^{1/2}", "(A'A)^½"),
    "D^{-1}": (r"D^{-1}", "D⁻¹"),
    "A_C": ("A", "A"),
    "Y_C": ("Y", "Y"),
    "ybar_C": (r"\bar{y}", "ȳ"),
    "Q_K": ("Q", "Q"),
    "q_K": ("q", "q"),
    "Yhat": (r"\hat{Y}", "Ŷ"),
    "hbar": (r"\bar{h}", "h̄"),
    "H_perp": (r"H_{\perp}", "H⊥"),
    "H_Q": (r"H_Q", "H_Q"),
    "lambda_W": (r"\lambda_W", "λ_W"),
    "lambda_H": (r"\lambda_H", "λ_H"),
    "lambda_b": (r"\lambda_b", "λ_b"),
    "kappa_b": (r"\kappa_b", "κ_b"),
    "singular_values_centred": ("s", "s"),
    "singular_value_mean": ("s_0", "s₀"),
    "shrunk": ("s", "s"),
    "shrunk_mean": ("s_0", "s₀"),
    "singular_values": ("s_i", "sᵢ"),
    "part": (r"\ell", "ℓ"),
    "part_mean": (r"\ell_0", "ℓ₀"),
    "residual_mean": ("e_0", "e₀"),
    "varphi": (r"\varphi(s)", "φ(s)"),
    "varphi_0": (r"\varphi_0(s_0)", "φ₀(s₀)"),
    "Delta": (r"\Delta", "Δ"),
    "gram": (r"\bar{h}_k^{T} \bar{h}_l", "h̄_k'h̄_l"),
    "classifier_gram": (r"w_k^{T} w_l", "w_k'w_l"),
    "logits": (r"z_{kl}", "z_kl"),
    "nuclear_norm": (r"\lVert X \rVert_{*}", "‖X‖_*"),
    "least_penalty": (
        r"\min_{W H_Q = X} \tfrac{N}{2} \left(\lambda_W \lVert W \rVert^2 + \lambda_H \lVert H_Q \rVert^2\right)",
        "min {N (λ_W ‖W‖² + λ_H ‖H_Q‖²)/2 : W H_Q = X}",
    ),
    "energy": (r"\tfrac12 \sum_l \lVert F_l \rVert^2", "Σ ‖F_l‖²/2"),
    "least_energy": (r"\tfrac p2 \sum_i s_i^{2/p}", "p/2 Σ sᵢ^(2/p)"),
    "tr X'A": (r"\mathrm{tr}\, X'A", "tr X'A"),
    "sum s_i sigma_i": (r"\sum_i s_i \sigma_i", "Σ sᵢσᵢ"),
    "tr (X R)'(A R)": (r"\mathrm{tr}\, (XR)'AR", "tr (XR)'AR"),
    "sum y_i alpha_i": (r"\sum_i y_i \alpha_i", "Σ yᵢαᵢ"),
    "sum s_i^(2/p)": (r"\sum_i s_i^{2/p}", "Σ sᵢ^(2/p)"),
    "sum of altered y_i^(2/p)": (
        r"\sum_{i<r} y_i^{2/p} + \left(y_r/\sqrt{\rho}\right)^{2/p}",
        "Σ yᵢ^(2/p) (i < r) + (y_r/√ρ)^(2/p)",
    ),
    "arcsin m_k": (r"\arcsin m_k", "arcsin m_k"),
    "sum lambda_j arcsin t_j": (r"\sum_{j \ge k} \lambda_j \arcsin t_j", "Σ λ_j arcsin t_j (j ≥ k)"),
    "arcsin t_j": (r"\arcsin t_j", "arcsin t_j"),
    "t_j + t_j^3": ("t_j + t_j^3", "t_j + t_j³"),
    "(w_k - p)'h": ("(w_k - p)'h", "(w_k - p)'h"),
    "|w_k - p|": (r"\lVert w_k - p \rVert", "‖w_k - p‖"),
    "|w_k - w_l|": (r"\lVert w_k - w_l \rVert", "‖w_k - w_l‖"),
    "N L": ("N L", "N L"),
    "fits and the nuclear norm": (
        r"\sum_k n_k \mathrm{CE}(z_k + b) + \tau \lVert Z D^{1/2} \rVert_{*}"
        r" + \tfrac{N \lambda_b}{2} \lVert b \rVert^2",
        "Σ n_k CE(z_k + b) + τ ‖Z D^½‖_* + N λ_b ‖b‖²/2",
    ),
    "CE(Z) + lambda nu(Z)": (r"\mathrm{CE}(Z) + \lambda \nu(Z)", "CE(Z) + λ ν(Z)"),
    "tr E'Z": (r"\mathrm{tr}\, E'Z", "tr E'Z"),
    "nu(Z)": (r"\nu(Z)", "ν(Z)"),
    "tr Pi'ES": (r"\mathrm{tr}\, \Pi'ES", "tr Π'ES"),
    "mu |Pi|_*": (r"\mu \lVert \Pi \rVert_{*}", "μ ‖Π‖_*"),
    "Pi_W": (r"\Pi_W", "Π_W"),
    "lambda_M": (r"\lambda_M", "λ_M"),
    "e^alpha": (r"e^{\alpha}", "e^α"),
    "varepsilon": (r"\varepsilon", "ε"),
    "varphi_alpha": (r"\varphi(\alpha)", "φ(α)"),
    "margin": (r"\alpha", "α"),
    "coexistence": ("t_c", "t_c"),
    "spinodal": ("t_s", "t_s"),
    "metastable": (r"s_{\mathrm{meta}}", "s (metastable)"),
    "cosine": (r"\cos(\bar{h}_k, \bar{h}_l)", "cos(h̄_k, h̄_l)"),
    "class_mean_norm": (r"\lVert \bar{h}_k \rVert", "‖h̄_k‖"),
    "classifier_norm": (r"\lVert w_k \rVert", "‖w_k‖"),
    "bias": ("b_k", "b_k"),
    "value": (r"\min L", "min L"),
}
# SymPy's printers are extended by methods named after classes, which their type stubs do not foresee
_LatexPrinter: Any = LatexPrinter
_PrettyPrinter: Any = PrettyPrinter
_TEX_LINE = 75  # printed characters of a formula before it is broken


def _letter(name: str) -> tuple[str, str] | None:
    if name.startswith("∇_"):
        inner = _LETTERS.get(name[2:], (name[2:], name[2:]))
        return rf"\nabla_{{{inner[0]}}} L", f"∇_{inner[1]} L"
    if name.startswith("𝟏_"):
        return rf"\mathbf{{1}}_{{{name[2:]}}}", name
    return _LETTERS.get(name)


def _minus(term: Any) -> bool:
    """Whether the term carries a minus sign."""
    scalar = term.as_coeff_mmul()[0] if isinstance(term, sp.MatMul) else term
    return bool(scalar.could_extract_minus_sign())


def _in_order(expr: Any) -> list[Any]:
    """Summands as one would write them: as listed, or else with those that carry a minus sign last."""
    if isinstance(expr, Listed):
        return [term for term in expr.args if term != 0]
    terms = list(expr.args) if isinstance(expr, sp.MatAdd) else expr.as_ordered_terms()
    return sorted(terms, key=_minus)


def _merged_roots(expr: Any) -> Any:
    """The product with all roots of letters under one sign, sqrt(lambda_W lambda_H); None if nothing merges."""
    roots: dict[Any, list[Any]] = {}
    rest = []
    for factor in expr.args:
        base, exponent = factor.as_base_exp()
        if base.is_Symbol and exponent.is_Rational and not exponent.is_Integer:
            roots.setdefault(abs(exponent), []).append(base if exponent > 0 else 1 / base)
        else:
            rest.append(factor)
    if all(len(bases) < 2 for bases in roots.values()):
        return None
    merged = [sp.Pow(sp.Mul(*bases), exponent, evaluate=False) for exponent, bases in roots.items()]
    return merged[0] if len(merged) == 1 and not rest else sp.Mul(*rest, *merged, evaluate=False)


def _number_as_matrix(expr: Any) -> Any:
    """The number in a 1 x 1 matrix x I; None for any other product."""
    matrices = [factor for factor in expr.args if factor.is_Matrix]
    unit = len(matrices) == 1 and isinstance(matrices[0], sp.Identity) and matrices[0].shape == (1, 1)
    return sp.Mul(*(factor for factor in expr.args if not factor.is_Matrix)) if unit else None


class _Tex(_LatexPrinter):
    """LaTeX in the letters of the notation page: W' for the transpose, I for every identity."""

    def _print_Symbol(self, expr: Any, style: str = "plain") -> str:
        known = _letter(expr.name)
        return known[0] if known else super()._print_Symbol(expr, style)

    _print_MatrixSymbol = _print_Symbol

    def _print_Mul(self, expr: Any) -> str:
        merged = _merged_roots(expr)
        return super()._print_Mul(expr) if merged is None else self._print(merged)

    def _print_MatMul(self, expr: Any) -> str:
        number = _number_as_matrix(expr)
        return super()._print_MatMul(expr) if number is None else self._print(number)

    def _print_Transpose(self, expr: Any) -> str:
        inner = self._print(expr.arg)
        return f"{inner}'" if expr.arg.is_symbol else rf"\left({inner}\right)'"

    def _print_Identity(self, expr: Any) -> str:
        return "I"

    def _print_ZeroMatrix(self, expr: Any) -> str:
        return "0"

    def _print_MatAdd(self, expr: Any) -> str:
        out = ""
        for term in _in_order(expr):
            minus = _minus(term) and bool(out)
            out += (" - " if minus else " + " if out else "") + self._print(-term if minus else term)
        return out

    _print_Listed = _print_MatAdd

    def _print_Trace(self, expr: Any) -> str:
        return rf"\mathrm{{tr}}\left({self._print(expr.arg)}\right)"


class _Text(_PrettyPrinter):
    """Unicode in the letters of the notation page."""

    def _print_Symbol(self, e: Any, bold_name: bool = False) -> Any:
        known = _letter(e.name)
        return prettyForm(known[1], binding=prettyForm.ATOM) if known else super()._print_Symbol(e, bold_name)

    _print_MatrixSymbol = _print_Symbol

    def _print_Mul(self, expr: Any) -> Any:
        merged = _merged_roots(expr)
        return super()._print_Mul(expr) if merged is None else self._print(merged)

    def _print_MatMul(self, expr: Any) -> Any:
        number = _number_as_matrix(expr)
        return super()._print_MatMul(expr) if number is None else self._print(number)

    def _print_Transpose(self, expr: Any) -> Any:
        inner: Any = self._print(expr.arg)
        if not expr.arg.is_symbol:
            inner = prettyForm(*inner.parens())
        return prettyForm(*inner.right("'"), binding=prettyForm.ATOM)

    def _print_Identity(self, expr: Any) -> Any:
        return prettyForm("I", binding=prettyForm.ATOM)

    def _print_ZeroMatrix(self, expr: Any) -> Any:
        return prettyForm("0", binding=prettyForm.ATOM)

    def _print_MatAdd(self, expr: Any) -> Any:
        out: Any = None
        for term in _in_order(expr):
            minus = _minus(term)
            shown = self._print(-term if minus and out is not None else term)
            out = shown if out is None else prettyForm(*stringPict.next(out, " - " if minus else " + ", shown))
        return out

    _print_Listed = _print_MatAdd


def tex(expr: Any) -> str:
    """An expression or relation as LaTeX."""
    return _Tex({"mat_str": "matrix"}).doprint(expr)


def _text(expr: Any) -> str:
    return _Text({"use_unicode": True, "wrap_line": False}).doprint(expr)


def _broken(expr: Any, length: Any, limit: int) -> list[tuple[str, Any]]:
    """A long sum as several shorter ones: (the sign in front, the part), so that no line runs over the margin."""
    if not isinstance(expr, sp.Add | Listed) or length(expr) <= limit:
        return [("", expr)]
    lines: list[tuple[str, list[Any]]] = [("", [])]
    for term in _in_order(expr):
        if lines[-1][1] and length(Listed(*lines[-1][1], term)) > limit:
            lines.append(("-" if _minus(term) else "+", []))
        flipped = lines[-1][0] == "-" and not lines[-1][1]
        lines[-1][1].append(-term if flipped else term)
    return [(sign, Listed(*terms)) for sign, terms in lines]


def _tex_length(expr: Any) -> int:
    """Roughly how wide a formula is printed: commands and braces take no room of their own."""
    return len(re.sub(r"\\[a-zA-Z]+|[{}^_\\ ]", "", tex(expr)))


def _text_length(expr: Any) -> int:
    return max(len(line) for line in _text(expr).split("\n"))


def telling(step: Step) -> tuple[Any, ...]:
    """The relations of a step that are printed: none that says nothing (true, 0 = 0); of two sides alike, one.

    Where a step fails, all are.
    """
    if not step.ok:
        return step.claims
    return tuple(each for claim in step.claims if (each := _telling(claim)) is not None)


def _telling(claim: Any) -> Any:
    if claim in (True, sp.true):
        return None
    if not isinstance(claim, sp.Eq) or tex(claim.lhs) != tex(claim.rhs):
        return claim
    return claim.lhs if claim.lhs.free_symbols else None


def tex_display(claims: tuple[Any, ...]) -> str:
    """All relations of a step as the inside of an `aligned`, or as one formula where that is enough."""
    rows: list[str] = []
    for claim in claims:
        if not isinstance(claim, sp.Eq):
            rows.append(tex(claim))
            continue
        parts = _broken(claim.rhs, _tex_length, _TEX_LINE)
        rows.append(
            f"{tex(claim.lhs)} &= {tex(parts[0][1])}" if len(parts) > 1 else f"{tex(claim.lhs)} &= {tex(claim.rhs)}"
        )
        rows += [rf"&\quad {sign} {tex(part)}" for sign, part in parts[1:]]
    if not any("&" in row for row in rows):
        return r",\qquad ".join(rows)
    if len(rows) == 1:
        return rows[0].replace("&=", "=", 1)
    return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"


def _text_display(claims: tuple[Any, ...], width: int) -> list[str]:
    blocks: list[str] = []
    for claim in claims:
        if not isinstance(claim, sp.Eq) or _text_length(claim) <= width:
            blocks.append(_text(claim))
        elif isinstance(claim.rhs, sp.Piecewise):
            blocks += _text_cases(claim.lhs, claim.rhs, width)
        else:
            blocks += _text_equation(claim, width)
    return blocks


def _text_equation(claim: Any, width: int) -> list[str]:
    """An equation too wide for one line: its right side term by term, below the left side where that is long."""
    left = _pict(claim.lhs)
    below = left.width() > width // 2
    parts = _broken(claim.rhs, _text_length, width - 6 - (0 if below else left.width()))
    start = prettyForm("    ") if below else left
    rows = [(start, " = ", parts[0][1]), *((prettyForm("    "), f"{sign} ", part) for sign, part in parts[1:])]
    return [str(left)] * below + [str(prettyForm(*stringPict.next(*row[:2], _pict(row[2])))) for row in rows]


def _text_cases(left: Any, cases: Any, width: int) -> list[str]:
    """A Piecewise too wide for one brace: case by case, each with its condition below; the first that holds counts."""
    blocks: list[str] = []
    for value, condition in cases.args:
        blocks += _text_display((sp.Eq(left, value, evaluate=False),), width)
        where = "otherwise" if condition == sp.true else prettyForm(*stringPict.next("for ", _pict(condition)))
        blocks.append(str(prettyForm(*stringPict.next("    ", where))))
    return blocks


def _pict(expr: Any) -> Any:
    return _Text({"use_unicode": True, "wrap_line": False})._print(expr)


_WORDS = {
    r"\Delta": "Δ",
    r"\lambda": "λ", r"\tau": "τ", r"\rho": "ρ", r"\beta": "β", r"\delta": "δ", r"\Omega": "Ω",
    r"\kappa": "κ", r"\gamma": "γ", r"\sigma": "σ", r"\Sigma": "Σ", r"\theta": "θ", r"\varepsilon": "ε",
    r"\epsilon": "ε", r"\sum": "Σ", r"\prod": "Π", r"\Pi": "Π", r"\alpha": "α", r"\mu": "μ", r"\Lambda": "Λ",
    r"\log": "log", r"\ell": "ℓ", r"\hat Z": "Ẑ", r"\zeta": "ζ", r"\hat\nu": "ν̂", r"\nu": "ν",
    r"\nabla": "∇", r"\infty": "∞", r"\ne": "≠", r"\ge": "≥", r"\le": "≤", r"\preceq": "≼", r"\perp": "⊥",
    r"\Phi": "Φ", r"\eta": "η", r"\cdot": "·", r"\to": "→", r"\mapsto": "↦", r"\ll": "≪", r"\sinh": "sinh",
    r"\tanh": "tanh", r"\int": "∫", r"\phi": "φ", r"\pi": "π", r"\pm": "±", r"\propto": "∝",
    r"\arccos": "arccos", r"\arcsin": "arcsin", r"\min": "min", r"\cos": "cos", r"\tilde s": "s̃",
    r"\cdots": "…", r"\ldots": "…", r"\,": " ", r"\ ": " ",
    r"\left": "", r"\right": "", r"\times": "×", r"\sqrt n": "√n",
    r"\bar y": "ȳ", r"\bar h": "h̄", r"\bar H": "H̄", r"\bar Y": "Ȳ",
    r"\hat Y": "Ŷ", r"\sqrt N": "√N", r"\sqrt c": "√c",
}  # fmt: skip


def plain(sentence: str) -> str:
    """A sentence with inline LaTeX as Unicode text."""
    return re.sub(r"\$([^$]*)\$", lambda found: _plain_formula(found.group(1)), sentence)


def _plain_formula(formula: str) -> str:
    formula = re.sub(r"\\(?:mathbf|mathrm)\{1\}", "𝟏", formula)
    formula = re.sub(r"\\(?:mathrm|mathbf|operatorname)\{([^{}]*)\}", r"\1", formula)
    formula = re.sub(
        r"\\frac\s*(\{[^{}]*\}|\w)\s*(\{[^{}]*\}|\w)",  # \frac12 and \frac1{2n} with all their braces
        lambda f: rf"\frac{{{f.group(1).strip('{}')}}}{{{f.group(2).strip('{}')}}}",
        formula,
    )
    for _ in range(3):  # nested fractions and roots, from the inside
        formula = re.sub(r"\\sqrt\{([^{}]*)\}", lambda f: "√" + _grouped(f.group(1)), formula)
        formula = re.sub(
            r"\\frac\{([^{}]*)\}\{([^{}]*)\}", lambda f: f"{_grouped(f.group(1))}/{_grouped(f.group(2))}", formula
        )
        formula = re.sub(r"_\{([^{}]*)\}", r"_\1", formula)
        formula = re.sub(r"\^\{([^{}]*)\}", lambda f: _raised(f.group(1)), formula)
    formula = re.sub(r"\\sqrt\s*(\w)", r"√\1", formula)
    formula = re.sub(r"\\lVert\s*|\s*\\rVert", "‖", formula)
    formula = re.sub(r"\\lvert\s*|\s*\\rvert", "|", formula)
    for command in sorted(_WORDS, key=len, reverse=True):
        formula = formula.replace(command, _WORDS[command])
    return re.sub(r" +", " ", formula).strip()


def _grouped(formula: str) -> str:
    return formula if re.fullmatch(r"\\?\w+", formula) else f"({formula})"


def _raised(exponent: str) -> str:
    """An exponent of several letters in brackets: y^(2p) is not y^2 p."""
    if exponent == "*":
        return "*"
    return f"^{exponent}" if re.fullmatch(r"\\?[A-Za-z]+|\d+|\w", exponent) else f"^({exponent})"


def _title(lemma: Lemma) -> str:
    return lemma.name.replace("_", " ")


def _refusal(step: Step) -> str:
    return f"NOT VERIFIED ({step.name}): {step.justification}."


def closing_words(derivation: Derivation) -> str:
    """How the proof ends: what was verified, and given which lemmas; or that it is none."""
    checked = sum(step.how == "sympy" for step in derivation.steps)
    if not derivation.ok:
        return f"This is not a proof: {', '.join(derivation.failed) or 'nothing'} could not be verified."
    rests = (
        "no lemma is used"
        if not derivation.lemmas
        else "given " + ", ".join(_title(lemma) for lemma in derivation.lemmas)
    )
    counted = f"All steps but definitions and hypotheses ({checked})"
    return f"{counted} were verified by SymPy for symbolic parameters; {rests}."


def to_latex(derivation: Derivation) -> str:
    """A subsection and a proof environment (amsmath, amsthm), without a preamble."""
    out = [rf"\subsection*{{{derivation.title}}}", rf"\noindent\textit{{{derivation.statement}}}", "", r"\begin{proof}"]
    for section, steps in groupby(derivation.steps, key=lambda step: step.section):
        if section:
            out += ["", rf"\medskip\noindent\textbf{{{section}.}}"]
        for step in steps:
            if not (step.sentence or step.claims):
                continue
            out.append(f"% {step.name}: {step.justification}")
            out.append(step.sentence)
            out += [
                rf"(lemma \emph{{{_title(each)}}}, \cite[{each.locator}]{{{each.cite}}})"
                for each in step.lemmas
                if step.how == "lemma"
            ]
            if shown := telling(step):
                out += [r"\[", tex_display(shown), r"\]"]
            if not step.ok:
                out.append(rf"\textbf{{{_refusal(step)}}}")
    out += ["", closing_words(derivation), r"\end{proof}"]
    return "\n".join(out) + "\n"


def to_markdown(derivation: Derivation) -> str:
    """A heading, the statement and the steps, formulae between $$."""
    out = [f"## {derivation.title}", "", f"*{derivation.statement}*"]
    for section, steps in groupby(derivation.steps, key=lambda step: step.section):
        if section:
            out += ["", f"### {section}"]
        for step in steps:
            if not (step.sentence or step.claims):
                continue
            out += ["", step.sentence]
            out += [
                f"(lemma *{_title(each)}*, {each.cite}, {each.locator})" for each in step.lemmas if step.how == "lemma"
            ]
            if shown := telling(step):
                out += ["", "$$", tex_display(shown), "$$"]
            if not step.ok:
                out += ["", f"**{_refusal(step)}**"]
    return "\n".join([*out, "", closing_words(derivation), ""])


def to_html(derivation: Derivation) -> str:
    """A heading, the statement and the steps, formulae as MathML; a tick stands behind what SymPy verified."""
    head = "style='font-weight:600;margin:0.8em 0 0.2em'"  # some notebooks take all looks from headings
    out = [f"<div><h3 {head}>{prose(derivation.title)}</h3><p><em>{prose(derivation.statement)}</em></p>"]
    for section, steps in groupby(derivation.steps, key=lambda step: step.section):
        if section:
            out.append(f"<h4 {head}>{prose(section)}</h4>")
        for step in steps:
            if not (step.sentence or step.claims):
                continue
            by = [f"(lemma {_title(each)}, {each.cite}, {each.locator})" for each in step.lemmas if step.how == "lemma"]
            refusal = [] if step.ok else [_refusal(step)]
            words = " ".join([prose(step.sentence), *map(prose, [*by, *refusal]), _MARKS[step.how]]).strip()
            shown = telling(step)
            out.append(f"<p>{words}</p>" + (displayed(tex_display(shown)) if shown else ""))
    return "".join([*out, f"<p>{prose(closing_words(derivation))}</p></div>"])


_MARKS = {"sympy": "✓", "lemma": "", "refused": "✗", "definition": ""}


def to_text(derivation: Derivation, width: int) -> str:
    """Sentences wrapped to the width, formulae in two dimensions, and a mark for what was verified."""
    out = [derivation.title, "=" * len(derivation.title), *textwrap.wrap(plain(derivation.statement), width)]
    for section, steps in groupby(derivation.steps, key=lambda step: step.section):
        if section:
            heading = plain(section)
            out += ["", heading, "-" * len(heading)]
        for step in steps:
            if not (step.sentence or step.claims):
                continue
            mark = _MARKS[step.how]
            by = [f"(lemma {_title(each)}, {each.cite}, {each.locator})" for each in step.lemmas if step.how == "lemma"]
            out += textwrap.wrap(" ".join([plain(step.sentence), *by, *([mark] if mark else [])]), width)
            for block in _text_display(telling(step), width - 4):
                out += [f"    {line}".rstrip() for line in block.split("\n")]
            if not step.ok:
                out += textwrap.wrap(_refusal(step), width)
    return "\n".join([*out, "", *textwrap.wrap(closing_words(derivation), width), ""])
