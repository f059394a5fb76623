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
    """What the derivative needs: z (B x S width, the seeds side by side), its mean and one over its deviation."""

    z: Tensor
    mean: Tensor
    inverse: Tensor


def normalise(z: Tensor, gain: Tensor, offset: Tensor) -> tuple[Tensor, Normalised]:
    """The normalised layer (S x B x width), gain and offset S x 1 x width, and what its derivative needs."""
    flat = _beside(z)
    out, mean, inverse = torch.ops.aten.native_batch_norm(
        flat, gain.reshape(-1), offset.reshape(-1), None, None, True, 0.0, _EPS
    )
    return _apart(out, z.shape), Normalised(flat, mean, inverse)


def denormalise(kept: Normalised, gain: Tensor, slope: Tensor, G: Tensor) -> Tensor:
    """The derivative by z, from G, the one by the output; the one by the gain is written into `slope`."""
    by_z, by_gain, _ = torch.ops.aten.native_batch_norm_backward(
        _beside(G), kept.z, gain.reshape(-1), None, None, kept.mean, kept.inverse, True, _EPS, [True, True, False]
    )
    slope.copy_(by_gain.view_as(slope))
    return _apart(by_z, G.shape)


def _beside(z: Tensor) -> Tensor:
    """S x B x width as B x S width: for one seed a view."""
    return z[0] if z.shape[0] == 1 else z.transpose(0, 1).reshape(z.shape[1], -1)


def _apart(z: Tensor, shape: torch.Size) -> Tensor:
    """The inverse."""
    S, B, width = shape
    return z.view(B, S, width).transpose(0, 1).contiguous()
