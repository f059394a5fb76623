"""The application: every verb, the exit codes, and how errors reach the user."""

import sys
from typing import Annotated

import typer

from ufm.cli import catalogue, check, compare, doctor, figure, measure, predict, report, simulate, solve, sweep, train
from ufm.errors import UfmError

app = typer.Typer(
    name="ufm",
    invoke_without_command=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=(
        "The referee and the laboratory for unconstrained-features models of neural collapse.\n\n"
        "Exit codes: 0 fine, 1 a statement is refuted or witnesses disagree, 2 something was asked wrongly."
    ),
    epilog="Example: ufm check class_encoding",
)

# One line a verb, short enough for a terminal of eighty columns; the docstring stands under `ufm VERB --help`.
_VERBS = (
    ("list", catalogue.list_theorems, "Every statement of the catalogue."),
    ("show", catalogue.show, "What a statement says, assumes and claims."),
    ("derive", catalogue.derive, "A proof, or the closed form of a problem in letters."),
    ("check", check.check, "Judge a statement, or a claim of your own."),
    ("solve", solve.solve, "The global minimum of a problem, with a certificate."),
    ("simulate", simulate.simulate, "The gradient flow of a problem."),
    ("sweep", sweep.sweep, "Gradient flows over any product of axes, resumable."),
    ("train", train.train, "Train the networks of a campaign."),
    ("measure", measure.measure, "Neural-collapse metrics of your own arrays."),
    ("predict", predict.predict, "Your own network against the theory, with a picture."),
    ("compare", compare.compare, "Records side by side."),
    ("figure", figure.figure, "Draw figures from formulae and recorded data."),
    ("report", report.report, "All verdicts on one page."),
    ("cite", catalogue.cite, "The bibliography of what you used, as BibTeX."),
    ("doctor", doctor.doctor, "What is installed, and what that makes possible."),
)
for _name, _verb, _short in _VERBS:
    app.command(_name, short_help=_short)(_verb)


def _print_version(asked: bool) -> None:
    if asked:
        import ufm

        typer.echo(f"ufm {ufm.__version__}")
        raise typer.Exit


@app.callback()
def _start(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Without a verb: the help."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main() -> None:
    """Run the command line; one line on standard error and exit code 2 for anything asked wrongly."""
    try:
        app()
    except UfmError as error:
        print(f"ufm: {error}", file=sys.stderr)  # noqa: T201
        raise SystemExit(2) from None
