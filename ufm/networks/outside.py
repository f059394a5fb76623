"""Features of images that a network was not trained on, beside its class means, epoch by epoch."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ufm import encodings
from ufm.errors import ProblemError
from ufm.metrics.detection import nc5
from ufm.metrics.nc1 import nc1_ratio
from ufm.metrics.split import split_classes
from ufm.networks.data import ImageSet, load
from ufm.networks.deep_training import train_deep
from ufm.networks.perceptron import Perceptrons, forward, outputs
from ufm.problem import classes
from ufm.record import Record

if TYPE_CHECKING:
    from ufm.networks.studies import Study

HISTORY = ("nc5", "nc5_centred", "nc1_ratio", "accuracy", "outside_share", "outside_norm")


def outside_record(study: "Study") -> Record:
    """Train the networks of a study on some classes; the mean feature of all other images, at every look.

    With the dimensions (seed, epoch), epochs of both phases counted through: `nc5`, the mean over classes of
    |<hbar_k, o>|/(||hbar_k|| ||o||), o the mean feature of the images outside; `nc5_centred`, the same of hbar_k - hbar
    and o - hbar; `outside_share`, the norm of the part of o in the span of the class means over that of o;
    `outside_norm`, ||o|| over the mean of ||hbar_k||; `nc1_ratio` and `accuracy` on the training images. `class_count`
    is K.
    """
    inside, outside = images_of(study)
    targets = classes(encodings.available()["one_hot"](inside.K), inside.counts.tolist()).matrix()
    X, others = torch.from_numpy(inside.X), torch.from_numpy(outside.X)
    seen: dict[int, list[list[float]]] = {}

    def look(networks: Perceptrons, phase: str, epoch: int) -> None:
        H, Z = (values.numpy() for values in outputs(networks, forward(networks, X).features))
        O = forward(networks, others).features.numpy()
        at = epoch + (study.regimen.entropy_epochs if phase == "squared" else 0)
        seen[at] = [_look(H[s].T, Z[s].T, O[s].T, inside.labels) for s in range(H.shape[0])]

    train_deep(inside.X, targets, study.regimen, study.seeds, look)
    array = np.array(list(seen.values()))  # epoch x seed x what
    values: dict[str, Any] = {name: (("seed", "epoch"), array[..., i].T) for i, name in enumerate(HISTORY)}
    told = {
        "images": inside.name,
        "source": inside.source,
        "outside": outside.name,
        "outside_source": outside.source,
        "regimen": study.regimen.to_dict(),
    }
    values["class_count"] = ((), np.asarray(inside.K))
    coords = {"seed": list(study.seeds), "epoch": list(seen)}
    return Record.of("measured", values, coords=coords, provenance=told)


def images_of(study: "Study") -> tuple[ImageSet, ImageSet]:
    """The images to train on, and those outside: of the other classes, or all of another set."""
    images = load(study.data, study.counts)
    kept = study.classes or tuple(range(images.K))
    if study.outside:
        outside = load(study.outside, study.counts)
    elif len(kept) < images.K:
        outside = images.of_classes([k for k in range(images.K) if k not in kept])
    else:
        raise ProblemError("run.outside", None, f"all classes of {study.data} are trained on; name another image set.")
    if outside.pixels != images.pixels:
        sizes = f"{outside.pixels} pixels, those of {study.data} {images.pixels}"
        raise ProblemError("run.outside", study.outside, f"its images have {sizes}; choose one of the same size.")
    return images.of_classes(kept), outside


def _look(H: np.ndarray, Z: np.ndarray, O: np.ndarray, labels: np.ndarray) -> list[float]:
    """The numbers of HISTORY for features H (d x N), outputs Z (m x N) and features outside O (d x N')."""
    split = split_classes(H, labels)
    means, o = split.class_means, O.mean(axis=1, dtype=np.float64)
    U, s, _ = np.linalg.svd(means, full_matrices=False)
    size = float(np.linalg.norm(o))
    inside = float(np.linalg.norm(U[:, s > 1e-9 * s[0]].T @ o))
    return [
        nc5(means, O),
        nc5(means - split.mean[:, None], O - split.mean[:, None]),
        nc1_ratio(split),
        float(np.mean(np.argmax(Z, axis=0) == labels)),
        inside / size if size > 0 else float("nan"),
        size / float(np.linalg.norm(means, axis=0).mean()),
    ]
