"""`ufm list`, `show`, `derive`, `cite`: the catalogue, its proofs and its sources."""

from typing import Annotated

import typer

from ufm.cli.terminal import JsonFlag, console, print_json, table

Name = Annotated[str, typer.Argument(help="An id (file:name), a file of the catalogue, or a .py file of your own.")]


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
    name: Name,
    latex: Annotated[bool, typer.Option("--latex", help="Print LaTeX.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
) -> None:
    """The proof of a statement, run step by step from the loss.

    Example: ufm derive class_encoding:transition --latex > proof.tex
    """
    from ufm.catalogue import find
    from ufm.derivation.load import prove

    for theorem in find(name):
        derivation = prove(theorem.id)
        text = derivation.latex() if latex else derivation.markdown() if markdown else derivation.text()
        typer.echo(text)


def cite(name: Annotated[str, typer.Argument(help="An id or a file of the catalogue; all if left out.")] = "") -> None:
    """The bibliography of the catalogue, as BibTeX.

    Example: ufm cite class_encoding
    """
    from ufm.catalogue import bibliography, catalogue, find

    theorems = find(name) if name else list(catalogue().values())
    entries = bibliography()
    for key in dict.fromkeys(t.citation.key for t in theorems):
        typer.echo(entries[key] + "\n")
