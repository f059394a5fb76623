"""Which constraints a gradient flow can keep, and how: the rest is refused with its reason.

NonNegative       the projected flow, `ufm.flow.projected`
Near              one more smooth term, beta/(2N) ||H - H0||^2
FixedClassifier   W stands still, H and b flow
Every sample is bound by itself, and in its own axes: only FixedClassifier leaves samples free to be rotated.
"""

from dataclasses import replace

import numpy as np

from ufm.arrays import Array, array_namespace
from ufm.constraints import FixedClassifier, HardMargin, Near, NonNegative, NormBudget
from ufm.errors import ProblemError
from ufm.flow.coordinates import Coordinates
from ufm.flow.state import State, device_array
from ufm.problem import Problem
from ufm.tolerance import roundoff

_WITHOUT = {
    HardMargin: "margins replace the loss, and leave nothing whose gradient one could follow. Use ufm.solve, or the "
    "flow of 'cross_entropy' with small lam_W = lam_H, whose limit it is.",
    NormBudget: "budgets replace the penalties, and a flow on their boundary is a choice of metric that no paper "
    "fixes. Use ufm.solve, or penalties lam_W and lam_H.",
}


def check_flows(problem: Problem) -> None:
    """ProblemError where no flow of the problem is defined."""
    kind = type(problem.constraint)
    if problem.constraint is not None and kind not in (NonNegative, Near, FixedClassifier):
        reason = _WITHOUT.get(kind, "no flow that keeps this constraint is known here; use ufm.solve.")
        raise ProblemError("constraint", kind.__name__, reason)


def admitted(problem: Problem, start: State) -> State:
    """The checked start as the constraint needs it, or ProblemError where the constraint does not hold there."""
    constraint = problem.constraint
    if isinstance(constraint, NonNegative):
        least = float(array_namespace(start.H).min(start.H))
        if least < 0:
            raise ProblemError("start.H", least, "NonNegative features start at or above zero; give maximum(H, 0).")
    elif isinstance(constraint, FixedClassifier):
        W = device_array(array_namespace(start.H), np.array(constraint.W), start.H)
        if tuple(start.W[0].shape) != tuple(W.shape):
            raise ProblemError("start.W", tuple(start.W[0].shape), f"this is its shape; the constraint has {W.shape}.")
        if float(array_namespace(W).max(abs(start.W[0] - W))) > roundoff(float(np.abs(constraint.W).max())):
            raise ProblemError("start.W", "another matrix", "FixedClassifier keeps W at constraint.W; start from that.")
    elif isinstance(constraint, Near):
        if start.H.shape[0] != constraint.H0.shape[0]:
            raise ProblemError("start.H", tuple(start.H.shape), f"this is its shape; H0 is {constraint.H0.shape}.")
        return each_sample(problem, start)
    return start


def each_sample(problem: Problem, start: State) -> State:
    """The start with one column of H a sample."""
    if start.H.shape[1] == problem.N:
        return start
    if start.S is not None:
        raise ProblemError("start.S", "a covariance", "every sample moves by itself here; give all of H, d x N.")
    xp = array_namespace(start.H)
    labels = xp.asarray(problem.classes.labels().tolist(), dtype=xp.int64, device=getattr(start.H, "device", None))
    return replace(start, H=xp.take(start.H, labels, axis=1))


def bound(problem: Problem, at: Coordinates, y: Array) -> Coordinates:
    """The same coordinates, their field kept to the constraint."""
    field, constraint = at.field, problem.constraint
    xp, features = field.xp, slice(field.classifier.stop, field.seen)
    if isinstance(constraint, NonNegative):
        return replace(at, field=replace(field, cone=features), first=None)
    if isinstance(constraint, FixedClassifier):
        held = xp.ones_like(y)
        held[field.m : field.classifier.stop] = 0.0
        return replace(at, field=replace(field, held=held), first=None)
    if isinstance(constraint, Near):
        pull = constraint.beta / problem.N
        H0 = xp.reshape(device_array(xp, np.ascontiguousarray(constraint.H0.T), y), (-1,))
        drive, decay = xp.zeros_like(y), xp.asarray(field.decay, copy=True)
        drive[features] = pull * H0
        decay[features] += pull
        tied = replace(field, decay=decay, drive=(drive, pull / 2 * float(xp.sum(H0**2))))
        return replace(at, field=tied, first=None)
    return at


def rates_at_rest(problem: Problem) -> list[float]:
    """The positive weights that bound the slowest rate of what flows."""
    lam_W, lam_H = map(float, problem.lam_W), float(problem.lam_H)
    if isinstance(problem.constraint, Near):
        lam_H += problem.constraint.beta / problem.N
    weights = [lam_H] if isinstance(problem.constraint, FixedClassifier) else [*lam_W, lam_H]
    return [weight for weight in weights if weight > 0]
