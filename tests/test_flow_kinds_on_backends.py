"""Constraints, the central path, descents and the exponential method on every array backend."""

import importlib
import importlib.util
from typing import Any

import numpy as np
import pytest

from ufm import encodings
from ufm.arrays import to_numpy
from ufm.constraints import FixedClassifier, Near, NonNegative
from ufm.flow import State, random_start, simulate
from ufm.problem import Problem, classes

FREE = Problem(targets=classes(encodings.one_hot(3), 7), lam_W=0.03, lam_H=0.02, lam_b=0.3, width=4)
H0 = np.random.default_rng(0).standard_normal((4, 21))
CASES: dict[str, tuple[Problem, dict[str, Any]]] = {
    "non-negative": (FREE.replace(constraint=NonNegative()), {"rtol": 1e-5}),
    "near": (FREE.replace(constraint=Near(H0, 0.5)), {}),
    "fixed": (FREE.replace(constraint=FixedClassifier(np.eye(3, 4))), {}),
    "central": (FREE, {"path": "central"}),
    "gradient descent by S": (FREE, {"integrator": "gradient_descent", "lr": 0.5, "mode": "S"}),
    "nesterov": (FREE, {"integrator": "nesterov", "lr": 0.2}),
    "adamw": (FREE, {"integrator": "adamw", "lr": 0.05}),
    "exponential": (FREE, {"integrator": "exprb43", "rtol": 1e-5}),
    "exponential in A-mode": (FREE.replace(lam_W=0.02), {"integrator": "exprb43", "rtol": 1e-5, "mode": "A"}),
}


def givers() -> dict[str, Any]:
    strict = importlib.import_module("array_api_strict")
    found = {"strict": lambda x: strict.asarray(x.tolist(), dtype=strict.float64, device=strict.Device("device1"))}
    if importlib.util.find_spec("torch") is not None:
        found["torch"] = importlib.import_module("torch").from_numpy
    return found


@pytest.mark.parametrize("backend", givers())
@pytest.mark.parametrize("case", CASES)
def test_backends_agree(case: str, backend: str) -> None:
    (problem, options), give = CASES[case], givers()[backend]
    start = random_start(problem, 3)
    moved = State(tuple(map(give, start.W)), give(start.H), give(start.b))
    ours, theirs = (simulate(problem, s, t1=5.0, save=[1.0, 5.0], **options) for s in (start, moved))
    assert type(theirs.state.H) is type(give(start.H))
    tolerance = 1e-7 if "exponential" in case else 1e-11  # products with J are differences, which round otherwise
    for a, b in zip((*ours.state.W, ours.state.H), (*theirs.state.W, theirs.state.H), strict=True):
        np.testing.assert_allclose(to_numpy(b), a, atol=tolerance)
    assert theirs.path is not None
    assert ours.path is not None
    seen, expected = (flow.path.record("all")["value"] for flow in (theirs, ours))  # pyright: ignore
    np.testing.assert_allclose(seen, expected, atol=tolerance)
