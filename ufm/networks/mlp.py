"""A multi-layer perceptron with a linear feature layer, and its derivative written out.

    a_0 = x, a_l = relu(A_l a_{l-1} + o_l), h = A_L a_{L-1} + o_L, z = W_{p-1} .. W_1 h + b.

With recipe.features = "relu" the features are relu(h) as well. All parameters are views of one flat vector, so that the
optimiser makes one pass over memory; samples are rows here.
"""

import math
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise

import torch
from torch import Tensor

from ufm.networks.recipe import Recipe


@dataclass(frozen=True, eq=False)
class Parameters:
    """Views of `flat`: layers A_l (out x in), offsets o_l (out), heads W_{p-1}..W_1 (last first), bias b (m).

    relu: whether the features pass a ReLU.
    """

    flat: Tensor
    layers: tuple[Tensor, ...]
    offsets: tuple[Tensor, ...]
    heads: tuple[Tensor, ...]
    b: Tensor
    relu: bool = False

    @property
    def W(self) -> Tensor:
        """The product of the heads (m x d)."""
        return reduce(torch.matmul, self.heads)

    @staticmethod
    def zeros(
        pixels: int, recipe: Recipe, m: int, dtype: torch.dtype = torch.float32, *, heads: int = 1
    ) -> "Parameters":
        """All parameters zero; heads: linear layers above the features, d wide between them."""
        widths = (pixels, *recipe.hidden, recipe.d)
        shapes: list[tuple[int, ...]] = [(out, into) for into, out in pairwise(widths)]
        shapes += [(out,) for out in widths[1:]]
        shapes += [(m, recipe.d)] + [(recipe.d, recipe.d)] * (heads - 1) + [(m,)]
        sizes = [math.prod(shape) for shape in shapes]
        flat = torch.zeros(sum(sizes), dtype=dtype)
        parts = [part.view(shape) for part, shape in zip(flat.split(sizes), shapes, strict=True)]
        L = len(widths) - 1
        top = tuple(parts[2 * L : -1])
        return Parameters(flat, tuple(parts[:L]), tuple(parts[L : 2 * L]), top, parts[-1], recipe.features == "relu")

    @staticmethod
    def random(pixels: int, recipe: Recipe, m: int, generator: torch.Generator, *, heads: int = 1) -> "Parameters":
        """He initialisation N(0, 2/in), the feature layer's times `recipe.scale`; W_l from N(0, 1/d); the rest zero."""
        parameters = Parameters.zeros(pixels, recipe, m, heads=heads)
        for A in parameters.layers:
            A.normal_(0, math.sqrt(2 / A.shape[1]), generator=generator)
        parameters.layers[-1].mul_(recipe.scale)
        for W in parameters.heads:
            W.normal_(0, 1 / math.sqrt(recipe.d), generator=generator)
        return parameters


def forward(parameters: Parameters, X: Tensor) -> list[Tensor]:
    """[a_0, ..., a_{L-1}, h] for samples X (batch x pixels); the last one is batch x d."""
    seen = [X]
    last = len(parameters.layers) - 1
    for l, (A, o) in enumerate(zip(parameters.layers, parameters.offsets, strict=True)):
        out = torch.addmm(o, seen[-1], A.T)
        seen.append(out if l == last and not parameters.relu else out.relu_())
    return seen


def backward(parameters: Parameters, slopes: Parameters, seen: list[Tensor], G: Tensor) -> None:
    """Write into `slopes` the derivative by layers and offsets of a loss whose derivative by h is G (batch x d)."""
    if parameters.relu:
        G = torch.ops.aten.threshold_backward(G, seen[-1], 0)
    for l in range(len(parameters.layers) - 1, -1, -1):
        torch.mm(G.T, seen[l], out=slopes.layers[l])
        torch.sum(G, 0, out=slopes.offsets[l])
        if l > 0:  # relu's derivative is 1 exactly where its value is positive
            G = torch.ops.aten.threshold_backward(G @ parameters.layers[l], seen[l], 0)


def features(parameters: Parameters, X: Tensor) -> Tensor:
    """Features h of every sample in double precision (N x d)."""
    h = X.double()
    last = len(parameters.layers) - 1
    for l, (A, o) in enumerate(zip(parameters.layers, parameters.offsets, strict=True)):
        h = torch.addmm(o.double(), h, A.double().T)
        if l < last or parameters.relu:
            h.relu_()
    return h
