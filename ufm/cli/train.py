"""`ufm train`: train a campaign's networks and save the record."""

import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer

from ufm.cli.terminal import JsonFlag, console, print_json, progress_bars

Name = Annotated[str, typer.Argument(help="A campaign that comes along, or the path of a TOML file.")]
Out = Annotated[Path, typer.Option(help="Folder to write the record into.")]


def train(
    campaign: Name,
    only: Annotated[str, typer.Option(help="One image set, or one run, of the campaign; all if left out.")] = "",
    out: Out = Path("results"),
    json: JsonFlag = False,
) -> None:
    """Train the networks of a campaign, on all cores, and save each run as one record.

    Example: ufm train class_encoding --out results
    """
    from ufm.campaign import load_campaign
    from ufm.referee.witnesses import run_networks

    out.mkdir(parents=True, exist_ok=True)
    if _has_runs(campaign):
        written = _trials(campaign, only, out, quiet=json)
    else:
        plan, written = load_campaign(campaign), []
        for chosen in [plan.networks(only)] if only else plan.measured:
            with progress_bars() as progress:
                record = run_networks(plan, chosen.images, progress)
            written.append(_saved(record, out / chosen.record, quiet=json))
    if json:
        print_json({"records": written})


def _has_runs(campaign: str) -> bool:
    """Whether the file lists runs of its own; the others belong to a theorem."""
    from ufm.share import locate

    path = Path(campaign) if campaign.endswith(".toml") else locate("numerics", "campaigns") / f"{campaign}.toml"
    try:
        return "run" in tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError):
        return False  # the loader says what is wrong


def _saved(record: Any, path: Path, *, quiet: bool) -> str:
    """Where a record was written; said as soon as it is, unless in the end as JSON."""
    record.save(path)
    if not quiet:
        console().print(f"wrote {path}", markup=False)
    return str(path)


def _trials(campaign: str, only: str, out: Path, *, quiet: bool) -> list[str]:
    from ufm.errors import UfmError
    from ufm.networks import run_grid
    from ufm.networks.trials import load_trials

    trials = load_trials(campaign)
    chosen = [trial for trial in trials if only in ("", trial.name)]
    if not chosen:
        raise UfmError(f"--only {only}: {campaign} has the runs {', '.join(trial.name for trial in trials)}.")
    written = []
    for trial in chosen:
        what = f"{trial.name}: {len(trial.values) * len(trial.seeds)} networks (steps)"
        with progress_bars() as progress:
            record = run_grid(
                trial.images,
                trial.problems(),
                trial.seeds,
                trial.recipes(),
                along=trial.along,
                progress=lambda done, total, what=what, progress=progress: progress(what, done, total),
            )
        written.append(_saved(record, out / trial.record, quiet=quiet))
    return written
