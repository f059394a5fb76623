"""Records and comparisons: what is saved comes back, and a disagreement is seen."""

import math

import numpy as np
import pytest

from ufm import encodings
from ufm.compare import compare
from ufm.errors import UfmError
from ufm.optimum import solve
from ufm.problem import Problem, classes
from ufm.record import Record, load, stack
from ufm.tolerance import TOLERANCES, tolerance


def record_at(lam_b, **changes):
    problem = Problem(classes(encodings.one_hot(3), 4), lam_W=0.05, lam_H=0.05, lam_b=lam_b, **changes)
    return solve(problem).record()


@pytest.mark.parametrize("ending", ["nc", "npz"])
def test_what_is_saved_comes_back(tmp_path, ending):
    path = tmp_path / f"r.{ending}"
    original = stack([record_at(0.1), record_at(math.inf)], lam_b=[0.1, math.inf])
    original.save(path)
    again = load(path)
    assert again.witness == "optimum"
    assert again.provenance == original.provenance
    assert again.problem is not None
    assert original.problem is not None
    assert again.problem.fingerprint == original.problem.fingerprint
    assert again.values.equals(original.values)
    without = again.select(lam_b=math.inf).problem
    assert without is not None
    assert without.lam_b == math.inf
    with pytest.raises(UfmError, match="not recorded"):
        again.select(lam_b=0.2)


@pytest.mark.parametrize("ending", ["nc", "npz"])
def test_errors_and_seeds_come_back(tmp_path, ending):
    made = Record.of("flow", {"value": 1.0, "bias": (("target",), [1.0, 2.0])}, errors={"value": 1e-3}, seed=7)
    made.save(tmp_path / f"r.{ending}")
    again = load(tmp_path / f"r.{ending}")
    assert again.seed == 7
    assert float(again.errors["value"]) == 1e-3
    assert np.array_equal(again["bias"], [1.0, 2.0])


def test_equal_records_make_equal_files(tmp_path):
    for name in ("a.npz", "b.npz"):
        record_at(0.1).save(tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize("ending", ["nc", "npz"])
def test_what_cannot_be_written_says_why(tmp_path, ending):
    made = Record.of("flow", {"value": 1.0})
    with pytest.raises(UfmError, match=r"none.*cannot be written: No such file or directory"):
        made.save(tmp_path / "none" / f"r.{ending}")
    with pytest.raises(UfmError, match=r"a record ends in \.nc"):
        made.save(tmp_path / "r.csv")
    assert not list(tmp_path.iterdir())


def test_files_that_are_no_records_are_refused(tmp_path):
    with pytest.raises(UfmError, match="no such record"):
        load(tmp_path / "none.nc")
    (tmp_path / "text.nc").write_text("no netCDF")
    with pytest.raises(UfmError, match="is not a record"):
        load(tmp_path / "text.nc")
    np.savez(tmp_path / "bare.npz", H=np.eye(2))
    with pytest.raises(UfmError, match="bare arrays"):
        load(tmp_path / "bare.npz")
    np.savez(tmp_path / "pickle.npz", header=np.array({"a": 1}, dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):  # a pickle is never executed
        load(tmp_path / "pickle.npz")


def test_an_unknown_observable_is_named():
    with pytest.raises(UfmError, match=r"no 'cosin'; did you mean 'cosine'\? It has"):
        record_at(0.1)["cosin"]


def test_equal_witnesses_agree_and_a_planted_error_is_seen():
    reference, other = record_at(0.1), record_at(0.1)
    assert compare(reference, other).agrees
    spoilt = Record("optimum", other.values.assign(cosine=other["cosine"] + 1e-6), other.problem)
    found = compare(reference, spoilt)
    assert not found.agrees
    assert found.worst.observable == "cosine"
    assert "NO" in str(found)
    assert found.to_dict()["agrees"] is False
    missing = Record("optimum", other.values.assign(value=np.nan), other.problem)
    assert not compare(reference, missing).agrees


def test_differences_stand_in_units_of_the_seed_to_seed_spread():
    theory = Record.of("optimum", {"class_mean_norm": 2.0, "cosine": 0.0, "bias": (("target",), [0.0, 0.0])})
    seeds = {"class_mean_norm": [2.01, 2.03, 2.05], "cosine": [0.2, 0.2, 0.2], "bias": [[0.0, 1e-4]] * 3}
    found = stack(
        [
            Record.of("measured", {k: (("target",), v[i]) if k == "bias" else v[i] for k, v in seeds.items()})
            for i in range(3)
        ],
        seed=[0, 1, 2],
    )
    norm, cosine, bias = compare(theory, found).rows
    assert norm.at == {"seed": 2}
    assert norm.relative == pytest.approx(0.025), "of the worst seed"
    assert norm.in_spreads == pytest.approx(0.03 / 0.02), "of the mean, in standard deviations"
    assert (cosine.relative, cosine.in_spreads) == (pytest.approx(0.2), None)
    assert bias.relative == pytest.approx(1e-4), "theory says 0: the difference itself"
    assert "in spreads" in str(compare(theory, found))
    assert "in spreads" not in str(compare(theory, found.select(seed=0)))
    assert compare(theory, found).to_dict()["rows"][0]["in_spreads"] == pytest.approx(1.5)


def test_records_that_share_nothing_are_refused():
    with pytest.raises(UfmError, match="share no observable"):
        compare(record_at(0.1), Record.of("flow", {"speed": 1.0}))
    with pytest.raises(UfmError, match="different sizes"):
        compare(record_at(0.1), Record.of("flow", {"bias": (("target",), [1.0, 2.0])}))
    with pytest.raises(UfmError, match="do not stack"):
        stack([record_at(0.1), Record.of("flow", {"value": 1.0})], seed=[0, 1])


def test_every_tolerance_has_a_reason():
    assert all(entry.reason for entry in TOLERANCES.values())
    assert {witness for witness, name in TOLERANCES if name == "*"} == {
        *("theorem", "optimum", "flow", "measured"),  # the witnesses
        *("metrics", "path", "late slope"),  # what is asked of arrays and of flows on their way
        "degenerate",  # and of optima at thresholds and ties
    }
    assert tolerance("flow", "no such thing") is TOLERANCES["flow", "*"]
    assert not tolerance("flow", "cosine").allows(np.array(np.nan), np.array(0.0))


@pytest.mark.parametrize(("count", "values"), [(0, {"lam_b": []}), (2, {"lam_b": [1.0]}), (2, {})])
def test_a_stack_has_one_value_a_record(count, values):
    with pytest.raises(UfmError, match="one value a record"):
        stack([record_at(0.1)] * count, **values)
