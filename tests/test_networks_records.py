"""What the recorded networks of plain weight decay and of the limits say: each sentence of their pages as a number."""

import math

import numpy as np
import pytest

from ufm.expected import errors, held
from ufm.gallery.decay import Decayed
from ufm.gallery.limits import strength_errors
from ufm.record import load
from ufm.share import locate


def recorded(name: str):
    return load(locate("numerics", "records") / f"{name}.nc")


@pytest.fixture(scope="module")
def decayed() -> Decayed:
    return Decayed(recorded("decay_bias"))


def test_one_inferred_weight_does_not_predict_the_class_means(decayed):
    wrong = decayed.errors("one_weight")
    assert wrong["cosine"][-1] > 0.15, "theory says 0 without a bias"
    row = errors(decayed.record)["cosines"]
    assert abs(row.relative) > 0.15
    assert row.in_spreads is not None
    assert abs(row.in_spreads) > 10
    assert not held(decayed.record).agrees


def test_the_weight_is_several_times_smaller_along_the_mean(decayed):
    mean, centred = decayed.weights
    assert centred / mean > 5
    runs = decayed.calibration
    near = runs["mean_share"].values.max(axis=-1)
    assert (near > 0.98).all(), "one singular direction is the mean's"


def test_two_weights_of_the_runs_without_a_bias_predict_the_others(decayed):
    wrong, lam_b = decayed.errors("two_weights"), decayed.record.values["lam_b"].values
    above, unit = (lam_b > 2 * decayed.lam_b_star) & np.isfinite(lam_b), math.sqrt(500)
    assert above.sum() >= 4
    assert np.abs(wrong["cosine"][above]).max() < 0.005
    assert np.abs(wrong["mean"][above]).max() < 0.02 * unit
    assert np.abs(wrong["mean"][lam_b > 10 * decayed.lam_b_star]).max() < 2e-3 * unit
    assert np.abs(wrong["centred"]).max() < 0.006 * unit


def test_near_the_transition_networks_follow_late(decayed):
    """Below lam_b* the cosines are off after 1800 steps; after 5400 they are those of theory at every lam_b."""
    lam_b = decayed.record.values["lam_b"].values
    below = lam_b < decayed.lam_b_star
    assert below.any()
    assert (decayed.errors("two_weights")["cosine"][below] > 0.02).all()
    assert (decayed.errors("two_weights")["mean"][below] > 0.05 * math.sqrt(500)).all(), "the limit that is shown"
    longer = Decayed(recorded("decay_longer"))
    assert np.abs(longer.errors("two_weights")["cosine"]).max() < 0.01
    soft = longer.networks()["mean"][longer.record.values["lam_b"].values == 0.005]
    assert 0 < soft.item() < decayed.networks()["mean"][lam_b == 0.005].mean() / 2


def test_the_metric_of_the_layer_below_needs_no_weight(decayed):
    wrong, lam_b = decayed.errors("layer_below"), decayed.record.values["lam_b"].values
    above = lam_b > 2 * decayed.lam_b_star
    assert np.abs(wrong["cosine"][above]).max() < 0.02
    assert np.abs(wrong["mean"][above]).max() < 0.04 * math.sqrt(500)


def test_one_hidden_layer_shares_a_larger_mean():
    shallow, deep = Decayed(recorded("decay_one_hidden_layer")), Decayed(recorded("decay_bias"))
    assert shallow.networks()["cosine"][-1].mean() > deep.networks()["cosine"][-1].mean() + 0.1
    near, *far = np.abs(shallow.errors("two_weights")["cosine"])
    assert max(far) < 0.01
    assert 0.03 < near < 0.1, "a limit: at lam_b = 0.0125, four times lam_b*, two weights are off already"


def test_with_batch_norm_two_weights_are_nearer_to_each_other_and_predict_as_well():
    normed = Decayed(recorded("decay_batch_norm"))
    mean, centred = normed.weights
    assert 3 < centred / mean < 5, "8.7 without"
    assert normed.networks()["cosine"][-1].mean() == pytest.approx(0.09, abs=0.01), "theory with one weight says 0"
    near, above, calibrated = np.abs(normed.errors("two_weights")["cosine"])
    assert max(above, calibrated) < 0.005
    assert 0.005 < near < 0.02, "at lam_b = 0.0125, 2.3 times lam_b*"
    shares = normed.calibration["mean_share"].values.max(axis=-1)
    assert shares.min() < 0.9, "singular values are so close that no direction of W H is the mean's alone"


def test_training_ends_at_the_theory_only_if_the_learning_rate_decays():
    decaying, constant = (strength_errors(recorded(f"limits_{name}")) for name in ("steps", "no_learning_rate_decay"))
    assert (np.diff(np.median(decaying, axis=1)) < 0).all()
    assert decaying[-1].max() < 0.01
    assert decaying[0].min() > 0.1
    assert constant[-1].min() > 3 * decaying[-1].max()


def test_narrow_hidden_layers_fail_and_a_few_dozen_units_are_enough():
    record = recorded("limits_hidden_width")
    wrong, width = strength_errors(record), record.values["width"].values
    assert wrong[width <= 8].min() > 0.1
    assert wrong[width >= 64].max() < 0.01


def test_narrow_features_follow_the_theory_of_their_width():
    record = recorded("limits_feature_width")
    assert strength_errors(record).max() < 0.01
    alive = (record["singular_values"] > 1).sum("direction").transpose("d", "seed").values
    assert (alive == record.values["d"].values[:, None]).all()


@pytest.mark.parametrize("kind", ["hidden", "features"])
def test_a_trained_batch_norm_leaves_the_optimum_where_it_is(kind):
    assert strength_errors(recorded(f"limits_batch_norm_{kind}")).max() < 0.02


def test_a_fixed_batch_norm_of_the_features_breaks_it():
    record = recorded("limits_batch_norm_fixed")
    assert strength_errors(record).min() > 0.1
    problem = record.problem
    assert problem is not None
    pinned = float(problem.lam_H) * problem.N * 64 / 2  # of features whose 64 coordinates have variance 1
    early = record["history_value"].transpose("step", ...).values[:2]
    assert np.abs(early / pinned - 1).max() < 0.02, "most of the training is spent with that norm"
