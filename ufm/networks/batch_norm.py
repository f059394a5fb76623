"""Batch norm: every coordinate of a layer with mean 0 and variance 1 over the batch, times a gain, plus an offset.

    out = gain (z - mean z) / sqrt(var z + eps) + offset

over the samples at hand: a batch while training, all samples when a trained network is read, so that no running mean
lags behind. Gains and offsets are trained; they decay as the offsets of other layers do (`Recipe.offset_decay`).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

_EPS = 1e-5  # PyTorch's own


@dataclass(frozen=True, eq=False)
class Normalised:
    """What the derivative needs: z (batch x width), its mean and one over its standard deviation (width)."""

    z: Tensor
    mean: Tensor
    inverse: Tensor


def normalise(z: Tensor, gain: Tensor, offset: Tensor) -> tuple[Tensor, Normalised]:
    """The normalised layer (batch x width), and what its derivative needs."""
    out, mean, inverse = torch.ops.aten.native_batch_norm(z, gain, offset, None, None, True, 0.0, _EPS)
    return out, Normalised(z, mean, inverse)


def denormalise(kept: Normalised, gain: Tensor, slope: Tensor, G: Tensor) -> Tensor:
    """The derivative by z, from G, the one by the output; the one by the gain is written into `slope`."""
    by_z, by_gain, _ = torch.ops.aten.native_batch_norm_backward(
        G, kept.z, gain, None, None, kept.mean, kept.inverse, True, _EPS, [True, True, False]
    )
    slope.copy_(by_gain)
    return by_z
