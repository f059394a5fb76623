"""A multi-layer perceptron with a linear feature layer, and its derivative written out.

    a_0 = x, a_l = relu(A_l a_{l-1} + o_l), h = A_L a_{L-1} + o_L, z = W_{p-1} .. W_1 h + b.

With recipe.features = "relu" the features are relu(h) as well; with a batch norm (`batch_norm`) a layer's A a is
normalised before its offset is added. All parameters are views of one flat vector, so that the optimiser makes one pass
over memory; samples are rows here.
"""

import math
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise

import torch
from torch import Tensor

from ufm.networks.batch_norm import Normalised, denormalise, normalise
from ufm.networks.recipe import Recipe


@dataclass(frozen=True, eq=False)
class Parameters:
    """Views of `flat`: layers A_l (out x in), offsets o_l (out), heads W_{p-1}..W_1 (last first), bias b (m).

    relu: whether the features pass a ReLU; gains: of the batch norm after every layer (out), None where there is none;
    fixed: whether the gain and the offset of the features stay as they are.
    """

    flat: Tensor
    layers: tuple[Tensor, ...]
    offsets: tuple[Tensor, ...]
    heads: tuple[Tensor, ...]
    b: Tensor
    relu: bool
    gains: tuple[Tensor | None, ...]
    fixed: bool

    @property
    def W(self) -> Tensor:
        """The product of the heads (m x d)."""
        return reduce(torch.matmul, self.heads)

    @property
    def shifts(self) -> tuple[Tensor, ...]:
        """Offsets and gains that are trained: what `offset_decay` acts on."""
        trained = len(self.offsets) - self.fixed
        return self.offsets[:trained] + tuple(gain for gain in self.gains[:trained] if gain is not None)

    @staticmethod
    def zeros(
        pixels: int, recipe: Recipe, m: int, dtype: torch.dtype = torch.float32, *, heads: int = 1
    ) -> "Parameters":
        """All parameters zero; heads: linear layers above the features, d wide between them."""
        widths = (pixels, *recipe.hidden, recipe.d)
        shapes: list[tuple[int, ...]] = [(out, into) for into, out in pairwise(widths)]
        shapes += [(out,) for out in widths[1:]]
        shapes += [(m, recipe.d)] + [(recipe.d, recipe.d)] * (heads - 1) + [(m,)]
        shapes += [(out,) for out, normalised in zip(widths[1:], recipe.normalised, strict=True) if normalised]
        sizes = [math.prod(shape) for shape in shapes]
        flat = torch.zeros(sum(sizes), dtype=dtype)
        parts = [part.view(shape) for part, shape in zip(flat.split(sizes), shapes, strict=True)]
        L = len(widths) - 1
        layers, offsets, top, gains = (
            parts[:L],
            parts[L : 2 * L],
            parts[2 * L : 2 * L + heads + 1],
            iter(parts[2 * L + heads + 1 :]),
        )
        return Parameters(
            flat,
            tuple(layers),
            tuple(offsets),
            tuple(top[:-1]),
            top[-1],
            recipe.features == "relu",
            tuple(next(gains) if normalised else None for normalised in recipe.normalised),
            recipe.batch_norm == "features_fixed",
        )

    @staticmethod
    def random(pixels: int, recipe: Recipe, m: int, generator: torch.Generator, *, heads: int = 1) -> "Parameters":
        """He initialisation N(0, 2/in), the feature layer's times `recipe.scale`; W_l from N(0, 1/d); the rest zero.

        Gains start at 1, trained ones of the features at 1/sqrt(d), for features of norm 1.
        """
        parameters = Parameters.zeros(pixels, recipe, m, heads=heads)
        for A in parameters.layers:
            A.normal_(0, math.sqrt(2 / A.shape[1]), generator=generator)
        parameters.layers[-1].mul_(recipe.scale)
        for gain in parameters.gains:
            if gain is not None:
                gain.fill_(1 / math.sqrt(recipe.d) if recipe.batch_norm == "features" else 1)
        for W in parameters.heads:
            W.normal_(0, 1 / math.sqrt(recipe.d), generator=generator)
        return parameters


def forward(parameters: Parameters, X: Tensor, kept: list[Normalised | None] | None = None) -> list[Tensor]:
    """[a_0, ..., a_{L-1}, h] for samples X (batch x pixels); the last one is batch x d.

    kept: receives what `backward` needs of every layer's batch norm, whose statistics are the batch's.
    """
    seen = [X]
    last = len(parameters.layers) - 1
    for l, (A, o, gain) in enumerate(zip(parameters.layers, parameters.offsets, parameters.gains, strict=True)):
        if gain is None:
            out, normalised = torch.addmm(o, seen[-1], A.T), None
        else:
            out, normalised = normalise(seen[-1] @ A.T, gain, o)
        if kept is not None:
            kept.append(normalised)
        seen.append(out if l == last and not parameters.relu else out.relu_())
    return seen


def backward(
    parameters: Parameters, slopes: Parameters, seen: list[Tensor], kept: list[Normalised | None], G: Tensor
) -> None:
    """Write into `slopes` the derivative by layers, offsets and gains of a loss with derivative G by h (batch x d)."""
    if parameters.relu:
        G = torch.ops.aten.threshold_backward(G, seen[-1], 0)
    for l in range(len(parameters.layers) - 1, -1, -1):
        torch.sum(G, 0, out=slopes.offsets[l])
        normalised, gain, slope = kept[l], parameters.gains[l], slopes.gains[l]
        if normalised is not None and gain is not None and slope is not None:
            G = denormalise(normalised, gain, slope, G)
            if parameters.fixed:
                slope.zero_()
                slopes.offsets[l].zero_()
        torch.mm(G.T, seen[l], out=slopes.layers[l])
        if l > 0:  # relu's derivative is 1 exactly where its value is positive
            G = torch.ops.aten.threshold_backward(G @ parameters.layers[l], seen[l], 0)


def activations(parameters: Parameters, X: Tensor) -> list[Tensor]:
    """[a_0, ..., a_{L-1}, h] of every sample in double precision; a batch norm's statistics are those of all of X."""
    seen = [X.double()]
    last = len(parameters.layers) - 1
    for l, (A, o, gain) in enumerate(zip(parameters.layers, parameters.offsets, parameters.gains, strict=True)):
        if gain is None:
            out = torch.addmm(o.double(), seen[-1], A.double().T)
        else:
            out, _ = normalise(seen[-1] @ A.double().T, gain.double(), o.double())
        seen.append(out.relu_() if l < last or parameters.relu else out)
    return seen


def features(parameters: Parameters, X: Tensor) -> Tensor:
    """Features h of every sample in double precision (N x d)."""
    return activations(parameters, X)[-1]
