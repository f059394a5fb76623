"""`ufm train`: train a campaign's networks and save the record."""

from pathlib import Path
from typing import Annotated

import typer

from ufm.cli.terminal import console, progress_bars

Name = Annotated[str, typer.Argument(help="A campaign that comes along, or the path of a TOML file.")]
Out = Annotated[Path, typer.Option(help="Folder to write the record into.")]


def train(
    campaign: Name,
    images: Annotated[str, typer.Option(help="One image set of the campaign; all of them if left out.")] = "",
    out: Out = Path("results"),
) -> None:
    """Train the networks of a campaign, on all cores, and save them as one record.

    Example: ufm train class_encoding --out results
    """
    from ufm.campaign import load_campaign
    from ufm.referee.witnesses import run_networks

    plan = load_campaign(campaign)
    out.mkdir(parents=True, exist_ok=True)
    for chosen in [plan.networks(images)] if images else plan.measured:
        with progress_bars() as progress:
            record = run_networks(plan, chosen.images, progress)
        console().print(f"wrote {record.save(out / chosen.record)}", markup=False)
