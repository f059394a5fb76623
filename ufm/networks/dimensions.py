"""Intrinsic dimension of the features of regression networks, beside that of their targets, and errors held out."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ufm.errors import ProblemError, UfmError
from ufm.metrics.intrinsic_dimension import two_nn
from ufm.metrics.regression import deep_nrc1, nrc1
from ufm.networks.deep_training import train_deep
from ufm.networks.perceptron import Perceptrons, forward, outputs
from ufm.networks.tables import Table, load_table
from ufm.record import Record

if TYPE_CHECKING:
    from ufm.networks.studies import Study

HISTORY = ("nrc1", "variance_outside", "intrinsic_dimension", "output_dimension", "train_error", "test_error")


def dimensions_record(study: "Study") -> Record:
    """Train the networks of a study on a part of its samples; the last hidden layer at every look.

    With the dimensions (seed, epoch): `nrc1` of the training samples [andriopoulos2024] and `variance_outside`, the
    share of their variance outside as many directions as the targets have rank; `intrinsic_dimension` (TwoNN) of
    their features and `output_dimension` of the network's outputs, nan where these coincide; `train_error` and
    `test_error`, (1/N) sum ||z - y||^2 of the samples trained on and held out, over `target_variance`, the like of
    all targets around their mean. `target_intrinsic_dimension` (TwoNN, of the training samples) and `target_rank` are
    numbers, and so are `train_count` and `test_count`, how many samples there are.
    """
    table = load_table(study.data, study.counts)
    if study.rank is not None or study.dimension is not None:
        table = table.ranked(study.rank or table.Y.shape[0], study.dimension)
    if not study.held_out:
        raise ProblemError("run.held_out", study.held_out, "say which share of the samples is held out, 0.25 say.")
    train, test = table.parts(study.held_out)
    of_targets = two_nn(train.Y)
    rank = int(np.linalg.matrix_rank(train.Y - train.Y.mean(axis=1, keepdims=True)))
    unit = float(np.sum((table.Y - table.Y.mean(axis=1, keepdims=True)) ** 2) / table.Y.shape[1])
    X, held_out = torch.from_numpy(train.X), torch.from_numpy(test.X)
    seen: dict[int, list[list[float]]] = {}

    def look(networks: Perceptrons, _: str, epoch: int) -> None:
        H, Z = (values.double().numpy() for values in outputs(networks, forward(networks, X).features))
        tested = outputs(networks, forward(networks, held_out).features)[-1].double().numpy()
        seen[epoch] = [
            [*_of_features(H[s].T, Z[s].T, rank), _error(Z[s].T, train) / unit, _error(tested[s].T, test) / unit]
            for s in range(H.shape[0])
        ]

    train_deep(train.X, train.Y, study.regimen, study.seeds, look)
    array = np.array(list(seen.values()))  # epoch x seed x what
    values: dict[str, Any] = {name: (("seed", "epoch"), array[..., i].T) for i, name in enumerate(HISTORY)}
    numbers = {
        "target_intrinsic_dimension": of_targets,
        "target_rank": rank,
        "target_variance": unit,
        "train_count": train.X.shape[0],
        "test_count": test.X.shape[0],
    }
    values |= {name: ((), np.asarray(value)) for name, value in numbers.items()}
    coords = {"seed": list(study.seeds), "epoch": list(seen)}
    told = {"data": table.name, "source": table.source, "regimen": study.regimen.to_dict()}
    return Record.of("measured", values, coords=coords, provenance=told)


def _of_features(H: np.ndarray, Z: np.ndarray, rank: int) -> list[float]:
    """The first four of HISTORY, for features H (d x N) and outputs Z (m x N)."""
    return [nrc1(H, rank), deep_nrc1(H, rank), _dimension(H), _dimension(Z)]


def _dimension(H: np.ndarray) -> float:
    """TwoNN; nan where the network puts all samples on a few points, which have no dimension."""
    try:
        return two_nn(H)
    except UfmError:
        return float("nan")


def _error(Z: np.ndarray, table: Table) -> float:
    return float(np.sum((Z - table.Y) ** 2)) / table.Y.shape[1]
