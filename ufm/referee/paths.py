"""The evidence for a statement about flows on their way: the flow from each start, looked at where the claims speak."""

import math
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

import numpy as np

from ufm.catalogue import Falls, Motion, PathClaim, Theorem
from ufm.catalogue.claims import Violation
from ufm.catalogue.motion import PathOracle
from ufm.errors import UfmError
from ufm.flow import State, simulate
from ufm.metrics.course import course
from ufm.metrics.state import labelled
from ufm.problem.targets import ClassTargets
from ufm.record import Record
from ufm.referee.evidence import broken_by_far
from ufm.referee.plain_numbers import first_broken, plainer_motions
from ufm.referee.report import Counterexample, Evidence, Progress
from ufm.tolerance import FAR

_POINTS = 6  # quasi-random points of a domain, its edges on top
_SMALL = 48  # simple points that are tried for a counterexample
_RTOL = 1e-11
_INDEPENDENT = "lsoda"  # SciPy's multistep code, which shares no line with the integrators chosen by default


def path_oracle(integrator: str = "auto") -> PathOracle:
    """The flow of a motion at its times, every sample of it integrated; remembered by motion."""

    @lru_cache(maxsize=128)
    def oracle(motion: Motion) -> Record:
        start = State(motion.W, motion.H, motion.b)
        times = np.asarray(motion.times, dtype=float)
        flow = simulate(
            motion.problem,
            start,
            t1=float(times[-1]),
            save=times,
            rtol=_RTOL,
            integrator=integrator,
            mode="full",
            path=motion.law,
        )
        if flow.path is None or len(flow.path) < times.size:
            raise UfmError(f"the flow ended at t = {flow.t:.6g}: {flow.status.value}")
        record = flow.path.record()
        if not isinstance(motion.problem.targets, ClassTargets) or motion.problem.K < 2:
            return record
        states = [flow.path.state(i) for i in range(times.size)]
        return replace(record, values=record.values.assign(_course(motion, states)))

    return oracle


def _course(motion: Motion, states: list[State]) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    labels, codes = motion.problem.classes.labels(), motion.problem.classes.codes
    rows = [labelled(course(state.W, state.H, labels, codes)) for state in states]
    return {name: (("t", *dims), np.stack([row[name][1] for row in rows])) for name, (dims, _) in rows[0].items()}


def gather_paths(theorem: Theorem, samples: int, seed: int, progress: Progress) -> Evidence:
    """Put every claim along the flow to the flows of a sample of the domain, and keep the worst answer."""
    points = min(samples, _POINTS)
    oracle, worst, said, where = path_oracle(), Violation(0.0, math.nan, math.nan), "", None
    motions = list(_motions(theorem, theorem.domain.sample(points, seed)))
    note = f"given starts at {points} quasi-random points and the domain's edges"
    for i, motion in enumerate(motions):
        progress(f"{theorem.id}: flows on their way", i, len(motions))
        for printed, claim in zip(theorem.along, theorem.along_in_ours, strict=True):
            try:
                violation = claim.violation(motion, oracle)
            except UfmError as error:
                nothing = Violation(math.inf, math.nan, math.nan)
                return Evidence("path", i + 1, nothing, printed.text(), motion.problem, str(error))
            if violation.ratio > worst.ratio or not said:
                worst, said, where = violation, printed.text(), motion.problem
    progress(f"{theorem.id}: flows on their way", len(motions), len(motions))
    return Evidence("path", len(motions), worst, said, where, note)


def _motions(theorem: Theorem, points: Iterable) -> Iterable[Motion]:
    if theorem.motion is None:
        raise UfmError(f"{theorem.id} claims something along flows and gives no `motion`.")
    return filter(theorem.watches, map(theorem.motion, points))


def smallest_path(theorem: Theorem, seed: int, samples: int) -> Counterexample | None:
    """The first flow that breaks a claim by far: from the domain's simple points, else from its sample."""
    oracle, small = path_oracle(), theorem.domain.small()
    simple = (point for _, point in zip(range(_SMALL), small, strict=False))
    for points in (simple, theorem.domain.sample(min(samples, _POINTS), seed)):
        for motion in _motions(theorem, points):
            if (found := _broken(theorem, motion, oracle)) is not None:
                return first_broken(plainer_motions(motion), lambda plain: _confirmed(theorem, plain, oracle)) or found
    return None


def _confirmed(theorem: Theorem, motion: Motion, oracle: PathOracle) -> Counterexample | None:
    """The counterexample at a flow of which the statement speaks, where another integrator finds it too."""
    found = _broken(theorem, motion, oracle) if theorem.watches(motion) else None
    return found if found is not None and found.refutes else None


def _broken(theorem: Theorem, motion: Motion, oracle: PathOracle) -> Counterexample | None:
    found = broken_by_far(theorem.along, theorem.along_in_ours, motion, oracle)
    return None if found is None else _counterexample(motion, *found)


def _counterexample(motion: Motion, printed: PathClaim, claim: PathClaim, violation: Violation) -> Counterexample:
    other = path_oracle(_INDEPENDENT)
    again = claim.compared(motion, other(motion))[0][violation.entry]
    return Counterexample(
        motion.problem,
        claim.observable,
        printed.text(),
        violation.claimed,
        violation.found,
        float(again),
        "SciPy's LSODA",
        violation.ratio,
        "the flow",
        motion,
        seconded=claim.violation(motion, other).ratio >= FAR,
        in_turn=isinstance(claim, Falls),
    )
