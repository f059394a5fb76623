"""`simulate`: the gradient flow of a problem, dW = -dL/dW, dH = -dL/dH, db = -dL/db, from a start to t1 or to rest."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, overload

import numpy as np

from ufm.arrays import Backend
from ufm.errors import UfmError
from ufm.flow.coordinates import Mode
from ufm.flow.descend import Steps
from ufm.flow.driver import Progress
from ufm.flow.flow import Flow
from ufm.flow.flows import Flows, simulate_grid
from ufm.flow.plan import Options, answer, planned, run_alone
from ufm.flow.start import Seed
from ufm.flow.state import State
from ufm.problem import Problem


@overload
def simulate(
    problem: Problem,
    start: Seed | State = 0,
    t1: float | None = None,
    *,
    rtol: float = 1e-8,
    atol: float | None = None,
    gtol: float = 1e-9,
    integrator: str | Steps = "auto",
    lr: float | None = None,
    momentum: float | None = None,
    path: Literal["gradient", "central"] = "gradient",
    save: int | Sequence[float] | np.ndarray | None = None,
    backend: Backend = "auto",
    mode: Mode = "auto",
    max_steps: int = 100_000,
    throw: bool = False,
    progress: Callable[[Progress], None] | None = None,
    over: None = None,
) -> Flow: ...
@overload
def simulate(
    problem: Problem,
    start: Seed | State = 0,
    t1: float | Sequence[Any] | np.ndarray | None = None,
    *,
    rtol: float = 1e-8,
    atol: float | None = None,
    gtol: float = 1e-9,
    integrator: str | Steps = "auto",
    lr: float | None = None,
    momentum: float | None = None,
    path: Literal["gradient", "central"] = "gradient",
    save: int | Sequence[float] | np.ndarray | None = None,
    backend: Backend = "auto",
    mode: Mode = "auto",
    max_steps: int = 100_000,
    throw: bool = False,
    progress: Callable[[Progress], None] | None = None,
    over: Mapping[str, Any],
) -> Flows: ...
def simulate(
    problem: Problem,
    start: Seed | State = 0,
    t1: float | Sequence[Any] | np.ndarray | None = None,
    *,
    rtol: float = 1e-8,
    atol: float | None = None,
    gtol: float = 1e-9,
    integrator: str | Steps = "auto",
    lr: float | None = None,
    momentum: float | None = None,
    path: Literal["gradient", "central"] = "gradient",
    save: int | Sequence[float] | np.ndarray | None = None,
    backend: Backend = "auto",
    mode: Mode = "auto",
    max_steps: int = 100_000,
    throw: bool = False,
    progress: Callable[[Progress], None] | None = None,
    over: Mapping[str, Any] | None = None,
) -> Flow | Flows:
    """The gradient flow of a problem from a start to time t1, or without t1 to rest.

    start: a seed for `random_start`, or a State (d x K features: class means, which the flow keeps collapsed).
    rtol, atol: accepted error of a step relative to the norms of the classifier and of the features, and absolute
    (default rtol/1000 of the data's own scale). gtol: the remaining distance to the limit, relative to the norm of the
    state, at which it is at rest. integrator: "auto" (IMEX where the bias is linear, that is, squared loss, else
    explicit; where the flow is stiff "lsoda", "rkc2" or "exprb43", see `ufm.flow.choice`) or a name of
    `ufm.flow.integrators`. Descents are among those, or may be given whole (`ufm.flow.integrators.Adam(...)`):
    "gradient_descent", "momentum", "nesterov", "adam", "adamw", with steps of length lr, t = lr x steps; t1 and saved
    times are rounded to steps. momentum: the factor of "momentum" and "nesterov", 0.9 if left out.
    path: "central" slaves W and b to H, W = W*(H) (`ufm.flow.central`). save: times, or how many log-spaced ones
    from 0 to the end (at most, without t1).
    mode: "auto" takes the smallest coordinates that lose nothing of the start: all samples come back where it gave
    them, and S where it gave S ("A" if lam_W = lam_H and p = 2, else "S"); a seed draws all samples up to 2^22 numbers,
    and S beyond (see `random_start`). "full", "collapsed", "samples", "A", "S", "propagator" insist: see
    `ufm.flow.coordinates`.
    backend: "auto" is that of the start's arrays, or for a seed CuPy where a device answers, else NumPy.
    progress: called with a Progress every few steps.
    over: {"lam_b": grid, "start": seeds, ...}, fields among lam_b, lam_W, lam_H and start (seeds, or States): the flows
    on the product of the axes (Flows), thousands at once, each as it would be alone; t1 may differ among them, as an
    array of the grid's shape. See `ufm.flow.many` for flows that no grid holds.

    A constraint is kept (see `ufm.flow.constrained`) or refused with the reason.
    A run that does not come to rest returns what it has, with a status that says what to do; throw=True raises
    UfmError with that text instead, whenever the status is not STEADY.
    """
    options = Options(rtol, atol, gtol, integrator, lr, momentum, path, save, backend, mode, max_steps)
    if over is not None:
        return simulate_grid(problem, over, start, t1, options, throw=throw, progress=progress)
    plan = planned(problem, start, t1, options)  # pyright: ignore[reportArgumentType]: an array is refused with its reason
    run = run_alone(plan, progress)
    if throw and not run.status.steady:
        raise UfmError(run.status.value)
    return answer(plan, run)
