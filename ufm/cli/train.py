"""`ufm train`: train a campaign's networks and save the record."""

import tomllib
from pathlib import Path
from typing import Annotated

import typer

from ufm.cli.terminal import console, progress_bars

Name = Annotated[str, typer.Argument(help="A campaign that comes along, or the path of a TOML file.")]
Out = Annotated[Path, typer.Option(help="Folder to write the record into.")]


def train(
    campaign: Name,
    only: Annotated[str, typer.Option(help="One image set, or one run, of the campaign; all if left out.")] = "",
    out: Out = Path("results"),
) -> None:
    """Train the networks of a campaign, on all cores, and save each run as one record.

    Example: ufm train class_encoding --out results
    """
    from ufm.campaign import load_campaign
    from ufm.referee.witnesses import run_networks

    out.mkdir(parents=True, exist_ok=True)
    if _has_runs(campaign):
        _trials(campaign, only, out)
        return
    plan = load_campaign(campaign)
    for chosen in [plan.networks(only)] if only else plan.measured:
        with progress_bars() as progress:
            record = run_networks(plan, chosen.images, progress)
        console().print(f"wrote {record.save(out / chosen.record)}", markup=False)


def _has_runs(campaign: str) -> bool:
    """Whether the file lists runs of its own; the others belong to a theorem."""
    from ufm.share import locate

    path = Path(campaign) if campaign.endswith(".toml") else locate("numerics", "campaigns") / f"{campaign}.toml"
    try:
        return "run" in tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError):
        return False  # the loader says what is wrong


def _trials(campaign: str, only: str, out: Path) -> None:
    from ufm.errors import UfmError
    from ufm.networks import run_grid
    from ufm.networks.trials import load_trials

    trials = load_trials(campaign)
    chosen = [trial for trial in trials if only in ("", trial.name)]
    if not chosen:
        raise UfmError(f"--only {only}: {campaign} has the runs {', '.join(trial.name for trial in trials)}.")
    for trial in chosen:
        what = f"{trial.name}: {len(trial.values) * len(trial.seeds)} networks (steps)"
        with progress_bars() as progress:
            record = run_grid(
                trial.images,
                trial.problems(),
                trial.seeds,
                trial.recipe,
                along=trial.along,
                progress=lambda done, total, what=what, progress=progress: progress(what, done, total),
            )
        console().print(f"wrote {record.save(out / trial.record)}", markup=False)
