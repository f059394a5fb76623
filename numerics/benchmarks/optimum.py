"""Our certified optimum against cvxpy (Clarabel, SCS) and against one SVD, in one run on one thread; writes optimum.md.

Run `OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python numerics/benchmarks/optimum.py`; some three minutes.
"""

import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from ufm import Problem, classes, encodings
from ufm.optimum import certify, certify_logits, solve
from ufm.optimum.entropy.program import state_program
from ufm.optimum.entropy.referee import solve_cvxpy as solve_entropy_cvxpy
from ufm.optimum.squared.referee import solve_cvxpy
from ufm.optimum.squared.shrinkage import ShrinkageProblem
from ufm.optimum.symmetry import reduce_roles

ACCURACY = {"CLARABEL": {"tol_gap_abs": 1e-9, "tol_gap_rel": 1e-9, "tol_feas": 1e-9}, "SCS": {"eps": 1e-9}}

PROFILED = ((10, 200), (50, 20), (100, 20), (1000, 1))
REASON = {
    10: "Three SVDs of a 10 x 10 matrix, two Newton systems and the bound are some hundred NumPy calls of a "
    "microsecond or two each; the arithmetic itself is a small share.",
    50: "One eigenvalue problem and the roots of three secular equations are most of the time.",
    100: "The eigenvalue problem of the Gram matrix is the largest part; each bias after it costs O(K^2).",
    1000: "A solve takes one decomposition of the centred targets, some matrix products, and O(K^2) for each bias.",
}


def imbalanced(K: int) -> Problem:
    """One-hot classes of K different sizes, 10000 down to 1000, a penalised bias, t_rel near 0.3: no symmetry helps."""
    counts = np.round(np.geomspace(10_000, 1_000, K)).astype(int)
    c = 0.3 / np.sqrt(K * counts.sum())
    return Problem(targets=classes(encodings.one_hot(K), counts), lam_W=c, lam_H=c, lam_b=0.01)


def cpu(run: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Median CPU seconds, and the last result."""
    times, result = [], None
    for _ in range(repeats):
        start = time.process_time()
        result = run()
        times.append(time.process_time() - start)
    return statistics.median(times), result


def in_turn(
    ours: Callable[[], Any], other: Callable[[], Any], runs: int, repeats: int
) -> tuple[float, Any, float, Any]:
    """Median CPU seconds and last result of both, `runs` of ours before each of the other: under the same load."""
    times, others, mine, theirs = [], [], None, None
    for _ in range(repeats):
        for _ in range(runs):
            seconds, mine = cpu(ours, 1)
            times.append(seconds)
        seconds, theirs = cpu(other, 1)
        others.append(seconds)
    return statistics.median(times), mine, statistics.median(others), theirs


def against(K: int, solver: str, goal: float, repeats: int) -> dict[str, Any]:
    """Our whole answer against cvxpy's, compile time included."""
    problem = imbalanced(K)
    reduced = ShrinkageProblem.of(problem, reduce_roles(problem))
    ours, optimum, theirs, (_, value) = in_turn(
        lambda: solve(problem),
        lambda: solve_cvxpy(reduced, solver, **ACCURACY[solver]),
        21 if K < 100 else 5,
        repeats,
    )
    if abs(value - optimum.value) > 1e-6:
        raise SystemExit(f"K = {K}: {solver} says {value}, we say {optimum.value}")
    note = f"relative gap {optimum.certificate.relative_gap:.0e}; {solver} differs by {abs(value - optimum.value):.0e}"
    return row(f"K = {K}, solve against {solver}", ours, theirs, goal, theirs / ours, note)


def all_read(K: int, plain: float) -> dict[str, Any]:
    """A solve of which everything is read: residuals, logits, Gram matrix and cosines of the class means as well."""
    problem = imbalanced(K)

    def run() -> Any:
        optimum = solve(problem)
        return optimum.certificate.stationarity, optimum.certificate.balance, optimum.logits, optimum.cosines

    ours, _ = cpu(run, 201 if K < 50 else 21 if K < 1000 else 3)
    return row(f"K = {K}, solve and read everything, against solve", ours, plain, None, ours / plain, "")


def entropy(K: int, lam_b: float = 0.01, t_rel: float = 0.3) -> Problem:
    """The same classes under cross-entropy."""
    problem = imbalanced(K)
    c = t_rel / 0.3 * float(problem.lam_H)
    return problem.replace(loss="cross_entropy", lam_W=c, lam_H=c, lam_b=lam_b)


def cross_entropy() -> list[dict[str, Any]]:
    """Cross-entropy certified: the relative gap and the time for each size, and cvxpy where it can follow."""
    rows = []
    for K, goal, repeats in ((10, 1e-9, 21), (50, 1e-9, 11), (200, 1e-9, 3), (1000, 1e-6, 1)):
        problem = entropy(K)
        ours, optimum = cpu(lambda problem=problem: solve(problem), repeats)
        gap = optimum.certificate.relative_gap
        note = f"value {optimum.value:.12g}, stationarity {optimum.certificate.stationarity:.0e}"
        rows.append(row(f"cross-entropy, K = {K}, relative gap", ours, None, goal, gap, note, at_most=True))
    spread = [solve(entropy(60, b, t)) for t in (1.2, 0.3, 1e-2, 1e-4) for b in (0.0, 1e-4, 1.0, np.inf)]
    worst = max(one.certificate.relative_gap for one in spread)
    what = "cross-entropy, K = 60, largest relative gap of 16 weights"
    rows.append(row(what, 0.0, None, 1e-9, worst, "t_rel 1e-4 to 1.2, lam_b 0 to inf", at_most=True) | {"ours [s]": ""})
    program, _ = state_program(entropy(10))
    ours, optimum = cpu(lambda: solve(entropy(10)), 21)
    theirs, (_, _, value) = cpu(lambda: solve_entropy_cvxpy(program, "CLARABEL"), 3)
    note = f"CLARABEL differs by {abs(value - optimum.value):.0e}"
    rows.append(row("cross-entropy, K = 10, solve against CLARABEL", ours, theirs, None, theirs / ours, note))
    return rows


def against_svd() -> list[dict[str, Any]]:
    """K = 1000: a solve, and the check of a given point, in SVDs of the matrix they work on."""
    problem = imbalanced(1000)
    ours, optimum = cpu(lambda: solve(problem), 3)
    reduced = ShrinkageProblem.of(problem, reduce_roles(problem))
    M = reduced.A - np.outer(optimum.b, reduced.u)
    svd, _ = cpu(lambda: np.linalg.svd(M), 3)
    logits = optimum.logits
    point, checked = cpu(lambda: certify(problem, optimum.W[0], optimum.H, optimum.b), 3)
    bare, _ = cpu(lambda: certify_logits(problem, logits), 3)
    gap = f"relative gap {optimum.certificate.relative_gap:.0e}, {optimum.certificate.work} SVDs"
    return [
        row("K = 1000, solve against one SVD", ours, svd, 6, ours / svd, gap, at_most=True),
        row("K = 1000, check logits Z", bare, svd, 1, bare / svd, "value and bound", at_most=True),
        row(
            "K = 1000, check (W, H, b), residuals too",
            point,
            svd,
            None,
            point / svd,
            f"relative gap {checked.relative_gap:.0e}",
        ),
    ]


def over_a_grid() -> dict[str, Any]:
    """K = 10: 10,000 points in one call against a loop of single solves."""
    problem = imbalanced(10)
    axes = {"lam_b": np.geomspace(1e-3, 1e2, 100), "lam_W": np.geomspace(0.01, 10, 100) * float(problem.lam_W[0])}
    batch, optima = cpu(lambda: solve(problem, over=axes), 3)
    some = [problem.replace(lam_b=b, lam_W=w) for b in axes["lam_b"][::5] for w in axes["lam_W"][::5]]
    loop, _ = cpu(lambda: [solve(one) for one in some], 1)
    loop *= optima.value.size / len(some)
    return row(
        "K = 10, 10,000 points in one call against a loop",
        batch,
        loop,
        5,
        loop / batch,
        f"largest gap {optima.gap.max():.0e}; the loop timed on every 25th point",
    )


def by_groups() -> Iterator[dict[str, Any]]:
    """A million classes of three sizes, targets included: one layer, three layers, and cross-entropy."""
    counts = np.repeat([500, 100, 7], [300_000, 300_000, 400_000])
    N = int(counts.sum())
    models: dict[str, dict[str, Any]] = {
        "": {"lam_W": 1 / N, "lam_H": 20 / N, "lam_b": 1e-4},
        ", three layers": {"lam_W": (1.7e-8,) * 3, "lam_H": 1.7e-8, "lam_b": 0.0},
        ", cross-entropy": {"lam_W": 1e-7, "lam_H": 1e-9, "lam_b": 1e-4, "loss": "cross_entropy"},
    }
    for name, model in models.items():

        def run(model: dict[str, Any] = model) -> Any:
            return solve(Problem(classes(encodings.one_hot(10**6), counts), **model), method="groups")

        ours, optimum = cpu(run, 5)
        note = f"{optimum.status.name}, gap {optimum.gap:.0e}, rank {optimum.certificate.rank}"
        yield row(f"K = 10^6 in three sizes{name}, seconds", ours, None, 1, ours, note, at_most=True)


def row(
    what: str, ours: float, other: float | None, goal: float | None, ratio: float, note: str, at_most: bool = False
) -> dict[str, Any]:
    """One line of the table."""
    return {
        "what": what,
        "ours [s]": f"{ours:.3g}",
        "other [s]": "" if other is None else f"{other:.3g}",
        "ratio": f"{ratio:.3g}",
        "goal": "" if goal is None else f"{'<=' if at_most else '>='} {goal:g}",
        "met": "" if goal is None else "yes" if (ratio <= goal if at_most else ratio >= goal) else "**no**",
        "note": note,
    }


def profile(K: int, repeats: int) -> str:
    """Where a solve spends its time."""
    import cProfile
    import io
    import pstats

    problem, profiler = imbalanced(K), cProfile.Profile()
    profiler.runcall(lambda: [solve(problem) for _ in range(repeats)])
    text = io.StringIO()
    stats = pstats.Stats(profiler, stream=text)
    total = stats.total_tt  # pyright: ignore[reportAttributeAccessIssue]
    lines = sorted(stats.stats.items(), key=lambda item: -item[1][2])[:8]  # pyright: ignore[reportAttributeAccessIssue]
    return "\n".join(f"| {Path(key[0]).name}:{key[2]} | {value[2] / total:.0%} |" for key, value in lines)


def explained(K: int, repeats: int, rows: list[dict[str, Any]]) -> str:
    """The profile of a solve at this K, with the reason where a goal is missed; K = 1000 in any case."""
    missed = [r["what"] for r in rows if "no" in r["met"]]
    if not missed and K != 1000:
        return ""
    reason = f"Missed: {'; '.join(missed)}. {REASON[K]}\n\n" if missed else ""
    return (
        f"""
Where a solve at K = {K} spends its time (under the profiler, which magnifies small calls):

| function | share |
|---|---|
{profile(K, repeats)}

{reason}""".rstrip("\n")
        + "\n"
    )


def main() -> None:
    """Run everything and write the table next to this file."""
    if os.environ.get("OMP_NUM_THREADS") != "1":
        raise SystemExit("set OMP_NUM_THREADS=1 and OPENBLAS_NUM_THREADS=1: the table is of one thread.")
    load = f"{os.getloadavg()[0]:.1f}"
    solve(imbalanced(3))
    solve_cvxpy(ShrinkageProblem.of(imbalanced(3), reduce_roles(imbalanced(3))))  # imports are not timed
    solve(entropy(3))
    rows = [
        against(10, "CLARABEL", 50, 9),
        against(10, "SCS", 50, 9),
        against(50, "CLARABEL", 2000, 1),
        against(100, "SCS", 150, 5),
        *against_svd(),
        over_a_grid(),
        *by_groups(),
        *cross_entropy(),
    ]
    plain = {K: next(float(r["ours [s]"]) for r in rows if r["what"].startswith(f"K = {K}, solve")) for K in (10, 1000)}
    rows += [all_read(K, seconds) for K, seconds in plain.items()]
    why = "".join(
        explained(K, repeats, [r for r in rows if r["what"].startswith(f"K = {K},")]) for K, repeats in PROFILED
    )
    names = list(rows[0])
    table = [f"| {' | '.join(names)} |", "|" + "---|" * len(names)]
    table += [f"| {' | '.join(r[name] for name in names)} |" for r in rows]
    versions = ", ".join(f"{p} {metadata.version(p)}" for p in ("numpy", "scipy", "cvxpy", "clarabel", "scs"))
    text = f"""# Certified optimum of the squared loss and of cross-entropy, p = 2

Median CPU seconds on one thread of a {platform.machine()} core; Python {platform.python_version()}, {versions}.
One-hot classes of K different sizes from 10000 down to 1000, penalised bias (lam_b = 0.01), t_rel about 0.3. cvxpy's
times include its compilation; its solvers were asked for 1e-9. Load average of the machine: {load} at the start,
{os.getloadavg()[0]:.1f} at the end. Written by `numerics/benchmarks/optimum.py`.

{chr(10).join(table)}

{why}"""
    Path(__file__).with_suffix(".md").write_text(text)
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
