"""Recorded deep networks: what the docs say of them holds for every one."""

import numpy as np
import pytest

from ufm.expected import errors
from ufm.gallery.deep_regression import corrected_bound, last, printed_bound
from ufm.gallery.dimensions import COLLAPSED, by_targets
from ufm.gallery.dimensions import last as at_end
from ufm.gallery.feature_norms import judged, model_norm, setting_of
from ufm.gallery.outside import mixture_range
from ufm.metrics.onset import courses
from ufm.record import Record, load
from ufm.share import locate

FOLDER = locate("numerics", "records")
LAYERS = sorted(path.name for path in FOLDER.glob("deep_regression_*.nc"))
NORMS = sorted(path.name for path in FOLDER.glob("feature_norms_*.nc"))


def layers(run: str) -> Record:
    return load(FOLDER / f"deep_regression_{run}.nc")


def norms(run: str) -> Record:
    return load(FOLDER / f"feature_norms_{run}.nc")


@pytest.mark.parametrize("name", LAYERS)
def test_the_corrected_proposition_holds_in_every_layer(name: str) -> None:
    record = load(FOLDER / name)
    assert record.values.sizes["seed"] >= 3
    assert np.all(last(record, "outside_targets") <= corrected_bound(record) + 1e-9)


def test_trained_networks_break_the_printed_proposition() -> None:
    """Not only arrays that were made for it: features of rank-deficient targets do."""
    record = layers("rank2_medium")
    assert np.all((last(record, "outside_targets") > printed_bound(record))[:, 2:])


@pytest.mark.parametrize("rank", [2, 5])
def test_deep_layers_collapse_with_decay_only(rank: int) -> None:
    without, held = layers(f"rank{rank}_none"), layers(f"rank{rank}_medium")
    for name, factor in (("deep_nrc1", 0.6), ("stable_rank_weights", 0.5), ("layer_norm", 0.2)):
        inner = slice(1, -1)  # not the first, nor the one under the read-out
        assert np.all(last(held, name)[:, inner].max(axis=0) < factor * last(without, name)[:, inner].min(axis=0)), name
    cosine = "deep_nrc3_rank"
    assert np.all(last(held, cosine)[:, 1:-1].min(axis=0) > last(without, cosine)[:, 1:-1].max(axis=0) + 0.2)


def test_layers_under_one_decay_are_balanced() -> None:
    norm = last(layers("rank2_medium"), "layer_norm")[:, 1:]
    assert np.ptp(norm) < 0.05 * norm.mean()


@pytest.mark.parametrize("run", ["penalty_1", "penalty_2"])
def test_penalised_features_have_the_norm_of_the_certified_optimum(run: str) -> None:
    record = norms(run)
    found = record["history_fn"].isel(epoch=-1).values
    np.testing.assert_allclose(found, model_norm(record, found.size), rtol=3e-3)
    stars = [course.fn_star(0.01) for course in courses(record, run)]
    np.testing.assert_allclose(stars, found, rtol=0.02)  # the norm is there before collapse is


def test_penalised_features_meet_their_optimum_in_the_table_of_errors() -> None:
    """And networks whose features decay alone holds do not: one inferred weight is not theirs."""
    found = errors(norms("penalty_2"))
    assert max(abs(found[name].relative) for name in ("cosines", "singular_values", "class_mean_norm")) < 0.01
    assert abs(errors(norms("base"))["cosines"].relative) > 0.3


def test_what_is_said_of_fn_star() -> None:
    found = judged({setting_of(name): load(FOLDER / name) for name in NORMS})
    assert found["fn_star_cv"] < 0.08
    assert found["fn_star_spread"] < 0.08 < found["onset_spread"]
    assert found["tanh"] > 5
    assert found["rescaled_0.3"] < 0.85
    assert found["penalty_2"] / found["penalty_1"] == pytest.approx(2, rel=0.03)
    assert found["lead_error_seeds"] > 0.7 * found["baseline_error_seeds"], "fn tells little that the mean does not"


def test_outside_features_lie_in_the_span_of_the_class_means() -> None:
    """And so NC5 stays above what a vector of that span can have."""
    for path in sorted(FOLDER.glob("outside_*.nc")):
        record = load(path)
        ends = record.values.isel(epoch=-1)
        assert np.all(ends["accuracy"] == 1), path.name
        assert np.all(ends["outside_share"] > 0.99), path.name
        assert np.all(ends["nc5"] > 0.3), path.name
    low, high = mixture_range(5)
    nearly_orthogonal = load(FOLDER / "outside_penalty.nc").values.isel(epoch=-1)["nc5"].values
    assert np.all((low < nearly_orthogonal) & (nearly_orthogonal < high))


def test_collapse_of_regressions_does_not_cost_accuracy_and_too_much_decay_does() -> None:
    groups = by_targets([load(path) for path in sorted(FOLDER.glob("dimensions_*.nc"))])
    for name in ("moments of digits, rank 5", "spectra of meat, rank 3"):
        none, *_, strongest = groups[name]
        best = min(groups[name], key=lambda record: at_end(record, "test_error").mean())
        assert at_end(best, "nrc1").max() < COLLAPSED < at_end(none, "nrc1").min(), name
        assert at_end(best, "test_error").max() < 0.6 * at_end(none, "test_error").min(), name
        assert at_end(strongest, "test_error").min() > 2 * at_end(best, "test_error").max(), name


def test_three_layers_do_not_collapse() -> None:
    assert all(np.isnan(course.onset(0.05)) for course in courses(norms("depth_3"), "depth_3"))
