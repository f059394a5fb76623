"""Statements about metrics of arbitrary arrays: random and degenerate cases, then an adversary that pushes them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ufm.catalogue import AtLeast, AtMost, Claim, Equals, Theorem
from ufm.catalogue.arrays import Arrays
from ufm.catalogue.claims import Violation
from ufm.record import Record
from ufm.referee.evidence import broken_by_far, gather
from ufm.referee.report import Counterexample, Evidence, Progress
from ufm.tolerance import tolerance

_STARTS = 6
_FAINT = 1e-3  # the adversary's smallest move, in units of the largest entry
Case = Any  # an Arrays; claims and statements are typed for problems, and ask nothing of them here
Oracle = Callable[[Case], Record]


def arrays_oracle(measures: Mapping[str, Callable[[Any], Any]]) -> Oracle:
    """What the statement's own measures say of a case."""

    @lru_cache(maxsize=4096)
    def oracle(case: Arrays) -> Record:
        values = {name: np.asarray(measure(case), dtype=float) for name, measure in measures.items()}
        dims = {name: tuple(f"{name}_{i}" for i in range(value.ndim)) for name, value in values.items()}
        return Record.of("metrics", {name: (dims[name], value) for name, value in values.items()})

    return oracle


def gather_arrays(theorem: Theorem, cases: Sequence[Case], note: str, seed: int, progress: Progress) -> list[Evidence]:
    """The cases as they are, and where an adversary takes them: everything the referee asks of such a statement."""
    oracle = arrays_oracle(theorem.measures)
    asked = gather(theorem, cases, oracle, "metrics", note, progress)
    pushed = list(_pushed(theorem, cases, oracle, steps=4 * len(cases), seed=seed))
    words = f"{_STARTS} cases pushed by {4 * len(cases)} steps that each make the worst claim worse"
    return [asked, gather(theorem, pushed, oracle, "adversary", words, progress)]


def smallest_broken(theorem: Theorem, evidence: Iterable[Evidence]) -> Counterexample | None:
    """The first of the domain's small cases that breaks a claim by far; else the worst one found."""
    oracle = arrays_oracle(theorem.measures)
    found: list[Case] = [e.problem for e in evidence if e.problem is not None and not e.agrees]
    for case in (*map(theorem.problem, theorem.domain.small()), *found):
        if theorem.applies(case):
            broken = broken_by_far(theorem.claims, theorem.claims_in_ours, case, oracle)
            if broken is not None:
                printed, _, violation = broken
                return _counterexample(theorem, case, printed, violation)
    return None


def _counterexample(theorem: Theorem, case: Case, claim: Claim, violation: Violation) -> Counterexample:
    by, confirm = theorem.confirms.get(claim.observable, ("", None))
    numbers = None if confirm is None else np.ravel(np.asarray(confirm(case), dtype=float))
    return Counterexample(
        problem=case,
        observable=claim.observable,
        claim=claim.text(),
        claimed=violation.claimed,
        found=violation.found,
        independent=None if numbers is None else float(numbers[violation.entry]),
        independent_by=by,
        in_tolerances=violation.ratio,
        found_by="the metric",
        arithmetic=True,
    )


def _pushed(theorem: Theorem, cases: Sequence[Case], oracle: Oracle, *, steps: int, seed: int) -> Iterator[Case]:
    """From some of the cases, uphill in the discrepancy: small moves of all entries, of one, towards lower rank."""
    fit = [case for case in cases if theorem.applies(case)]
    rng = np.random.default_rng(seed)
    for start in fit[:: max(1, len(fit) // _STARTS)][:_STARTS]:
        best, height, stride = start, _discrepancy(theorem, start, oracle), 1.0
        for _ in range(max(1, steps // _STARTS)):
            moved: Case = _moved(best, stride, rng)
            reached = _discrepancy(theorem, moved, oracle) if theorem.applies(moved) else -np.inf
            if reached > height:
                best, height, stride = moved, reached, min(1.0, 2 * stride)
            else:
                stride = max(_FAINT, 0.8 * stride)
        yield best


def _moved(case: Arrays, stride: float, rng: np.random.Generator) -> Arrays:
    """One of the real arrays changed; labels and sizes, which are integers, stay."""
    names = [name for name, array in case.values.items() if array.dtype.kind == "f" and array.size]
    if not names:
        return case
    name = names[rng.integers(len(names))]
    array = np.array(case[name])
    size = stride * max(1e-12, float(np.max(np.abs(array))))
    kind = rng.integers(4)
    if kind == 0 or array.ndim != 2:
        array = array + size * rng.standard_normal(array.shape)
    elif kind == 1:
        array[tuple(rng.integers(side) for side in array.shape)] += size * rng.standard_normal()
    elif kind == 2:
        array[rng.integers(array.shape[0])] *= 1 + stride * rng.uniform(-1, 1)
    else:
        U, s, Vt = np.linalg.svd(array, full_matrices=False)
        s[rng.integers(s.size)] *= 1 - stride * rng.random()
        array = (U * s) @ Vt
    return case.replace(**{name: array})


def _discrepancy(theorem: Theorem, case: Case, oracle: Oracle) -> float:
    """By how many tolerances the worst claim is missed; negative is the slack of an inequality."""
    worst = -np.inf
    record = oracle(case)
    for claim in theorem.claims_in_ours:
        if isinstance(claim, Equals):
            found, claimed = claim.seen(record, case), np.ravel(claim.predict(case))
            gap = np.asarray(found - claimed)
            signed = gap if type(claim) is AtMost else -gap if type(claim) is AtLeast else np.abs(gap)
            allowed = tolerance(record.witness, claim.observable)
            ratio = signed / (allowed.abs + allowed.rel * np.abs(claimed))
            worst = max(worst, float(np.max(np.nan_to_num(ratio, nan=np.inf))))
    return worst
