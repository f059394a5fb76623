"""The gradient flow against its peers on the same problems: writes flow.md, flow.json and flow.svg beside itself.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python numerics/benchmarks/flow.py [section ...] [--device cupy]

All sections take some fifteen minutes; named ones are measured anew and the rest kept as recorded. Peers that are not
installed (`pip install "ufm[bench]"`) are left out, and said to be. Times are CPU seconds of this process, medians of
three, or one run where it takes more than three seconds. Errors are relative, against our flow at rtol 1e-12.
"""

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import flow_peers as peers
import numpy as np
import scipy
from scipy.integrate import solve_ivp

from ufm import encodings
from ufm.flow import Flow, Options, State, balanced_start, random_start, simulate, simulate_many
from ufm.flow.coordinates import coordinates
from ufm.flow.integrators import available
from ufm.flow.jacobian import jacobian
from ufm.flow.state import checked
from ufm.problem import Problem, classes

HERE = Path(__file__)
SIZES = {"toy": (4, 16, 10), "c500": (10, 512, 500), "c5000": (10, 512, 5000), "inet": (1000, 2048, 1300)}
HOW = """K, d, n: toy 4, 16, 10; c500 10, 512, 500; c5000 10, 512, 5000; inet 1000, 2048, 1300. All weights
rho / (K sqrt n), rho = 0.1 unless said; to t = 15 / lam. In brackets the number of the goal. The error is the larger of
those at t = 1 / lam and at the end. A shared machine: compare the rows of a table, not tables."""
PEERS = {"SciPy RK45": "RK45", "SciPy DOP853": "DOP853", "SciPy LSODA": "LSODA", "SciPy Radau": "Radau"}
TOLERANCES = (1e-3, 1e-5, 1e-7, 1e-9)
LONG = 3.0  # seconds from which one run must do
SCALED = ("kencarp4", "kencarp5", "rkc2")  # integrators whose time is measured against sizes
FULL = 10**7  # numbers in H up to which the full gradient is measured beside them


class Goal:
    """One line of the last table: what was wanted, what was measured, and whether it is met."""

    def __init__(self, number: int, wanted: str, measured: str, met: bool) -> None:
        self.line = f"| {number} | {wanted} | {measured} | {'yes' if met else '**no**'} |"


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
    """Goals 1 and 2: one evaluation, and one within the integrator."""
    lines = [
        "| size | A-mode | naive full gradient | ratio | its own matrix products | ratio |",
        "|---|---|---|---|---|---|",
    ]
    ours, ratio, own = {}, {}, {}
    for size, (K, d, n) in SIZES.items():
        problem = problem_of(size)
        at, y = coordinates(problem, checked(problem, random_start(problem, 0, samples=False)), "A")
        out = np.empty_like(y)
        ours[size] = per_call(lambda at=at, y=y, out=out: at.field(y, 1.0, out=out))
        W, Ht = (np.ascontiguousarray(x) for x in (at.field.unpack(y)[1][0], at.field.unpack(y)[2]))
        gram = W @ W.T
        products = per_call(lambda W=W, Ht=Ht, G=gram: (W @ Ht.T, W @ W.T, G @ W, G.T @ W))
        own[size] = ours[size] / products
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
        Goal(
            1,
            "A-mode right-hand side >= 250x (c500), >= 2500x (c5000) over the naive gradient; c5000/c500 <= 1.3",
            f"{ratio['c500']:.0f}x, {ratio['c5000']:.0f}x; {spread:.2f}",
            ratio["c500"] >= 250 and ratio["c5000"] >= 2500 and spread <= 1.3,
        ),
        Goal(2, "at K = 1000, d = 2048 <= 1.15x its own matrix products", f"{own['inet']:.2f}x", own["inet"] <= 1.15),
    ]
    return lines, goals


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
    return case.table(), [Goal(6, wanted, measured, own <= 1.5 * warm and first >= 15 * own)]


def cifar() -> Section:
    """Goal 3: with bias, SciPy on the same reduced right-hand side."""
    lines, ratios, fine = [], [], True
    for size in ("c500", "c5000"):
        problem = problem_of(size)
        case = Case(f"{size} with bias (3)", problem, random_start(problem, 0, samples=False), 1e-6, "kencarp5")
        case.ours("auto")
        for label in ("SciPy DOP853", "SciPy RK45"):
            case.peer(label)
        own = case.seconds("ufm")
        both = [case.seconds(label) / own for label in ("SciPy DOP853", "SciPy RK45")]
        ends = min(case.gradient(label) for label in ("SciPy DOP853", "SciPy RK45"))
        fine &= both[0] >= 25 and both[1] >= 30 and case.error("ufm") <= 1e-6 and case.gradient("ufm") <= 1.05 * ends
        ratios.append(f"{size} {both[0]:.0f}x, {both[1]:.0f}x, error {case.error('ufm'):.0e}")
        lines += case.table()
    wanted = "with bias: >= 25x over DOP853, >= 30x over RK45 on the same reduced right-hand side, error <= 1e-6"
    return lines, [Goal(3, wanted, "; ".join(ratios), fine)]


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
    return case.table(), [Goal(4, wanted, f"{ratio:.0f}x", ratio >= 100)]


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
    return case.table() + large.table(), [Goal(8, wanted, measured, fine)]


def batches() -> Section:
    """Goal 5: many flows in one call; weights log-uniform in rho = 0.05 .. 0.3, each to 15 of its time constants."""
    lines = ["| flows | method | CPU s | times ours |", "|---|---|---|---|"]
    lines, ratios = [*lines], {}
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
    met = toy[1] >= 20 and toy[2] >= 4 and toy[-1] >= 40 and ten[2] >= 50
    return lines, [Goal(5, wanted, measured, met)]


def riccati() -> Section:
    """Goal 7: the closed form of balanced flows against our own integrator."""
    from ufm.catalogue.riccati import Riccati

    lines = [
        "| K | closed form at t lam = 15, set-up included | our dopri8, rtol 1e-6 | ratio | difference |",
        "|---|---|---|---|---|",
    ]
    ratios, worst, finite = {}, 0.0, True
    for K, n in ((10, 500), (200, 100)):
        l = 0.1 / (K * n**0.5)
        problem = Problem(targets=classes(encodings.one_hot(K), n), lam_W=l, lam_H=l, width=K)
        start, t = balanced_start(problem, 0, scale=0.5), 15 / l
        A = problem.targets.columns * np.sqrt(n) / problem.N
        F = np.block([[-l * np.eye(K), A], [A.T, -l * np.eye(K)]])
        Q = np.vstack([start.W[0], np.sqrt(n) * start.H.T])
        exact, value = timed(lambda F=F, Q=Q, t=t, N=problem.N: Riccati.of(F, Q, N).at(t))
        own, _ = timed(lambda p=problem, s=start, t=t: simulate(p, s, t, rtol=1e-6, integrator="dopri8"))
        tight = simulate(problem, start, 3 / l, rtol=1e-12, integrator="dopri8", max_steps=10**6).state
        Qt = np.vstack([tight.W[0], np.sqrt(n) * tight.H.T])
        early = Riccati.of(F, Q, problem.N).at(3 / l)
        error = float(np.linalg.norm(early - Qt @ Qt.T) / np.linalg.norm(early))
        finite &= bool(np.all(np.isfinite(Riccati.of(F, Q, problem.N).at(1e3 / l)))) and bool(
            np.all(np.isfinite(value))
        )
        ratios[K], worst = own / exact, max(worst, error)
        lines.append(
            f"| {K} | {exact * 1e6:.0f} us | {own * 1e3:.3g} ms | {ratios[K]:.0f} | {error:.0e} at t lam = 3 |"
        )
    wanted = "Riccati at t lam = 15: >= 100x (K = 10), >= 400x (K = 200) over our dopri8, error <= 1e-11, finite to 1e3"
    measured = f"{ratios[10]:.0f}x, {ratios[200]:.0f}x; {worst:.0e}; {'finite' if finite else 'not finite'}"
    return lines, [Goal(7, wanted, measured, ratios[10] >= 100 and ratios[200] >= 400 and worst <= 1e-11 and finite)]


INET = """
import resource, time
from flow import problem_of, random_start, simulate
problem = problem_of("inet")
began = time.process_time()
start = random_start(problem, 0)
drawn = time.process_time() - began
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
runs = []
for steps in (1, 4):
    began = time.process_time()
    flow = simulate(problem, start, 15 / float(problem.lam_H), rtol=1e-6, max_steps=steps)
    runs.append((time.process_time() - began, flow.evaluations))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(drawn, before / 1024, peak / 1024, runs[0][0], runs[0][1], runs[1][0], runs[1][1], 8 * flow._y.size / 2**20)
"""


def inet() -> Section:
    """Goals 2 and 10: memory and time of an ImageNet-sized flow, from its first steps, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", INET], cwd=HERE.parent, env={**os.environ}, capture_output=True, text=True, check=True
    )
    drawn, before, peak, short, few, long, more, state = map(float, done.stdout.split())
    each = (long - short) / (more - few)
    problem = problem_of("inet")
    at, y = coordinates(problem, checked(problem, random_start(problem, 0)), "A")
    W = np.ascontiguousarray(at.field.unpack(y)[1][0])
    gram = W @ W.T
    products = per_call(lambda: (W @ W.T, W @ W.T, gram @ W, gram.T @ W))
    guide, steps = problem_of("c5000"), {}
    for name in ("auto", "kencarp5"):
        steps[name] = simulate(guide, random_start(guide, 0, samples=False), horizon(guide), rtol=1e-6, integrator=name)
    evaluations = round(2159 * steps["auto"].evaluations / steps["kencarp5"].evaluations)
    lines = [
        f"- start drawn in {drawn:.1f} s; coordinates and the first step {short:.1f} s; {each:.2f} s an evaluation, "
        f"integrator included, its own matrix products {products:.2f} s.",
        f"- peak memory {peak:.0f} MiB, {before:.0f} of it before the flow starts (interpreter, NumPy, the start with "
        f"its S); a state is {state:.0f} MiB, H would be {8 * problem.N * 2048 / 2**30:.0f} GiB.",
        f"- the whole flow: estimated {each * evaluations / 60:.0f} minutes, at {evaluations} evaluations: the 2159 "
        f"of one whole run by kencarp5 before the project began, times what {steps['auto'].provenance['integrator']} "
        f"saves on c5000 ({steps['auto'].evaluations} for {steps['kencarp5'].evaluations}).",
    ]
    states = (peak - before) / state
    return lines, [
        Goal(2, "and within the integrator <= 1.5x", f"{each / products:.2f}x", each <= 1.5 * products),
        Goal(
            10,
            "inet in <= 2400 evaluations, memory <= 20 states beyond the interpreter and the start, H never formed",
            f"{evaluations} evaluations, estimated; {states:.0f} states",
            evaluations <= 2400 and states <= 20,
        ),
    ]


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
    (HERE.parent / "flow.json").write_text(json.dumps(_recorded() | {"curves": found}, indent=1))
    return lines, []


def scaling() -> Section:
    """Time of a flow to 15 time constants in A-mode against N, d and K, for each integrator; recorded for a figure."""
    axes: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for axis, sizes in (
        ("N", [(10, 64, n) for n in (10, 100, 1000, 10_000, 100_000, 1_000_000)]),
        ("d", [(10, d, 500) for d in (32, 64, 128, 256, 512, 1024)]),
        ("K", [(K, 256, 100) for K in (4, 8, 16, 32, 64)]),
    ):
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
    records = HERE.parents[1] / "records" / "flow_scaling.json"  # the figure `scaling` is drawn from it
    records.write_text(json.dumps({"rtol": 1e-6, "axes": axes}, indent=1) + "\n")
    (HERE.parent / "flow.json").write_text(json.dumps(_recorded() | {"axes": axes}, indent=1))
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
    records = HERE.parents[1] / "records" / "devices.json"  # `ufm doctor` reads it
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
    "inet": ("ImageNet size (2, 10)", inet),
    "toy": ("One small flow (6)", toy),
    "cifar": ("With bias (3)", cifar),
    "unbiased": ("Without bias (4)", unbiased),
    "stiff": ("Stiff flows (8)", stiff),
    "batches": ("Batches (5)", batches),
    "riccati": ("Closed form of balanced flows (7)", riccati),
    "precision": ("Work and precision", precision),
    "scaling": ("Time against N, d and K", scaling),
}


def _recorded() -> dict[str, Any]:
    path = HERE.parent / "flow.json"
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
        figure.savefig(HERE.with_suffix(".svg"), metadata={"Date": None})


def report() -> None:
    """flow.md from what is recorded."""
    found = _recorded()["sections"]
    versions = f"Python {platform.python_version()}, NumPy {np.__version__}, SciPy {scipy.__version__}"
    for name in ("diffrax", "jax", "torchdiffeq", "torch"):
        versions += f", {name} {_version(name)}"
    lines = ["# The gradient flow, measured", "", (__doc__ or "").strip(), "", HOW, ""]
    lines += [f"{versions}; {', '.join(available())}.", "", "![error against seconds](flow.svg)", "", "## Goals", ""]
    lines += ["| # | wanted | measured | met |", "|---|---|---|---|"]
    lines += sorted((line for part in found.values() for line in part["goals"]), key=lambda x: int(x.split("|")[1]))
    lines += ["| 9 | certificates | see optimum.md | |", ""]
    for key, (title, _) in SECTIONS.items():
        if key in found:
            lines += [f"## {title}", "", *found[key]["lines"], ""]
            lines += [f"Load average {found[key]['load']}.", ""] if "load" in found[key] else []
    if "device" in found:
        lines += ["## Another device", "", *found["device"]["lines"], ""]
    notes = HERE.with_name("flow_notes.md")
    if notes.exists():
        lines += [notes.read_text().strip(), ""]
    HERE.with_suffix(".md").write_text("\n".join(lines))


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
    chosen = given.sections or list(SECTIONS)
    work = {name: SECTIONS[name][1] for name in chosen if name in SECTIONS}
    if given.device:
        work["device"] = lambda: device(given.device)
    for name, measure in work.items():
        before, (lines, goals) = os.getloadavg()[0], measure()
        load = f"{before:.1f} to {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
        found = _recorded()
        found.setdefault("sections", {})[name] = {"lines": lines, "goals": [goal.line for goal in goals], "load": load}
        (HERE.parent / "flow.json").write_text(json.dumps(found, indent=1))
    report()
    draw()


if __name__ == "__main__":
    main()
