"""Perceptrons of several seeds side by side, with linear layers on top, and their derivative written out.

    a_0 = x,  a_l = phi_l(A_l a_{l-1} + o_l) for l = 1, ..., L,  h = a_L,  z = W_{p-1} .. W_1 h + b.

Behind a batch norm (`batch_norm`) a layer's A a is normalised before its offset is added. Samples are rows here, and a
leading dimension counts the seeds S. All parameters are views of one flat vector, so that the optimiser makes one pass
over memory.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import pairwise

import torch
from torch import Tensor

from ufm.networks.batch_norm import Normalised, denormalise, normalise


@dataclass(frozen=True)
class Activation:
    """phi, which may write over its argument, and its derivative times an incoming one, slope(G, x, phi(x))."""

    value: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor, Tensor, Tensor], Tensor]
    square_gain: float  # of the initialisation: entries of A have the variance square_gain/in


ACTIVATIONS = {
    # relu's derivative is 1 exactly where its value is positive
    "relu": Activation(torch.relu_, lambda G, _, a: torch.ops.aten.threshold_backward(G, a, 0), 2.0),
    "gelu": Activation(torch.nn.functional.gelu, lambda G, x, _: torch.ops.aten.gelu_backward(G, x), 2.0),
    "tanh": Activation(torch.tanh_, lambda G, _, a: torch.ops.aten.tanh_backward(G, a), 1.0),
    "linear": Activation(lambda x: x, lambda G, _, __: G, 2.0),
}


@dataclass(frozen=True)
class Architecture:
    """The sizes and kinds of a network's layers.

    widths: of the input and of the layers A_1, ..., A_L, d last; m: outputs; activations, normalised: of each of these
    layers its name in ACTIVATIONS, and whether a batch norm follows it; heads: linear layers on top, d wide between
    them; feature_scale: the factor on the initialisation of A_L; feature_gain: the gain that a batch norm of the
    features starts with; fixed: whether that gain and the offset beside it stay as they are.
    """

    widths: tuple[int, ...]
    m: int
    activations: tuple[str, ...]
    normalised: tuple[bool, ...]
    heads: int = 1
    feature_scale: float = 1.0
    feature_gain: float = 1.0
    fixed: bool = False

    def shapes(self, seeds: int) -> list[tuple[int, ...]]:
        """Of layers, offsets, heads (last first), bias and gains, in this order."""
        d, outs = self.widths[-1], self.widths[1:]
        found = [(seeds, out, into) for into, out in pairwise(self.widths)]
        found += [(seeds, 1, out) for out in outs]
        found += [(seeds, self.m, d)] + [(seeds, d, d)] * (self.heads - 1) + [(seeds, 1, self.m)]
        return found + [(seeds, 1, out) for out, has in zip(outs, self.normalised, strict=True) if has]


@dataclass(frozen=True, eq=False)
class Perceptrons:
    """S networks, views of `flat`: A_l (S x out x in), o_l (S x 1 x out), W_{p-1}..W_1 last first, b (S x 1 x m).

    gains: of the batch norm after every layer (S x 1 x out), None where there is none.
    """

    flat: Tensor
    layers: tuple[Tensor, ...]
    offsets: tuple[Tensor, ...]
    heads: tuple[Tensor, ...]
    b: Tensor
    gains: tuple[Tensor | None, ...]
    architecture: Architecture

    @property
    def W(self) -> Tensor:
        """The product of the heads (S x m x d)."""
        return reduce(torch.matmul, self.heads)

    @property
    def shifts(self) -> tuple[Tensor, ...]:
        """Offsets and gains that are trained."""
        trained = len(self.offsets) - self.architecture.fixed
        return self.offsets[:trained] + tuple(gain for gain in self.gains[:trained] if gain is not None)

    @property
    def seeds(self) -> int:
        """How many networks there are."""
        return self.b.shape[0]

    @staticmethod
    def zeros(architecture: Architecture, seeds: int = 1, dtype: torch.dtype = torch.float32) -> "Perceptrons":
        """All parameters zero."""
        size = sum(map(math.prod, architecture.shapes(seeds)))
        return Perceptrons._of(torch.zeros(size, dtype=dtype), architecture, seeds)

    @staticmethod
    def random(architecture: Architecture, generators: Sequence[torch.Generator]) -> "Perceptrons":
        """Entries of A_l from N(0, square_gain/in), of W_l from N(0, 1/d), gains 1, the rest zero; a generator a seed.

        A batch norm of the features starts with `feature_gain`; A_L is multiplied by `feature_scale`.
        """
        made = Perceptrons.zeros(architecture, len(generators))
        kinds = [ACTIVATIONS[name] for name in architecture.activations]
        for s, generator in enumerate(generators):
            for A, kind in zip(made.layers, kinds, strict=True):
                A[s].normal_(0, math.sqrt(kind.square_gain / A.shape[2]), generator=generator)
            for W in made.heads:
                W[s].normal_(0, 1 / math.sqrt(W.shape[2]), generator=generator)
        made.layers[-1].mul_(architecture.feature_scale)
        for l, gain in enumerate(made.gains):
            if gain is not None:
                gain.fill_(architecture.feature_gain if l == len(made.gains) - 1 else 1)
        return made

    def to(self, dtype: torch.dtype) -> "Perceptrons":
        """The same in another precision."""
        return Perceptrons._of(self.flat.to(dtype), self.architecture, self.seeds)

    @staticmethod
    def _of(flat: Tensor, architecture: Architecture, seeds: int) -> "Perceptrons":
        shapes = architecture.shapes(seeds)
        parts = [p.view(shape) for p, shape in zip(flat.split([*map(math.prod, shapes)]), shapes, strict=True)]
        L, heads = len(architecture.normalised), architecture.heads
        gains = iter(parts[2 * L + heads + 1 :])
        return Perceptrons(
            flat=flat,
            layers=tuple(parts[:L]),
            offsets=tuple(parts[L : 2 * L]),
            heads=tuple(parts[2 * L : 2 * L + heads]),
            b=parts[2 * L + heads],
            gains=tuple(next(gains) if has else None for has in architecture.normalised),
            architecture=architecture,
        )


@dataclass(frozen=True, eq=False)
class Seen:
    """What a pass leaves: a_0, ..., a_L, and for the derivative what entered each phi and each batch norm."""

    layers: list[Tensor]
    before: list[Tensor] = field(default_factory=list)
    normalised: list[Normalised | None] = field(default_factory=list)

    @property
    def features(self) -> Tensor:
        """H (S x B x d)."""
        return self.layers[-1]


def forward(networks: Perceptrons, X: Tensor) -> Seen:
    """The layers up to the features of samples X (S x B x in), or (B x in) for all seeds alike.

    The statistics of a batch norm are those of the samples at hand.
    """
    seen = Seen([X if X.ndim == 3 else X.expand(networks.seeds, *X.shape)])
    kinds = networks.architecture.activations
    for A, o, gain, kind in zip(networks.layers, networks.offsets, networks.gains, kinds, strict=True):
        if gain is None:
            out, kept = torch.baddbmm(o, seen.layers[-1], A.transpose(1, 2)), None
        else:
            out, kept = normalise(torch.bmm(seen.layers[-1], A.transpose(1, 2)), gain, o)
        seen.before.append(out)
        seen.normalised.append(kept)
        seen.layers.append(ACTIVATIONS[kind].value(out))
    return seen


def outputs(networks: Perceptrons, H: Tensor) -> list[Tensor]:
    """[h, W_1 h, ..., z] of features H (S x B x d): what enters every linear layer, and z (S x B x m) last."""
    found = [H]
    for W in networks.heads[:0:-1]:
        found.append(torch.bmm(found[-1], W.transpose(1, 2)))
    return [*found, torch.baddbmm(networks.b, found[-1], networks.heads[0].transpose(1, 2))]


def backward(networks: Perceptrons, slopes: Perceptrons, seen: Seen, G: Tensor) -> None:
    """Write into `slopes` the derivative by layers, offsets and gains of a loss whose derivative by h is G."""
    kinds = networks.architecture.activations
    for l in range(len(networks.layers) - 1, -1, -1):
        G = ACTIVATIONS[kinds[l]].slope(G, seen.before[l], seen.layers[l + 1])
        torch.sum(G, 1, keepdim=True, out=slopes.offsets[l])
        kept, gain, slope = seen.normalised[l], networks.gains[l], slopes.gains[l]
        if kept is not None and gain is not None and slope is not None:
            G = denormalise(kept, gain, slope, G)
            if networks.architecture.fixed:
                slope.zero_()
                slopes.offsets[l].zero_()
        torch.bmm(G.transpose(1, 2), seen.layers[l], out=slopes.layers[l])
        if l > 0:
            G = torch.bmm(G, networks.layers[l])
