"""Competitors of a claimed minimum: descents from the minimiser moved, from lower ranks and from broken symmetry."""

import math
from collections.abc import Iterator
from itertools import zip_longest

import numpy as np

from ufm.catalogue import Equals, Theorem
from ufm.catalogue.claims import Violation
from ufm.errors import UfmError
from ufm.optimum import Optimum, solve
from ufm.problem import Problem
from ufm.problem.targets import ClassTargets
from ufm.referee.degenerate import bases_of, degenerate
from ufm.referee.feasible import Parts, can_descend, descended
from ufm.referee.report import Counterexample, Evidence, Progress
from ufm.tolerance import FAR, tolerance

_SIZE = 60  # entries of the targets up to which a descent is quick


def compete(
    theorem: Theorem, budget: int, seed: int, progress: Progress
) -> tuple[Evidence | None, Counterexample | None]:
    """Whether anything has a smaller objective than the claimed minimum, or than the optimum where none is claimed.

    Asked at about `budget` problems of the statement: its simplest, degenerate ones, and some of its sample. None where
    no problem can be attacked. Rivals are pulled back into the constraint: onto a norm budget, up to a unit margin.
    """
    problems = list(_within(budget, _attackable(theorem, seed)))
    rng = np.random.default_rng(seed)
    worst, where, by, ratios, attacked = Violation(0.0, math.nan, math.nan), None, "", [], 0
    for i, problem in enumerate(problems):
        progress(f"{theorem.id}: competitors", i, len(problems))
        try:
            optimum = solve(problem)
            claimed = _claimed(theorem, problem, optimum)
        except UfmError:
            continue
        attacked += 1
        for name, start in rivals(problem, optimum, rng):
            value = descended(problem, start)
            if not math.isfinite(value):
                continue
            ratio = max(0.0, claimed - value) / tolerance("flow", "value").allowed(claimed)
            ratios.append(ratio)
            if ratio > worst.ratio or where is None:
                worst, where, by = Violation(ratio, value, claimed), problem, name
    progress(f"{theorem.id}: competitors", len(problems), len(problems))
    if where is None:
        return None, None
    claim = next((c.text() for c in theorem.claims if c.observable == "value"), "the minimum of the objective")
    note = (
        f"at {attacked} problem{'' if attacked == 1 else 's'}, from the minimiser moved, cut to lower rank, with "
        "classes merged, and from blocks of two"
    )
    evidence = Evidence("competitor", len(ratios), worst, claim, where, note, tuple(ratios))
    if worst.ratio < FAR or not any(c.observable == "value" for c in theorem.claims):
        return evidence, None
    source, again = f"a descent from {by}", _again(where)
    return evidence, Counterexample(
        where, "value", claim, worst.claimed, worst.found, again, "ufm.solve", worst.ratio, source
    )


def _again(problem: Problem) -> float | None:
    """What the solver has for the minimum: it shares no line with the descents."""
    try:
        return solve(problem).value
    except UfmError:
        return None


def _within(budget: int, problems: Iterator[Problem]) -> Iterator[Problem]:
    """As many as the budget allows, the first in any case; where the optimum itself is a search one counts as four."""
    for problem in problems:
        yield problem
        budget -= 1 if problem.p == 2 or problem.loss == "mse" else 4
        if budget <= 0:
            return


def _attackable(theorem: Theorem, seed: int) -> Iterator[Problem]:
    """Simple, degenerate and sampled problems of the statement in turn, on which factors can be descended."""
    own, tied = bases_of(theorem, seed), (problem for _, problem in degenerate(theorem, seed))
    for pair in zip_longest(own, tied):
        for problem in pair:
            if problem is None or problem.targets.columns.size > _SIZE:
                continue
            if can_descend(problem):
                yield problem


def _claimed(theorem: Theorem, problem: Problem, optimum: Optimum) -> float:
    """The minimum that the statement gives, or else that of the optimum."""
    for claim in theorem.claims_in_ours:
        if type(claim) is Equals and claim.observable == "value":
            return float(claim.predict(problem))
    return optimum.value


def rivals(problem: Problem, optimum: Optimum, rng: np.random.Generator) -> Iterator[tuple[str, Parts]]:
    """Starts around the minimiser and far from it: (where it comes from, layers, features and bias)."""
    layers, H, b = optimum.W, optimum.H, optimum.b
    size = max(float(np.abs(part).max(initial=0.0)) for part in (*layers, H)) or 1.0

    def noise(part: np.ndarray, amount: float) -> np.ndarray:
        return part + amount * size * rng.standard_normal(part.shape)

    def moved(parts: Parts, amount: float) -> Parts:
        W, features, bias = parts
        return tuple(noise(layer, amount) for layer in W), noise(features, amount), noise(bias, amount)

    yield "the minimiser, moved a little", moved((layers, H, b), 0.05)
    yield "the minimiser, moved far", moved((layers, H, b), 1.0)
    U, s, Vt = np.linalg.svd(H, full_matrices=False)
    if s[0] > 0:
        kept = s * (np.arange(s.size) < max(1, int((s > 1e-9 * s[0]).sum()) - 1))
        yield "the minimiser with a direction less", moved((layers, (U * kept) @ Vt, b), 1e-4)
    if H.shape[1] > 1:
        merged = H.copy()
        merged[:, :2] = H[:, :2].mean(axis=1, keepdims=True)
        yield "the minimiser with two classes merged", moved((layers, merged, b), 1e-4)
    blocks = _blocks_of_two(problem, layers, H)
    if blocks is not None:
        yield "blocks of two classes", moved((*blocks, b), 1e-4)
    yield "near the origin", moved((tuple(0 * layer for layer in layers), 0 * H, 0 * b), 1e-2)


def _blocks_of_two(
    problem: Problem, layers: tuple[np.ndarray, ...], H: np.ndarray
) -> tuple[tuple[np.ndarray, ...], np.ndarray] | None:
    """Balanced factors of outputs made of 2 x 2 blocks [[1, -1], [-1, 1]], for an even number of classes."""
    pairs = problem.m // 2
    rows = {layer.shape[1] for layer in layers}
    if not isinstance(problem.targets, ClassTargets) or H.shape[1] != problem.m or problem.m % 2 or min(rows) < pairs:
        return None
    left = np.kron(np.eye(pairs), np.array([[1.0], [-1.0]]))
    first = np.zeros_like(layers[0])
    first[:, :pairs] = left
    features = np.zeros_like(H)
    features[:pairs] = left.T
    inner = tuple(np.eye(*layer.shape) for layer in layers[1:])
    return (first, *inner), features
