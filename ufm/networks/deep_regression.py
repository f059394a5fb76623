"""Every layer of deep perceptrons that regress several targets: the four deep measures, ranks and norms."""

from typing import TYPE_CHECKING

import numpy as np
import torch

from ufm.metrics.rank import stable_rank
from ufm.metrics.regression import deep_nrc1, layer_collapse, subspace_cosine
from ufm.networks.deep_training import train_deep
from ufm.networks.perceptron import Perceptrons, forward, outputs
from ufm.networks.tables import Table, load_table
from ufm.record import Record

if TYPE_CHECKING:
    from ufm.networks.studies import Study

MEASURES = (
    "deep_nrc1",
    "deep_nrc2",
    "deep_nrc3",
    "deep_nrc4",
    "deep_nrc1_rank",
    "deep_nrc3_rank",
    "stable_rank_features",
    "stable_rank_weights",
    "outside_targets",
    "layer_norm",
)


def layers_record(study: "Study") -> Record:
    """Train the networks of a study; every hidden layer l = 1, ..., L of every network at every look.

    With the dimensions (seed, epoch, layer): `deep_nrc1` to `deep_nrc4` as printed, with t the dimension of the
    targets, `deep_nrc1_rank` and `deep_nrc3_rank` with the rank of the targets for t, `stable_rank_features` of the
    centred features, `stable_rank_weights` of the layer on top, A_{l+1}, `layer_norm`, its norm, `outside_targets`,
    the share ||Hc - Hc P_Y||/||Hc|| of the centred features outside the rows of the centred targets. With (seed,
    epoch): `train_error`, (1/N) sum ||z - y||^2, what deep_nrc4 is held against. `target_rank`, `target_stable_rank`,
    `target_dimension` are numbers, `target_variance` is (1/N) sum ||y - ybar||^2, `target_singular_values` those of
    the centred targets.
    """
    table = load_table(study.data, study.counts)
    if study.rank is not None or study.dimension is not None:
        table = table.ranked(study.rank or table.Y.shape[0], study.dimension)
    centred = table.Y - table.Y.mean(axis=1, keepdims=True)
    strengths = np.linalg.svd(centred, compute_uv=False)
    rank = int(np.sum(strengths > 1e-9 * strengths[0]))
    X, seeds = torch.from_numpy(table.X), range(len(study.seeds))
    seen: dict[int, list[tuple[np.ndarray, float]]] = {}

    def look(networks: Perceptrons, _: str, epoch: int) -> None:
        passed = forward(networks, X)
        layers = [*passed.layers[1:], outputs(networks, passed.features)[-1]]
        seen[epoch] = [_network(networks, layers, s, table, rank) for s in seeds]

    train_deep(table.X, table.Y, study.regimen, study.seeds, look)
    measured = np.array([[layers for layers, _ in row] for row in seen.values()])  # epoch x seed x layer x what
    errors = np.array([[error for _, error in row] for row in seen.values()])
    dims = ("seed", "epoch", "layer")
    values = {name: (dims, measured[..., i].swapaxes(0, 1)) for i, name in enumerate(MEASURES)}
    values |= {
        "train_error": (dims[:2], errors.T),
        "target_rank": ((), np.asarray(rank)),
        "target_dimension": ((), np.asarray(table.Y.shape[0])),
        "target_stable_rank": ((), np.asarray(stable_rank(centred))),
        "target_variance": ((), np.asarray(np.sum(centred**2) / table.Y.shape[1])),
        "target_singular_values": (("direction",), strengths),
    }
    coords = {"seed": list(study.seeds), "epoch": list(seen), "layer": np.arange(1, measured.shape[2] + 1)}
    told = {"data": table.name, "source": table.source, "regimen": study.regimen.to_dict()}
    return Record.of("measured", values, coords=coords, provenance=told)  # a problem would hold every sample's target


def _network(
    networks: Perceptrons, features: list[torch.Tensor], s: int, table: Table, rank: int
) -> tuple[np.ndarray, float]:
    """(MEASURES of every hidden layer, train error) of one network; features: a_1, ..., a_L, z of all samples."""
    layers = [a[s].double().numpy().T for a in features]
    error = float(np.sum((layers[-1] - table.Y) ** 2)) / table.Y.shape[1]
    above = [A[s].double().numpy() for A in (*networks.layers[1:], networks.W)]
    found = [of_layer(H, A, table.Y, rank) for H, A in zip(layers[:-1], above, strict=True)]
    return np.array(found), error


def of_layer(H: np.ndarray, W: np.ndarray, Y: np.ndarray, rank: int) -> list[float]:
    """MEASURES of one layer: H (d x N), the layer on top W (out x d), targets Y (t x N) of the given rank."""
    found = layer_collapse(H, Y, W)
    centred = H - H.mean(axis=1, keepdims=True)
    more = {
        "deep_nrc1_rank": deep_nrc1(H, rank),
        "deep_nrc3_rank": subspace_cosine(H, W, rank),
        "stable_rank_features": stable_rank(centred),
        "stable_rank_weights": stable_rank(W),
        "outside_targets": _outside(centred, Y),
        "layer_norm": float(np.linalg.norm(W)),
    }
    return [float((found | more)[name]) for name in MEASURES]


def _outside(centred: np.ndarray, Y: np.ndarray) -> float:
    """Share of the centred features (d x N) outside the row space of the centred targets."""
    _, s, Vt = np.linalg.svd(Y - Y.mean(axis=1, keepdims=True), full_matrices=False)
    rows = Vt[s > 1e-9 * s[0]]
    size = float(np.linalg.norm(centred))
    return float(np.linalg.norm(centred - (centred @ rows.T) @ rows)) / size if size > 0 else float("nan")
