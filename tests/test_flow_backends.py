"""The same flow on every array backend, and nothing used that one of them lacks."""

import ast
import importlib
import importlib.util
import re
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

import ufm.flow
from ufm import encodings
from ufm.arrays import to_numpy
from ufm.errors import UfmError
from ufm.flow import State, Status, random_start, simulate
from ufm.flow.coordinates import Mode
from ufm.problem import Problem, classes

PROBLEMS = {
    "samples": Problem(targets=classes(encodings.one_hot(3), 7), lam_W=0.03, lam_H=0.02, lam_b=0.3, width=4),
    "span": Problem(targets=classes(encodings.one_hot(3), [2, 3, 4]), lam_W=0.03, lam_H=0.02, width=9),
    "A": Problem(targets=classes(encodings.one_hot(3), 7), lam_W=0.02, lam_H=0.02, lam_b=0.3, width=4),
    "S": Problem(targets=classes(encodings.one_hot(3), 7), lam_W=0.03, lam_H=0.02, lam_b=0.3, width=4),
    "propagator": Problem(targets=classes(encodings.one_hot(3), 7), lam_W=0.03, lam_H=0.02, lam_b=0.3, width=4),
    "deep": Problem(targets=classes(encodings.simplex(3), 7), lam_W=(0.03, 0.02), lam_H=0.02, lam_b=0.0, width=4),
    "cross_entropy": Problem(
        targets=classes(encodings.one_hot(3), 7), lam_W=0.03, lam_H=0.02, lam_b=0.3, width=4, loss="cross_entropy"
    ),
}


def moved(start: State, give: Any) -> State:
    return State(tuple(map(give, start.W)), give(start.H), give(start.b))


def givers() -> dict[str, Any]:
    strict = importlib.import_module("array_api_strict")
    found = {
        "strict": lambda x: strict.asarray(x.tolist(), dtype=strict.float64),
        "strict device": lambda x: strict.asarray(x.tolist(), dtype=strict.float64, device=strict.Device("device1")),
    }
    if importlib.util.find_spec("torch") is not None:
        found["torch"] = importlib.import_module("torch").from_numpy
    return found


@pytest.mark.parametrize("backend", givers())
@pytest.mark.parametrize("name", PROBLEMS)
def test_backends_give_the_same_flow(name: str, backend: str) -> None:
    problem, give = PROBLEMS[name], givers()[backend]
    start = random_start(problem, 3, collapsed=name == "span")
    mode = name if name in get_args(Mode) else "auto"
    ours = simulate(problem, start, t1=20.0, save=[1.0, 20.0], mode=mode)  # pyright: ignore[reportArgumentType]
    theirs = simulate(problem, moved(start, give), t1=20.0, save=[1.0, 20.0], mode=mode)  # pyright: ignore[reportArgumentType]
    assert type(theirs.state.H) is type(give(start.H))
    assert getattr(theirs.state.H, "device", None) == getattr(give(start.H), "device", None)
    assert (ours.steps, ours.evaluations) == (theirs.steps, theirs.evaluations)
    for a, b in zip((*ours.state.W, ours.state.H), (*theirs.state.W, theirs.state.H), strict=True):
        np.testing.assert_allclose(to_numpy(b), a, atol=1e-12)
    assert ours.path is not None
    assert theirs.path is not None
    np.testing.assert_allclose(theirs.path.record()["value"], ours.path.record()["value"], atol=1e-12)


def test_backend_can_be_asked_for() -> None:
    pytest.importorskip("torch")
    flow = simulate(PROBLEMS["samples"], 3, backend="torch")
    assert flow.status is Status.STEADY
    assert type(flow.state.H).__module__ == "torch"
    cosine = simulate(PROBLEMS["samples"], 3, backend="numpy").record()["cosine"]
    np.testing.assert_allclose(flow.record()["cosine"], cosine, atol=1e-8)


def test_mixed_backends_are_refused_and_parameters_accepted() -> None:
    torch = pytest.importorskip("torch")
    problem, start = PROBLEMS["samples"], random_start(PROBLEMS["samples"], 3)
    with pytest.raises(UfmError, match="arrays of one backend"):
        simulate(problem, State(start.W, torch.from_numpy(start.H)))
    trained = moved(start, lambda x: torch.nn.Parameter(torch.from_numpy(x)))
    flow = simulate(problem, trained, t1=1.0)
    np.testing.assert_allclose(to_numpy(flow.state.H), simulate(problem, start, t1=1.0).state.H, atol=1e-12)


def test_single_precision_is_kept_and_its_round_off_respected() -> None:
    problem = PROBLEMS["samples"]
    start = moved(random_start(problem, 3), lambda x: x.astype(np.float32))
    flow = simulate(problem, start, rtol=1e-4, gtol=1e-4)
    assert flow.state.H.dtype == np.float32
    assert flow.status is Status.STEADY
    with pytest.raises(ValueError, match="rtol = 1e-08: give a number from 6e-06"):
        simulate(problem, start)


@pytest.mark.parametrize("spoilt", [float("nan"), 0.0])
def test_a_device_that_fails_without_a_word_is_seen(spoilt, monkeypatch) -> None:
    """cuSOLVER's way: no exception, and eigenvectors that are none."""
    torch = pytest.importorskip("torch")
    linalg = importlib.import_module("array_api_compat.torch.linalg")
    problem, start = PROBLEMS["A"], random_start(PROBLEMS["A"], 3)
    expected = simulate(problem, start, mode="A", t1=2.0).state.H
    right = linalg.eigh
    asked = []

    def wrong(A):
        asked.append(A.shape)
        values, vectors = right(A)
        return values, vectors * spoilt

    monkeypatch.setattr(linalg, "eigh", wrong)
    found = simulate(problem, moved(start, torch.from_numpy), mode="A", t1=2.0).state.H
    assert asked
    np.testing.assert_allclose(to_numpy(found), expected, atol=1e-10)


def namespace_functions() -> set[str]:
    """Every name that the flow takes from an array namespace, "linalg.qr" and the like included."""
    found = set()
    for source in Path(ufm.flow.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Attribute):
                text = ast.unparse(node)
                found |= set(re.findall(r"^(?:self\.|field\.)?xp\.([a-z_0-9.]+)$", text))
    return found


@pytest.mark.parametrize("backend", ["numpy", "torch", "cupy"])
def test_every_function_used_exists(backend: str) -> None:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    module = importlib.import_module(f"array_api_compat.{backend}")
    used = namespace_functions()
    assert {"concat", "linalg.qr", "reshape"} <= used
    for name in used:
        owner, _, leaf = name.rpartition(".")
        where = importlib.import_module(f"array_api_compat.{backend}.{owner}") if owner else module
        assert hasattr(where, leaf), name
