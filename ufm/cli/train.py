"""`ufm train`: train a campaign's networks and save the record."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from ufm.cli import completion
from ufm.cli.terminal import JsonFlag, console, print_json, progress_bars

Name = Annotated[
    str,
    typer.Argument(
        help="A campaign that comes along, or the path of a TOML file.", autocompletion=completion.campaigns
    ),
]
Out = Annotated[Path, typer.Option(help="Folder to write the record into.")]


def train(
    campaign: Name,
    only: Annotated[str, typer.Option(help="One image set, or one run, of the campaign; all if left out.")] = "",
    missing: Annotated[
        bool, typer.Option("--missing", help="Only runs whose record is not in the folder yet: go on after a stop.")
    ] = False,
    processes: Annotated[int | None, typer.Option(min=1, help="Networks at a time; one a core if left out.")] = None,
    out: Out = Path("results"),
    json: JsonFlag = False,
) -> None:
    """Train the networks of a campaign, on all cores, and save each run as one record as soon as it is there.

    Example: ufm train class_encoding --out results
    """
    from ufm.errors import ProblemError
    from ufm.share import read_campaign

    path, spec = read_campaign(campaign)
    if not spec.keys() & {"study", "run", "theorem"}:
        fix = f"{path.name} lists no networks; give it tables [[run]], or run its flows with `ufm sweep`."
        raise ProblemError("run", None, fix)
    out.mkdir(parents=True, exist_ok=True)
    run = _Asked(campaign, only, out, processes, missing=missing, quiet=json)
    written = run.studies() if "study" in spec else run.trials() if "run" in spec else run.networks()
    if json:
        print_json({"records": written})


@dataclass(frozen=True)
class _Asked:
    """What the options say; each method trains the networks of one kind of campaign and says where records went."""

    campaign: str
    only: str
    out: Path
    processes: int | None
    missing: bool
    quiet: bool

    def studies(self) -> list[str]:
        """Runs side by side, each saved as soon as it is done."""
        from ufm.networks.studies import load_studies, run_studies

        chosen = self._chosen(load_studies(self.campaign))
        written: list[str] = []
        with progress_bars() as progress:
            for study, record in run_studies(chosen, self.processes):
                written.append(self._saved(record, study.record))
                progress("runs", len(written), len(chosen))
        return written

    def trials(self) -> list[str]:
        """Runs one after the other, the networks of each side by side."""
        from ufm.networks import run_grid
        from ufm.networks.trials import load_trials

        written = []
        for trial in self._chosen(load_trials(self.campaign)):
            what = f"{trial.name}: {len(trial.values) * len(trial.seeds)} networks (steps)"
            with progress_bars() as progress:
                record = run_grid(
                    trial.images,
                    trial.problems(),
                    trial.seeds,
                    trial.recipes(),
                    along=trial.along,
                    processes=self.processes,
                    progress=lambda done, total, what=what, progress=progress: progress(what, done, total),
                )
            written.append(self._saved(record, trial.record))
        return written

    def networks(self) -> list[str]:
        """The networks of a theorem's campaign, one image set after the other."""
        from ufm.campaign import load_campaign
        from ufm.referee.witnesses import run_networks

        plan, written = load_campaign(self.campaign), []
        measured = [plan.networks(self.only)] if self.only else plan.measured
        for chosen in [each for each in measured if not self._is_there(each.record)]:
            with progress_bars() as progress:
                record = run_networks(plan, chosen.images, progress, processes=self.processes)
            written.append(self._saved(record, chosen.record))
        return written

    def _chosen(self, runs: Sequence[Any]) -> list[Any]:
        """Those of the name that was asked for, or all; without what is there already where that was asked."""
        named = [run for run in runs if self.only in ("", run.name)]
        if not named:
            from ufm.errors import UfmError

            raise UfmError(f"--only {self.only}: {self.campaign} has the runs {', '.join(run.name for run in runs)}.")
        return [run for run in named if not self._is_there(run.record)]

    def _is_there(self, record: str) -> bool:
        return self.missing and (self.out / record).exists()

    def _saved(self, record: Any, name: str) -> str:
        """Where a record was written; said as soon as it is, unless in the end as JSON.

        It gets its name when it is whole: a stop in between leaves nothing that `--missing` would take for a record.
        """
        path = self.out / name
        record.save(path.with_name(f"part_{name}")).replace(path)
        if not self.quiet:
            console().print(f"wrote {path}", markup=False)
        return str(path)
