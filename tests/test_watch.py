"""Watching a torch module: what is recorded is what the layers gave, and the model is left as it was."""

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch import nn

import ufm
from ufm.errors import UfmError
from ufm.measure import measure
from ufm.metrics.decisions import Decisions
from ufm.metrics.regression import layer_collapse
from ufm.metrics.streaming import Moments


class Net(nn.Module):
    """Convolution, dropout and two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3)
        self.drop = nn.Dropout(0.5)
        self.norm = nn.BatchNorm1d(48)
        self.fc = nn.Linear(48, 8)
        self.idle = nn.Linear(2, 2)
        self.pair = nn.LSTM(8, 8, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.drop(self.conv(x).relu().flatten(1))
        h = self.fc(self.norm(h))
        self.pair(h[:, None])
        return self.head(h)


def setting() -> tuple[Net, list, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    X, labels = torch.randn(60, 1, 6, 6), torch.arange(60) % 3
    loader = [(X[i : i + 16], labels[i : i + 16]) for i in range(0, 60, 16)]
    return Net(), loader, X, labels


def test_a_look_is_the_measurement_of_what_the_layer_gave() -> None:
    model, loader, X, labels = setting()
    watched = ufm.watch(model, ["conv", "fc"])
    record = watched.look(loader)
    model.eval()
    with torch.no_grad():
        conv = model.conv(X).flatten(1)
        features = model.fc(model.norm(conv.relu()))
    for name, H in (("conv", conv), ("fc", features)):
        whole, seen = measure(H.T, labels), record.select(layer=name)
        for key in ("nc1", "nc1_ratio", "cdnv", "vci", "cosine", "class_mean_norm", "feature_norm", "nc2_etf"):
            np.testing.assert_allclose(seen[key], whole[key], rtol=1e-9, err_msg=f"{name} {key}")


def test_input_of_the_classifier_is_the_penultimate_features() -> None:
    model, loader, _, _ = setting()
    out, into = ufm.watch(model, "fc").look(loader), ufm.watch(model, "head", "input").look(loader)
    np.testing.assert_array_equal(out["nc1"], into["nc1"])


def test_the_classifier_is_measured_with_the_features_that_enter_it() -> None:
    model, loader, X, labels = setting()
    record = ufm.watch(model, "head", "input").look(loader).select(layer="head")
    model.eval()
    with torch.no_grad():
        H = model.fc(model.norm(model.conv(X).relu().flatten(1)))
    whole = measure(H.T, labels, model.head.weight, model.head.bias)
    for key in ("nc3", "nc3_balance", "nc2_etf_classifier", "singular_values", "duality_cosine_mean", "bias", "nc1"):
        np.testing.assert_allclose(record[key], whole[key], rtol=1e-9, err_msg=key)
    assert "nc3" not in ufm.watch(model, "fc", "input").look(loader), "eight outputs are not three classes"
    assert "nc3" not in ufm.watch(model, ["fc", "head"], "input").look(loader), "layers share what they can"


def test_positions_are_flattened_or_averaged(monkeypatch: pytest.MonkeyPatch) -> None:
    model, loader, X, labels = setting()
    model.eval()
    with torch.no_grad():
        conv = model.conv(X)
    record = ufm.watch(model, ["conv", "fc"], positions="mean").look(loader)
    np.testing.assert_allclose(
        record.select(layer="conv")["nc1"], measure(conv.double().mean((2, 3)).T, labels)["nc1"], rtol=1e-9
    )
    np.testing.assert_allclose(record.select(layer="fc")["nc1"], ufm.watch(model, "fc").look(loader)["nc1"][0])
    monkeypatch.setattr("ufm.networks.watch._WIDEST", 47)
    with pytest.raises(UfmError, match=r"48 numbers a sample.*positions='mean'"):
        ufm.watch(model, "conv").look(loader)
    assert ufm.watch(model, "conv", positions="mean").look(loader)["nc1"].size == 1


@pytest.mark.parametrize("names", [np.arange(3), np.array([-4, 7, 90]), np.array(["ant", "bee", "cat"])])
def test_nc4_and_margins_come_from_a_second_pass(names: np.ndarray) -> None:
    """Batches of unequal size, labels of any kind; equal to the measurement of all features at once."""
    model, _, X, labels = setting()
    told = names[labels.numpy()]
    loader = [
        (X[i : i + 16], told[i : i + 16] if told.dtype.kind == "U" else torch.tensor(told[i : i + 16]))
        for i in range(0, 60, 16)
    ]
    record = ufm.watch(model, "head", "input").look(loader).select(layer="head")
    model.eval()
    with torch.no_grad():
        H, out = model.fc(model.norm(model.conv(X).relu().flatten(1))), model(X)
    whole = measure(H.T, told, model.head.weight, model.head.bias)
    for key in ("nc4", "accuracy", "ncc_accuracy", "margin_least", "margin_mean"):
        np.testing.assert_allclose(record[key], whole[key], rtol=1e-9, err_msg=key)
    assert 0 < float(record["nc4"]) < 1, "planted: an untrained classifier disagrees somewhere"
    both = ufm.watch(model, ["conv", "fc"]).look(loader)
    for layer, features in (("conv", model.conv(X).flatten(1)), ("fc", H)):
        nearest = torch.cdist(features, torch.stack([features[labels == k].mean(0) for k in range(3)])).argmin(1)
        seen = both.select(layer=layer)
        assert float(seen["nc4"]) == pytest.approx(float((nearest != out.argmax(1)).double().mean()))
        assert float(seen["ncc_accuracy"]) == pytest.approx(float((nearest == labels).double().mean()))
        assert float(seen["accuracy"]) == pytest.approx(float((out.argmax(1) == labels).double().mean()))
    without = ufm.watch(model, "head", "input", second_pass=False).look(iter(loader))
    assert "nc4" not in without
    np.testing.assert_array_equal(without["nc1"][0], record["nc1"])


def test_outputs_that_are_not_one_a_class_leave_the_nearest_mean() -> None:
    model, loader, _, _ = setting()
    record = ufm.watch(model, "fc").look([(X, labels + 0.5) for X, labels in loader])
    assert "nc4" in record, "three kinds, three outputs: by rank"
    two = ufm.watch(model, "fc").look([(X, labels.clamp(max=1) * 7) for X, labels in loader])
    assert "nc4" not in two, "labels 0 and 7 say nothing of three outputs"
    assert 0 < float(two["ncc_accuracy"][0]) <= 1
    body = nn.Sequential(nn.Flatten(), nn.Linear(36, 16), nn.ReLU(), nn.Linear(16, 8))
    features = ufm.watch(body, "3").look(loader)
    assert "nc4" not in features, "eight features are no logits of three classes"
    assert "ncc_accuracy" in features


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_model_in_another_precision_is_watched_in_it(dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    X, labels = torch.randn(40, 6), torch.arange(40) % 4
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4)).to(dtype)
    record = ufm.watch(model, "2", "input").look([(X[:25], labels[:25]), (X[25:], labels[25:])])
    with torch.no_grad():
        H = model[:2](X.to(dtype))
    whole = measure(H.T, labels, model[2].weight, model[2].bias)
    for key in ("nc1", "nc3", "nc4", "cosine", "singular_values"):
        np.testing.assert_allclose(record[key].values[0], whole[key], rtol=1e-3, atol=1e-6, err_msg=key)
    assert np.isfinite(record["nc1"].values).all()


def test_kept_features_say_all_that_measure_says() -> None:
    model, loader, X, labels = setting()
    model.eval()
    with torch.no_grad():
        conv = model.conv(X).flatten(1)
        H = model.fc(model.norm(conv.relu()))
    record = ufm.watch(model, "head", "input", stream=False).look(iter(loader))
    whole = measure(H.T, labels, model.head.weight, model.head.bias)
    numbers = {name for name, value in whole.values.items() if value.ndim <= 1}
    assert numbers == set(record.values.data_vars)
    for name in numbers:
        np.testing.assert_allclose(record[str(name)][0], whole[str(name)], rtol=1e-7, atol=1e-9, err_msg=str(name))
    keys = ["nc1", "one_vs_rest_margin_means"]
    layers = ufm.watch(model, ["conv", "fc"], stream=False, keys=keys).look(loader)
    assert set(layers.values.data_vars) == set(keys)
    np.testing.assert_allclose(layers.select(layer="conv")["nc1"], measure(conv.T, labels)["nc1"], rtol=1e-9)
    assert set(ufm.watch(model, "fc", keys=["nc1", "nc4"]).look(loader).values.data_vars) == {"nc1", "nc4"}


def test_a_regression_is_watched_layer_by_layer() -> None:
    torch.manual_seed(2)
    X, Y = torch.randn(50, 5), torch.randn(50, 2)
    model = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 6), nn.ReLU(), nn.Linear(6, 2))
    loader = [(X[:30], Y[:30]), (X[30:], Y[30:])]
    record = ufm.watch(model, ["2", "4"], "input", stream=False).look(loader)
    with torch.no_grad():
        first = model[:2](X)
        second = model[:4](X)
    for layer, H in (("2", first), ("4", second)):
        W = np.asarray(model.get_submodule(layer).get_parameter("weight").detach().double())
        wanted = layer_collapse(H.double().numpy().T, Y.double().numpy().T, W)
        for name, value in wanted.items():
            assert float(record.select(layer=layer)[name]) == pytest.approx(value, rel=1e-5), name
    head = ufm.watch(model, "4", "input", stream=False).look(loader)
    assert float(head["nrc3"][0]) == pytest.approx(
        float(measure(second.T, Y.T, model[4].weight, model[4].bias)["nrc3"]), rel=1e-6
    )
    with pytest.raises(UfmError, match="stream=False"):
        ufm.watch(model, "4", "input").look(loader)


def test_passes_that_differ_are_noticed() -> None:
    model, loader, _, _ = setting()

    class Shrinking:
        """A loader that loses a batch every time it is run."""

        def __init__(self) -> None:
            self.runs = 0

        def __iter__(self):
            self.runs += 1
            return iter(loader[: 5 - self.runs])

    with pytest.raises(UfmError, match="first pass had 60 samples, the second 48"):
        ufm.watch(model, "fc").look(Shrinking())
    with pytest.raises(UfmError, match="can be run once only"):
        ufm.watch(model, "fc").look(iter(loader))
    with pytest.raises(UfmError, match="stream=False"):
        ufm.watch(model, "fc", keys=["loss_nc1"]).look(loader)
    with pytest.raises(UfmError, match="stream=False"):
        ufm.watch(model, "fc", keys="all").look(loader)
    assert not any(module._forward_hooks for module in model.modules())


def test_decisions_merge_across_workers() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 90)
    H, W, b = (
        rng.standard_normal((6, 4))[:, labels] + rng.standard_normal((6, 90)),
        rng.standard_normal((4, 6)),
        np.ones(4),
    )
    moments = Moments.empty(6).add(H, labels)
    parts = [Decisions.after(moments, W, b).add(H[:, i], labels[i]) for i in (slice(0, 31), slice(31, 90))]
    found, whole = parts[0].merge(parts[1]).values(), measure(H, labels, W, b)
    assert set(found) == {"nc4", "accuracy", "ncc_accuracy", "margin_least", "margin_mean"}
    for name, value in found.items():
        assert value == pytest.approx(float(whole[name]), rel=1e-12)
    with pytest.raises(UfmError, match="the second 31"):
        parts[0].values()
    with pytest.raises(UfmError, match="first did not have"):
        parts[0].add(H, labels + 1)


def test_epochs_and_layers_are_dimensions_and_training_moves_them(tmp_path) -> None:
    model, loader, X, labels = setting()
    watched = ufm.watch(model, ["conv", "fc"])
    adam = torch.optim.Adam(model.parameters(), lr=1e-2)
    for epoch in range(3):
        watched.look(loader, epoch=10 * epoch)
        for _ in range(5):
            adam.zero_grad()
            nn.functional.cross_entropy(model(X), labels).backward()
            adam.step()
    record = watched.record()
    assert record["nc1"].dims == ("epoch", "layer")
    assert record["class_mean_norm"].dims == ("epoch", "layer", "class")
    assert list(record.values.coords["epoch"].values) == [0, 10, 20]
    fc = record.select(layer="fc")["nc1_ratio"].values
    assert fc[2] < fc[0], "features collapse"
    saved = ufm.load(record.save(tmp_path / "w.nc"))
    np.testing.assert_array_equal(saved["nc1"], record["nc1"])
    with pytest.raises(UfmError, match="looked at before"):
        watched.look(loader, epoch=10)


def test_the_model_is_left_as_it_was() -> None:
    model, loader, _, _ = setting()
    model.norm.eval()  # a part frozen by its owner
    before = {k: v.clone() for k, v in model.state_dict().items()}
    modes = {name: module.training for name, module in model.named_modules()}
    ufm.watch(model, ["conv", "fc"]).look(loader)
    assert {name: module.training for name, module in model.named_modules()} == modes
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items()), "batch statistics did not move"
    assert not any(module._forward_hooks for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())
    with pytest.raises(UfmError, match="pairs"):
        ufm.watch(model, "fc").look([torch.ones(3)])
    assert not any(module._forward_hooks for module in model.modules()), "nor after a failure"
    assert {name: module.training for name, module in model.named_modules()} == modes


def test_what_cannot_be_watched_says_why() -> None:
    model, loader, _, _ = setting()
    for layers in ("fc9", [], ["fc", "fc"]):
        with pytest.raises(UfmError, match="it has conv, drop"):
            ufm.watch(model, layers)
    with pytest.raises(UfmError, match="choose 'output' or 'input'"):
        ufm.watch(model, "fc", "middle")
    with pytest.raises(UfmError, match="choose 'flatten' or 'mean'"):
        ufm.watch(model, "conv", positions="max")
    with pytest.raises(UfmError, match="did not run"):
        ufm.watch(model, "idle").look(loader)
    with pytest.raises(UfmError, match="not one tensor"):
        ufm.watch(model, "pair").look(loader)
    with pytest.raises(UfmError, match="no batches"):
        ufm.watch(model, "fc").look([])
    with pytest.raises(UfmError, match="nothing was looked at"):
        ufm.watch(model, "fc").record()
    twice = nn.Sequential(shared := nn.Linear(4, 4), nn.ReLU(), shared)
    with pytest.raises(UfmError, match="more than once"):
        ufm.watch(twice, "0").look([(torch.ones(2, 4), torch.tensor([0, 1]))])
