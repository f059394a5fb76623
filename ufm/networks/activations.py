"""What layers of a torch module give for the batches of a loader, with the module left as it was."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ufm.errors import UfmError

if TYPE_CHECKING:
    from torch import Tensor, nn


class Batch(NamedTuple):
    """Activations of each layer (d x B), labels as the loader has them, and the model's own output (m x B).

    logits: None where the output is not one row of numbers a sample.
    """

    H: dict[str, np.ndarray]
    labels: np.ndarray
    logits: np.ndarray | None

    @property
    def classes(self) -> np.ndarray:
        """One label a sample."""
        if self.labels.ndim != 1:
            fix = "give one label a sample; targets of a regression are watched with stream=False"
            raise UfmError(f"the loader's labels have the shape {self.labels.shape}; {fix}.")
        return self.labels


@contextmanager
def activations(
    model: "nn.Module", layers: Sequence[str], what: str, positions: str, widest: float
) -> "Iterator[Callable[[Iterable[Any]], Iterator[Batch]]]":
    """A function from a loader to the batches of its activations, while hooks are in place; see `ufm.watch`.

    Without gradients and in evaluation mode, both put back at the end, whatever happens. Layers with more than `widest`
    numbers a sample are refused.
    """
    import torch

    modules = dict(model.named_modules())
    caught: dict[str, Tensor] = {}
    first = next(iter(model.parameters()), None)
    handles = [modules[name].register_forward_hook(_catcher(caught, name, what)) for name in layers]

    def run(loader: Iterable[Any]) -> Iterator[Batch]:
        for inputs, labels in _pairs(loader):
            caught.clear()
            output = model(_placed(inputs, first))
            lost = [name for name in layers if name not in caught]
            if lost:
                raise UfmError(f"layer {lost[0]!r} did not run in this model's forward pass.")
            columns = {name: _columns(caught[name], len(labels), name, positions, widest) for name in layers}
            yield Batch(columns, labels, _logits(output, len(labels)))

    try:
        with _evaluating(model), torch.no_grad():
            yield run
    finally:
        for handle in handles:
            handle.remove()


def _catcher(caught: "dict[str, Tensor]", name: str, what: str) -> Callable[..., None]:
    def hook(_: "nn.Module", given: Any, output: Any) -> None:
        value: Any = output if what == "output" else given[0] if given else None
        if not hasattr(value, "detach"):
            raise UfmError(f"the {what} of layer {name!r} is a {type(value).__name__}, not one tensor; watch another.")
        if name in caught:
            raise UfmError(f"layer {name!r} runs more than once in a forward pass; watch one that runs once.")
        caught[name] = value.detach()

    return hook


@contextmanager
def _evaluating(model: "nn.Module") -> Iterator[None]:
    """Evaluation mode, with the mode of every part put back: parts may have been frozen one by one."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def _pairs(loader: Iterable[Any]) -> "Iterator[tuple[Tensor, np.ndarray]]":
    for batch in loader:
        if not isinstance(batch, tuple | list) or len(batch) != 2:
            raise UfmError("the loader must give pairs (inputs, labels), as a DataLoader over a labelled set does.")
        inputs, labels = batch
        yield inputs, np.asarray(labels.detach().cpu() if hasattr(labels, "detach") else labels)


def _placed(inputs: "Tensor", parameter: "Tensor | None") -> "Tensor":
    """The inputs where the model is, numbers with a point in its precision."""
    if parameter is None:
        return inputs
    cast = inputs.is_floating_point() and parameter.is_floating_point()
    return inputs.to(parameter.device, parameter.dtype if cast else inputs.dtype)


def _logits(output: Any, samples: int) -> np.ndarray | None:
    """A model's output as m x B, where it is one row of numbers a sample (or has such `logits`); None otherwise."""
    found: Any = getattr(output, "logits", output)
    if not hasattr(found, "detach") or found.ndim != 2 or found.shape[0] != samples or not found.is_floating_point():
        return None
    return found.detach().double().cpu().numpy().T


def _columns(value: "Tensor", samples: int, name: str, positions: str, widest: float) -> np.ndarray:
    """A layer's activations, one column a sample (d x B), in double precision."""
    if value.ndim < 2 or value.shape[0] != samples:
        raise UfmError(
            f"layer {name!r} gives {tuple(value.shape)} for {samples} samples; the first axis must be theirs."
        )
    wide = value.double()
    flat = wide.flatten(2).mean(2) if positions == "mean" and value.ndim > 2 else wide.reshape(samples, -1)
    d = flat.shape[1]
    if d > widest:
        flattened = positions == "flatten"
        fix = "watch it with positions='mean', or another layer" if flattened else "watch another layer"
        raise UfmError(f"layer {name!r} gives {d} numbers a sample, whose moments take {8e-9 * d * d:.0f} GB; {fix}.")
    return flat.cpu().numpy().T
