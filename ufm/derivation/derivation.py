"""A finished proof: its steps, what each rests on, and the formulae it arrives at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from ufm.derivation.lemma import Lemma
from ufm.derivation.regimes import Regime
from ufm.problem import Problem

How = Literal["definition", "sympy", "lemma", "refused"]


@dataclass(frozen=True)
class Step:
    """One step of a proof: what is claimed, in words and as relations, and what verified it."""

    name: str
    sentence: str
    claims: tuple[Any, ...]
    how: How
    justification: str
    section: str = ""
    lemmas: tuple[Lemma, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the step stands."""
        return self.how != "refused"


@dataclass(frozen=True)
class Derivation:
    """A proof that has been run: `ok` only if every step was verified or rests on a named lemma.

    problem: what it was derived for, where `ufm.derive` was asked; put_in: that problem's own letters and numbers for
    those of the proof.
    """

    title: str
    statement: str
    steps: tuple[Step, ...]
    formulae: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    claims: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    regimes: tuple[Regime, ...] = ()
    put_in: Mapping[Any, Any] = field(default_factory=lambda: MappingProxyType({}))
    problem: Problem | None = None

    @property
    def ok(self) -> bool:
        """Whether something was verified and nothing refused."""
        return any(step.how == "sympy" for step in self.steps) and not self.failed

    @property
    def failed(self) -> tuple[str, ...]:
        """The names of the steps that could not be verified."""
        return tuple(step.name for step in self.steps if not step.ok)

    @property
    def lemmas(self) -> tuple[Lemma, ...]:
        """The lemmas the proof rests on, each once, in order of use."""
        used: dict[str, Lemma] = {}
        for step in self.steps:
            for lemma in step.lemmas:
                used.setdefault(lemma.name, lemma)
        return tuple(used.values())

    @property
    def verdict(self) -> str:
        """`proved`, `proved, given lemma ...`, or the steps that fail."""
        if not self.ok:
            return f"not proved: {', '.join(self.failed) or 'no step was verified'}"
        names = [lemma.name for lemma in self.lemmas]
        if not names:
            return "proved"
        return f"proved, given {'lemma' if len(names) == 1 else 'lemmas'} {', '.join(names)}"

    def at(self, values: Mapping[Any, Any] | None = None) -> dict[str, Any]:
        """The formulae as numbers, in double precision.

        values: {letter or its name: number}, such as {"K": 4, "n": 3, "lam_W": 0.1}; a letter with an index (n_k,
        sigma_i) takes an array, and may be left out where the problem's targets are numbers. A formula of pairs of
        classes gives K x K numbers, one of directions an array. Matrix expressions in Y are left out. UfmError names
        a letter that is missing, or one that neither the formulae nor the problem have.
        """
        from ufm.derivation.numbers import numbers

        return numbers(self, values or {})

    def latex(self) -> str:
        """The proof as LaTeX (amsmath, amssymb), without a preamble."""
        from ufm.derivation.render import to_latex

        return to_latex(self)

    def _repr_html_(self) -> str:
        return self.html()

    def _repr_markdown_(self) -> str:
        return self.markdown()

    def html(self) -> str:
        """The proof as HTML with MathML, which is drawn without a script and without a network."""
        from ufm.derivation.render import to_html

        return to_html(self)

    def markdown(self) -> str:
        """The proof as Markdown, formulae between dollar signs."""
        from ufm.derivation.render import to_markdown

        return to_markdown(self)

    def text(self, width: int = 100) -> str:
        """The proof for a terminal, in Unicode."""
        from ufm.derivation.render import to_text

        return to_text(self, width)
