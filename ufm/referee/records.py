"""Statements about trained networks, judged out of sample on what is recorded in numerics/records.

Each network is judged with constants that were fitted to networks of other seeds. A claim stands where the 95% interval
(Student) of the mean effect lies inside its bounds, and falls where the 99.9% interval lies outside; in between, or
with fewer than three networks, nothing is decided. Networks of different settings may be judged apart: then the claim
must stand in every group in which the effect occurs, and falls with one.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from ufm.catalogue import Theorem
from ufm.catalogue.claims import Violation
from ufm.catalogue.runs import Networks, Observed, Run
from ufm.errors import UfmError
from ufm.record import load
from ufm.referee.report import Counterexample, Evidence, Progress
from ufm.share import locate

_LIKELY, _CERTAIN = 0.95, 0.999  # confidence at which a claim stands, and at which it falls
_FEWEST = 3  # networks
_MOST = 1000  # networks that anybody is advised to train


@dataclass(frozen=True, eq=False)
class Judgement:
    """A claim at the networks of one group, and the effects (n) of those that have one."""

    claim: Observed
    group: str
    runs: tuple[Run, ...]
    effects: np.ndarray
    again: float  # the mean where all is fitted to the first seed alone and judged on the others

    @property
    def asked(self) -> int:
        """How many networks the claim was put to."""
        return len(self.runs)

    @property
    def bound(self) -> float:
        """The claimed bound that the mean is nearest to."""
        return self.claim.least if self.mean - self.claim.least < self.claim.most - self.mean else self.claim.most

    @property
    def mean(self) -> float:
        """The mean effect."""
        return float(np.mean(self.effects)) if self.effects.size else math.nan

    def half_width(self, confidence: float = _LIKELY) -> float:
        """Of Student's interval around the mean; inf for fewer than three networks."""
        n = self.effects.size
        if n < _FEWEST:
            return math.inf
        return float(stats.t.ppf((1 + confidence) / 2, n - 1) * np.std(self.effects, ddof=1) / math.sqrt(n))

    @property
    def is_sample(self) -> bool:
        """Whether enough networks have the effect: where most have none, the rest tells nothing of them."""
        return self.effects.size >= max(_FEWEST, self.asked / 2)

    @property
    def margin(self) -> float:
        """How far inside its bounds the mean lies; negative outside."""
        return min(self.mean - self.claim.least, self.claim.most - self.mean)

    @property
    def ratio(self) -> float:
        """Half the interval over the margin: at most 1 where all of it lies inside, inf where the mean does not."""
        if not self.is_sample:
            return math.inf
        half = self.half_width()
        if self.claim.least == self.claim.most:  # a number: inside the interval or not
            away = abs(self.mean - self.claim.most)
            return away / half if half > 0 else 0.0 if away == 0 else math.inf
        if self.margin > 0:
            return half / self.margin
        return 0.0 if self.margin == half == 0 else math.inf

    @property
    def falls(self) -> bool:
        """Whether the mean is outside its bounds beyond doubt."""
        away = abs(self.mean - self.claim.most) if self.claim.least == self.claim.most else -self.margin
        return self.is_sample and away > self.half_width(_CERTAIN)

    @property
    def enough(self) -> int | None:
        """The fewest networks that would decide if their mean and spread stayed as they are; None without either."""
        if self.effects.size < 2 or not self.is_sample:
            return None
        confidence, spread = (_LIKELY if self.margin > 0 else _CERTAIN), float(np.std(self.effects, ddof=1))
        for n in range(_FEWEST, _MOST):
            if stats.t.ppf((1 + confidence) / 2, n - 1) * spread / math.sqrt(n) <= abs(self.margin):
                return n
        return None

    @property
    def open(self) -> bool:
        """Whether these networks decide nothing: they are too few, or the interval reaches over the bound."""
        return self.ratio > 1 and not self.falls

    def words(self) -> str:
        """The numbers in one line."""
        of = f"{self.effects.size} of {self.asked}" if self.effects.size < self.asked else f"{self.asked}"
        half = self.half_width()
        interval = (
            f"95% interval [{self.mean - half:.4g}, {self.mean + half:.4g}]" if math.isfinite(half) else "too few"
        )
        where = f"{self.group}: " if self.group else ""
        if not self.effects.size:
            return f"{where}none of {self.asked} networks has the effect"
        return f"{where}{of} networks, mean {self.mean:.4g}, {interval}"

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form."""
        half = self.half_width()
        return {
            "group": self.group,
            "networks": self.asked,
            "with_effect": int(self.effects.size),
            "mean": self.mean,
            "interval": [self.mean - half, self.mean + half],
            "confidence": _LIKELY,
            "falls": self.falls,
            "enough": self.enough,
            "open": self.open,
            "words": self.words(),
        }


def missing(theorem: Theorem) -> str:
    """What has to be trained before anything can be said; empty where enough is recorded."""
    runs = recorded(theorem.trained)
    lacking = [claim for claim in theorem.observed if not any(map(_speaks(claim), runs))]
    if not lacking:
        return ""
    fields = ", ".join(dict.fromkeys(name for claim in lacking for name in claim.fields))
    return f"`ufm train {theorem.trained}`: records with {fields}" + (f" of {theorem.needs}" if theorem.needs else "")


def still_open(theorem: Theorem, evidence: Sequence[Evidence]) -> str:
    """Of which networks there are too few, or none for long enough, with the numbers so far; empty where of none."""
    parts = []
    for each in evidence:
        speaking = [group for group in each.groups if group["with_effect"]] or each.groups
        undecided = [group["words"] + _advice(group) for group in speaking if group["open"]]
        if undecided:
            parts.append(f"{each.claim} is open for {'; '.join(undecided)}")
    asked = [group["group"] for each in evidence for group in each.groups if group["open"] and group["with_effect"]]
    files = dict.fromkeys(_campaign_of(theorem.trained, group) for group in asked) or {theorem.trained: None}
    commands = " and ".join(f"`ufm train {file} --out numerics/records`" for file in files)
    how = f"more networks of {commands} (more seeds in its file, or more epochs)"
    return f"{how}: {'. '.join(parts)}" if parts else ""


def _campaign_of(trained: str, group: str) -> str:
    """The campaign file that a group's networks come from: records of `a_b` begin as those of `a` do."""
    try:
        names = [path.stem for path in locate("numerics", "campaigns").glob(f"{trained}*.toml")]
    except UfmError:
        return trained
    fitting = [name for name in names if f"{trained}_{group}".startswith(f"{name}_")]
    return max(fitting, key=len, default=trained)


def _advice(group: Mapping[str, Any]) -> str:
    """How many networks might do, where there are enough for a guess."""
    return f" ({group['enough']} like these would decide)" if group["enough"] else ""


def gather_records(
    theorem: Theorem, progress: Progress, runs: Sequence[Run] | None = None
) -> tuple[list[Evidence], Counterexample | None]:
    """One line of evidence a claim, and the first claim that falls."""
    runs = recorded(theorem.trained) if runs is None else runs
    evidence, fallen = [], None
    for i, claim in enumerate(theorem.observed):
        progress(f"{theorem.id}: records", i, len(theorem.observed))
        judged = judge_runs(claim, runs)
        if judged:
            evidence.append(_evidence(claim, judged))
            worst = max(judged, key=lambda each: (each.falls, each.ratio))
            if fallen is None and worst.falls:
                fallen = _counterexample(worst)
    progress(f"{theorem.id}: records", len(theorem.observed), len(theorem.observed))
    return evidence, fallen


def judge_runs(claim: Observed, runs: Sequence[Run]) -> list[Judgement]:
    """The claim in each of its groups, every network judged with what was fitted to the other seeds."""
    chosen = [run for run in runs if _speaks(claim)(run)]
    teachers = [run for run in runs if run.holds(claim.fields) and (claim.fitted_on or claim.chosen)(run)]
    found = []
    for group in dict.fromkeys(map(claim.apart, chosen)):
        members = [run for run in chosen if claim.apart(run) == group]
        known = teachers if claim.fitted_on else [run for run in teachers if claim.apart(run) == group]
        first = min(run.seed for run in members)
        effects = np.array([_effect(claim, run, [each for each in known if each.seed != run.seed]) for run in members])
        lesson = [each for each in known if each.seed == first]
        again = np.array([_effect(claim, run, lesson) for run in members if run.seed != first])
        kept, once = effects[np.isfinite(effects)], again[np.isfinite(again)]
        mean = float(np.mean(once)) if once.size else math.nan
        found.append(Judgement(claim, str(group), tuple(members), kept, mean))
    return found


def _speaks(claim: Observed) -> Callable[[Run], bool]:
    return lambda run: run.holds(claim.fields) and claim.chosen(run)


def _effect(claim: Observed, run: Run, others: Sequence[Run]) -> float:
    """The effect of a network, nan where the other seeds teach nothing."""
    return float(claim.effect(run, claim.fit(others))) if others else math.nan


@lru_cache(maxsize=8)
def recorded(campaign: str) -> tuple[Run, ...]:
    """Every network of a campaign whose record is there, seed by seed; a record of another kind has none."""
    try:
        folder = locate("numerics", "records")
    except UfmError:
        return ()
    return tuple(run for path in sorted(folder.glob(f"{campaign}_*.nc")) for run in runs_of(path, campaign))


def runs_of(path: Path, campaign: str) -> list[Run]:
    """The networks of one record."""
    record = load(path)
    if record.witness != "measured" or "seed" not in record.values.dims:
        return []
    setting, told = path.stem.removeprefix(f"{campaign}_"), record.provenance
    return [Run(setting, int(seed), record.values.sel(seed=seed), told) for seed in record.values["seed"].values]


def _evidence(claim: Observed, judged: Sequence[Judgement]) -> Evidence:
    speaking = [each for each in judged if each.effects.size] or list(judged)
    worst = max(speaking, key=lambda each: (each.falls, each.ratio))
    note = f"out of sample; {worst.words()}; {claim.refuted_by()} would refute it"
    if len(speaking) > 1:
        note += f"; the worst of {len(speaking)} groups"
    if len(judged) > len(speaking):
        silent = ", ".join(each.group for each in judged if each not in speaking)
        note += f"; no network of {silent} has the effect"
    return Evidence(
        "records",
        sum(each.asked for each in speaking),
        Violation(worst.ratio, worst.mean, worst.bound),
        claim.text(),
        Networks(worst.runs),
        note,
        tuple(each.ratio for each in speaking),
        tuple(each.to_dict() for each in judged),
    )


def _counterexample(found: Judgement) -> Counterexample:
    claim = found.claim
    half = found.half_width(_CERTAIN)
    return Counterexample(
        problem=Networks(found.runs),
        observable=claim.observable,
        claim=claim.text(),
        claimed=found.bound,
        found=found.mean,
        independent=found.again if math.isfinite(found.again) else None,
        independent_by="the same fitted to the first seed alone",
        in_tolerances=abs(found.mean - found.bound) / half if half > 0 else math.inf,
        found_by=f"the mean over {found.effects.size} networks judged out of sample",
    )
