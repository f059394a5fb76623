"""A statement of the literature (or of our own), ready to be judged."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import sympy as sp

from ufm.catalogue.claims import Claim, Equals, Units
from ufm.catalogue.domain import Domain, Point
from ufm.catalogue.motion import Along, Motion, PathClaim, StartAssumption
from ufm.catalogue.runs import Observed
from ufm.display import Markup, card, prose
from ufm.errors import UfmError
from ufm.mathml import mathml
from ufm.metrics.state import DIMS
from ufm.problem import Problem
from ufm.problem.scaling import scaling
from ufm.record import Record
from ufm.symbols import K, N, lam_b, lam_H, lam_W, time

if TYPE_CHECKING:
    from ufm.catalogue.typeset import Typeset

Kind = Literal["tight", "upper", "lower", "structural", "limiting", "statistical"]


@dataclass(frozen=True)
class Citation:
    """Where a statement stands: a key of references.bib, a locator, and what the entry was typed from."""

    key: str
    locator: str
    basis: Literal["text", "code", "abstract", "memory", "own"] = "text"


@dataclass(frozen=True)
class Assumption:
    """A condition in words, and the predicate that decides it for a problem (for arrays, in a statement about them)."""

    text: str
    holds: Callable[[Any], bool]


@dataclass(frozen=True, eq=False)
class Theorem:
    """One statement: what it assumes, what it claims, and where it is meant to hold.

    name: unique in its file, the id is `<file>:<name>`; statement: words with inline LaTeX; claims: relations between
    observables and formulae in `ufm.symbols`; domain and problem: coordinates to sample, and the Problem at a point;
    flow_domain: the part of it that gradient flows are asked about (small, and away from critical parameters);
    scaling: whose objective the claims speak of, a key of `ufm.problem.scaling`: their weights are that paper's;
    campaign: the numerics campaign that carries its flows and networks, if any; no_proof: why there is none, if so;
    instead: ids of the statements that hold in its place, where it is refuted;
    along, motion, starts: for statements about flows on their way, the claims, the flow to watch at a point of the
    domain, and conditions on its start; clock: the paper's time over ours; needs: what evidence is missing, if none
    can be had yet.
    A statement about metrics of arbitrary arrays has `measures`, what its observables are; `problem` then gives an
    `ufm.catalogue.arrays.Arrays`; `confirms` says who computes an observable another way, for counterexamples, and how.
    A statement about trained networks has `observed`, its claims, and `trained`, the campaign whose records decide.
    """

    name: str
    title: str
    statement: str
    citation: Citation
    kind: Kind
    claims: tuple[Claim, ...]
    domain: Domain
    problem: Callable[[Point], Any]
    flow_domain: Domain = field(default_factory=Domain)
    assumes: tuple[Assumption, ...] = ()
    scaling: str = "ufm"
    campaign: str = ""
    no_proof: str = ""
    along: tuple[PathClaim, ...] = ()
    motion: Callable[[Point], Motion] | None = None
    starts: tuple[StartAssumption, ...] = ()
    clock: Any = sp.S.One
    needs: str = ""
    file: str = ""
    measures: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    confirms: Mapping[str, tuple[str, Callable[[Any], Any]]] = field(default_factory=dict)
    instead: tuple[str, ...] = ()
    observed: tuple[Observed, ...] = ()
    trained: str = ""

    @property
    def id(self) -> str:
        """`<file>:<name>`."""
        return f"{self.file}:{self.name}" if self.file else self.name

    @cached_property
    def claims_in_ours(self) -> tuple[Claim, ...]:
        """The claims, in the same order, with the paper's weights written in ours: what is evaluated and proved."""
        return tuple(claim.rewritten(self._units) for claim in self.claims) if self._rewrites else self.claims

    @cached_property
    def along_in_ours(self) -> tuple[PathClaim, ...]:
        """The claims along flows, in the same order, in our weights and time."""
        return tuple(claim.rewritten(self._units) for claim in self.along) if self._rewrites else self.along

    @property
    def _rewrites(self) -> bool:
        return self.scaling != "ufm" or self.clock != 1

    @cached_property
    def _units(self) -> Units:
        paper = scaling(self.scaling)
        weights = paper.from_ours({"lam_W": lam_W, "lam_H": lam_H, "lam_b": lam_b}, K, N)  # pyright: ignore
        exact = {name: sp.nsimplify(weight, rational=True) for name, weight in weights.items()}
        letters = {lam_W: exact["lam_W"], lam_H: exact["lam_H"], lam_b: exact["lam_b"], time: self.clock * time}
        return Units(letters, sp.nsimplify(paper.factor(K, N), rational=True))  # pyright: ignore

    @property
    def symbolic(self) -> Mapping[str, sp.Expr]:
        """{observable: expression} of the claims that are equations."""
        return {claim.observable: claim.expression for claim in self.claims if type(claim) is Equals}

    def applies(self, problem: Problem) -> bool:
        """Whether every assumption holds for this problem."""
        return all(assumption.holds(problem) for assumption in self.assumes)

    @property
    def conditions(self) -> tuple[str, ...]:
        """Every assumption in words: on the problem, then on the start."""
        return tuple(assumption.text for assumption in (*self.assumes, *self.starts))

    def watches(self, motion: Motion) -> bool:
        """Whether every assumption holds for this flow."""
        return self.applies(motion.problem) and all(start.holds(motion) for start in self.starts)

    def _subject(self) -> str:
        """What a statement without equations for the optimum speaks of instead, and what to call."""
        if any(isinstance(claim, Along) and claim.is_course for claim in self.along):
            return "it speaks of a flow on its way; call follow(ufm.catalogue.Motion(problem, W, H, times))."
        return f"`ufm show {self.id}` prints what it claims, and ufm.check judges it."

    def __repr__(self) -> str:
        return f"Theorem({self.id}: {self.title})"

    def _repr_html_(self) -> str:
        from ufm.catalogue.typeset import typeset

        claims = typeset(self)
        conditions = "; ".join(self.conditions) or "nothing but its domain"
        rows: dict[str, Any] = {"statement": prose(self.statement), "assumes": prose(conditions)}
        rows |= {"claims" if i == 0 else " " * i: _shown(claim) for i, claim in enumerate(claims)}
        rows |= {"kind": self.kind, "source": f"{self.citation.key}, {self.citation.locator}"}
        return card(f"{self.id}: {self.title}", rows)

    def follow(self, motion: Motion) -> Record:
        """The claimed courses along `t`, as the witness "theorem"; UfmError names a start's condition that fails."""
        for assumption in self.starts:
            if not assumption.holds(motion):
                raise UfmError(f"{self.id} does not apply to this start: it assumes that {assumption.text}.")
        courses = [claim for claim in self.along_in_ours if isinstance(claim, Along) and claim.is_course]
        values: dict[str, Any] = {
            c.observable: (("t", *DIMS.get(c.observable, ())), c.predict(motion)) for c in courses
        }
        return Record.of(
            "theorem",
            values,
            problem=motion.problem,
            coords={"t": motion.times},
            provenance={"theorem": self.id},
        )

    def predict(self, problem: Problem) -> Record:
        """The claimed numbers for this problem, as the witness "theorem".

        UfmError names an assumption that fails, or says what a statement that claims no such number speaks of.
        """
        if not any(type(claim) is Equals for claim in self.claims):
            raise UfmError(f"{self.id} claims no number of an optimum: {self._subject()}")
        for assumption in self.assumes:
            if not assumption.holds(problem):
                raise UfmError(f"{self.id} does not apply to {problem!r}: it assumes that {assumption.text}.")
        values: dict[str, Any] = {}
        for claim in self.claims_in_ours:
            if type(claim) is Equals:
                number = claim.predict(problem)
                values[claim.observable] = (DIMS[claim.observable], number) if np.ndim(number) else number
        return Record.of("theorem", values, problem=problem, provenance={"theorem": self.id})


def _shown(claim: "Typeset") -> Markup:
    """A claim for a notebook: name, relation and where; or its text, where it is no relation of formulae."""
    if not claim.tex:
        return prose(claim.text)
    name, where = prose(f"`{claim.observable}`"), prose(f" {claim.where}" if claim.where else "")
    formula = mathml(claim.tex).replace("<math>", "<math displaystyle='true'>", 1)
    return Markup(f"<div style='overflow:auto hidden;max-width:46em'>{name} {formula}{where}</div>")
