"""`ufm list`, `show`, `derive`, `cite`: the catalogue, its proofs and its sources."""

from typing import Annotated, Any

import typer

from ufm.cli import completion
from ufm.cli.terminal import JsonFlag, console, print_json, table

Name = Annotated[
    str,
    typer.Argument(
        help="An id (file:name), a file of the catalogue, or a .py file of your own.",
        autocompletion=completion.statements,
    ),
]


def list_theorems(as_json: JsonFlag = False) -> None:
    """Every statement of the catalogue.

    Example: ufm list
    """
    from ufm.catalogue import catalogue

    theorems = list(catalogue().values())
    if as_json:
        print_json([{"id": t.id, "title": t.title, "kind": t.kind, "citation": t.citation.key} for t in theorems])
        return
    rows = [[t.id, t.kind, t.title] for t in theorems]
    console().print(table(f"{len(rows)} statements", ["id", "kind", "title"], rows, numeric_from=9))


def show(name: Name, as_json: JsonFlag = False) -> None:
    """What a statement says, assumes and claims.

    Example: ufm show class_encoding:transition
    """
    from ufm.catalogue import find

    theorems = find(name)
    if as_json:
        print_json(
            [
                {
                    "id": t.id,
                    "statement": t.statement,
                    "assumes": list(t.conditions),
                    "claims": [c.text() for c in (*t.claims, *t.along)],
                    "citation": {"key": t.citation.key, "locator": t.citation.locator, "basis": t.citation.basis},
                }
                for t in theorems
            ]
        )
        return
    out = console()
    for t in theorems:
        out.print(f"[bold]{t.id}[/bold]  {t.title}\n{t.citation.key}, {t.citation.locator} ({t.citation.basis})")
        out.print(t.statement, markup=False)
        for condition in t.conditions:
            out.print(f"  assumes  {condition}", markup=False)
        for c in (*t.claims, *t.along):
            out.print(f"  claims   {c.text()}", markup=False)
        out.print()


def derive(
    name: Annotated[
        str,
        typer.Argument(
            help="An id (file:name) or a file of the catalogue; or state a problem.",
            autocompletion=completion.statements,
        ),
    ] = "",
    classes: Annotated[str, typer.Option("--classes", help="Number of classes: a letter or a number.")] = "",
    counts: Annotated[str, typer.Option("--counts", help="Samples per class: n, 5, n_k (unequal) or 20,10,n_3.")] = "n",
    encoding: Annotated[str, typer.Option("--encoding", help="one_hot, simplex or one_vs_rest.")] = "one_hot",
    regression: Annotated[bool, typer.Option("--regression", help="Any targets Y, m x N, instead of classes.")] = False,
    lam_W: Annotated[
        str,
        typer.Option("--lam-W", help="Weight of 1/2 ||W||^2, letter or number; one per layer, last first: w_2,w_1."),
    ] = "lam_W",
    lam_H: Annotated[str, typer.Option("--lam-H", help="Weight of 1/2 ||H||^2: a letter or a number.")] = "lam_H",
    lam_b: Annotated[str, typer.Option("--lam-b", help="Weight of 1/2 ||b||^2: inf, 0, a number or a letter.")] = "inf",
    loss: Annotated[str, typer.Option("--loss", help="mse or cross_entropy.")] = "mse",
    smoothing: Annotated[str, typer.Option("--smoothing", help="Label smoothing: a letter or a number.")] = "0",
    latex: Annotated[bool, typer.Option("--latex", help="Print LaTeX.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Verify every step anew, whatever is remembered.")] = False,
    json: JsonFlag = False,
) -> None:
    """The proof of a statement, or the closed form of a problem in letters, step by step from the loss.

    A problem's sizes and weights are letters (K, n, lam_b, or any name) or numbers. Exit code 1 where a step fails.

    Example: ufm derive --classes K --counts n --lam-b lam_b

    Example: ufm derive --classes K --counts n --lam-W w_2,w_1 --lam-H h

    Example: ufm derive --classes K --counts n --loss cross_entropy --smoothing eps

    Example: ufm derive class_encoding:transition --latex > proof.tex
    """
    from contextlib import nullcontext

    from ufm.derivation.memory import anew
    from ufm.errors import UfmError

    if bool(name) == bool(classes or regression):
        raise UfmError("ufm derive wants one of two: a statement of the catalogue, or a problem (--classes K, ...).")
    with anew() if fresh else nullcontext():
        if name:
            found = _proofs(name)
        else:
            targets = _targets(classes, counts, encoding, regression, smoothing)
            found = [_derived(targets, (lam_W, lam_H, lam_b), loss)]
    if json:
        print_json([_plain_proof(derivation) for derivation in found])
    for derivation in [] if json else found:
        text = derivation.latex() if latex else derivation.markdown() if markdown else derivation.text()
        typer.echo(text)
    if not all(derivation.ok for derivation in found):
        raise typer.Exit(1)


def _plain_proof(derivation: Any) -> dict[str, Any]:
    """Title, verdict and steps of a proof."""
    steps = [{"name": s.name, "sentence": s.sentence, "how": s.how, "why": s.justification} for s in derivation.steps]
    lemmas = [lemma.name for lemma in derivation.lemmas]
    formulae = {name: str(formula) for name, formula in derivation.formulae.items()}
    said = {"title": derivation.title, "statement": derivation.statement, "verdict": derivation.verdict}
    return {**said, "lemmas": lemmas, "formulae": formulae, "steps": steps, "latex": derivation.latex()}


def _proofs(name: str) -> list[Any]:
    """The proofs of the named statements; UfmError where none of them has one, with the reason."""
    from ufm.catalogue import find
    from ufm.derivation.load import has_proof, prove
    from ufm.errors import UfmError

    theorems = find(name)
    proved = [theorem for theorem in theorems if has_proof(theorem.id)]
    if not proved:
        why = "; ".join(f"{theorem.id}: {theorem.no_proof or 'no derivation of its name'}" for theorem in theorems)
        raise UfmError(f"nothing to derive. {why}")
    for theorem in theorems:
        if theorem not in proved:
            typer.echo(f"{theorem.id} has no proof: {theorem.no_proof}", err=True)
    return [prove(theorem.id) for theorem in proved]


def _targets(classes: str, counts: str, encoding: str, regression: bool, smoothing: str) -> Any:
    """The targets that the flags state, in letters or in numbers."""
    from ufm import encodings
    from ufm.errors import ProblemError
    from ufm.problem import classes as make_classes
    from ufm.problem import samples as make_samples
    from ufm.symbols import Y

    makers = encodings.available()
    if encoding.replace("-", "_") not in makers:
        raise ProblemError("--encoding", encoding, f"choose one of {', '.join(makers)}.")
    if regression:
        return make_samples(Y)
    sizes = [_letter("--counts", part) for part in counts.split(",")]
    codes = makers[encoding.replace("-", "_")](_letter("--classes", classes))
    eps = _letter("--smoothing", smoothing)
    if eps != 0:
        codes = encodings.smoothed(codes, eps)
    return make_classes(codes, sizes[0] if len(sizes) == 1 else sizes)


def _derived(targets: Any, weights: tuple[str, str, str], loss: str) -> Any:
    """The derivation of the problem that the flags state."""
    from ufm.derivation.engine import derive
    from ufm.problem import Problem

    layers = tuple(_letter("--lam-W", part) for part in weights[0].split(","))
    in_H, in_b = (_letter(flag, text) for flag, text in zip(("--lam-H", "--lam-b"), weights[1:], strict=True))
    return derive(Problem(targets, lam_W=layers, lam_H=in_H, lam_b=in_b, loss=loss))


def _letter(flag: str, text: str) -> Any:
    """A number, or the letter of that name: the notation page's where it has it, else a new positive one."""
    import sympy as sp

    from ufm import symbols
    from ufm.errors import ProblemError

    text = text.strip()
    try:
        number = float(text)
    except ValueError:
        pass
    else:
        return int(number) if number.is_integer() else number
    if not text.isidentifier() or not text.isascii() or "__" in text or len(text) > 20:
        raise ProblemError(flag, text, "give a number, or a letter such as K, n or lam_b.")
    known = getattr(symbols, text, None) if text in ("K", "n", "n_k", "lam_W", "lam_H", "lam_b") else None
    sizes = flag in ("--classes", "--counts")
    return known if known is not None else sp.Symbol(text, positive=True, **({"integer": True} if sizes else {}))


def cite(
    name: Annotated[
        str,
        typer.Argument(help="An id or a file of the catalogue; all if left out.", autocompletion=completion.statements),
    ] = "",
    json: JsonFlag = False,
) -> None:
    """The sources of statements and of the lemmas that their proofs take as given, as BibTeX.

    Example: ufm cite class_encoding

    Example: ufm cite zhou2022 > used.bib
    """
    from ufm.catalogue import bibliography, catalogue, find
    from ufm.derivation.load import has_proof, lemmas, prove

    theorems = find(name) if name else list(catalogue().values())
    proved = (prove(theorem.id) for theorem in theorems if has_proof(theorem.id))
    given = [lemma for proof in proved for lemma in proof.lemmas] if name else lemmas().values()
    keys = (*(theorem.citation.key for theorem in theorems), *(lemma.cite for lemma in given))
    entries = bibliography()
    cited = {key: entries[key] for key in dict.fromkeys(keys)}
    if json:
        print_json(cited)
        return
    for entry in cited.values():
        typer.echo(entry + "\n")
