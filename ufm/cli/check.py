"""`ufm check`: the referee's verdict, and the four witnesses side by side."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ufm.cli import completion
from ufm.cli import problem_flags as flags
from ufm.cli.terminal import JsonFlag, console, print_json, progress_bars, table
from ufm.errors import UfmError

if TYPE_CHECKING:
    from ufm.referee.report import Report
    from ufm.referee.witnesses import Witnesses


def check(
    statement: Annotated[
        str,
        typer.Argument(
            help="An id (file:name), a file of the catalogue, or your own .py file.",
            autocompletion=completion.statements,
        ),
    ] = "",
    claim: Annotated[
        list[str] | None,
        typer.Option("--claim", help='Your own claim about one problem: "cosine = -1/(K-1)"; may be repeated.'),
    ] = None,
    problem: flags.ProblemFile = None,
    classes: flags.Classes = None,
    encoding: flags.Encoding = "one_hot",
    parameters: flags.With = None,
    counts: flags.Counts = "1",
    lam_W: flags.LamW = "",
    lam_H: flags.LamH = None,
    lam_b: flags.LamB = float("inf"),
    t_rel: flags.TRel = None,
    loss: flags.Loss = "mse",
    width: flags.Width = None,
    constraint: flags.Constraint = None,
    samples: Annotated[int, typer.Option(help="Quasi-random points of the domain; its edges come on top.")] = 64,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    train: Annotated[bool, typer.Option(help="Train networks now, where the statement has a campaign.")] = True,
    counterexample: Annotated[bool, typer.Option("--counterexample", help="Print the counterexample alone.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Verify every proof anew, whatever is remembered.")] = False,
    out: Annotated[Path, typer.Option(help="Folder for the figure.")] = Path("results"),
    as_json: JsonFlag = False,
) -> None:
    """Judge a statement: proved, verified, refuted by a counterexample, or inconclusive.

    Where the statement has a campaign, its four witnesses (theorem, certified optimum, gradient flow, trained networks)
    are printed side by side and drawn. Exit code 1 where a statement is refuted or a witness disagrees.

    A claim of your own is judged at the one problem that a file or flags state: its left side is an observable (`ufm
    solve` prints them), then =, <= or >=, then a formula in K, n, m, N, lam_W, lam_H, lam_b, c, tau, rho, t_rel and
    lam_b_star with + - * / ^, sqrt, min, max, abs, log and exp.

    Example: ufm check class_encoding

    Example: ufm check --classes 4 --t-rel 0.3 --lam-b 0 --claim "cosine = -1/(K-1)"
    """
    if bool(claim) == bool(statement):
        raise UfmError("ufm check wants one of two: a statement of the catalogue, or --claim TEXT with a problem.")
    if claim:
        stated = flags.build_problem(
            problem, classes, encoding, parameters, counts, lam_W, lam_H, lam_b, t_rel, loss, width, constraint
        )
        _check_claims(stated, tuple(claim), seed, counterexample, as_json)
    if problem is not None or classes is not None:
        raise UfmError("a statement brings its own problems; a problem of yours is judged with --claim TEXT.")
    from contextlib import nullcontext

    from ufm.catalogue import find
    from ufm.derivation.memory import anew
    from ufm.referee.check import judge

    theorems = find(statement)
    with progress_bars() as progress, anew() if fresh else nullcontext():
        reports = [judge(theorem, samples=samples, seed=seed, progress=progress) for theorem in theorems]
        campaigns = [] if counterexample else sorted({t.campaign for t in theorems} - {""})
        met = [_summon(name, train, progress) for name in campaigns]
    agree = all(comparison.agrees for witnesses in met for comparison in witnesses.comparisons().values())
    fine = agree and all(map(_is_fine, reports))
    pictures = [path for witnesses in met for path in _draw(witnesses, out)]
    if as_json:
        _print_json(reports, met, pictures)
    elif counterexample:
        _print_counterexamples(reports)
    else:
        _print(reports, met, pictures)
    raise typer.Exit(0 if fine else 1)


def _check_claims(problem: Any, texts: tuple[str, ...], seed: int, counterexample: bool, as_json: bool) -> None:
    """Judge the user's own claims at one problem, print the verdict and leave."""
    from ufm.referee.conjecture import judge_here

    with progress_bars() as progress:
        report = judge_here(problem, texts, seed=seed, progress=progress)
    if as_json:
        _print_json([report], [], [])
    elif counterexample:
        _print_counterexamples([report])
    else:
        _print([report], [], [])
    raise typer.Exit(0 if _is_fine(report) else 1)


def _is_fine(report: "Report") -> bool:
    """Neither refuted nor contradicted by a witness; what is open for want of records is no failure."""
    return report.counterexample is None and all(e.outcome != "DISAGREES" for e in report.evidence)


def _print_counterexamples(reports: "list[Report]") -> None:
    for report in reports:
        found = report.counterexample
        typer.echo(f"{report.theorem.id}: {'none found' if found is None else found.sentence()}")


def _summon(name: str, train: bool, progress: Any) -> "Witnesses":
    from ufm.campaign import load_campaign
    from ufm.referee.witnesses import summon

    return summon(load_campaign(name), progress, train=train)


def _draw(witnesses: "Witnesses", out: Path) -> list[Path]:
    from ufm.figure import save, specs

    names = [spec.name for spec in specs().values() if spec.campaign == witnesses.campaign.name]
    return [path for name in names for path in save(name, out, witnesses)]


def _print_json(reports: "list[Report]", met: "list[Witnesses]", pictures: list[Path]) -> None:
    campaigns = [
        {
            "campaign": witnesses.campaign.name,
            "notices": list(witnesses.notices),
            "witnesses": {name: found.to_dict() for name, found in witnesses.comparisons().items()},
        }
        for witnesses in met
    ]
    print_json(
        {"reports": [r.to_dict() for r in reports], "campaigns": campaigns, "figures": [str(p) for p in pictures]}
    )


def _print(reports: "list[Report]", met: "list[Witnesses]", pictures: list[Path]) -> None:
    screen = console()
    for witnesses in met:
        _print_witnesses(screen, witnesses)
    for report in reports:
        _print_report(screen, report)
    for path in pictures:
        screen.print(f"wrote {path}", markup=False)


def _print_report(screen: Any, report: "Report") -> None:
    screen.print(f"\n[bold]{report.theorem.id}[/bold]  {report.theorem.title}")
    steps = report.proof.derivation.steps if report.proof.derivation is not None else ()
    proof = (
        f"{len(steps)} steps verified, from the loss to the statement" if report.proof.stands else report.proof.reason
    )
    screen.print(f"  proof       {proof}", markup=False)
    for e in report.evidence:
        worst = f"at worst {e.worst.ratio:.2g} tolerances" if e.checked else "nothing checked"
        screen.print(f"  {e.witness:<11} {e.outcome} on {e.asked} ({_short(e.note)}), {worst}:", markup=False)
        screen.print(f"              {e.claim} for {e.problem!r}", markup=False)
    if report.counterexample is not None:
        screen.print(f"  because     {report.counterexample.sentence()}", markup=False)
    colour = {"PROVED": "green", "VERIFIED": "cyan", "REFUTED": "red", "INCONCLUSIVE": "yellow"}[report.verdict.name]
    given = f", given the named lemmas {', '.join(report.lemmas)}" if report.proof.stands and report.lemmas else ""
    if report.needs:
        given = f": needs {report.needs}"
    screen.print(f"  verdict     [bold {colour}]{report.verdict}[/bold {colour}]{given}")


def _short(note: str) -> str:
    """The first kinds of a long list; --json has all."""
    kinds = note.split(", ")
    return note if len(kinds) <= _KINDS else f"{', '.join(kinds[:_KINDS])} and {len(kinds) - _KINDS} more kinds"


def _print_witnesses(screen: Any, witnesses: "Witnesses") -> None:
    screen.print(f"[bold]{witnesses.campaign.title}[/bold]\n{witnesses.campaign.problem!r}", markup=True)
    for observable, title, divide in _SHOWN:
        rows = [_row(witnesses, float(value), observable, divide) for value in witnesses.campaign.values]
        header = ["lam_b", "theorem", "optimum", "flow", *(f"networks, {images}" for images in witnesses.measured)]
        header += [f"now, {images}" for images in witnesses.live]
        screen.print(table(title, header, rows))
    gap = float(witnesses.optimum["gap"].max())
    screen.print(f"largest duality gap of the optima: {gap:.1e}")
    for name, found in witnesses.comparisons().items():
        worst = found.worst
        at = ", ".join(f"{k}={v:g}" for k, v in worst.at.items())
        verdict = "agrees" if found.agrees else "DISAGREES"
        screen.print(
            f"{name:<24} {verdict}; worst: {worst.observable} at {at}, off by {worst.difference:+.1e}", markup=False
        )
    _print_critical(screen, witnesses)
    for notice in witnesses.notices:
        screen.print(notice, markup=False)


_KINDS = 6
_SHOWN = (
    ("cosine", "cosine between uncentred class means", False),
    ("singular_values_centred", "centred singular values of W H, over sqrt(n)", True),
    ("singular_value_mean", "singular value of the mean direction, over sqrt(n)", True),
)


def _row(witnesses: "Witnesses", value: float, observable: str, divide: bool) -> list[str]:
    import numpy as np

    field = witnesses.campaign.field
    cells = [f"{value:g}"]
    networks = [*witnesses.measured.values(), *witnesses.live.values()]
    for record in (witnesses.theorem, witnesses.optimum, witnesses.flow, *networks):
        if value not in record.values[field].values:
            cells.append("")
            continue
        unit = np.sqrt(record.problem.classes.counts[0]) if divide and record.problem is not None else 1.0
        found = record[observable].sel({field: value}) / unit
        over_seeds = found.mean([d for d in found.dims if d != "seed"])
        mark = " *" if record is witnesses.flow and value not in witnesses.settled else ""
        mean = f"{float(over_seeds.mean()):.5f}"
        spread = f" ± {float(over_seeds.std()):.1e}" if over_seeds.size > 1 else ""
        cells.append(mean + spread if "seed" in found.dims else f"{float(found.mean().round(8)) + 0.0:.8f}{mark}")
    return cells


def _print_critical(screen: Any, witnesses: "Witnesses") -> None:
    """At a critical value the flow relaxes as a power of time: it is held against the law instead of the limit."""
    for value in witnesses.critical:
        end = witnesses.flow.select(**{witnesses.campaign.field: value})
        text = f"* {witnesses.campaign.field} = {value:g} is critical: 1/s_0 grows linearly for ever, by the law above"
        screen.print(f"{text}; shown is t = {float(end['t']):.3g}.", markup=False)
