"""`simulate`: the gradient flow of a problem, dW = -dL/dW, dH = -dL/dH, db = -dL/db, from a start to t1 or to rest."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Literal

import numpy as np

from ufm.arrays import Array, Backend, array_namespace, namespace_of
from ufm.constraints import Near, NonNegative
from ufm.errors import ProblemError, UfmError
from ufm.flow.central import central_path
from ufm.flow.choice import choose
from ufm.flow.constrained import admitted, bound, check_flows, each_sample, rates_at_rest
from ufm.flow.control import control_of
from ufm.flow.coordinates import Coordinates, Mode, coordinates
from ufm.flow.descend import Steps, check_descends, descend, descent_of
from ufm.flow.driver import Progress, Run, integrate
from ufm.flow.flow import Flow, Path
from ufm.flow.integrators import Adam, Descent, Library, Method
from ufm.flow.library import library_stepper
from ufm.flow.projected import ProjectedStepper
from ufm.flow.saver import on_steps, saver_of
from ufm.flow.spectrum import fastest_rate
from ufm.flow.start import Seed, random_start
from ufm.flow.state import State, checked, on_backend
from ufm.flow.steady import Rest
from ufm.flow.step import stepper
from ufm.problem import Problem


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
) -> Flow:
    """The gradient flow of a problem from a start to time t1, or without t1 to rest.

    start: a seed for `random_start`, or a State (d x K features: class means, which the flow keeps collapsed).
    rtol, atol: accepted error of a step relative to the norms of the classifier and of the features, and absolute
    (default rtol/1000 of the data's own scale). gtol: the remaining distance to the limit, relative to the norm of the
    state, at which it is at rest. integrator: "auto" (IMEX where the bias is linear, that is,
    squared loss, and explicit otherwise; where the flow is stiff "lsoda" or "rkc2", see `ufm.flow.choice`) or a name of
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

    A constraint is kept (see `ufm.flow.constrained`) or refused with the reason.
    A run that does not come to rest returns what it has, with a status that says what to do; throw=True raises
    UfmError with that text instead, whenever the status is not STEADY.
    """
    if problem.is_symbolic:
        raise ProblemError("problem", problem, "its weights hold free symbols; substitute numbers first.")
    check_flows(problem)
    state, seed = _start(problem, start, backend)
    eps = _check_tolerances(state, t1, rtol, atol, gtol, max_steps)
    descent = descent_of(integrator, lr, momentum)
    at, y, decay = _coordinates(problem, state, mode, path, descent)
    scale = float(np.linalg.norm(problem.targets.columns * np.sqrt(problem.targets.multiplicity))) ** (1 / problem.p)
    floor = 1e-3 * rtol * scale if atol is None else atol
    rest = Rest(gtol, min(rates_at_rest(problem), default=0.0), scale, eps)
    saver = saver_of(save, t1, lambda: _time_scale(at, y))
    if descent is not None:
        step = check_descends(descent, at, y)
        last, saver = None if t1 is None else max(1, round(t1 / step)), on_steps(saver, step)
        run = descend(
            at, descent, y, decay=decay, last=last, rest=rest, max_steps=max_steps, saver=saver, progress=progress
        )
        method: Method | Steps = descent
    else:
        method = choose(str(integrator), problem, at, y, rtol, t1)
        run = integrate(
            _stepper(at, method, y, rtol, floor),
            y,
            t1=None if t1 is None else float(t1),
            control=control_of(method, rtol, floor),
            rest=rest,
            max_steps=max_steps,
            saver=saver,
            progress=progress,
        )
    if throw and not run.status.steady:
        raise UfmError(run.status.value)
    provenance = _provenance(run, method, at, rtol, gtol, start if isinstance(start, State) else None, path)
    saved = Path(problem, np.asarray(saver.t), at, tuple(saver.y), seed, provenance) if saver.t else None
    return Flow(
        problem,
        run.t,
        at.state(run.y, run.t),
        run.status,
        saved,
        run.gradient_norm,
        run.rate,
        run.steps,
        run.rejected,
        run.evaluations,
        seed,
        provenance,
        at,
        run.y,
    )


def _coordinates(
    problem: Problem, state: State, mode: Mode, path: str, descent: Steps | None
) -> tuple[Coordinates, Array, Array]:
    """Coordinates that the constraint, the path and the steps allow, the flat state, and the weights of its entries."""
    if path not in ("gradient", "central"):
        raise ProblemError("path", path, "choose 'gradient', or 'central' for W slaved to H (tirer2023).")
    state = admitted(problem, state)
    entrywise = isinstance(descent, Adam)
    if entrywise and mode not in ("auto", "full"):
        raise ProblemError("mode", mode, f"{descent.name} scales every entry by itself; use 'full'.")
    state = each_sample(problem, state) if entrywise else state
    law = path == "gradient" and descent is None and problem.constraint is None
    rotates = not entrywise and not isinstance(problem.constraint, Near | NonNegative)
    at, y = coordinates(problem, state, "full" if entrywise else mode, law=law, rotates=rotates)
    decay, at = at.field.decay, bound(problem, at, y)
    if path == "central":
        at, y = central_path(problem, at, y)
        decay = at.field.decay
    return at, y, decay


def _stepper(at: Coordinates, method: Method, y: Array, rtol: float, floor: float) -> Any:
    """Steps of the method; where features must stay non-negative, projected ones."""
    if isinstance(method, Library):
        return library_stepper(at.field, method, rtol, floor)
    free = stepper(at.field, method, y)
    return free if at.field.cone is None else ProjectedStepper(at.field, free, control_of(method, rtol, floor))


def _start(problem: Problem, start: Any, backend: Backend) -> tuple[State, int | None]:
    if isinstance(start, State):
        state = start if backend == "auto" else on_backend(namespace_of(backend), start.numpy())
        return checked(problem, _floating(state)), None
    drawn = on_backend(namespace_of(backend), random_start(problem, start))
    return checked(problem, drawn), None if isinstance(start, np.random.Generator) else int(start)


@np.errstate(over="ignore", invalid="ignore")
def _time_scale(at: Coordinates, y: Array) -> float:
    """1 / the fastest rate at the start, or 1 where there is none."""
    slope = at.field(y, 0.0)
    return 1 / (fastest_rate(at.field, 0.0, y, slope, slope, implicit_bias=False, iterations=4) or 1.0)


def _floating(state: State) -> State:
    """Lists and integer arrays become double-precision NumPy arrays; floating arrays of any backend stay."""

    def give(x: Any) -> Any:
        x = x.detach() if hasattr(x, "detach") else x  # a network's parameters: the flow needs no autograd
        if hasattr(x, "dtype") and "float" in str(x.dtype):
            return x
        try:
            return np.asarray(x, dtype=float)
        except (TypeError, ValueError):
            raise ProblemError("start", x, "give arrays of numbers.") from None

    return state.each(give)


def _check_tolerances(state: State, t1: Any, rtol: float, atol: float | None, gtol: float, max_steps: int) -> float:
    """The unit round-off of the state's numbers; ProblemError for what it, or sense, does not allow."""
    eps = float(array_namespace(state.H).finfo(state.H.dtype).eps)
    if t1 is not None and not (_is_real(t1) and 0 < t1 < math.inf):
        raise ProblemError("t1", t1, "give a positive finite time, or None to run to rest.")
    for name, value in (("rtol", rtol), ("gtol", gtol)):
        if not _is_real(value) or not 50 * eps <= value < 1:
            raise ProblemError(name, value, f"give a number from {50 * eps:.0e} (round-off) to 1.")
    if atol is not None and not (_is_real(atol) and 0 <= atol < math.inf):
        raise ProblemError("atol", atol, "give a finite number >= 0, or None.")
    if isinstance(max_steps, bool) or not isinstance(max_steps, int | np.integer) or max_steps < 1:
        raise ProblemError("max_steps", max_steps, "give a positive integer.")
    return eps


def _is_real(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _provenance(
    run: Run, method: Method | Steps, at: Coordinates, rtol: float, gtol: float, given: State | None, path: str
) -> dict[str, Any]:
    if isinstance(method, Descent | Adam):  # the parameters of a descent; rtol is none
        kept = {"momentum"} if isinstance(method, Descent) else {"betas", "eps"}
        extra = {k: v for k, v in asdict(method).items() if k == "lr" or k in kept}
    else:
        extra = {"rtol": rtol}
    return {
        "integrator": method.name + (", then rkc2" if run.fell_back else ""),
        "mode": at.description,
        "status": run.status.name,
        "start": "random" if given is None else "given",
        "t": run.t,
        "steps": run.steps,
        "rejected": run.rejected,
        "evaluations": run.evaluations,
        "path": path,
        **extra,
        "gtol": gtol,
    }
