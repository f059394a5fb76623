"""Deep perceptrons of several seeds at once, and their derivative written out.

    a_0 = x,  a_l = phi(A_l a_{l-1} + o_l) for l = 1, ..., L,  z = A_{L+1} a_L + o_{L+1};  features h = a_L.

Samples are rows here, and a leading dimension counts the seeds. All parameters are views of one flat vector, so that
the optimiser makes one pass over memory.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from ufm.networks.regimen import Regimen

_Slope = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Activation:
    """phi, its derivative times an incoming one, slope(G, x, phi(x)), and the gain of its initialisation."""

    value: Callable[[Tensor], Tensor]
    slope: _Slope
    gain: float


ACTIVATIONS = {
    "relu": Activation(torch.relu, lambda G, _, a: torch.ops.aten.threshold_backward(G, a, 0), math.sqrt(2)),
    "gelu": Activation(torch.nn.functional.gelu, lambda G, x, _: torch.ops.aten.gelu_backward(G, x), math.sqrt(2)),
    "tanh": Activation(torch.tanh, lambda G, _, a: torch.ops.aten.tanh_backward(G, a), 1.0),
}


@dataclass(frozen=True, eq=False)
class Perceptrons:
    """S networks: views of `flat`: layers A_l (S x out x in), offsets o_l (S x 1 x out), last the classifier's."""

    flat: Tensor
    layers: tuple[Tensor, ...]
    offsets: tuple[Tensor, ...]
    activation: Activation

    @property
    def W(self) -> Tensor:
        """The last layer (S x m x d)."""
        return self.layers[-1]

    @property
    def b(self) -> Tensor:
        """Its offset (S x 1 x m)."""
        return self.offsets[-1]

    @staticmethod
    def zeros(inputs: int, regimen: Regimen, m: int, seeds: int, dtype: torch.dtype = torch.float32) -> "Perceptrons":
        """All parameters zero."""
        widths = (inputs, *[regimen.width] * regimen.depth, m)
        shapes = [(seeds, out, into) for into, out in pairwise(widths)]
        shapes += [(seeds, 1, out) for out in widths[1:]]
        sizes = [math.prod(shape) for shape in shapes]
        flat = torch.zeros(sum(sizes), dtype=dtype)
        parts = [part.view(shape) for part, shape in zip(flat.split(sizes), shapes, strict=True)]
        count = len(widths) - 1
        return Perceptrons(flat, tuple(parts[:count]), tuple(parts[count:]), ACTIVATIONS[regimen.activation])

    @staticmethod
    def random(inputs: int, regimen: Regimen, m: int, generators: Sequence[torch.Generator]) -> "Perceptrons":
        """Entries of A_l from N(0, gain^2/in), of the last layer from N(0, 1/in), each seed from its own generator."""
        networks = Perceptrons.zeros(inputs, regimen, m, len(generators))
        for s, generator in enumerate(generators):
            for A in networks.layers:
                gain = 1.0 if A is networks.W else networks.activation.gain
                A[s].normal_(0, gain / math.sqrt(A.shape[2]), generator=generator)
        return networks


def forward(networks: Perceptrons, X: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """([a_0, ..., a_L, z], [A_1 a_0 + o_1, ..., z]) for samples X (S x B x in), or (B x in) for all seeds alike."""
    seen, before = [X if X.ndim == 3 else X.expand(networks.W.shape[0], *X.shape)], []
    last = len(networks.layers) - 1
    for l, (A, o) in enumerate(zip(networks.layers, networks.offsets, strict=True)):
        before.append(torch.baddbmm(o, seen[-1], A.transpose(1, 2)))
        seen.append(before[-1] if l == last else networks.activation.value(before[-1]))
    return seen, before


def backward(
    networks: Perceptrons,
    slopes: Perceptrons,
    seen: list[Tensor],
    before: list[Tensor],
    G: Tensor,
    feature_slope: Tensor | None = None,
) -> None:
    """Write into `slopes` the derivative of a loss whose derivative by z is G (S x B x m).

    feature_slope: what the loss depends on the features h directly (S x B x d).
    """
    for l in range(len(networks.layers) - 1, -1, -1):
        torch.bmm(G.transpose(1, 2), seen[l], out=slopes.layers[l])
        torch.sum(G, 1, keepdim=True, out=slopes.offsets[l])
        if l == 0:
            return
        G = torch.bmm(G, networks.layers[l])
        if feature_slope is not None and l == len(networks.layers) - 1:
            G = G + feature_slope
        G = networks.activation.slope(G, before[l - 1], seen[l])
