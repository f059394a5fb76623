"""Watching a torch module: what is recorded is what the layers gave, and the model is left as it was."""

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch import nn

import ufm
from ufm.errors import UfmError
from ufm.measure import measure


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
