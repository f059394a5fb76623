"""What the referee says: a verdict, and the evidence it rests on."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from html import escape
from typing import TYPE_CHECKING, Any

from ufm.catalogue import Theorem
from ufm.catalogue.arrays import Arrays
from ufm.catalogue.claims import Violation
from ufm.catalogue.motion import Motion
from ufm.catalogue.runs import Networks
from ufm.display import Markup, listing, pill, prose
from ufm.errors import UfmError
from ufm.problem import ClassTargets, Problem, SampleTargets

if TYPE_CHECKING:
    from ufm.derivation.derivation import Derivation

_NEARER = 0.1
_SHOWN = 24  # targets of at most so many entries are written out

Progress = Callable[[str, int, int], None]  # (what, done, total)


def quiet(what: str, done: int, total: int) -> None:
    """Progress that nobody sees."""


class Verdict(Enum):
    """The four verdicts; the value is what each means."""

    PROVED = "A proof that starts at the loss ends at this statement, and no evidence speaks against it."
    VERIFIED = "Everything that was asked agrees; there is no proof."
    REFUTED = "A counterexample breaks it, far beyond tolerance, confirmed by an independent computation."
    INCONCLUSIVE = "The evidence does not decide it."

    def __str__(self) -> str:
        return self.name.lower()


_GROUND = {
    Verdict.PROVED: "#cdebdc",
    Verdict.VERIFIED: "#cfe6f5",
    Verdict.REFUTED: "#f9d3c0",
    Verdict.INCONCLUSIVE: "#f6e3b5",
}


@dataclass(frozen=True, eq=False)
class Evidence:
    """One line of inquiry: who was asked, how often, and the worst answer in tolerances (at most 1 is agreement).

    ratios: the worst answer to each question, in tolerances, where every one was kept; groups: of recorded networks,
    the numbers of every group that was judged apart.
    """

    witness: str
    checked: int
    worst: Violation
    claim: str
    problem: Problem | Arrays | Networks | None
    note: str = ""
    ratios: tuple[float, ...] = ()
    groups: tuple[dict[str, Any], ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether even the worst answer is within its tolerance; nothing checked is no agreement."""
        return self.checked > 0 and self.worst.ratio <= 1

    @property
    def outcome(self) -> str:
        """What the answers say, in a word; recorded networks may be too few to say anything."""
        if self.agrees:
            return "agrees"
        return "undecided" if self.groups and not any(group["falls"] for group in self.groups) else "DISAGREES"

    @property
    def asked(self) -> str:
        """How often, in words: "64 problems"; a competitor descends several times on one."""
        what = {"competitor": "descent", "records": "network"}.get(self.witness, "problem")
        return f"{self.checked} {what}{'' if self.checked == 1 else 's'}"

    def sentence(self) -> str:
        """Who says what, on how many, and how near it is to the opposite."""
        worst = f"at worst {self.worst.ratio:.2g} tolerances" if self.checked else "nothing checked"
        return f"{self.witness}: {self.outcome} on {self.asked}, {worst}"

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form."""
        return {
            "witness": self.witness,
            "checked": self.checked,
            "asked": self.asked,
            "worst_in_tolerances": self.worst.ratio,
            "found": self.worst.found,
            "claimed": self.worst.claimed,
            "claim": self.claim,
            "problem": None if self.problem is None else self.problem.to_dict(),
            "agrees": self.agrees,
            "outcome": self.outcome.lower(),
            "note": self.note,
            "ratios": [float(f"{ratio:.2g}") for ratio in self.ratios],
            **({"groups": list(self.groups)} if self.groups else {}),
        }


@dataclass(frozen=True, eq=False)
class Counterexample:
    """A problem that breaks a claim: what was claimed, what the optimum has, and what somebody else's solver has.

    found_by: the point that has what was found, where it is not the certified global optimum; motion: the start and the
    times of the flow that breaks the claim, where it speaks of flows; seconded: whether somebody else finds it broken
    too, where that is not for one number to say; in_turn: whether `claimed` and `found` are two values of a course, one
    after the other; arithmetic: whether what was found is a formula at data that are written out, such as a metric of
    an array, with nothing to solve for.
    """

    problem: Problem | Arrays | Networks
    observable: str
    claim: str
    claimed: float
    found: float
    independent: float | None
    independent_by: str
    in_tolerances: float
    found_by: str = ""
    motion: Motion | None = None
    seconded: bool = False
    in_turn: bool = False
    arithmetic: bool = False

    @property
    def confirmed(self) -> bool:
        """Whether an independent computation sides with what was found, ten times nearer to it than to the claim."""
        if self.seconded:
            return True
        if self.independent is None:
            return False
        if math.isnan(self.found) or math.isnan(self.independent):  # what does not exist must not exist for either
            return math.isnan(self.found) and math.isnan(self.independent)
        return abs(self.independent - self.found) <= _NEARER * abs(self.found - self.claimed)

    @property
    def refutes(self) -> bool:
        """Whether the statement falls with it: it is confirmed, or plain arithmetic without a second computation."""
        return self.confirmed or (self.arithmetic and self.independent is None)

    def given(self) -> str:
        """What the problem's own words leave out: small targets, sizes, the start; empty where that is nothing."""
        targets, parts = getattr(self.problem, "targets", None), []
        if isinstance(targets, SampleTargets) and targets.Y.size <= _SHOWN:
            parts.append(f"Y = {targets.to_dict()['samples']}")
        if isinstance(targets, ClassTargets) and not targets.balanced and targets.K <= _SHOWN:
            parts.append(f"sizes {', '.join(map(str, targets.counts))}")
        if self.motion is not None:
            parts.append(f"from the start {_start(self.motion)}")
        return ", ".join(parts)

    def sentence(self) -> str:
        """The counterexample in one sentence."""
        given = f", {self.given()}," if self.given() else ""
        check = " (plain arithmetic, which no second computation confirms)" if self.arithmetic else ""
        if self.independent is not None:
            check = f" ({self.independent_by} finds {self.independent:.6g})"
        found_by = self.found_by or "the certified global optimum"
        if self.in_turn:
            course = "stays at" if self.found == self.claimed else f"goes from {self.claimed:.6g} to"
            fails = f"{found_by} {course} {self.found:.6g}{check}"
            return f"For {self.problem!r}{given} the claim {self.claim} fails: {fails}."
        return (
            f"For {self.problem!r}{given} the claim {self.claim} gives {self.claimed:.6g}, but "
            f"{found_by} has {self.found:.6g}{check}."
        )

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form."""
        return {
            "problem": self.problem.to_dict(),
            "observable": self.observable,
            "claim": self.claim,
            "claimed": self.claimed,
            "found": self.found,
            "independent": self.independent,
            "independent_by": self.independent_by,
            "in_tolerances": self.in_tolerances,
            "unit": "half-widths of its 99.9% interval" if isinstance(self.problem, Networks) else "tolerances",
            "confirmed": self.confirmed,
            "given": self.given(),
            "in_turn": self.in_turn,
            "found_by": self.found_by,
            "motion": None if self.motion is None else self.motion.to_dict(),
        }


def _start(motion: Motion) -> str:
    """The start written out, where it is small enough to read."""
    parts = {**{f"W_{len(motion.W) - l}": W for l, W in enumerate(motion.W)}, "H": motion.H, "b": motion.b}
    if len(motion.W) == 1:
        parts = {"W": motion.W[0], "H": motion.H, "b": motion.b}
    shown = {name: part for name, part in parts.items() if part is not None}
    if sum(part.size for part in shown.values()) > _SHOWN:
        return "of " + ", ".join(f"{name} ({' x '.join(map(str, part.shape))})" for name, part in shown.items())
    return ", ".join(f"{name} = {part.round(6).tolist()}" for name, part in shown.items())


@dataclass(frozen=True, eq=False)
class Proof:
    """The outcome of comparing a statement with its derivation."""

    derivation: "Derivation | None"
    reason: str  # why it does not count, empty where it does

    @property
    def stands(self) -> bool:
        """Whether every step is verified and the derivation arrives at the statement."""
        return self.derivation is not None and not self.reason

    @property
    def lemmas(self) -> tuple[str, ...]:
        """Titles of the named lemmas that the proof takes as given."""
        return () if self.derivation is None else tuple(lemma.name for lemma in self.derivation.lemmas)


@dataclass(frozen=True, eq=False)
class Report:
    """The verdict on one statement, with everything it rests on; needs: what is missing, where that is why."""

    theorem: Theorem
    verdict: Verdict
    proof: Proof
    evidence: tuple[Evidence, ...]
    counterexample: Counterexample | None = None
    needs: str = ""

    @property
    def lemmas(self) -> tuple[str, ...]:
        """Named lemmas that the proof takes as given."""
        return self.proof.lemmas

    @property
    def meaning(self) -> str:
        """What the verdict says of this statement, in a sentence."""
        if self.needs:
            return f"It needs {self.needs}."
        found = self.counterexample
        if self.verdict is Verdict.REFUTED and found is not None and not found.confirmed:
            return (
                "A counterexample breaks it, far beyond tolerance; it is plain arithmetic on what is shown, which no "
                "second computation confirms."
            )
        return self.verdict.value

    def headline(self) -> str:
        """The verdict in one line."""
        given = f", given {', '.join(self.lemmas)}" if self.verdict is Verdict.PROVED and self.lemmas else ""
        if self.needs:
            given = f": needs {self.needs}"
        return f"{self.theorem.id}: {self.verdict}{given}"

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form."""
        return {
            "id": self.theorem.id,
            "title": self.theorem.title,
            "verdict": str(self.verdict),
            "meaning": self.meaning,
            "needs": self.needs,
            "lemmas": list(self.lemmas),
            "proof": {"stands": self.proof.stands, "reason": self.proof.reason},
            "evidence": [e.to_dict() for e in self.evidence],
            "counterexample": None if self.counterexample is None else self.counterexample.to_dict(),
        }

    def __str__(self) -> str:
        lines = [self.headline(), f"  {self.theorem.title}"]
        lines.append(f"  proof: {'stands' if self.proof.stands else self.proof.reason}")
        for e in self.evidence:
            lines.append(f"  {e.sentence()}")
        if self.counterexample is not None:
            lines.append(f"  counterexample: {self.counterexample.sentence()}")
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return Reports((self,))._repr_html_()


@dataclass(frozen=True, eq=False)
class Reports:
    """The reports on several statements; the verdict is that of the weakest."""

    reports: tuple[Report, ...]

    @property
    def verdict(self) -> Verdict:
        """Refuted if one is; else the least that can be said of all."""
        order = (Verdict.REFUTED, Verdict.INCONCLUSIVE, Verdict.VERIFIED, Verdict.PROVED)
        return min((report.verdict for report in self.reports), key=order.index)

    def __iter__(self) -> Iterator[Report]:
        return iter(self.reports)

    def __len__(self) -> int:
        return len(self.reports)

    def __getitem__(self, name: str) -> Report:
        for report in self.reports:
            if name in (report.theorem.id, report.theorem.name):
                return report
        raise UfmError(f"no report on {name!r}; there are {', '.join(r.theorem.name for r in self.reports)}.")

    def __str__(self) -> str:
        return "\n".join(str(report) for report in self.reports)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """A row a statement: verdict, what was asked, and the counterexample's sentence."""
        rows = []
        for report in self.reports:
            asked = "<br/>".join(escape(e.sentence()) for e in report.evidence)
            asked = Markup(f"<span style='white-space:nowrap'>{asked}</span>")
            proof = "stands" if report.proof.stands else prose(report.proof.reason)
            given = f"given {', '.join(report.lemmas)}" if report.proof.stands and report.lemmas else ""
            given = f"needs {report.needs}" if report.needs else given
            verdict = Markup(f"{pill(str(report.verdict), _GROUND[report.verdict])} {prose(given)}".strip())
            found = report.counterexample.sentence() if report.counterexample is not None else ""
            rows.append([verdict, prose(f"{report.theorem.id}: {report.theorem.title}"), proof, asked, prose(found)])
        head = ["verdict", "statement", "proof", "evidence", "counterexample"]
        if not any(row[-1] for row in rows):
            head, rows = head[:-1], [row[:-1] for row in rows]
        return listing(head, rows, wrapped=True)
