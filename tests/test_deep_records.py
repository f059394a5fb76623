"""Recorded deep networks: what the docs say of them holds for every one."""

import numpy as np
import pytest

from ufm.gallery.deep_regression import corrected_bound, last, printed_bound
from ufm.gallery.feature_norms import judged, model_norm, setting_of
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


def test_what_is_said_of_fn_star() -> None:
    found = judged({setting_of(name): load(FOLDER / name) for name in NORMS})
    assert found["fn_star_cv"] < 0.08
    assert found["fn_star_spread"] < 0.08 < found["onset_spread"]
    assert found["tanh"] > 5
    assert found["rescaled_0.3"] < 0.85
    assert found["penalty_2"] / found["penalty_1"] == pytest.approx(2, rel=0.03)
    assert found["lead_error_seeds"] > 0.7 * found["baseline_error_seeds"], "fn tells little that the mean does not"


def test_three_layers_do_not_collapse() -> None:
    assert all(np.isnan(course.onset(0.05)) for course in courses(norms("depth_3"), "depth_3"))
