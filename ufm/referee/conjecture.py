"""A user's own claims about one problem, judged there: the certified optimum decides, and the flow is asked too."""

import numpy as np

from ufm.catalogue import Assumption, Citation, Domain, Equals, Theorem, Values
from ufm.catalogue.claims import Oracle
from ufm.catalogue.grammar import parse_claim
from ufm.errors import UfmError
from ufm.problem import Problem
from ufm.record import Record
from ufm.referee.check import report_on
from ufm.referee.evidence import flow_oracle, gather, optimum_oracle, smallest_counterexample
from ufm.referee.report import Progress, Proof, Report, quiet

_FLOW_SIZE = 400  # entries of the targets up to which a flow is quick


def judge_here(problem: Problem, texts: tuple[str, ...], *, seed: int = 0, progress: Progress = quiet) -> Report:
    """The verdict on claims such as "cosine = -1/(K-1)" at one problem: verified there, or refuted by it.

    Raises UfmError for a text that is no claim, an observable that this problem's optimum does not have (the message
    lists those it has), a letter without a value here, and where no optimum can be certified.
    """
    oracle = optimum_oracle()
    theorem = conjecture(problem, tuple(_claim(text, problem, oracle(problem)) for text in texts))
    evidence = [gather(theorem, [problem], oracle, "optimum", "this problem alone", progress)]
    flow = flow_oracle(seed)
    if problem.targets.columns.size <= _FLOW_SIZE and _answers(theorem, flow, problem):
        evidence.append(gather(theorem, [problem], flow, "flow", "this problem, from a random start", progress))
    found = None if evidence[0].agrees else smallest_counterexample(theorem, evidence[0], oracle)
    return report_on(theorem, Proof(None, f"no proof: {theorem.no_proof}"), evidence, found)


def conjecture(problem: Problem, claims: tuple[Equals, ...]) -> Theorem:
    """The claims as a statement whose domain is this one problem."""
    return Theorem(
        name="conjecture",
        title="A claim about one problem",
        statement=f"For this problem: {'; '.join(claim.text() for claim in claims)}.",
        citation=Citation("ufm", "conjecture", "own"),
        kind="tight",
        claims=claims,
        domain=Domain({"problem": Values((problem,))}),
        problem=lambda point: point["problem"],
        assumes=(Assumption("the problem is the one that was given", lambda other: other is problem),),
        no_proof="one problem is judged, by its certified optimum.",
    )


def _claim(text: str, problem: Problem, optimum: Record) -> Equals:
    """The claim, once its formula has been seen to give a number here."""
    claim = parse_claim(text, tuple(str(name) for name in optimum.values.data_vars))
    try:
        number = claim.predict(problem)
    except KeyError as error:
        raise UfmError(f"claim {text!r}: {error.args[0]}.") from None
    except (TypeError, ArithmeticError) as error:
        raise UfmError(f"claim {text!r}: its formula cannot be computed here: {error}.") from None
    if not np.all(np.isfinite(number)):
        raise UfmError(f"claim {text!r}: its formula has no finite value here ({number}).")
    return claim


def _answers(theorem: Theorem, oracle: Oracle, problem: Problem) -> bool:
    """Whether the flow settles here, and reports what is claimed; a flow that does not is no evidence either way."""
    try:
        record = oracle(problem)
    except UfmError:
        return False
    return all(claim.observable in record for claim in theorem.claims)
