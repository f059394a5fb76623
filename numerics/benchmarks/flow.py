"""Time and error of the gradient flow against SciPy's solvers on the same problems; writes flow.md beside itself.

Run with one thread: OMP_NUM_THREADS=1 python numerics/benchmarks/flow.py (some six minutes). Times are CPU seconds of
this process, medians of three, those above ten seconds of one. Errors are relative, against our flow at rtol 1e-12.
"""

import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy
from scipy.integrate import solve_ivp

from ufm import encodings
from ufm.flow import Flow, State, random_start, simulate
from ufm.flow.coordinates import coordinates
from ufm.flow.integrators import available
from ufm.flow.jacobian import jacobian
from ufm.flow.state import checked
from ufm.problem import Problem, classes

SIZES = {"toy": (4, 16, 10), "c500": (10, 512, 500), "c5000": (10, 512, 5000), "inet": (1000, 2048, 1300)}
HOW = """A shared machine: compare the rows of a table, not tables. K, d, n: toy 4, 16, 10; c500 10, 512, 500; c5000 10,
512, 5000; inet 1000, 2048, 1300. All weights rho / (K sqrt n), rho = 0.1 unless said; to t = 15 / lam. In brackets the
number of the goal. The error is the larger of those at t = 1 / lam and at the end."""
PEERS = {"SciPy RK45": "RK45", "SciPy DOP853": "DOP853", "SciPy LSODA": "LSODA", "SciPy Radau": "Radau"}


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
        if seconds[-1] > 10:
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


def right_hand_sides() -> list[str]:
    """Goals 1 and 2."""
    lines = [
        "| size | A-mode | naive full gradient | ratio | its own matrix products | ratio |",
        "|---|---|---|---|---|---|",
    ]
    for size, (K, d, n) in SIZES.items():
        problem = problem_of(size)
        start = checked(problem, random_start(problem, 0, samples=False))
        at, y = coordinates(problem, start, "A")
        ours = per_call(lambda at=at, y=y: at.field(y, 1.0))
        W, Ht = (np.ascontiguousarray(x) for x in (at.field.unpack(y)[1][0], at.field.unpack(y)[2]))
        gram = W @ W.T
        products = per_call(lambda W=W, Ht=Ht, G=gram: (W @ Ht.T, W @ W.T, G @ W, G.T @ W))
        naive = "-"
        ratio = "-"
        if size != "inet":
            rng, Y = np.random.default_rng(0), problem.targets.matrix()
            H, b = rng.standard_normal((d, K * n)), np.zeros(K)
            full = per_call(lambda p=problem, W=W, H=H, b=b, Y=Y: naive_slope(p, W, H, b, Y))
            naive, ratio = f"{full * 1e6:.0f} us", f"{full / ours:.0f}"
        lines.append(
            f"| {size} | {ours * 1e6:.0f} us | {naive} | {ratio} | {products * 1e6:.0f} us | {ours / products:.2f} |"
        )
    return lines


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


def cases() -> list[Case]:
    """Goals 3, 4, 6 (SciPy's part) and 8."""
    found = []
    toy = problem_of("toy")
    case = Case("one toy flow, all samples, with bias (6)", toy, random_start(toy, 0), 1e-6, "dopri8")
    case.ours("auto")
    for label in PEERS:
        case.peer(label, mode="full")
    found.append(case)
    for size in ("c500", "c5000"):
        problem = problem_of(size)
        case = Case(f"{size} with bias (3)", problem, random_start(problem, 0, samples=False), 1e-6, "kencarp5")
        case.ours("auto")
        case.peer("SciPy DOP853")
        case.peer("SciPy RK45")
        found.append(case)
    problem = problem_of("c500", bias=False)
    start = random_start(problem, 0, samples=True)
    case = Case("c500 without bias, all samples, run to the end (4)", problem, start, 1e-6, "dopri8")
    case.ours("auto", mode="A")
    case.ours("auto", mode="samples")
    case.peer("SciPy RK45", mode="full")
    found.append(case)
    problem = problem_of("c500", 1e-3)
    case = Case(
        "c500 collapsed, rho = 1e-3, with bias (8)", problem, random_start(problem, 0, collapsed=True), 1e-6, "lsoda"
    )
    for name in ("auto", "kencarp5", "rkc2", "lsoda"):
        case.ours(name)
    case.peer("SciPy LSODA", jac=True)
    case.peer("SciPy Radau", jac=True)
    found.append(case)
    case = Case(
        "c500 in A-mode, rho = 1e-3, with bias (8)", problem, random_start(problem, 0, samples=False), 1e-6, "kencarp5"
    )
    for name in ("auto", "kencarp5"):
        case.ours(name)
    found.append(case)
    return found


def memory_and_setup() -> list[str]:
    """Goal 10, without its run: what an ImageNet-sized flow takes to set up, and to evaluate once."""
    problem = problem_of("inet")
    drawn, start = timed(lambda: random_start(problem, 0), 1)
    ready, (at, y) = timed(lambda: coordinates(problem, checked(problem, start), "auto"), 1)
    once = per_call(lambda: at.field(y, 1.0))
    sizes = f"a state is {y.nbytes / 2**20:.0f} MiB, H would be {8 * problem.N * 2048 / 2**30:.0f} GiB"
    setup = f"start drawn in {drawn:.1f} s, coordinates ({at.description}) in {ready:.1f} s"
    return [f"- inet: {setup}, {once:.2f} s an evaluation; {sizes}."]


def main() -> None:
    """Run everything and write flow.md."""
    versions = f"Python {platform.python_version()}, NumPy {np.__version__}, SciPy {scipy.__version__}"
    lines = ["# The gradient flow, measured", "", __doc__ or "", HOW, "", f"{versions}; {', '.join(available())}.", ""]
    lines += ["## One right-hand side (1, 2)", "", *right_hand_sides(), "", *memory_and_setup(), ""]
    lines += ["## Whole trajectories"]
    for case in cases():
        lines += case.table()
    Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
