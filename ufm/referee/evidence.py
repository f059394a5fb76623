"""The evidence for one statement, witness by witness: certified optima over the domain, and flows."""

import math
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any, Protocol, TypeVar

import numpy as np

from ufm.catalogue import Claim, Theorem
from ufm.catalogue.claims import Oracle, Violation
from ufm.errors import UfmError, UncertifiedError
from ufm.flow import simulate
from ufm.optimum import solve
from ufm.problem import Problem
from ufm.record import Record
from ufm.referee.descent import descend
from ufm.referee.plain_numbers import first_broken, plainer_problems
from ufm.referee.report import Counterexample, Evidence, Progress
from ufm.tolerance import FAR

_FAINT = 1e-4  # share of the targets' strength that another solver may leave of what is zero
_CONFIRM_SIZE = 400  # entries of the targets up to which the independent solver is asked


class _Asked(Protocol):
    """A claim about optima, flows or arrays."""

    def violation(self, case: Any, oracle: Any, /) -> Violation: ...


AnyClaim = TypeVar("AnyClaim", bound=_Asked)


def optimum_oracle() -> Oracle:
    """The certified optimum of a problem, remembered by problem so that several claims share one solve."""

    @lru_cache(maxsize=512)
    def oracle(problem: Problem) -> Record:
        optimum = solve(problem)
        if not optimum.status.is_global:
            raise UncertifiedError(optimum.value, f"no certified optimum for {problem!r}: {optimum.status.value}")
        return optimum.record()

    return oracle


def flow_oracle(seed: int) -> Oracle:
    """The end of the gradient flow from a random start."""

    @lru_cache(maxsize=512)
    def oracle(problem: Problem) -> Record:
        flow = simulate(problem, start=seed, throw=True)  # an unsettled flow is no evidence: it says why
        return flow.record()

    return oracle


def gather(
    theorem: Theorem, problems: Iterable[Problem], oracle: Oracle, witness: str, note: str, progress: Progress
) -> Evidence:
    """Put every claim to an oracle on every problem to which the statement applies, and keep the worst answer."""
    worst, claim_text, where, checked = Violation(0.0, math.nan, math.nan), "", None, 0
    ratios: list[float] = []
    problems = [p for p in problems if theorem.applies(p)]
    for i, problem in enumerate(problems):
        progress(f"{theorem.id}: {witness}", i, len(problems))
        checked += 1
        ratios.append(0.0)
        for printed, claim in zip(theorem.claims, theorem.claims_in_ours, strict=True):
            try:
                violation = claim.violation(problem, oracle)
            except UfmError as error:
                return Evidence(
                    witness, checked, Violation(math.inf, math.nan, math.nan), printed.text(), problem, str(error)
                )
            ratios[-1] = max(ratios[-1], violation.ratio)
            if violation.ratio > worst.ratio or not claim_text:
                worst, claim_text, where = violation, printed.text(), problem
    progress(f"{theorem.id}: {witness}", len(problems), len(problems))
    return Evidence(witness, checked, worst, claim_text, where, note, tuple(ratios))


def smallest_counterexample(theorem: Theorem, worst: Evidence, oracle: Oracle) -> Counterexample | None:
    """The first of the domain's small points that breaks a claim by far, else the worst one found, in plain numbers."""
    undefined: Counterexample | None = None
    for point in theorem.domain.small():
        problem = theorem.problem(point)
        if theorem.applies(problem) and (found := _broken(theorem, problem, oracle)) is not None:
            if math.isfinite(found.found):
                return _in_plain_numbers(theorem, found, oracle)
            undefined = undefined or found  # an observable that does not exist there is the poorer counterexample
    elsewhere = _broken(theorem, worst.problem, oracle) if isinstance(worst.problem, Problem) else None
    if elsewhere is None or not math.isfinite(elsewhere.found):
        return undefined or elsewhere
    return _in_plain_numbers(theorem, elsewhere, oracle)


def _in_plain_numbers(theorem: Theorem, found: Counterexample, oracle: Oracle) -> Counterexample:
    """The same with weights of few digits, where it still breaks a claim and somebody else still confirms it."""
    if not isinstance(found.problem, Problem):
        return found

    def judge(problem: Problem) -> Counterexample | None:
        broken = _broken(theorem, problem, oracle) if theorem.applies(problem) else None
        return broken if broken is not None and broken.refutes and math.isfinite(broken.found) else None

    return first_broken(plainer_problems(found.problem), judge) or found


def broken_by_far(
    printed: Iterable[AnyClaim], in_ours: Iterable[AnyClaim], case: Any, oracle: Any
) -> tuple[AnyClaim, AnyClaim, Violation] | None:
    """The first claim that a case breaks by far, printed and in our units; no answer of the witness breaks none."""
    for said, claim in zip(printed, in_ours, strict=True):
        try:
            violation = claim.violation(case, oracle)
        except UfmError:
            continue
        if violation.ratio >= FAR:
            return said, claim, violation
    return None


def _broken(theorem: Theorem, problem: Problem, oracle: Oracle) -> Counterexample | None:
    found = broken_by_far(theorem.claims, theorem.claims_in_ours, problem, oracle)
    if found is None:
        return None
    printed, claim, violation = found
    independent, by = (None, "") if violation.arithmetic else _independently(claim, problem, violation.entry)
    return Counterexample(
        problem,
        claim.observable,
        printed.text(),
        violation.claimed,
        violation.found,
        independent,
        by,
        violation.ratio,
        violation.by,
        arithmetic=violation.arithmetic,
    )


def _independently(claim: Claim, problem: Problem, entry: int) -> tuple[float | None, str]:
    """What another solver has for this entry of the observable; None where there is none for this problem."""
    for by, ask in _others(problem):
        try:
            record = ask()
        except (UfmError, ImportError):  # not its kind of problem, or not installed: the next one
            continue
        if claim.observable in record:
            undefined = _without_direction(claim, record, problem)
            return math.nan if undefined else float(claim.seen(record, problem)[entry]), by
        if claim.observable == "rank" and "singular_values" in record:
            return float(np.sum(record["singular_values"].values > _FAINT * _largest(problem))), by
    return None, ""


def _without_direction(claim: Claim, record: Record, problem: Problem) -> bool:
    """Whether a cosine is asked of a class mean that is zero up to what a solver leaves, and has no direction."""
    if claim.observable not in ("cosine", "cosines") or "class_mean_norm" not in record or not float(problem.lam_H) > 0:
        return False
    strength = _largest(problem) / float(np.min(problem.targets.multiplicity))
    tilt = math.sqrt(max(map(float, problem.lam_W)) / float(problem.lam_H))
    return bool(np.min(record["class_mean_norm"].values) < _FAINT * math.sqrt(strength * tilt))


def _largest(problem: Problem) -> float:
    """The largest singular value of the targets over all samples."""
    return float(np.linalg.norm(problem.targets.columns * np.sqrt(problem.targets.multiplicity), 2))


def _others(problem: Problem) -> Iterator[tuple[str, Callable[[], Record]]]:
    """Who else can find the optimum of this problem: somebody's solver, another method, the flow, descents."""
    if problem.targets.columns.size <= _CONFIRM_SIZE:
        yield "cvxpy", lambda: solve(problem, method="cvxpy").record()
    elif problem.loss == "mse" and solve(problem).method != "newton":  # that would be what found the optimum itself
        yield "Newton's method on the bias", lambda: solve(problem, method="newton").record()
    if problem.p == 2:  # with depth a flow may end in another minimum
        yield "the gradient flow", lambda: simulate(problem, start=0, throw=True).record()
    if problem.targets.columns.size <= _CONFIRM_SIZE:
        yield "the best of descents from random starts", lambda: descend(problem)
