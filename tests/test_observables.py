"""Every name that a witness prints is explained on the page of observables."""

import re
from pathlib import Path

import numpy as np

import ufm

PAGE = Path(__file__).parents[1] / "docs" / "observables.md"
PROBLEM = ufm.Problem(ufm.classes(ufm.encodings.one_hot(3), [4, 4, 2]), lam_W=0.1, lam_H=0.02, lam_b=0.1, width=5)


def test_the_page_explains_every_name():
    rng, labels = np.random.default_rng(0), np.repeat([0, 1, 2], [4, 4, 2])
    optimum, flow = ufm.solve(PROBLEM), ufm.simulate(PROBLEM, t1=5.0)
    path = ufm.simulate(PROBLEM.replace(lam_W=0.02), t1=5.0, save=[0.0, 5.0]).path
    assert path is not None
    H, Y = rng.standard_normal((5, 10)), rng.standard_normal((2, 10))
    records = [optimum.record(), flow.record("all"), path.record()]
    records += [ufm.measure(H, PROBLEM, optimum.W[0], optimum.b), ufm.measure(H, labels, optimum.W[0], optimum.b)]
    records += ufm.predict(H, labels, optimum.W[0], optimum.b, lam_W=0.1, lam_b=0.1).records
    records += [ufm.measure(H, Y, rng.standard_normal((2, 5)), np.zeros(2))]
    printed = {str(name) for record in records for name in record.values} - {"t"}
    explained = set(re.findall(r"`([A-Za-z0-9_]+)`", PAGE.read_text(encoding="utf-8")))
    assert not printed - explained
    assert {"nc1", "balance_drift", "nrc3", "nc1_class_weighted"} <= printed
