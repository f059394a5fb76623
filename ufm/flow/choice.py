"""Which integrator: the one asked for, or the one that costs least for how stiff the flow is.

Stiffness is counted as Z = fastest rate x time, the number of its time constants. Stability makes a Runge-Kutta method
of reach `damps` take Z/damps steps, and rkc2 about sqrt(Z) evaluations a smooth stretch; accuracy makes them take
steps ~ tolerance^(-1/order). exprb43 takes few steps at any Z, each a few dozen products in Krylov spaces: it is worth
that where tolerances are too tight for rkc2. The constants are measured on this package's flows
(numerics/benchmarks/flow.md), with costs in numbers of operations, never in seconds of this run: the choice is the same
on every machine.
"""

import math
from typing import NamedTuple

import numpy as np

from ufm.arrays import Array, to_numpy
from ufm.errors import ProblemError
from ufm.flow.constrained import rates_at_rest
from ufm.flow.coordinates import Coordinates
from ufm.flow.field import Field, norm
from ufm.flow.integrators import Library, Method
from ufm.flow.integrators import integrator as find_integrator
from ufm.flow.integrators.tableau import Tableau
from ufm.flow.spectrum import fastest_rate
from ufm.flow.within import Law, Scatter
from ufm.problem import Problem

SETTLES = 20.0  # time constants of the smallest weight that a flow to rest takes, about
CALL = 4e5  # operations that the calls of one right-hand side on small arrays are worth (40 microseconds at 10 GF/s)
CALL_IN_STACK = 2e4  # the same in a stack of some hundreds, a flow
WAITS = 2.0  # right-hand sides of rkc2 in a stack beside those that a flow needs: stages of others that have more
SLOW_LU = 5.0  # LSODA's own LU, in units of a matrix product's cost per operation
KRYLOV = 2.0  # a product in a Krylov space with its orthogonalisation, in right-hand sides
WORTH = 0.5  # a method of another kind must be this much cheaper than the usual one


def choose(
    name: str, problem: Problem, at: Coordinates, y: Array, rtol: float, t1: float | None, *, stacked: bool = False
) -> Method:
    """The integrator of that name, or for "auto" the cheapest; ProblemError where it cannot run this flow.

    stacked: with many others beside it, which share the calls.
    """
    if name == "auto":
        return find_integrator(_cheapest(problem, at, y, rtol, t1, stacked=stacked))
    method, field = find_integrator(name), at.field
    if isinstance(method, Tableau) and method.implicit is not None and field.m and field.bias_rate is None:
        raise ProblemError("integrator", name, "its implicit part needs the squared loss; use 'auto', or 'dopri8'.")
    if isinstance(method, Library):
        if field.cone is not None:
            raise ProblemError("integrator", name, "its steps keep no feature above zero; use 'auto'.")
        if field.size > method.most_unknowns:
            advice = f"{field.size} unknowns are too many for its dense Jacobian, at most {method.most_unknowns}"
            raise ProblemError("integrator", name, f"{advice}; use 'rkc2'.")
        if not _on_host(y):
            raise ProblemError("integrator", name, "it runs on double-precision NumPy arrays only; use 'rkc2'.")
    return method


def _cheapest(problem: Problem, at: Coordinates, y: Array, rtol: float, t1: float | None, *, stacked: bool) -> str:
    usual = _usual(at.field, rtol)
    weights = rates_at_rest(problem)
    if not weights and t1 is None:
        return usual
    time, best = SETTLES / min(weights) if t1 is None else t1, usual
    for stiffness in (bounded_stiffness, measured_stiffness):  # the bound is quick, and most often enough
        Z = _time_constants(problem, at.field, stiffness(at.field, y), time)
        costs = estimated_costs(at.field, _on_host(y), Z, rtol, stacked=stacked)
        best = min(costs, key=lambda name: costs[name])
        if costs[best] >= WORTH * costs[usual]:
            return usual
    return best


def _usual(field: Field, rtol: float) -> str:
    """Low orders reach farther a right-hand side, high ones are more accurate."""
    if field.bias_rate is None:
        return "tsit5" if rtol >= 1e-8 else "dopri8"
    return "kencarp4" if rtol >= 1e-8 else "kencarp5"


def estimated_costs(field: Field, on_host: bool, Z: float, rtol: float, *, stacked: bool = False) -> dict[str, float]:
    """Operations that a flow of Z fastest time constants takes, for each integrator that can run it.

    stacked: where it can; lsoda and exprb43 run alone all the same.
    """
    digits, n = max(1.0, 1e-5 / rtol), field.size
    work = operations(field) + 20 * n
    in_stack, call = (CALL_IN_STACK if stacked else CALL) + work, CALL + work
    smooth = {"tsit5": 100 * digits**0.17, "dopri8": 60 * digits**0.11}
    if field.bias_rate is not None:
        smooth = {"kencarp4": 120 * digits**0.25, "kencarp5": 160 * digits**0.195}
    evaluations = {"tsit5": 6, "dopri8": 13, "kencarp4": 6, "kencarp5": 8}
    costs: dict[str, float] = {}
    for name in smooth:
        method = find_integrator(name)
        damps = method.damps if isinstance(method, Tableau) else math.inf
        costs[name] = evaluations[name] * (smooth[name] + Z / damps) * in_stack
    steps = 340 * digits**0.49 * max(1.0, Z / 430) ** 0.05
    costs["rkc2"] = steps * (1.7 + 0.9 * math.sqrt(Z / steps)) * in_stack * (WAITS if stacked else 1.0)
    steps = 90 * digits**0.245 * max(1.0, Z / 430) ** 0.1
    costs["exprb43"] = steps * (24 + math.sqrt(Z / steps)) * KRYLOV * call
    lsoda = find_integrator("lsoda")
    if on_host and field.cone is None and isinstance(lsoda, Library) and n <= lsoda.most_unknowns:
        dense = len(field.shapes) == 2 and field.quadratic and not isinstance(field.within, Scatter)
        jacobians = 12 * digits**0.1
        build = 10 * n**2 if dense else n * call
        costs["lsoda"] = 350 * digits**0.13 * (3 * call + 2 * CALL + 2 * SLOW_LU * n**2) + jacobians * (
            SLOW_LU * 2 / 3 * n**3 + build
        )
    return costs


def operations(field: Field) -> float:
    """Multiplications and additions of the matrix products in one right-hand side."""
    (m, _), (r, w) = field.shapes[0], field.shapes[-1]
    layers = sum(6 * rows * columns * m for rows, columns in field.shapes[1:-1])
    within = 0.0
    if isinstance(field.within, Law):
        within = 4 * m * m * w - 2 * m * r * w
    elif isinstance(field.within, Scatter):
        within = (8 if field.within.propagator else 4) * m * w * w
    return 6 * m * r * w + layers + within


class Stiffness(NamedTuple):
    """The fastest rate at the start, at fixed bias, and the largest singular value of the targets."""

    rate: float
    largest: float


@np.errstate(over="ignore", invalid="ignore")
def bounded_stiffness(field: Field, y: Array) -> Stiffness:
    """No less than these: for p = 2 and the squared loss ||Hessian|| <= (||W||^2 + ||H||^2)/N + ||E||/N + decay.

    E the residual, ||E|| <= (2 N L)^(1/2). Without such a bound (deep, entropy) they are measured.
    """
    if len(field.shapes) != 2 or not field.quadratic:
        return measured_stiffness(field, y)
    first, second = field.norms(y, 0.0)
    residual = (2 * abs(field.loss(y)) / field.N) ** 0.5
    rate = (first * first + second * second) / field.N + residual + float(field.xp.max(field.decay))
    return Stiffness(rate, norm(field.xp.reshape(field.targets[0], (-1,))))


@np.errstate(over="ignore", invalid="ignore")
def measured_stiffness(field: Field, y: Array) -> Stiffness:
    """Both by power iterations."""
    slope, held = field(y, 0.0), field.bias_rate is not None
    rate = fastest_rate(field, 0.0, y, slope, slope, implicit_bias=held, iterations=4).rate
    A = to_numpy(field.targets[0])
    v = A.sum(axis=0) + np.arange(A.shape[1])
    for _ in range(8):
        v = A.T @ (A @ (v / (float(np.linalg.norm(v)) or 1.0)))
    return Stiffness(rate, math.sqrt(float(np.linalg.norm(v))))


def _time_constants(problem: Problem, field: Field, stiffness: Stiffness, time: float) -> float:
    """Integral over time of the fastest rate at fixed bias, about, from that of the start.

    That rate for all time; or for the shallow squared loss, where the excess W'W - HH' that a start has
    fades at twice the smallest weight, and at the end W'W + HH' has the eigenvalues
    s (sqrt(lam_W/lam_H) + sqrt(lam_H/lam_W)), s at most the largest singular value of the targets.
    """
    lam_W, lam_H = float(problem.lam_W[0]), float(problem.lam_H)
    if problem.p == 2 and field.quadratic and lam_W > 0 and lam_H > 0:
        ratio = math.sqrt(lam_W / lam_H)
        end = stiffness.largest / problem.N * (ratio + 1 / ratio)
        total = stiffness.rate * min(time, 0.5 / min(lam_W, lam_H)) + end * time
    else:
        total = stiffness.rate * time
    return total if math.isfinite(total) else 0.0


def _on_host(y: Array) -> bool:
    return isinstance(y, np.ndarray) and y.dtype == np.float64
