"""A flow before it runs: start, coordinates, method and stopping rule; how it runs alone; and its answer."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np

from ufm.arrays import Array, Backend, array_namespace, namespace_of
from ufm.constraints import Near, NonNegative
from ufm.errors import ProblemError
from ufm.flow.central import central_path
from ufm.flow.choice import choose
from ufm.flow.constrained import admitted, bound, check_flows, each_sample, rates_at_rest
from ufm.flow.control import Control, control_of
from ufm.flow.coordinates import Coordinates, Mode, coordinates
from ufm.flow.descend import Steps, check_descends, descend, descent_of
from ufm.flow.driver import Progress, Run, integrate
from ufm.flow.field import Field
from ufm.flow.flow import Flow, Path
from ufm.flow.integrators import Adam, Descent, Exponential, Library, Method
from ufm.flow.krylov import ExponentialStepper
from ufm.flow.library import library_stepper
from ufm.flow.projected import ProjectedStepper
from ufm.flow.saver import Saver, on_steps, saver_of
from ufm.flow.spectrum import fastest_rate
from ufm.flow.start import Seed, random_start
from ufm.flow.state import State, checked, on_backend
from ufm.flow.steady import Rest
from ufm.flow.step import stepper
from ufm.flow.within import Law
from ufm.problem import Problem


@dataclass(frozen=True)
class Options:
    """What `simulate` lets one say of a flow, beside problem, start and t1; see there."""

    rtol: float = 1e-8
    atol: float | None = None
    gtol: float = 1e-9
    integrator: str | Steps = "auto"
    lr: float | None = None
    momentum: float | None = None
    path: Literal["gradient", "central"] = "gradient"
    save: int | Sequence[float] | np.ndarray | None = None
    backend: Backend = "auto"
    mode: Mode = "auto"
    max_steps: int = 100_000


@dataclass(frozen=True, eq=False)
class Plan:
    """A flow before it runs.

    seed: of its start, None where that was given; decay: weights of the flat state's entries; last: steps of a descent,
    None to rest.
    """

    problem: Problem
    options: Options
    t1: float | None
    seed: int | None
    given: bool
    at: Coordinates
    y: Array
    decay: Array
    method: Method | Steps
    floor: float  # the absolute tolerance
    rest: Rest
    saver: Saver
    last: int | None = None

    @property
    def control(self) -> Control:
        """The control of its steps."""
        return control_of(self.method, self.options.rtol, self.floor)  # pyright: ignore[reportArgumentType]


def planned(
    problem: Problem, start: Seed | State, t1: float | None, options: Options, *, stacked: bool = False
) -> Plan:
    """The plan of a flow, alone or `stacked` with others; ProblemError for what cannot flow."""
    if problem.is_symbolic:
        raise ProblemError("problem", problem, "its weights hold free symbols; substitute numbers first.")
    check_flows(problem)
    state, seed = _start(problem, start, options.backend)
    eps = _check_tolerances(state, t1, options)
    descent = descent_of(options.integrator, options.lr, options.momentum)
    at, y, decay = _coordinates(problem, state, options.mode, options.path, descent)
    scale = float(np.linalg.norm(problem.targets.columns * np.sqrt(problem.targets.multiplicity))) ** (1 / problem.p)
    floor = 1e-3 * options.rtol * scale if options.atol is None else options.atol
    rest = Rest(options.gtol, min(rates_at_rest(problem), default=0.0), scale, eps)
    saver = saver_of(options.save, t1, lambda: _time_scale(at, y))
    last, end = None, None if t1 is None else float(t1)
    if descent is not None:
        step = check_descends(descent, at, y)
        last, saver = None if t1 is None else max(1, round(t1 / step)), on_steps(saver, step)
        method: Method | Steps = descent
    else:
        method = choose(str(options.integrator), problem, at, y, options.rtol, t1, stacked=stacked)
    given = isinstance(start, State)
    return Plan(problem, options, end, seed, given, at, y, decay, method, floor, rest, saver, last)


def run_alone(plan: Plan, progress: Callable[[Progress], None] | None) -> Run:
    """The flow by itself, by the driver of its kind of method."""
    at, y, method, options = plan.at, plan.y, plan.method, plan.options
    kept: dict[str, Any] = {
        "rest": plan.rest,
        "max_steps": options.max_steps,
        "saver": plan.saver,
        "progress": progress,
    }
    if isinstance(method, Descent | Adam):
        return descend(at, method, y, decay=plan.decay, last=plan.last, **kept)
    return integrate(steps_of(plan), y, t1=plan.t1, control=plan.control, **kept)


def later(plan: Plan, y: Array, start: float, t: float) -> Array:
    """The flat state at t, from y at `start` < t, by the plan's own integrator and tolerances."""
    at = replace(plan.at, field=_restarted(plan.at.field, start))
    return run_alone(replace(plan, at=at, y=y, t1=t - start, saver=Saver([])), None).y


def _restarted(field: Field, start: float) -> Field:
    """The same field in the time since `start`: only A-mode's law knows what time it is."""
    return replace(field, within=field.within.later(start)) if isinstance(field.within, Law) else field


def answer(plan: Plan, run: Run) -> Flow:
    """What `simulate` returns."""
    at, saver, provenance = plan.at, plan.saver, _provenance(plan, run)
    kept = (plan.problem, np.asarray(saver.t), at, tuple(saver.y), plan.seed, provenance, partial(later, plan))
    saved = Path(*kept) if saver.t else None
    return Flow(
        plan.problem,
        run.t,
        at.state(run.y, run.t),
        run.status,
        saved,
        run.gradient_norm,
        run.rate,
        run.steps,
        run.rejected,
        run.evaluations,
        plan.seed,
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


def steps_of(plan: Plan) -> Any:
    """Steps of the plan's integrator; where features must stay non-negative, projected ones."""
    field, method = plan.at.field, plan.method
    if isinstance(method, Library):
        return library_stepper(field, method, plan.options.rtol, plan.floor)
    if isinstance(method, Exponential):
        free: Any = ExponentialStepper(field, method, plan.control)
    else:
        free = stepper(field, method, plan.y)  # pyright: ignore[reportArgumentType]
    return free if field.cone is None else ProjectedStepper(field, free, plan.control)


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
    return 1 / (fastest_rate(at.field, 0.0, y, slope, slope, implicit_bias=False, iterations=4).rate or 1.0)


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


def _check_tolerances(state: State, t1: Any, options: Options) -> float:
    """The unit round-off of the state's numbers; ProblemError for what it, or sense, does not allow."""
    eps, atol, max_steps = float(array_namespace(state.H).finfo(state.H.dtype).eps), options.atol, options.max_steps
    if t1 is not None and not (_is_real(t1) and 0 < t1 < math.inf):
        raise ProblemError("t1", t1, "give a positive finite time, or None to run to rest.")
    for name, value in (("rtol", options.rtol), ("gtol", options.gtol)):
        if not _is_real(value) or not 50 * eps <= value < 1:
            raise ProblemError(name, value, f"give a number from {50 * eps:.0e} (round-off) to 1.")
    if atol is not None and not (_is_real(atol) and 0 <= atol < math.inf):
        raise ProblemError("atol", atol, "give a finite number >= 0, or None.")
    if isinstance(max_steps, bool) or not isinstance(max_steps, int | np.integer) or max_steps < 1:
        raise ProblemError("max_steps", max_steps, "give a positive integer.")
    return eps


def _is_real(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _provenance(plan: Plan, run: Run) -> dict[str, Any]:
    method = plan.method
    if isinstance(method, Descent | Adam):  # the parameters of a descent; rtol is none
        kept = {"momentum"} if isinstance(method, Descent) else {"betas", "eps"}
        extra = {k: v for k, v in asdict(method).items() if k == "lr" or k in kept}
    else:
        extra = {"rtol": plan.options.rtol}
    return {
        "integrator": method.name + (", then rkc2" if run.fell_back else ""),
        "mode": plan.at.description,
        "status": run.status.name,
        "start": "given" if plan.given else "random",
        "t": run.t,
        "steps": run.steps,
        "rejected": run.rejected,
        "evaluations": run.evaluations,
        "path": plan.options.path,
        **extra,
        "gtol": plan.options.gtol,
    }
