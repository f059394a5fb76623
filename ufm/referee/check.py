"""`ufm.check`: judge a statement of the catalogue, or a user's own, by one procedure for all."""

from collections.abc import Sequence
from pathlib import Path
from typing import overload

from ufm.catalogue import Theorem, find
from ufm.problem import Problem
from ufm.referee.adversary import provoke
from ufm.referee.arrays import gather_arrays, smallest_broken
from ufm.referee.competitors import compete
from ufm.referee.degenerate import gather_degenerate
from ufm.referee.evidence import (
    flow_oracle,
    gather,
    optimum_oracle,
    smallest_counterexample,
)
from ufm.referee.paths import gather_paths, smallest_path
from ufm.referee.proof import prove_statement
from ufm.referee.records import gather_records, missing, still_open
from ufm.referee.report import Counterexample, Evidence, Progress, Proof, Report, Reports, Verdict, quiet
from ufm.tolerance import FAR


@overload
def check(statement: Theorem, *, samples: int = 64, seed: int = 0, progress: Progress = quiet) -> Report: ...
@overload
def check(statement: str | Path, *, samples: int = 64, seed: int = 0, progress: Progress = quiet) -> Reports: ...
def check(
    statement: str | Path | Theorem, *, samples: int = 64, seed: int = 0, progress: Progress = quiet
) -> Report | Reports:
    """The verdict on a statement, with its evidence.

    statement: a Theorem, for its Report; or an id (`class_encoding:transition`), a file of the catalogue, or the path
    of a `.py` file, for the Reports on all the statements it names. samples: quasi-random points of the domain (its
    edges come on top); seed: of everything random. Raises UfmError for a statement that is not found.
    """
    if isinstance(statement, Theorem):
        return judge(statement, samples=samples, seed=seed, progress=progress)
    theorems = find(str(statement))
    return Reports(tuple(judge(theorem, samples=samples, seed=seed, progress=progress) for theorem in theorems))


def judge(theorem: Theorem, *, samples: int, seed: int, progress: Progress = quiet) -> Report:
    """Proof, optima over the domain, flows from random and from given starts, then the verdict."""
    progress(f"{theorem.id}: proof", 0, 1)
    proof = prove_statement(theorem)
    progress(f"{theorem.id}: proof", 1, 1)
    if theorem.measures:
        return _judge_arrays(theorem, proof, samples, seed, progress)
    if theorem.observed:
        return _judge_records(theorem, proof, progress)
    if theorem.needs:
        return Report(theorem, Verdict.INCONCLUSIVE, proof, (), needs=theorem.needs)
    evidence, counterexample = _of_optima(theorem, samples, seed, progress) if theorem.claims else ([], None)
    if theorem.motion is not None:
        paths = gather_paths(theorem, samples, seed, progress)
        evidence.append(paths)
        if not paths.agrees and paths.checked and counterexample is None:
            counterexample = smallest_path(theorem, seed, samples)
    return report_on(theorem, proof, evidence, counterexample)


_ASKED = ("optimum", "adversary", "degenerate")  # the lines of inquiry whose questions are problems put to the optimum


def _of_optima(
    theorem: Theorem, samples: int, seed: int, progress: Progress
) -> tuple[list[Evidence], Counterexample | None]:
    """Certified optima over the domain, the ends of flows from random starts, and a counterexample among the former."""
    oracle = optimum_oracle()
    sampled = [(point, theorem.problem(point)) for point in theorem.domain.sample(samples, seed)]
    sampled = [(point, problem) for point, problem in sampled if theorem.applies(problem)]
    note = f"{samples} quasi-random points and the domain's edges"
    optima = gather(theorem, [problem for _, problem in sampled], oracle, "optimum", note, progress)
    evidence = [optima]
    if optima.agrees:  # else a counterexample is looked for at once
        asked = [(point, ratio) for (point, _), ratio in zip(sampled, optima.ratios, strict=True)]
        provoked = provoke(theorem, asked, oracle, max(6, samples // 2), seed, progress)
        tied = gather_degenerate(theorem, oracle, max(12, 3 * samples // 4), seed, progress)
        competitors, beaten = compete(theorem, max(3, samples // 8), seed, progress)
        evidence += [each for each in (provoked, tied, competitors) if each is not None and each.checked]
        if beaten is not None:
            return evidence, beaten
    if theorem.flow_domain.ranges:
        flows = _flow_problems(theorem, seed)
        evidence.append(gather(theorem, flows, flow_oracle(seed), "flow", "random starts", progress))
    broken = next((each for each in evidence if each.witness in _ASKED and each.checked and not each.agrees), None)
    if broken is None:
        return evidence, None
    progress(f"{theorem.id}: smallest counterexample", 0, 1)
    counterexample = smallest_counterexample(theorem, broken, oracle)
    progress(f"{theorem.id}: smallest counterexample", 1, 1)
    return evidence, counterexample


def _judge_arrays(theorem: Theorem, proof: Proof, samples: int, seed: int, progress: Progress) -> Report:
    """Random, degenerate and adversarial arrays; a statement about metrics has no optimum and no flow."""
    cases = [theorem.problem(point) for point in theorem.domain.sample(samples, seed)]
    note = f"{samples} quasi-random points and the domain's edges"
    evidence = gather_arrays(theorem, cases, note, seed, progress)
    counterexample = None if all(e.agrees for e in evidence) else smallest_broken(theorem, evidence)
    return report_on(theorem, proof, evidence, counterexample)


def _judge_records(theorem: Theorem, proof: Proof, progress: Progress) -> Report:
    """Recorded networks, each out of sample; a claim that no record speaks of leaves the statement open."""
    evidence, counterexample = gather_records(theorem, progress)
    lacking = missing(theorem)
    verdict = _verdict(proof, evidence, counterexample)
    if verdict is Verdict.VERIFIED and lacking:
        verdict = Verdict.INCONCLUSIVE
    needs = lacking or still_open(theorem, evidence)
    open_still = verdict is Verdict.INCONCLUSIVE
    return Report(theorem, verdict, proof, tuple(evidence), counterexample, needs if open_still else "")


def _flow_problems(theorem: Theorem, seed: int) -> list[Problem]:
    return [theorem.problem(point) for point in theorem.flow_domain.sample(4, seed)]


def report_on(
    theorem: Theorem, proof: Proof, evidence: Sequence[Evidence], counterexample: Counterexample | None
) -> Report:
    """The report with the verdict that follows from proof, evidence and counterexample, and what is missing."""
    verdict = _verdict(proof, evidence, counterexample)
    needs = _lacking(evidence, counterexample) if verdict is Verdict.INCONCLUSIVE else ""
    return Report(theorem, verdict, proof, tuple(evidence), counterexample, needs)


def _lacking(evidence: Sequence[Evidence], counterexample: Counterexample | None) -> str:
    """What an undecided statement is short of."""
    if counterexample is not None:
        return "an independent computation that sides with its counterexample"
    unasked = [e.witness for e in evidence if not e.checked]
    if not evidence or unasked:
        return f"an answer of a witness{f' ({unasked[0]} has none)' if unasked else ''}"
    worst = max(evidence, key=lambda e: e.worst.ratio)
    return (
        f"a counterexample: the worst answer, of the {worst.witness}, is {worst.worst.ratio:.3g} tolerances off, and "
        f"{FAR:g} refute"
    )


def _verdict(proof: Proof, evidence: Sequence[Evidence], counterexample: Counterexample | None) -> Verdict:
    if counterexample is not None:
        return Verdict.REFUTED if counterexample.refutes else Verdict.INCONCLUSIVE
    if not all(e.agrees for e in evidence) or not (evidence or proof.stands):
        return Verdict.INCONCLUSIVE
    return Verdict.PROVED if proof.stands else Verdict.VERIFIED
