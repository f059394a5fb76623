"""`ufm.watch`: any torch module, any of its layers, epoch after epoch, into one record."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ufm.errors import MissingExtraError, UfmError
from ufm.metrics.streaming import Moments
from ufm.record import Record, stack

if TYPE_CHECKING:
    from torch import Tensor, nn

_WIDEST = 16384  # numbers a sample: a layer's scatter matrix then takes 2 GB


@dataclass(frozen=True, eq=False)
class Watch:
    """Looks at `layers` of a module, one `look` an epoch; `record` has the dimensions (epoch, layer).

    model: any torch module; layers: names as in `model.named_modules()`; what="output" or "input" of each. Layers with
    more than one dimension a sample are flattened (positions="flatten"), or averaged over all but the first of them,
    the channels ("mean"). Where the only layer is a linear one, watched by its input, with one output a class, its
    weight and bias are measured too: NC3, the classifier's geometry, the singular values of W H. NC4 needs a second
    pass over the samples (`ufm.measure`). Nothing stays attached between looks.
    """

    model: "nn.Module"
    layers: tuple[str, ...]
    what: str
    positions: str = "flatten"
    seen: list[tuple[Any, Record]] = field(default_factory=list)

    def look(self, loader: Iterable[Any], epoch: Any = None) -> Record:
        """Run the loader's batches (inputs, labels) through the model, without gradients, in evaluation mode.

        Kept under `epoch` (by default the number of looks so far) and returned, with the dimension (layer). The mode of
        every part of the model is put back afterwards, whatever happens.
        """
        if any(epoch == known for known, _ in self.seen):
            raise UfmError(f"epoch {epoch} was looked at before; give every look its own.")
        moments = _moments(self, loader)
        classifier = self._classifier(moments[0])
        record = stack([_scalars(found.record(*classifier)) for found in moments], layer=list(self.layers))
        self.seen.append((len(self.seen) if epoch is None else epoch, record))
        return record

    def _classifier(self, moments: Moments) -> tuple[Any, ...]:
        """(W, b) where the input of the classifier is what is watched, one output for each class seen; else nothing."""
        from torch import nn

        layer = dict(self.model.named_modules())[self.layers[0]]
        if self.what != "input" or len(self.layers) > 1 or not isinstance(layer, nn.Linear):
            return ()
        alike = layer.out_features == moments.kinds.size and layer.in_features == moments.d
        return (layer.weight, layer.bias) if alike else ()

    def record(self) -> Record:
        """Every look so far, with the dimensions (epoch, layer)."""
        if not self.seen:
            raise UfmError("nothing was looked at yet; call look(loader) once an epoch.")
        return stack([record for _, record in self.seen], epoch=[epoch for epoch, _ in self.seen])


def watch(
    model: "nn.Module", layers: str | Sequence[str], what: str = "output", *, positions: str = "flatten"
) -> Watch:
    """Watch layers of a torch module: `w = ufm.watch(model, ["fc1", "fc2"])`, then `w.look(loader)` once an epoch.

    layers: names as in `model.named_modules()`, one or several. what: "output", or "input" for the features that enter
    a layer: `ufm.watch(model, "head", "input")` measures the penultimate features, and the classifier on top of them.
    positions: "flatten", or "mean" over the positions of every channel of an image or a sequence. Raises UfmError for a
    name the model lacks.
    """
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError:
        raise MissingExtraError("torch", "train", "watching a network") from None
    names = (layers,) if isinstance(layers, str) else tuple(layers)
    known = dict(model.named_modules())
    missing = [name for name in names if name not in known]
    if missing or not names or len(set(names)) < len(names):
        has = ", ".join(name for name in known if name)
        raise UfmError(f"layers = {list(names)}: give names of the model's modules, none twice; it has {has}.")
    if what not in ("output", "input"):
        raise UfmError(f"what = {what!r}: choose 'output' or 'input' of the layers.")
    if positions not in ("flatten", "mean"):
        raise UfmError(f"positions = {positions!r}: choose 'flatten' or 'mean'.")
    return Watch(model, names, what, positions)


def _moments(watched: Watch, loader: Iterable[Any]) -> list[Moments]:
    """Class moments of each layer over all batches."""
    import torch

    model, layers, what = watched.model, watched.layers, watched.what
    modules = dict(model.named_modules())
    caught: dict[str, Tensor] = {}
    found: dict[str, Moments] = {}
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    handles = [modules[name].register_forward_hook(_catcher(caught, name, what)) for name in layers]
    try:
        with _evaluating(model), torch.no_grad():
            for inputs, labels in _pairs(loader):
                caught.clear()
                model(inputs.to(device))
                for name in layers:
                    if name not in caught:
                        raise UfmError(f"layer {name!r} did not run in this model's forward pass.")
                    H = _columns(caught[name], len(labels), name, watched.positions)
                    found[name] = found.get(name, Moments.empty(H.shape[0])).add(H, labels)
    finally:
        for handle in handles:
            handle.remove()
    if not found:
        raise UfmError("the loader gave no batches; one that was used up cannot be run again.")
    return [found[name] for name in layers]


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


def _columns(value: "Tensor", samples: int, name: str, positions: str) -> np.ndarray:
    """A layer's activations, one column a sample (d x B), in double precision."""
    if value.ndim < 2 or value.shape[0] != samples:
        raise UfmError(
            f"layer {name!r} gives {tuple(value.shape)} for {samples} samples; the first axis must be theirs."
        )
    wide = value.double()
    flat = wide.flatten(2).mean(2) if positions == "mean" and value.ndim > 2 else wide.reshape(samples, -1)
    d = flat.shape[1]
    if d > _WIDEST:
        fix = "watch it with positions='mean', or another layer" if positions == "flatten" else "watch another layer"
        raise UfmError(f"layer {name!r} gives {d} numbers a sample, whose moments take {8e-9 * d * d:.0f} GB; {fix}.")
    return flat.cpu().numpy().T


def _scalars(record: Record) -> Record:
    """What fits beside other layers: numbers and what has one entry a class, not matrices."""
    names = [name for name, value in record.values.items() if value.ndim <= 1]
    return replace(record, values=record.values[names])
