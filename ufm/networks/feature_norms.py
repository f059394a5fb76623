"""The norm of the features and NC1, epoch by epoch, of deep perceptrons on labelled images."""

from typing import TYPE_CHECKING

import numpy as np
import torch

from ufm import encodings
from ufm.measure import measure
from ufm.metrics.nc1 import nc1_ratio
from ufm.metrics.norms import feature_norm
from ufm.metrics.split import split_classes
from ufm.networks.data import ImageSet, load
from ufm.networks.deep_training import train_deep
from ufm.networks.experiment import without_samples
from ufm.networks.perceptron import Perceptrons, forward, outputs
from ufm.problem import Problem, classes
from ufm.record import Record, stack

if TYPE_CHECKING:
    from ufm.networks.studies import Study

HISTORY = ("fn", "nc1_ratio", "train_error", "accuracy", "classifier_norm", "energy_ratio")


def norms_record(study: "Study") -> Record:
    """Train the networks of a study; all that `ufm.measure` says of the last epoch, and the way there.

    With the dimensions (seed, epoch), epochs of the squared loss counted from 1: `history_fn`, the mean of ||h||,
    `history_nc1_ratio`, tr Sigma_W/tr Sigma_B, `history_train_error`, (1/N) sum ||z - y||^2, `history_accuracy`,
    `history_classifier_norm`, ||W||_F, `history_energy_ratio`, ||H||_F^2/||W||_F^2. The same with (seed,
    entropy_epoch) as `entropy_fn` and so on, where there is a phase of cross-entropy. `layer_norm` (seed, layer):
    ||A_l||_F in the end, the classifier last.
    """
    images = load(study.data, study.counts)
    codes = encodings.available()["one_hot"](images.K)
    targets = classes(codes, images.counts.tolist())
    seen: dict[str, dict[int, list[list[float]]]] = {"entropy": {}, "squared": {}}
    X = torch.from_numpy(images.X)

    def look(networks: Perceptrons, phase: str, epoch: int) -> None:
        H, Z = (values.numpy() for values in outputs(networks, forward(networks, X).features))
        seen[phase][epoch] = [
            _look(H[s].T, Z[s].T, networks.W[s].numpy(), images, targets.matrix()) for s in range(H.shape[0])
        ]

    networks = train_deep(images.X, targets.matrix(), study.regimen, study.seeds, look)
    regimen = study.regimen
    problem = Problem(targets, lam_W=regimen.weight_decay, lam_b=regimen.weight_decay, lam_H=regimen.feature_penalty)
    record = stack([_last(networks, X, s, images, problem) for s in range(len(study.seeds))], seed=list(study.seeds))
    values = record.values
    for phase, prefix, dim in (("squared", "history", "epoch"), ("entropy", "entropy", "entropy_epoch")):
        if seen[phase]:
            values = values.assign_coords({dim: list(seen[phase])})
            array = np.array(list(seen[phase].values()))  # epoch x seed x what
            values = values.assign(
                {f"{prefix}_{name}": (("seed", dim), array[..., i].T) for i, name in enumerate(HISTORY)}
            )
    norms = [torch.linalg.vector_norm(A, dim=(1, 2)).double().numpy() for A in (*networks.layers, networks.W)]
    values = values.assign(layer_norm=(("seed", "layer"), np.array(norms).T))
    provenance = {**record.provenance, "images": images.name, "source": images.source, "regimen": regimen.to_dict()}
    return Record("measured", values, problem, provenance=provenance)


def _look(H: np.ndarray, Z: np.ndarray, W: np.ndarray, images: ImageSet, Y: np.ndarray) -> list[float]:
    """The numbers of HISTORY for features H (d x N) and outputs Z (m x N)."""
    energy = float(np.sum(np.square(H, dtype=np.float64)))
    size = float(np.sum(np.square(W, dtype=np.float64)))
    return [
        feature_norm(H),
        nc1_ratio(split_classes(H, images.labels)),
        float(np.sum((Z - Y) ** 2)) / images.N,
        float(np.mean(np.argmax(Z, axis=0) == images.labels)),
        float(np.sqrt(size)),
        energy / size,
    ]


def _last(networks: Perceptrons, X: torch.Tensor, s: int, images: ImageSet, problem: Problem) -> Record:
    """What `ufm.measure` says of one network, without arrays over samples or pairs of features."""
    H = forward(networks, X).features[s].double().numpy().T
    W, b = networks.W[s].double().numpy(), networks.b[s, 0].double().numpy()
    return without_samples(measure(H, images.labels, W, b, problem=problem))
