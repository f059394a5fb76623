"""`ufm.check`: judge a statement of the catalogue, or a user's own, by one procedure for all."""

from collections.abc import Sequence
from pathlib import Path

from ufm.catalogue import Theorem, find
from ufm.errors import UfmError
from ufm.problem import Problem
from ufm.referee.evidence import (
    flow_oracle,
    gather,
    optimum_oracle,
    smallest_counterexample,
)
from ufm.referee.proof import prove_statement
from ufm.referee.report import Counterexample, Evidence, Progress, Proof, Report, Verdict, quiet


def check(
    statement: str | Path | Theorem, *, samples: int = 64, seed: int = 0, progress: Progress = quiet
) -> Report | list[Report]:
    """The verdict on a theorem, with its evidence.

    statement: an id (`class_encoding:transition`), a Theorem, or a file, of the catalogue or a path ending in `.py`,
    for a list of reports; samples: quasi-random points of the domain (its edges come on top); seed: of everything
    random. Raises UfmError for a statement that is not found.
    """
    if isinstance(statement, Theorem):
        return judge(statement, samples=samples, seed=seed, progress=progress)
    theorems = find(str(statement))
    reports = [judge(theorem, samples=samples, seed=seed, progress=progress) for theorem in theorems]
    return reports[0] if len(reports) == 1 and ":" in str(statement) else reports


def judge(theorem: Theorem, *, samples: int, seed: int, progress: Progress = quiet) -> Report:
    """Proof, optima over the domain, flows from random starts, then the verdict."""
    progress(f"{theorem.id}: proof", 0, 1)
    proof = prove_statement(theorem)
    progress(f"{theorem.id}: proof", 1, 1)
    oracle = optimum_oracle()
    problems = [theorem.problem(point) for point in theorem.domain.sample(samples, seed)]
    note = f"{samples} quasi-random points and the domain's edges"
    optima = gather(theorem, problems, oracle, "optimum", note, progress)
    evidence = [optima]
    if theorem.flow_domain.ranges:
        flows = _flow_problems(theorem, seed)
        evidence.append(gather(theorem, flows, flow_oracle(seed), "flow", "random starts", progress))
    counterexample = None
    if not optima.agrees and optima.checked:
        progress(f"{theorem.id}: smallest counterexample", 0, 1)
        counterexample = smallest_counterexample(theorem, optima, oracle)
        progress(f"{theorem.id}: smallest counterexample", 1, 1)
    return Report(theorem, _verdict(proof, evidence, counterexample), proof, tuple(evidence), counterexample)


def _flow_problems(theorem: Theorem, seed: int) -> list[Problem]:
    return [theorem.problem(point) for point in theorem.flow_domain.sample(4, seed)]


def _verdict(proof: Proof, evidence: Sequence[Evidence], counterexample: Counterexample | None) -> Verdict:
    if counterexample is not None:
        return Verdict.REFUTED
    if not all(e.agrees for e in evidence):
        return Verdict.INCONCLUSIVE
    return Verdict.PROVED if proof.stands else Verdict.VERIFIED


def single(report: Report | list[Report]) -> Report:
    """The report of a check that judged exactly one statement."""
    reports = report if isinstance(report, list) else [report]
    if len(reports) != 1:
        raise UfmError(f"{len(reports)} statements were judged; name one, as in 'file:name'.")
    return reports[0]
