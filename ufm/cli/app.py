"""The application: every verb, the exit codes, and how errors reach the user."""

import sys

import typer

from ufm.cli import catalogue, check, compare, doctor, figure, measure, predict, report, simulate, solve, sweep, train
from ufm.errors import UfmError

app = typer.Typer(
    name="ufm",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=(
        "The referee and the laboratory for unconstrained-features models of neural collapse.\n\n"
        "Exit codes: 0 fine, 1 a statement is refuted or witnesses disagree, 2 something was asked wrongly."
    ),
    epilog="Example: ufm check class_encoding",
)

app.command("list")(catalogue.list_theorems)
app.command("show")(catalogue.show)
app.command("derive")(catalogue.derive)
app.command("check")(check.check)
app.command("solve")(solve.solve)
app.command("simulate")(simulate.simulate)
app.command("sweep")(sweep.sweep)
app.command("train")(train.train)
app.command("measure")(measure.measure)
app.command("predict")(predict.predict)
app.command("compare")(compare.compare)
app.command("figure")(figure.figure)
app.command("report")(report.report)
app.command("cite")(catalogue.cite)
app.command("doctor")(doctor.doctor)


def main() -> None:
    """Run the command line; one line on standard error and exit code 2 for anything asked wrongly."""
    try:
        app()
    except UfmError as error:
        print(f"ufm: {error}", file=sys.stderr)  # noqa: T201
        raise SystemExit(2) from None
