"""The gradient flow against its peers on the same problems: writes flow.md, flow.json and flow.svg beside itself.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python numerics/benchmarks/flow.py [section ...] [--device cupy]

All sections take some fifteen minutes, but for `whole`, which takes as long again and must be named; named ones are
measured anew and the rest kept as recorded. Peers that are not installed (`pip install "ufm[bench]"`) are left out, and
said to be. Times are CPU seconds of this process, medians of three, or one run where it takes more than three seconds.
Errors are relative, against our flow at rtol 1e-12.
"""

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import flow_peers as peers
import numpy as np
import scipy
from flow_goals import Goal, certificates, ratio_in_parts, shares, table
from scipy.integrate import solve_ivp

import ufm
from ufm import encodings
from ufm.errors import ProblemError
from ufm.flow import Flow, Options, State, balanced_start, random_start, simulate, simulate_many
from ufm.flow.coordinates import coordinates
from ufm.flow.integrators import available
from ufm.flow.jacobian import jacobian
from ufm.flow.state import checked
from ufm.problem import Problem, classes

HERE = Path(__file__)
OUT, RECORDS = HERE.parent, HERE.parents[1] / "records"  # where tables go, and what figures and `ufm doctor` read
SIZES = {"toy": (4, 16, 10), "c500": (10, 512, 500), "c5000": (10, 512, 5000), "inet": (1000, 2048, 1300)}
HOW = """K, d, n: toy 4, 16, 10; c500 10, 512, 500; c5000 10, 512, 5000; inet 1000, 2048, 1300. All weights
rho / (K sqrt n), rho = 0.1 unless said; to t = 15 / lam. In brackets the number of the goal. The error is the larger of
those at t = 1 / lam and at the end. A shared machine: compare the rows of a table, not tables."""
PEERS = {"SciPy RK45": "RK45", "SciPy DOP853": "DOP853", "SciPy LSODA": "LSODA", "SciPy Radau": "Radau"}
AXES = {
    "N": [(10, 64, n) for n in (10, 100, 1000, 10_000, 100_000, 1_000_000)],
    "d": [(10, d, 500) for d in (32, 64, 128, 256, 512, 1024)],
    "K": [(K, 256, 100) for K in (4, 8, 16, 32, 64)],
}
TOLERANCES = (1e-3, 1e-5, 1e-7, 1e-9)
LONG = 3.0  # seconds from which one run must do
SCALED = ("kencarp4", "kencarp5", "rkc2")  # integrators whose time is measured against sizes
FULL = 10**7  # numbers in H up to which the full gradient is measured beside them


Section = tuple[list[str], list[Goal]]


def problem_of(size: str, rho: float = 0.1, *, bias: bool = True) -> Problem:
    """Balanced one-hot classes, all weights rho / (K sqrt(n))."""
    K, d, n = SIZES[size]
    l = rho / (K * n**0.5)
    lam_b = l if bias else np.inf
    return Problem(targets=classes(encodings.one_hot(K), n), lam_W=l, lam_H=l, lam_b=lam_b, width=d)


def horizon(problem: Problem) -> float:
    """15 time constants of the weights."""
    return 15 / float(problem.lam_H)


def timed(run: Callable[[], Any], repeat: int = 3) -> tuple[float, Any]:
    """Median CPU seconds, and the last result."""
    seconds, result = [], None
    for _ in range(repeat):
        began = time.process_time()
        result = run()
        seconds.append(time.process_time() - began)
        if seconds[-1] > LONG:
            break
    return statistics.median(seconds), result


def per_call(run: Callable[[], Any], seconds: float = 0.3) -> float:
    """CPU seconds of one call, the median of seven batches."""
    run()
    began = time.process_time()
    run()
    count = max(1, int(seconds / 7 / max(time.process_time() - began, 1e-6)))

    def batch() -> None:
        for _ in range(count):
            run()

    return timed(batch, 7)[0] / count


def naive_slope(problem: Problem, W: np.ndarray, H: np.ndarray, b: np.ndarray, Y: np.ndarray) -> tuple[Any, ...]:
    """The full gradient as a user writes it."""
    l, N = float(problem.lam_H), problem.N
    E = (W @ H + b[:, None] - Y) / N
    return -(E @ H.T + l * W), -(W.T @ E + l * H), -(E.sum(axis=1) + float(problem.lam_b) * b)


def right_hand_sides() -> Section:
    """Goals 0, 1 and 2: reduced and full agree; one evaluation against the full gradient and its own products."""
    lines = [
        "| size | A-mode | naive full gradient | ratio | its own matrix products | ratio |",
        "|---|---|---|---|---|---|",
    ]
    ours, ratio, own, beside = {}, {}, {}, {}
    for size, (K, d, n) in SIZES.items():
        problem = problem_of(size)
        at, y = coordinates(problem, checked(problem, random_start(problem, 0, samples=False)), "A")
        out = np.empty_like(y)
        ours[size] = per_call(lambda at=at, y=y, out=out: at.field(y, 1.0, out=out))
        W, Ht = (np.ascontiguousarray(x) for x in (at.field.unpack(y)[1][0], at.field.unpack(y)[2]))
        gram = W @ W.T
        products = per_call(lambda W=W, Ht=Ht, G=gram: (W @ Ht.T, W @ W.T, G @ W, G.T @ W))
        own[size], copy = ours[size] / products, per_call(lambda y=y, out=out: np.copyto(out, y))
        beside[size] = (
            f"its products alone take {products * 1e3:.3g} of {ours[size] * 1e3:.3g} ms; the rest (E, the targets' "
            f"diagonal and mean, the decay, what is left of D0) is worth {(ours[size] - products) / copy:.1f} copies "
            f"of a state of {y.nbytes / 2**20:.2g} MiB, which it passes over by blocks of rows"
        )
        naive = "-"
        if size != "inet":
            rng, Y = np.random.default_rng(0), problem.targets.matrix()
            H, b = rng.standard_normal((d, K * n)), np.zeros(K)
            full = per_call(lambda p=problem, W=W, H=H, b=b, Y=Y: naive_slope(p, W, H, b, Y))
            ratio[size], naive = full / ours[size], f"{full * 1e6:.0f} us"
        lines.append(
            f"| {size} | {ours[size] * 1e6:.0f} us | {naive} | {f'{ratio[size]:.0f}' if size in ratio else '-'} | "
            f"{products * 1e6:.0f} us | {own[size]:.2f} |"
        )
    spread = ours["c5000"] / ours["c500"]
    goals = [
        gate(),
        Goal(
            1,
            "A-mode right-hand side >= 250x (c500), >= 2500x (c5000) over the naive gradient; c5000/c500 <= 1.3",
            f"{ratio['c500']:.0f}x, {ratio['c5000']:.0f}x; {spread:.2f}",
            ratio["c500"] >= 250 and ratio["c5000"] >= 2500 and spread <= 1.3,
            f"at c500 {beside['c500']}.",
        ),
        Goal(
            2,
            "at K = 1000, d = 2048 <= 1.15x its own matrix products",
            f"{own['inet']:.2f}x",
            own["inet"] <= 1.15,
            f"{beside['inet']}.",
        ),
    ]
    return lines, goals


def gate() -> Goal:
    """Goal 0: the reduced right-hand sides and trajectories are the full ones, where they are exact, else refused."""
    problem = problem_of("toy")
    start = checked(problem, random_start(problem, 0))
    slopes, ends, t1 = {}, {}, 0.5 / float(problem.lam_H)
    for mode in ("full", "samples", "S", "A"):
        at, y = coordinates(problem, start, mode)
        slopes[mode] = flat(problem, at.state(at.field(y, 0.0), 0.0))
        flow = simulate(problem, start, t1, rtol=1e-12, integrator="dopri8", mode=mode, max_steps=10**6)
        ends[mode] = flat(problem, flow.state)
    far = [
        max(float(np.linalg.norm(x[mode] - x["full"]) / np.linalg.norm(x["full"])) for mode in ("samples", "S", "A"))
        for x in (slopes, ends)
    ]
    try:
        coordinates(problem, start, "collapsed")
        refused = False
    except ProblemError:
        refused = True
    return Goal(
        0,
        "reduced right-hand sides equal the full one to 1e-13, trajectories to 1e-12 at rtol 1e-12; what is not exact "
        "is refused",
        f"{far[0]:.0e}; {far[1]:.0e}; {'refused' if refused else 'accepted'}",
        far[0] <= 1e-13 and far[1] <= 1e-12 and refused,
        "trajectories differ by round-off times the growth of perturbations on the way, which tests/test_flow_modes.py "
        "measures and divides out."
        if far[0] <= 1e-13 and refused
        else "a reduction is wrong.",
    )


def flat(problem: Problem, state: State) -> np.ndarray:
    """W, class means and b, which every mode has."""
    return np.concatenate([np.ravel(x) for x in (*state.W, state.class_means(problem), state.b)])


class Case:
    """One problem, start and horizon: its reference at two times, and rows of a table."""

    def __init__(self, title: str, problem: Problem, start: State, rtol: float, reference: str) -> None:
        self.title, self.problem, self.rtol = title, problem, rtol
        self.start = checked(problem, start)
        self.t1 = horizon(problem)
        self.times = np.array([self.t1 / 15, self.t1])
        self.exact = self.flow(reference, rtol=1e-12)
        self.rows: list[tuple[str, float, float, str, float]] = []

    def flow(self, name: str, rtol: float | None = None, mode: Any = "auto") -> Flow:
        """Our flow of this case."""
        return simulate(
            self.problem,
            self.start,
            t1=self.t1,
            rtol=rtol or self.rtol,
            integrator=name,
            save=self.times,
            mode=mode,
            max_steps=10**7,
        )

    def ours(self, name: str, mode: Any = "auto") -> None:
        """A row of ours, reduction included."""
        seconds, flow = timed(lambda: self.flow(name, mode=mode))
        states = [flow.path.state(i) for i in range(2)]
        chosen = f": {flow.provenance['integrator']}" if name == "auto" else ""
        label = f"ufm {name}{chosen}, {flow.provenance['mode'].split(',')[0]}"
        self._row(label, seconds, states, str(flow.evaluations), flow.gradient_norm)

    def peer(self, label: str, *, mode: Any = "auto", jac: bool = False) -> None:
        """SciPy on the right-hand side of these coordinates."""
        at, y = coordinates(self.problem, self.start, mode)
        options: dict[str, Any] = {"jac": jacobian(at.field)} if jac else {}

        def run() -> Any:
            return solve_ivp(
                lambda t, y: at.field(y, t),
                (0, self.t1),
                y,
                method=PEERS[label],
                rtol=self.rtol,
                atol=self.rtol / 1e3,
                t_eval=self.times,
                **options,
            )

        seconds, answer = timed(run)
        states = [at.state(answer.y[:, i], float(self.times[i])) for i in range(2)]
        gradient = at.field.gradient_norm(answer.y[:, 1], at.field(answer.y[:, 1], self.t1), self.t1)
        what = "full problem" if mode == "full" else "same reduced right-hand side"
        note = ", exact Jacobian" if jac else ""
        self._row(f"{label}, {what}{note}", seconds, states, str(answer.nfev), gradient)

    def rejected_peer(self, label: str) -> None:
        """A row that says why there is none."""
        self.rows.append((f"{label}: not installed", math.nan, math.nan, "-", math.nan))

    def jitted(self, name: str, mode: Any = "full") -> float:
        """diffrax on the right-hand side of these coordinates, warm; returns the seconds of its first call."""
        at, y = coordinates(self.problem, self.start, mode)
        columns = peers.Columns(self.problem, at.field, y)
        compiling, run = peers.diffrax_flow(columns, name, self.rtol, self.times.tolist())
        seconds, (parts, steps) = timed(run)
        self._states(
            f"diffrax {name}, {mode} problem, warm (compiled in {compiling:.1f} s)", seconds, at, columns, parts
        )
        self.rows[-1] = (*self.rows[-1][:3], f"{int(steps)} steps", self.rows[-1][4])
        return compiling + seconds

    def torch_peer(self, label: str, make: Callable[[Any], Callable[[], Any]]) -> None:
        """torchdiffeq or descent on the full problem."""
        at, y = coordinates(self.problem, self.start, "full")
        columns = peers.Columns(self.problem, at.field, y)
        seconds, (parts, count) = timed(make(columns))
        self._states(f"{label}, full problem", seconds, at, columns, parts)
        self.rows[-1] = (*self.rows[-1][:3], str(count), self.rows[-1][4])

    def _states(self, label: str, seconds: float, at: Any, columns: Any, parts: Sequence[Any]) -> None:
        ys = [columns.flat([np.asarray(x)[i] for x in parts]) for i in range(2)]
        states = [at.state(y, float(t)) for y, t in zip(ys, self.times, strict=True)]
        gradient = at.field.gradient_norm(ys[1], at.field(ys[1], self.t1), self.t1)
        self._row(label, seconds, states, "", gradient)

    def seconds(self, start: str) -> float:
        """CPU seconds of the first row whose label starts so; NaN where there is none."""
        return next((row[1] for row in self.rows if row[0].startswith(start)), math.nan)

    def evaluations(self, start: str) -> int:
        """Its evaluations of the right-hand side."""
        return next((int(row[3].split()[0]) for row in self.rows if row[0].startswith(start)), 0)

    def compared(self, start: str) -> str:
        """Our first row against another, as evaluations saved and what one costs."""
        own, other = ((self.seconds(x), self.evaluations(x)) for x in ("ufm", start))
        return ratio_in_parts(own, other, start)

    def profile(self, name: str = "auto", mode: Any = "auto") -> str:
        """Where our flow's time goes."""
        return shares(lambda: self.flow(name, mode=mode))

    def error(self, start: str) -> float:
        """Its error."""
        return next((row[2] for row in self.rows if row[0].startswith(start)), math.nan)

    def gradient(self, start: str) -> float:
        """Its gradient at the end."""
        return next((row[4] for row in self.rows if row[0].startswith(start)), math.nan)

    def _row(self, label: str, seconds: float, states: list[State], cost: str, gradient: float) -> None:
        assert self.exact.path is not None
        errors = []
        for i, state in enumerate(states):
            exact = flat(self.problem, self.exact.path.state(i))
            mine = flat(self.problem, state)
            errors.append(float(np.linalg.norm(mine - exact) / np.linalg.norm(exact)))
        self.rows.append((label, seconds, max(errors), cost, gradient))

    def table(self) -> list[str]:
        """Markdown."""
        first = self.rows[0][1]
        head = [
            f"\n**{self.title}** (rtol {self.rtol:g})\n",
            "| solver | CPU s | times ours | error | evaluations | gradient at the end |",
        ]
        body = [f"| {name} | {s:.3g} | {s / first:.3g} | {e:.0e} | {c} | {g:.0e} |" for name, s, e, c, g in self.rows]
        return [*head, "|---|---|---|---|---|---|", *body]


def toy() -> Section:
    """Goal 6: one small flow."""
    problem = problem_of("toy")
    case = Case("one toy flow, all samples, with bias (6)", problem, random_start(problem, 0), 1e-6, "dopri8")
    case.ours("auto")
    for label in PEERS:
        case.peer(label, mode="full")
    first = math.nan
    if peers.installed("diffrax"):
        first = case.jitted("Tsit5")
        case.jitted("Dopri8")
    else:
        case.rejected_peer("diffrax")
    if peers.installed("torchdiffeq"):
        for name in ("dopri5", "dopri8"):
            case.torch_peer(
                f"torchdiffeq {name}", lambda c, name=name: peers.torchdiffeq_flow(c, name, 1e-6, case.times.tolist())
            )
    else:
        case.rejected_peer("torchdiffeq")
    if peers.installed("torch"):
        case.torch_peer("PyTorch descent, lr = 1", lambda c: peers.torch_descent(c, 1.0, case.times.tolist()))
    own, warm = case.seconds("ufm"), case.seconds("diffrax Tsit5")
    measured = f"{own / warm:.2f}x; {first / own:.0f}x" if warm == warm else "diffrax is not installed"
    wanted = "one toy flow <= 1.5x the time of warm jitted diffrax Tsit5 and >= 15x faster than its first call"
    why = f"the flow's time: {case.profile()}. Compiled code pays no calls of NumPy, of which a small flow consists."
    return case.table(), [Goal(6, wanted, measured, own <= 1.5 * warm and first >= 15 * own, why)]


def cifar() -> Section:
    """Goal 3: with bias, SciPy on the same reduced right-hand side."""
    lines, ratios, missed, why = [], [], [], ""
    for size in ("c500", "c5000"):
        problem = problem_of(size)
        case = Case(f"{size} with bias (3)", problem, random_start(problem, 0, samples=False), 1e-6, "kencarp5")
        case.ours("auto")
        for label in ("SciPy DOP853", "SciPy RK45"):
            case.peer(label)
        own = case.seconds("ufm")
        both = [case.seconds(label) / own for label in ("SciPy DOP853", "SciPy RK45")]
        ends = min(case.gradient(label) for label in ("SciPy DOP853", "SciPy RK45"))
        checks = {
            "DOP853": both[0] >= 25,
            "RK45": both[1] >= 30,
            "error": case.error("ufm") <= 1e-6,
            f"gradient at the end, {case.gradient('ufm'):.1e} for {ends:.1e}": case.gradient("ufm") <= 1.05 * ends,
        }
        short = [f"{size} {name}" for name, met in checks.items() if not met]
        if short:
            missed += short
            parts = "; ".join(case.compared(label) for label in ("SciPy DOP853", "SciPy RK45"))
            why += f"; at {size} {parts}; the flow's time: {case.profile()}"
        ratios.append(f"{size} {both[0]:.0f}x, {both[1]:.0f}x, error {case.error('ufm'):.0e}")
        lines += case.table()
    wanted = "with bias: >= 25x over DOP853, >= 30x over RK45 on the same reduced right-hand side, error <= 1e-6"
    return lines, [Goal(3, wanted, "; ".join(ratios), not missed, f"short of it: {', '.join(missed)}{why}.")]


def unbiased() -> Section:
    """Goal 4: everything run to the end."""
    problem = problem_of("c500", bias=False)
    start = random_start(problem, 0, samples=True)
    case = Case("c500 without bias, all samples, run to the end (4)", problem, start, 1e-6, "dopri8")
    case.ours("auto", mode="A")
    case.ours("auto", mode="samples")
    case.peer("SciPy RK45", mode="full")
    ratio = case.seconds("SciPy RK45") / case.seconds("ufm")
    wanted = "c500 without bias, run to the end: >= 100x over SciPy RK45 on the full problem"
    why = f"{case.compared('SciPy RK45')}; the flow's time: {case.profile(mode='A')}."
    return case.table(), [Goal(4, wanted, f"{ratio:.0f}x", ratio >= 100, why)]


def stiff() -> Section:
    """Goal 8: rho = 1e-3 with bias."""
    problem = problem_of("c500", 1e-3)
    start = random_start(problem, 0, collapsed=True)
    case = Case("c500 collapsed, rho = 1e-3, with bias (8)", problem, start, 1e-6, "lsoda")
    for name in ("auto", "kencarp4", "kencarp5", "rkc2", "lsoda"):
        case.ours(name)
    case.peer("SciPy LSODA", jac=True)
    case.peer("SciPy Radau", jac=True)
    own = case.seconds("ufm auto")
    best = min(case.seconds(label) for label in ("ufm kencarp4", "ufm kencarp5", "ufm rkc2", "SciPy LSODA"))
    start = random_start(problem, 0, samples=False)
    large = Case("c500 in A-mode, rho = 1e-3, with bias (8)", problem, start, 1e-6, "kencarp5")
    for name in ("auto", "kencarp4", "kencarp5"):
        large.ours(name)
    ratio, low = (large.seconds(f"ufm {name}") / large.seconds("ufm auto") for name in ("kencarp5", "kencarp4"))
    fine = own <= 1.5 * best and ratio >= 10 and large.error("ufm auto") <= 5e-6 and large.gradient("ufm auto") <= 1e-10
    measured = f"{own / best:.2f}x; A-mode {ratio:.0f}x over IMEX (kencarp5; kencarp4 {low:.0f}x), error "
    measured += f"{large.error('ufm auto'):.0e}, gradient {large.gradient('ufm auto'):.0e}"
    wanted = "rho = 1e-3: the choice <= 1.5x the best method; A-mode >= 10x over IMEX, error <= 5e-6, gradient <= 1e-10"
    why = f"the collapsed flow's time: {case.profile()}; that in A-mode: {large.profile()}."
    return case.table() + large.table(), [Goal(8, wanted, measured, fine, why)]


def batches() -> Section:
    """Goal 5: many flows in one call; weights log-uniform in rho = 0.05 .. 0.3, each to 15 of its time constants."""
    lines = ["| flows | method | CPU s | times ours |", "|---|---|---|---|"]
    lines, ratios, why = [*lines], {}, ""
    for name, size, count in (("toy", "toy", 256), ("K = 10", "c500", 64)):
        rng = np.random.default_rng(1)
        problems = [problem_of(size, float(rho)) for rho in np.exp(rng.uniform(np.log(0.05), np.log(0.3), count))]
        starts = [random_start(problem, i, collapsed=True) for i, problem in enumerate(problems)]
        ends, options = [horizon(problem) for problem in problems], Options(rtol=1e-6)
        own, flows = timed(lambda p=problems, s=starts, e=ends, o=options: simulate_many(p, s, e, options=o))
        rows = [(f"ufm, one stack ({flows[0].provenance['integrator']}), set-up included", own)]

        some = list(zip(problems, starts, ends, flows, strict=True))[:: count // 16]

        def one_by_one(some: Any = some) -> None:
            for problem, start, end, flow in some:
                simulate(problem, start, end, rtol=1e-6, integrator=flow.provenance["integrator"])

        rows.append(("ufm, one by one (16 of them, scaled)", timed(one_by_one, 1)[0] * count / 16))

        def stack(few: int, p: Any = problems, s: Any = starts, e: Any = ends, o: Any = options) -> Any:
            return simulate_many(p[:few], s[:few], e[:few], options=o)

        eighth = timed(lambda stack=stack, few=count // 8: stack(few))[0]
        profile = shares(lambda stack=stack, count=count: stack(count))
        why += (
            f"{'; ' if why else ''}{count} {name} flows: {profile}, and an eighth of them takes {eighth / own:.0%} of "
            "the time of all: calls of NumPy that do not depend on the number of flows, and that compiled loops save"
        )
        columns = []
        for problem, start in zip(problems, starts, strict=True):
            at, y = coordinates(problem, checked(problem, start), "auto")
            columns.append(peers.Columns(problem, at.field, y))
        if peers.installed("diffrax"):
            share = 1 if size == "toy" else 8
            few = sorted(range(count), key=lambda i, ends=ends: -ends[i])[::share]
            compiling, run = peers.diffrax_batch([columns[i] for i in few], "Tsit5", 1e-6, [ends[i] for i in few])
            label = f"diffrax Tsit5 under vmap, same unknowns, warm (compiled in {compiling:.1f} s)"
            label += f", estimated: {len(few)} of them, scaled" if share > 1 else ""
            rows.append((label, share * timed(run)[0]))
            if size == "toy":
                full = []
                for i, problem in enumerate(problems):
                    at, y = coordinates(problem, checked(problem, random_start(problem, i)), "full")
                    full.append(peers.Columns(problem, at.field, y))
                compiling, run = peers.diffrax_batch(full, "Tsit5", 1e-6, ends)
                label = f"diffrax Tsit5 under vmap, full problem, warm (compiled in {compiling:.1f} s)"
                rows.append((label, timed(run)[0]))
        else:
            rows.append(("diffrax: not installed", math.nan))
        ratios[name] = [seconds / own for _, seconds in rows]
        lines += [f"| {count} {name} | {label} | {s:.3g} | {s / own:.3g} |" for label, s in rows]
    toy, ten = ratios["toy"], ratios["K = 10"]
    wanted = "256 toy flows >= 20x over one by one, >= 4x over vmapped diffrax Tsit5 (>= 40x full); 64 of K = 10 >= 50x"
    measured = f"{toy[1]:.0f}x, {toy[2]:.1f}x ({toy[-1]:.0f}x full); {ten[2]:.0f}x"
    measured = measured if toy[2] == toy[2] else f"{toy[1]:.0f}x; diffrax is not installed"
    met = toy[1] >= 20 and toy[2] >= 4 and toy[-1] >= 40 and ten[2] >= 50
    return lines, [Goal(5, wanted, measured, met, f"{why}.")]


def riccati() -> Section:
    """Goal 7: the closed form of balanced flows against our own integrator."""
    from ufm.catalogue.riccati import Riccati

    lines = [
        "| K | closed form at t lam = 15 | its set-up | our dopri8, rtol 1e-6 | ratio | set-up included | difference |",
        "|---|---|---|---|---|---|---|",
    ]
    ratios, worst, finite, why = {}, 0.0, True, []
    for K, n in ((10, 500), (200, 100)):
        l = 0.1 / (K * n**0.5)
        problem = Problem(targets=classes(encodings.one_hot(K), n), lam_W=l, lam_H=l, width=K)
        start, t = balanced_start(problem, 0, scale=0.5), 15 / l
        A = problem.targets.columns * np.sqrt(n) / problem.N
        F = np.block([[-l * np.eye(K), A], [A.T, -l * np.eye(K)]])
        Q = np.vstack([start.W[0], np.sqrt(n) * start.H.T])
        closed = Riccati.of(F, Q, problem.N)
        finite &= all(bool(np.all(np.isfinite(closed.at(time)))) for time in (t, 1e3 / l))
        setting = per_call(lambda F=F, Q=Q, N=problem.N: Riccati.of(F, Q, N))
        each = per_call(lambda closed=closed, t=t: closed.at(t))
        own, _ = timed(lambda p=problem, s=start, t=t: simulate(p, s, t, rtol=1e-6, integrator="dopri8"))
        tight = simulate(problem, start, 3 / l, rtol=1e-12, integrator="dopri8", max_steps=10**6).state
        Qt = np.vstack([tight.W[0], np.sqrt(n) * tight.H.T])
        early = closed.at(3 / l)
        error = float(np.linalg.norm(early - Qt @ Qt.T) / np.linalg.norm(early))
        ratios[K], worst = (own / each, own / (each + setting)), max(worst, error)
        half = closed.V[:, :K].copy()
        products = per_call(lambda half=half, V=closed.V: (half @ half.T, half.T @ V))
        why.append(f"at K = {K} two products of its size alone are {products / each:.0%} of a time point")
        lines.append(
            f"| {K} | {each * 1e6:.0f} us | {setting * 1e6:.0f} us | {own * 1e3:.3g} ms | {ratios[K][0]:.0f} | "
            f"{ratios[K][1]:.0f} | {error:.0e} at t lam = 3 |"
        )
    wanted = (
        "Riccati, a time point at t lam = 15: >= 100x (K = 10), >= 400x (K = 200) over our dopri8, error <= 1e-11, "
    )
    wanted += "finite to 1e3"
    measured = (
        f"{ratios[10][0]:.0f}x, {ratios[200][0]:.0f}x (set-up included {ratios[10][1]:.0f}x, {ratios[200][1]:.0f}x)"
    )
    measured += f"; {worst:.0e}; {'finite' if finite else 'not finite'}"
    met = ratios[10][0] >= 100 and ratios[200][0] >= 400 and worst <= 1e-11 and finite
    return lines, [Goal(7, wanted, measured, met, f"{'; '.join(why)}.")]


def peak_memory() -> float:
    """Most memory of this process so far, in MiB; getrusage's begins with that of the process it came from."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


INET = """
import json, sys, time
from flow import SIZES, peak_memory, problem_of, random_start, simulate
from flow_goals import shares
SIZES["inet"] = json.loads(sys.argv[1])
problem = problem_of("inet")
found = {"imported": peak_memory()}
began = time.process_time()
start = random_start(problem, 0)
found["drawn"] = time.process_time() - began
runs = []
for steps in (1, 4):
    began = time.process_time()
    flow = simulate(problem, start, 15 / float(problem.lam_H), rtol=1e-6, max_steps=steps)
    runs.append((time.process_time() - began, flow.evaluations))
    state = flow._y.size * 8 / 2**20
    del flow  # or the second run would have the first one's answer beside it
found |= {"runs": runs, "peak": peak_memory(), "state": state}
run = lambda: simulate(problem, start, 15 / float(problem.lam_H), rtol=1e-6, max_steps=4)
found["profile"] = shares(run)
print(json.dumps(found))
"""


def inet() -> Section:
    """Goals 2 and 10: memory and time of an ImageNet-sized flow, from its first steps, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", INET, json.dumps(SIZES["inet"])],
        cwd=HERE.parent,
        env={**os.environ},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    (short, few), (long, more) = found["runs"]
    each, states = (long - short) / (more - few), (found["peak"] - found["imported"]) / found["state"]
    problem = problem_of("inet")
    at, y = coordinates(problem, checked(problem, random_start(problem, 0)), "A")
    W, Ht = (np.ascontiguousarray(x) for x in (at.field.unpack(y)[1][0], at.field.unpack(y)[2]))
    gram = W @ W.T
    products = per_call(lambda: (W @ Ht.T, W @ W.T, gram @ W, gram.T @ W))
    lines = [
        f"- start drawn in {found['drawn']:.1f} s; coordinates and the first step {short:.1f} s; {each:.2f} s an "
        f"evaluation, integrator included, its own four matrix products {products:.2f} s.",
        f"- peak memory {found['peak']:.0f} MiB, {found['imported']:.0f} of it for the interpreter and its imports; a "
        f"state is {found['state']:.0f} MiB, H would be {8 * problem.N * SIZES['inet'][1] / 2**30:.0f} GiB.",
        f"- where four steps spend their time: {found['profile']}.",
    ]
    ran = _recorded().get("whole")
    if ran is None:
        counted, evaluations = "not run to the end yet (section whole)", math.inf
        lines.append("- the whole flow has not been run with this code: `flow.py whole` does.")
    else:
        evaluations, counted = ran["evaluations"], f"{ran['evaluations']} evaluations"
        lines.append(
            f"- that is {each * evaluations / 60:.0f} minutes for the {evaluations} evaluations of the whole flow "
            "below, **extrapolated** from these steps."
        )
    inside = f"an evaluation is {each / products:.2f}x its products; of the time of four steps, set-up and all: "
    return lines, [
        Goal(
            2,
            "and within the integrator <= 1.5x",
            f"{each / products:.2f}x",
            each <= 1.5 * products,
            inside + found["profile"] + ".",
        ),
        Goal(
            10,
            "inet in <= 2400 evaluations, peak memory <= 20 states beyond the interpreter, H never formed",
            f"{counted}; {states:.1f} states",
            evaluations <= 2400 and states <= 20,
            f"{counted}; the {states:.1f} states of {found['state']:.0f} MiB are the slopes of all stages, points and "
            "errors of two steps, the fastest mode, the start, the decay of every entry, matrices of d x d, and "
            "what the allocator does not give back.",
        ),
    ]


WHOLE = """
import json, resource, subprocess, sys
from flow import SIZES, problem_of
SIZES["inet"] = json.loads(sys.argv[2])
K, d, n = map(str, SIZES["inet"])
problem = problem_of("inet")
l = repr(float(problem.lam_H))
ask = ["simulate", "--classes", K, "--counts", n, "--width", d, "--lam-W", l, "--lam-H", l, "--lam-b", l]
ask += ["--rtol", "1e-6", "--t1", repr(15 / float(problem.lam_H)), "--save", sys.argv[1]]
subprocess.run([sys.executable, "-c", "from ufm.cli import main; main()", *ask], check=True, stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({"seconds": used.ru_utime + used.ru_stime, "peak": used.ru_maxrss / 1024}))
"""


def whole() -> Section:
    """Goal 10: the ImageNet-sized flow from `ufm simulate`, to the end; a quarter of an hour."""
    with tempfile.TemporaryDirectory() as folder:
        ask = [sys.executable, "-c", WHOLE, f"{folder}/inet.nc", json.dumps(SIZES["inet"])]
        done = subprocess.run(ask, cwd=HERE.parent, env={**os.environ}, capture_output=True, text=True, check=True)
        return written_whole(ufm.load(f"{folder}/inet.nc"), **json.loads(done.stdout))


def written_whole(record: ufm.Record, seconds: float, peak: float) -> Section:
    """What is written of a whole run, and kept for goal 10; singular values against sqrt(n) (1 - rho)."""
    K, d, n = SIZES["inet"]
    ran, wanted = record.provenance, 0.9 * n**0.5
    values = np.sort(record["singular_values"].values)[1:]  # all but the mean mode, which the bias has taken over
    kept = {"evaluations": int(ran["evaluations"])}
    (OUT / "flow.json").write_text(json.dumps(_recorded() | {"whole": kept}, indent=1))
    return [
        f"`ufm simulate --classes {K} --counts {n} --width {d} --lam-W l --lam-H l --lam-b l --rtol 1e-6 --t1 T`, "
        "with l = 0.1 / (K sqrt n), T = 15 / l, N = 1.3 million, on one thread:",
        "",
        f"- {seconds / 60:.1f} CPU minutes; {ran['steps']} steps of {ran['integrator']}, {ran['rejected']} rejected, "
        f"{ran['evaluations']} evaluations; peak memory {peak:.0f} MiB, the record with all its metrics included.",
        f"- gradient at the end {float(record['gradient_norm'].values):.1e}, within-class NC1 ratio "
        f"{float(record['nc1_ratio'].values):.0e}; {K - 1} singular values of W H at {wanted:.6f} to "
        f"{float(np.abs(values / wanted - 1).max()):.0e} of the closed form.",
    ], []


def precision() -> Section:
    """Error against CPU seconds over tolerances, on the toy flow and on c500 in A-mode; drawn in flow.svg."""
    found: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for title, size, samples in (("toy", "toy", True), ("c500, A-mode", "c500", False)):
        problem = problem_of(size)
        case = Case(title, problem, random_start(problem, 0, samples=samples), 1e-6, "kencarp5")
        curves = found.setdefault(title, {})
        for rtol in TOLERANCES:
            case.rtol, case.rows = rtol, []
            names = ("kencarp4", "kencarp5", "rkc2") + (("tsit5", "dopri8", "lsoda") if size == "toy" else ())
            for name in names:
                case.ours(name)
                curves.setdefault(f"ufm {name}", []).append((case.rows[-1][2], case.rows[-1][1]))
            if size == "toy":
                for label in ("SciPy DOP853", "SciPy LSODA"):
                    case.peer(label, mode="full")
                    curves.setdefault(label, []).append((case.rows[-1][2], case.rows[-1][1]))
                for name in ("Tsit5", "Dopri8") if peers.installed("diffrax") else ():
                    case.jitted(name)
                    curves.setdefault(f"diffrax {name}, warm", []).append((case.rows[-1][2], case.rows[-1][1]))
    lines = ["Seconds at each tolerance, with the error there; curves in flow.svg.", ""]
    for title, curves in found.items():
        lines += [
            f"| {title} | " + " | ".join(f"{r:g}" for r in TOLERANCES) + " |",
            "|---" * (1 + len(TOLERANCES)) + "|",
        ]
        for name, points in curves.items():
            lines.append(f"| {name} | " + " | ".join(f"{s:.3g} ({e:.0e})" for e, s in points) + " |")
        lines.append("")
    (OUT / "flow.json").write_text(json.dumps(_recorded() | {"curves": found}, indent=1))
    return lines, []


def scaling() -> Section:
    """Time of a flow to 15 time constants in A-mode against N, d and K, for each integrator; recorded for a figure."""
    axes: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for axis, sizes in AXES.items():
        curves = axes.setdefault(axis, {})
        for K, d, n in sizes:
            l, size = 0.1 / (K * n**0.5), {"N": K * n, "d": d, "K": K}[axis]
            problem = Problem(targets=classes(encodings.one_hot(K), n), lam_W=l, lam_H=l, lam_b=l, width=d)
            start = random_start(problem, 0, samples=False)
            for name in SCALED:
                seconds, flow = timed(
                    lambda p=problem, s=start, l=l, name=name: simulate(p, s, 15 / l, rtol=1e-6, integrator=name)
                )
                curves.setdefault(name, []).append((size, seconds))
                if name == SCALED[0] and K * n * d <= FULL:
                    W, H, b = start.W[0], np.ones((d, K * n)), np.zeros(K)
                    Y = problem.targets.matrix()
                    each = per_call(lambda p=problem, W=W, H=H, b=b, Y=Y: naive_slope(p, W, H, b, Y))
                    curves.setdefault("full", []).append((size, each * flow.evaluations))
    lines = []
    for axis, curves in axes.items():
        lines += [f"| {axis} | " + " | ".join(str(size) for size, _ in curves[SCALED[0]]) + " |"]
        lines += ["|---" * (1 + len(curves[SCALED[0]])) + "|"]
        for name, points in curves.items():
            label = "all samples, estimated" if name == "full" else name
            cells = [f"{seconds:.3g}" for _, seconds in points]
            lines += [f"| {label} | " + " | ".join(cells + ["-"] * (len(curves[SCALED[0]]) - len(cells))) + " |"]
        lines.append("")
    lines.append("CPU seconds. Estimated: one naive gradient of all samples, times the evaluations of the first row.")
    records = RECORDS / "flow_scaling.json"  # the figure `scaling` is drawn from it
    records.write_text(json.dumps({"rtol": 1e-6, "axes": axes}, indent=1) + "\n")
    (OUT / "flow.json").write_text(json.dumps(_recorded() | {"axes": axes}, indent=1))
    return lines, []


def device(name: str) -> Section:
    """Stacks on NumPy and on another backend: the size from which that one wins."""
    lines = ["| flows | unknowns | NumPy, s | device, s |", "|---|---|---|---|"]
    crossover = None
    for K, d, count in ((4, 16, 256), (4, 16, 4096), (10, 512, 64), (10, 512, 1024), (100, 512, 16), (250, 1024, 4)):
        l = 0.1 / (K * 10)
        problem = Problem(targets=classes(encodings.one_hot(K), 100), lam_W=l, lam_H=l, lam_b=l, width=d)
        seconds = []
        for backend in ("numpy", name):
            options = Options(rtol=1e-6, backend=backend, integrator="kencarp5", max_steps=100)  # pyright: ignore
            starts = [random_start(problem, i, collapsed=True) for i in range(count)]
            began = time.perf_counter()
            flows = simulate_many([problem] * count, starts, 15 / l, options=options)
            seconds.append(time.perf_counter() - began)
        lines.append(f"| {count} | {flows[0]._y.size} | {seconds[0]:.3g} | {seconds[1]:.3g} |")
        if seconds[1] < seconds[0]:
            size = count * flows[0]._y.size
            crossover = size if crossover is None else min(crossover, size)
    records = RECORDS / "devices.json"  # `ufm doctor` reads it
    known = json.loads(records.read_text()) if records.exists() else {}
    records.write_text(json.dumps(known | {_device_name(name): crossover}, indent=1) + "\n")
    wins = "nowhere among these" if crossover is None else f"from {crossover} unknowns in a stack"
    return [*lines, "", f"Wall-clock seconds, transfers included; the device wins {wins}."], []


def _device_name(backend: str) -> str:
    if backend != "cupy":
        return backend
    import cupy

    return cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()


SECTIONS: dict[str, tuple[str, Callable[[], Section]]] = {
    "rhs": ("One right-hand side (1, 2)", right_hand_sides),
    "inet": ("ImageNet size, its first steps (2, 10)", inet),
    "whole": ("ImageNet size, the whole flow (10)", whole),
    "toy": ("One small flow (6)", toy),
    "cifar": ("With bias (3)", cifar),
    "unbiased": ("Without bias (4)", unbiased),
    "stiff": ("Stiff flows (8)", stiff),
    "batches": ("Batches (5)", batches),
    "riccati": ("Closed form of balanced flows (7)", riccati),
    "precision": ("Work and precision", precision),
    "scaling": ("Time against N, d and K", scaling),
}
LONGER = ("whole",)  # measured when named only


def _recorded() -> dict[str, Any]:
    path = OUT / "flow.json"
    return json.loads(path.read_text()) if path.exists() else {}


def draw() -> None:
    """flow.svg: error against seconds for each integrator; seconds against N, d and K."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    from ufm.plot.style import TWO_COLUMNS, style

    found = _recorded()
    curves_of, axes = found.get("curves", {}), found.get("axes", {})
    if not axes:
        return
    with style():
        figure, panels = plt.subplots(
            1, 1 + len(curves_of), figsize=(TWO_COLUMNS, 2.9), layout="constrained", squeeze=False
        )
        panels = panels[0]
        names = list(dict.fromkeys(name for curves in curves_of.values() for name in curves))
        looks = {}
        for i, name in enumerate(names):
            colour = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#000000", "#56B4E9", "#999999")[i % 8]
            peer = not name.startswith("ufm")
            looks[name] = {"color": colour, "marker": "s^ovD<>P*X"[i % 10], "linestyle": "--" if peer else "-"}
        for panel, (title, curves) in zip(panels, curves_of.items(), strict=False):
            for name, points in curves.items():
                errors, seconds = zip(*points, strict=True)
                panel.loglog(seconds, errors, label=name, markersize=3, linewidth=0.9, **looks[name])
            panel.set(title=title, xlabel="CPU seconds")
        if curves_of:
            panels[0].set_ylabel("relative error")
        for (name, curves), colour, marker in zip(axes.items(), ("#0072B2", "#D55E00", "#009E73"), "os^"):
            sizes, seconds = zip(*curves[SCALED[0]], strict=True)
            panels[-1].loglog(sizes, seconds, color=colour, marker=marker, markersize=3, label=f"against {name}")
        panels[-1].set(title=f"one flow, A-mode, {SCALED[0]}", xlabel="N, d or K", ylabel="CPU seconds")
        panels[-1].legend()
        handles, labels = panels[0].get_legend_handles_labels()
        if curves_of:
            figure.legend(handles, labels, loc="outside lower center", ncols=5)
        figure.savefig(OUT / "flow.svg", metadata={"Date": None})


def report() -> None:
    """flow.md from what is recorded."""
    found, order = _recorded()["sections"], list(SECTIONS)
    found = dict(sorted(found.items(), key=lambda item: order.index(item[0]) if item[0] in order else len(order)))
    versions = f"Python {platform.python_version()}, NumPy {np.__version__}, SciPy {scipy.__version__}"
    for name in ("diffrax", "jax", "torchdiffeq", "torch"):
        versions += f", {name} {_version(name)}"
    lines = ["# The gradient flow, measured", "", (__doc__ or "").strip(), "", HOW, ""]
    lines += [f"{versions}; {', '.join(available())}.", "", "![error against seconds](flow.svg)", "", "## Goals", ""]
    goals = [Goal(**goal) for part in found.values() for goal in part["goals"]]
    lines += table([*goals, certificates(HERE.with_name("optimum.md"))])
    for key, (title, _) in SECTIONS.items():
        if key in found:
            lines += [f"## {title}", "", *found[key]["lines"], ""]
            lines += [f"Load average {found[key]['load']}.", ""] if "load" in found[key] else []
    if "device" in found:
        lines += ["## Another device", "", *found["device"]["lines"], ""]
    notes = HERE.with_name("flow_notes.md")
    if notes.exists():
        lines += [notes.read_text().strip(), ""]
    (OUT / "flow.md").write_text("\n".join(lines))


def _version(name: str) -> str:
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def main() -> None:
    """Measure, record, write and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", help=f"of {', '.join(SECTIONS)}; all if none, 'report' to write only")
    parser.add_argument("--device", help="also measure stacks on this backend (cupy, torch) against NumPy")
    given = parser.parse_args()
    chosen = given.sections or [name for name in SECTIONS if name not in LONGER]
    unknown = [name for name in chosen if name not in (*SECTIONS, "report")]
    if unknown:
        parser.error(f"no section {', '.join(unknown)}; choose of {', '.join(SECTIONS)}, report")
    work = {name: SECTIONS[name][1] for name in chosen if name in SECTIONS}
    if given.device:
        work["device"] = lambda: device(given.device)
    for name, measure in work.items():
        before, (lines, goals) = os.getloadavg()[0], measure()
        load = f"{before:.1f} to {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
        found = _recorded()
        found.setdefault("sections", {})[name] = {
            "lines": lines,
            "goals": [goal.plain() for goal in goals],
            "load": load,
        }
        (OUT / "flow.json").write_text(json.dumps(found, indent=1))
    report()
    draw()


if __name__ == "__main__":
    main()
