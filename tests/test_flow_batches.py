"""Flows in stacks: each as it is alone, none touched by another, grids that read like those of `solve`."""

import ast
import importlib
import importlib.util
import inspect
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ufm
from ufm import encodings
from ufm.errors import ProblemError, UfmError
from ufm.flow import (
    Flow,
    Options,
    Progress,
    State,
    Status,
    batch,
    kernel,
    many,
    random_start,
    simulate,
    simulate_many,
    stack,
)
from ufm.flow.coordinates import coordinates
from ufm.flow.state import checked
from ufm.flow.status import Status as S
from ufm.problem import Problem, classes, samples
from ufm.record import load

TARGETS = classes(encodings.one_hot(3), 7)
PROBLEM = Problem(targets=TARGETS, lam_W=0.03, lam_H=0.02, lam_b=0.3, width=4)
KINDS: dict[str, tuple[Problem, dict[str, Any], dict[str, Any]]] = {
    "samples": (PROBLEM, {}, {}),
    "span": (PROBLEM.replace(width=9, targets=classes(encodings.one_hot(3), [2, 3, 4])), {"collapsed": True}, {}),
    "full": (PROBLEM.replace(targets=classes(encodings.simplex(3), 2)), {}, {"mode": "full"}),
    "A": (PROBLEM.replace(lam_W=0.02), {}, {"mode": "A"}),
    "S": (PROBLEM, {}, {"mode": "S"}),
    "propagator": (PROBLEM, {}, {"mode": "propagator"}),
    "deep": (PROBLEM.replace(lam_W=(0.03, 0.02)), {}, {}),
    "cross_entropy": (PROBLEM.replace(loss="cross_entropy"), {"collapsed": True}, {}),
    "regression": (
        Problem(targets=samples(np.random.default_rng(0).standard_normal((2, 30))), lam_W=0.05, lam_H=0.05, lam_b=0.1),
        {},
        {},
    ),
}


def flows_of(kind: str, count: int = 6, **options: Any) -> tuple[list[Problem], list[State], Options]:
    """Problems of one kind with different weights, biases and starts."""
    problem, start, own = KINDS[kind]
    lam_b = [0.1, 0.0, np.inf, 2.0]
    problems = [problem.replace(lam_b=lam_b[i % 4], lam_H=float(problem.lam_H) * 1.1**i) for i in range(count)]
    if kind == "A":
        problems = [p.replace(lam_W=p.lam_H) for p in problems]
    return problems, [random_start(p, i, **start) for i, p in enumerate(problems)], Options(**{**own, **options})


def numbers(flow: Flow) -> np.ndarray:
    parts = [*flow.state.W, flow.state.H, flow.state.b] + ([] if flow.state.S is None else [flow.state.S])
    return np.concatenate([np.ravel(x) for x in parts])


def equal(a: Flow, b: Flow) -> bool:
    """To the last bit, saved states included."""
    ends = np.array_equal(numbers(a), numbers(b)) and (a.t, a.status, a.steps) == (b.t, b.status, b.steps)
    if a.path is None or b.path is None:
        return ends and a.path is b.path
    values = a.path.record()["value"], b.path.record()["value"]
    return ends and np.array_equal(*values)


@pytest.mark.parametrize("kind", KINDS)
def test_a_flow_in_a_stack_is_the_flow_alone(kind: str) -> None:
    """The same steps to a given time, and the same numbers to round-off; states saved on the way too."""
    problems, starts, options = flows_of(kind, save=[0.7, 20.0, 40.0])
    found = simulate_many(problems, starts, 40.0, options=options)
    for problem, start, flow in zip(problems, starts, found, strict=True):
        alone = simulate(
            problem, start, 40.0, save=[0.7, 20.0, 40.0], mode=options.mode, integrator=flow.provenance["integrator"]
        )
        assert (flow.steps, flow.rejected, flow.evaluations) == (alone.steps, alone.rejected, alone.evaluations)
        assert (flow.status, flow.t) == (alone.status, alone.t)
        np.testing.assert_allclose(numbers(flow), numbers(alone), atol=1e-12)
        np.testing.assert_allclose(flow.gradient_norm, alone.gradient_norm, rtol=1e-9)
        assert flow.path is not None
        assert alone.path is not None
        for i in range(3):
            np.testing.assert_allclose(flow.path.state(i).H, alone.path.state(i).H, atol=1e-12)


@pytest.mark.parametrize("kind", ["samples", "A", "S", "cross_entropy"])
def test_no_bit_of_a_flow_depends_on_its_batch_mates(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """To rest, so that flows end at different steps: another order, pieces, and a stack of one give the same bits."""
    problems, starts, options = flows_of(kind, 6, rtol=1e-5, gtol=1e-4, save=[3.0])
    together = simulate_many(problems, starts, options=options)
    assert len({flow.steps for flow in together}) > 2
    order = np.random.default_rng(1).permutation(6)
    mixed = simulate_many([problems[i] for i in order], [starts[i] for i in order], options=options)
    assert all(equal(together[i], flow) for i, flow in zip(order, mixed, strict=True))
    pieces = [simulate_many(problems[i:j], starts[i:j], options=options) for i, j in ((0, 1), (1, 3), (3, 6))]
    assert all(map(equal, together, [flow for piece in pieces for flow in piece]))
    monkeypatch.setattr(many, "NUMBERS", 3 * together[0]._y.size)
    assert all(map(equal, together, simulate_many(problems, starts, options=options)))


@pytest.mark.parametrize("kind", ["span", "A"])
def test_no_bit_depends_on_how_many_stages_others_take(kind: str) -> None:
    """Flows of very different stiffness: rkc2 takes two stages of one and dozens of another at a time."""
    problem, start, own = KINDS[kind]
    weights = [0.03, 1e-3, 3e-5, 0.01]
    pairs = zip(weights, [0.1, 50.0, 0.0, 0.3], strict=True)
    problems = [problem.replace(lam_W=l, lam_H=l, lam_b=lam_b) for l, lam_b in pairs]
    starts = [random_start(p, i, **start) for i, p in enumerate(problems)]
    ends, options = [8 / l for l in weights], Options(rtol=1e-3, integrator="rkc2", save=[3.0], **own)
    together = simulate_many(problems, starts, ends, options=options)
    shares = [flow.evaluations / flow.steps for flow in together]
    assert max(shares) > 4 * min(shares)
    for i in range(4):
        assert equal(together[i], simulate_many([problems[i]], [starts[i]], ends[i], options=options)[0])


SLOW = [pytest.param(kind, marks=pytest.mark.slow) for kind in ("S", "cross_entropy")]


@pytest.mark.parametrize("kind", ["span", "A", *SLOW])
def test_stabilised_steps_in_a_stack_are_those_alone(kind: str) -> None:
    """The same flows to the tolerance, of different stiffness side by side, at saved times too."""
    problems, starts, _ = flows_of(kind, 4)
    mode = KINDS[kind][2].get("mode", "auto")
    options = Options(rtol=1e-6, gtol=1e-5, integrator="rkc2", save=[0.7, 30.0], mode=mode)
    problems = [p.replace(lam_b=p.lam_b * 10.0**i) if p.has_bias else p for i, p in enumerate(problems)]
    found = simulate_many(problems, starts, options=options)
    for problem, start, flow in zip(problems, starts, found, strict=True):
        exact = simulate(problem, start, flow.t, rtol=1e-9, save=[0.7, 30.0], mode=mode)
        assert flow.status is Status.STEADY
        assert flow.provenance["integrator"] == "rkc2"
        np.testing.assert_allclose(numbers(flow), numbers(exact), atol=2e-5)
        assert flow.path is not None
        assert exact.path is not None
        for i in range(2):
            np.testing.assert_allclose(flow.path.state(i).H, exact.path.state(i).H, atol=2e-5)
            np.testing.assert_allclose(flow.path.state(i).b, exact.path.state(i).b, atol=2e-5)


def test_a_stack_chooses_what_stacks() -> None:
    """Mild flows IMEX, stiff ones rkc2, where alone one of them would take LSODA."""
    problem = Problem(targets=classes(encodings.one_hot(4), 10), lam_W=0.01, lam_H=0.01, lam_b=0.01, width=16)
    weights = [1e-2, 1e-4]
    mild, stiff = (problem.replace(lam_W=l, lam_H=l) for l in weights)
    chosen = [
        [many.planned(p, random_start(p, 0, collapsed=True), None, Options(rtol=1e-6), stacked=stacked).method.name
         for p in (mild, stiff)]
        for stacked in (True, False)
    ]  # fmt: skip
    assert chosen == [["kencarp4", "rkc2"], ["kencarp4", "lsoda"]]


def test_the_bits_would_show_a_flow_that_feels_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step control that takes the mean over the stack: the test above must see it."""
    problems, starts, options = flows_of("samples", 4, rtol=1e-6, max_steps=40)
    together = simulate_many(problems, starts, options=options)
    control = type(many.planned(problems[0], starts[0], None, options).control)
    own = control.grown_of
    monkeypatch.setattr(
        control, "grown_of", lambda self, h, size, before: own(self, h, size + 0 * h + h.mean(), before)
    )
    coupled = simulate_many(problems, starts, options=options)
    assert not any(map(equal, together, coupled))
    assert not equal(coupled[0], simulate_many(problems[:1], starts[:1], options=options)[0])


def test_flows_that_fail_leave_the_others_alone() -> None:
    """NaN, an overflow at the first evaluation, and one later on: each its own status and its last finite state."""
    good, wild = random_start(PROBLEM, 0), np.full((3, 4), 1e154)
    starts = [
        good,
        State(good.W, np.where(np.arange(21) == 3, np.nan, good.H)),
        State(np.full((3, 4), 1e200), np.full((4, 21), 1e200)),
        State(wild, np.full((4, 21), -1e154), np.zeros(3)),
        random_start(PROBLEM, 1),
    ]
    found = simulate_many([PROBLEM] * 5, starts)
    assert [flow.status for flow in found] == [S.STEADY, S.DIVERGED, S.DIVERGED, S.DIVERGED, S.STEADY]
    assert np.all(np.isfinite(found[3].state.H))
    for i in (0, 4):
        assert equal(found[i], simulate_many([PROBLEM], [starts[i]])[0])
    assert np.isnan(found[1].state.H).all()
    assert found[1].steps == 0


def test_statuses_of_each_flow() -> None:
    """Ends of their own, max_steps, a marginal mode, a start at rest: as the flow alone says."""
    at_rest = State(np.zeros((3, 4)), np.zeros((4, 21)))
    critical = PROBLEM.replace(lam_W=0.02, lam_b=(0.02 * 3 * 7**0.5) / (1 - 0.02 * 3 * 7**0.5))
    problems = [PROBLEM, PROBLEM, PROBLEM.replace(lam_b=np.inf), critical]
    ends = [5.0, 5e3, None, None]
    starts = [random_start(PROBLEM, 0), random_start(PROBLEM, 0), at_rest, random_start(critical, 3, collapsed=True)]
    found = simulate_many(problems, starts, ends, options=Options(rtol=1e-6))
    assert [flow.status for flow in found] == [S.UNSETTLED, S.STEADY, S.STEADY, S.ALGEBRAIC]
    assert [flow.t for flow in found[:2]] == ends[:2]
    assert found[2].steps == 0
    alone = simulate(critical, starts[3], rtol=1e-6, integrator=found[3].provenance["integrator"])
    assert alone.status is Status.ALGEBRAIC
    short = simulate_many([PROBLEM] * 2, range(2), options=Options(max_steps=3))
    assert [(flow.status, flow.steps) for flow in short] == [(S.MAX_STEPS, 3)] * 2


def test_flows_of_any_shapes_and_methods_come_back_in_order() -> None:
    """Two widths, another loss, one that is solved by LSODA, one with a constraint."""
    stiff = Problem(targets=TARGETS, lam_W=1e-6, lam_H=1e-6, lam_b=0.0, width=4)
    problems = [
        PROBLEM,
        PROBLEM.replace(width=6),
        PROBLEM.replace(loss="cross_entropy"),
        stiff,
        PROBLEM.replace(constraint=ufm.constraints.NonNegative()),
        PROBLEM,
    ]
    found = simulate_many(problems, [0, 1, 2, 3, 4, 5], 30.0)
    assert [flow.problem for flow in found] == problems
    assert [flow.seed for flow in found] == [0, 1, 2, 3, 4, 5]
    for flow in found:
        alone = simulate(flow.problem, flow.seed, 30.0)  # pyright: ignore[reportArgumentType]
        np.testing.assert_allclose(numbers(flow), numbers(alone), atol=1e-6)


@pytest.mark.parametrize(
    ("integrator", "path"), [("exprb43", "gradient"), ("lsoda", "gradient"), ("adam", "gradient"), ("auto", "central")]
)
def test_what_does_not_stack_runs_one_by_one(integrator: str, path: Any) -> None:
    """A grid of them is the flows themselves, to the last bit."""
    options = {"t1": 3.0, "rtol": 1e-5, "integrator": integrator, "path": path, "mode": "full"}
    options |= {"lr": 0.01} if integrator == "adam" else {}
    flows = simulate(PROBLEM, 3, over={"lam_b": [0.1, 1.0]}, **options)
    for flow, lam_b in zip(flows, [0.1, 1.0], strict=True):
        assert equal(flow, simulate(PROBLEM.replace(lam_b=lam_b), 3, **options))


def test_a_grid_reads_like_that_of_solve(tmp_path: Path) -> None:
    grid = {"start": [3, 8], "lam_b": [0.05, 0.5, np.inf]}
    flows = ufm.simulate(PROBLEM, over=grid, save=[1.0, 10.0])
    assert flows.shape == (2, 3)
    assert len(flows) == 6
    assert set(flows.status.ravel()) == {Status.STEADY}
    assert flows[1, -1].problem.lam_b == np.inf
    assert flows[1, 2] is list(flows)[5]
    assert flows.t[1, 2] == flows[1, 2].t
    assert "6 STEADY" in repr(flows)
    record = load(flows.record().save(tmp_path / "flows.nc"))
    assert record["singular_values"].dims == ("start", "lam_b", "direction")
    np.testing.assert_array_equal(record["singular_values"][1, 2], flows[1, 2].record()["singular_values"])
    assert bool(record["steady"].all())
    there = record.select(start=8, lam_b=0.5).problem
    assert there is not None
    assert there.lam_b == 0.5
    optima = ufm.solve(PROBLEM, over={"lam_b": grid["lam_b"]}).record()
    comparison = ufm.compare(optima, record.select(start=3))
    assert comparison.agrees, comparison
    path = flows.path_record()
    assert path["value"].dims == ("start", "lam_b", "t")
    np.testing.assert_array_equal(path["value"][0, 1], flows[0, 1].path.record()["value"])  # pyright: ignore


def test_states_and_times_along_a_grid() -> None:
    starts = [random_start(PROBLEM, 5), random_start(PROBLEM, 6)]
    flows = simulate(PROBLEM, t1=[1.0, 9.0], over={"start": starts})
    assert flows.axes["start"].tolist() == [0, 1]
    assert flows.t.tolist() == [1.0, 9.0]
    with pytest.raises(UfmError, match="no saved times in common"):
        flows.path_record()
    with pytest.raises(UfmError, match=r"start = 0: .*raise t1"):
        simulate(PROBLEM, t1=1.0, over={"start": starts}, throw=True)
    scaled = simulate(PROBLEM, starts[0], over={"lam_W": [0.01, 0.02], "lam_H": [0.02]})
    np.testing.assert_allclose(
        scaled[1, 0].state.H, simulate(PROBLEM.replace(lam_W=0.02), starts[0]).state.H, atol=1e-8
    )


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"over": {}}, "fields among lam_b, lam_W, lam_H, start"),
        ({"over": {"width": [3]}}, "only these are swept: lam_b, lam_W, lam_H, start"),
        ({"over": {"lam_b": [-1.0]}}, r"over\['lam_b'\]\[0\] = -1.0"),
        ({"over": {"start": [0.5]}}, r"over\['start'\]"),
        ({"over": {"start": [0, 1]}, "t1": [1.0, 2.0, 3.0]}, r"t1 = \(3,\)"),
        ({"over": {"start": [0, 1]}, "t1": [1.0, -2.0]}, "t1 = -2.0"),
        ({"over": {"lam_b": [1.0]}, "rtol": 2.0}, "rtol = 2.0"),
    ],
)
def test_bad_grids_name_field_value_and_fix(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ProblemError, match=text):
        simulate(PROBLEM, **options)


def test_lengths_must_match() -> None:
    with pytest.raises(ProblemError, match="starts = 3: this is their number"):
        simulate_many([PROBLEM] * 2, [0, 1, 2])


def test_progress_is_told_and_grows() -> None:
    heard: list[Progress] = []
    simulate(PROBLEM, over={"lam_b": [0.1, np.inf], "start": range(3)}, progress=heard.append)
    fractions = [part.fraction for part in heard]
    assert len(fractions) > 5
    assert fractions == sorted(fractions)
    assert 0 <= fractions[0] < 0.2 < 0.8 < fractions[-1] <= 1


# --- kernels and backends -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["samples", "span", "A", "regression"])
@pytest.mark.parametrize("whole", [True, False])
def test_the_kernel_is_the_general_right_hand_side(kind: str, whole: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one product of blocks, and in parts, by blocks of rows."""
    monkeypatch.setattr(kernel, "WHOLE", np.inf if whole else -1.0)
    monkeypatch.setattr(kernel, "BLOCK", 8)
    problems, starts, options = flows_of(kind, 3)
    for problem, start in zip(problems, starts, strict=True):
        at, y = coordinates(problem, checked(problem, start), options.mode)
        assert at.field.kernel is not None
        assert at.field.kernel.whole == whole
        settle = (lambda rest: 0.3 * rest) if at.field.m else None
        y1, y2 = y.copy(), y.copy()
        np.testing.assert_allclose(at.field(y1, 0.7, settle), at.field.slope(y2, 0.7, settle), rtol=1e-13, atol=1e-15)
        np.testing.assert_allclose(y1, y2, rtol=1e-14, atol=1e-16)


@pytest.mark.parametrize("kind", KINDS)
def test_a_stack_has_the_right_hand_sides_and_norms_of_its_flows(kind: str) -> None:
    """Different numbers of samples too, where the shapes allow."""
    problems, starts, options = flows_of(kind, 2)
    problems[1] = problems[1].replace(lam_b=problems[0].lam_b)
    if kind == "span":
        problems[1] = problems[1].replace(targets=classes(encodings.one_hot(3), 11))
    made = [coordinates(p, checked(p, s), options.mode) for p, s in zip(problems, starts, strict=True)]
    fields, y = [at.field for at, _ in made], np.stack([y for _, y in made])
    both, t = stack.stacked(fields), np.array([0.4, 0.9])
    slope, norms = both(y, t), stack.norms(both, y, t)
    gradient = stack.gradient_norm(both, y, slope, t)
    for i, field in enumerate(fields):
        mine = field.slope(y[i], float(t[i]))
        np.testing.assert_allclose(slope[i], mine, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose([n[i] for n in norms], field.norms(y[i], float(t[i])), rtol=1e-13)
        np.testing.assert_allclose(gradient[i], field.gradient_norm(y[i], mine, float(t[i])), rtol=1e-12)


def givers() -> dict[str, Any]:
    strict = importlib.import_module("array_api_strict")
    found = {"strict": lambda x: strict.asarray(x.tolist(), dtype=strict.float64, device=strict.Device("device1"))}
    if importlib.util.find_spec("torch") is not None:
        found["torch"] = importlib.import_module("torch").from_numpy
    return found


@pytest.mark.parametrize("backend", givers())
@pytest.mark.parametrize("kind", ["samples", "A", "S", "deep", "cross_entropy"])
def test_backends_give_the_same_stack(kind: str, backend: str) -> None:
    give = givers()[backend]
    problems, starts, options = flows_of(kind, 4)
    ours = simulate_many(problems, starts, [5.0, 9.0, 1.0, 12.0], options=options)
    theirs = simulate_many(problems, [start.each(give) for start in starts], [5.0, 9.0, 1.0, 12.0], options=options)
    for a, b in zip(ours, theirs, strict=True):
        assert type(b.state.H) is type(give(np.zeros(1)))
        assert getattr(b.state.H, "device", None) == getattr(give(np.zeros(1)), "device", None)
        assert (a.status, a.t, a.steps) == (b.status, b.t, b.steps)
        np.testing.assert_allclose(numbers(a), numbers(Flow(**{**vars(b), "state": b.state.numpy()})), atol=1e-11)


@pytest.mark.parametrize("integrator", ["auto", "rkc2"])
def test_a_step_of_a_stack_needs_no_word_from_the_device(integrator: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tensor that becomes a Python number or a host array within a step says so: none does."""
    torch = pytest.importorskip("torch")
    problems, starts, options = flows_of("A", 3, integrator=integrator)
    problems = [p.replace(lam_b=0.3) for p in problems]
    plans = [
        many.planned(p, s.each(torch.from_numpy), None, options, stacked=True)
        for p, s in zip(problems, starts, strict=True)
    ]
    tasks = [batch.Task(p.at.field, p.y, p.t1, p.control, p.rest, p.saver) for p in plans]
    rows = batch._Rows(tasks, plans[0].method, 100)  # pyright: ignore[reportArgumentType]
    rows.begin()
    rows.settle_stages()
    rows.step()

    def refuse(*_: Any) -> Any:
        raise AssertionError("the device was asked for a number")

    for name in ("__bool__", "__float__", "__int__", "__index__", "item", "tolist", "numpy", "cpu", "__array__"):
        monkeypatch.setattr(torch.Tensor, name, refuse)
    rows.step()
    rows.measure_fastest(iterations=2)


def test_asking_the_device_would_be_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.Tensor, "__float__", lambda _: pytest.fail("asked"))
    with pytest.raises(pytest.fail.Exception):
        float(torch.ones(()))


@pytest.mark.gpu
def test_cupy_gives_the_same_stack() -> None:
    """On a CUDA device: the same steps as on the host, the same numbers to 1e-9."""
    cupy = pytest.importorskip("cupy")
    for kind in ("samples", "A", "S", "deep", "cross_entropy"):
        problems, starts, options = flows_of(kind, 8, rtol=1e-6, gtol=1e-6)
        ours = simulate_many(problems, starts, options=options)
        theirs = simulate_many(problems, [start.each(cupy.asarray) for start in starts], options=options)
        for a, b in zip(ours, theirs, strict=True):
            assert a.status is b.status
            np.testing.assert_allclose(numbers(a), numbers(Flow(**{**vars(b), "state": b.state.numpy()})), atol=1e-9)


def test_rows_are_kept_whole() -> None:
    """Whatever `begin` makes with one entry a flow is among those that are taken along when flows are dropped."""
    made = {
        target.attr
        for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(batch._Rows))))
        if isinstance(node, ast.FunctionDef) and node.name in ("begin", "__init__")
        for each in ast.walk(node)
        if isinstance(each, ast.Attribute) and isinstance(each.ctx, ast.Store)
        for target in [each]
    }
    others = {
        "tasks",
        "method",
        "max_steps",
        "control",
        "same_targets",
        "saves",
        "runs",
        "index",
        "field",
        "stepper",
        "inside",
    }
    assert made - others - {"nodes", "norms", "history", "gtol", "eps"} == set(batch.ROWS)
