"""`ufm.watch`: any torch module, any of its layers, epoch after epoch, into one record."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ufm.errors import MissingExtraError, UfmError
from ufm.measure import measure
from ufm.metrics.decisions import Decisions
from ufm.metrics.family import Keys
from ufm.metrics.streaming import Moments
from ufm.networks.activations import Batch, activations
from ufm.record import Record, stack

if TYPE_CHECKING:
    from torch import nn

_WIDEST = 16384  # numbers a sample: a layer's scatter matrix then takes 2 GB


_NO_BATCHES = "the loader gave no batches; one that was used up cannot be run again."
_Run = Callable[[Iterable[Any]], Iterator[Batch]]


@dataclass(frozen=True, eq=False)
class Watch:
    """Looks at `layers` of a module, one `look` an epoch; `record` has the dimensions (epoch, layer).

    model: any torch module; layers: names as in `model.named_modules()`; what="output" or "input" of each. Layers with
    more than one dimension a sample are flattened (positions="flatten"), or averaged over all but the first of them,
    the channels ("mean"). Where the only layer is a linear one, watched by its input, with one output a class, its
    weight and bias are measured too: NC3, the classifier's geometry, the singular values of W H.

    With stream=True a look holds d x d moments of a layer, never its features, and runs the batches twice: NC4,
    accuracies and margins need the class means first, and then each sample; second_pass=False leaves them out. NC4
    holds the nearest class mean of every layer against the decisions of that classifier, or else of the model's own
    output, where it has as many numbers as there are classes.

    With stream=False a look keeps the features of all samples (d x N numbers a layer) in one pass, and records all that
    `ufm.measure` says of them: the parts of the loss, ranks, and with `keys` what takes long. So it can watch a
    regression, too, whose targets come from the loader as B x m. keys: observables to record, as in `ufm.measure`.
    Nothing stays attached between looks.
    """

    model: "nn.Module"
    layers: tuple[str, ...]
    what: str
    positions: str = "flatten"
    stream: bool = True
    second_pass: bool = True
    keys: Keys = None
    seen: list[tuple[Any, Record]] = field(default_factory=list)

    def look(self, loader: Iterable[Any], epoch: Any = None) -> Record:
        """Run the loader's batches (inputs, labels) through the model, without gradients, in evaluation mode.

        Kept under `epoch` (by default the number of looks so far) and returned, with the dimension (layer). The mode of
        every part of the model is put back afterwards, whatever happens.
        """
        if any(epoch == known for known, _ in self.seen):
            raise UfmError(f"epoch {epoch} was looked at before; give every look its own.")
        with activations(self.model, self.layers, self.what, self.positions, _WIDEST if self.stream else np.inf) as run:
            record = self._streamed(loader, run) if self.stream else self._kept(run(loader))
        self.seen.append((len(self.seen) if epoch is None else epoch, record))
        return record

    def _streamed(self, loader: Iterable[Any], run: _Run) -> Record:
        """One record a layer from moments, and from decisions on a second pass."""
        if self.second_pass and isinstance(loader, Iterator):
            fix = "give a DataLoader or a list of batches, or watch with second_pass=False or stream=False"
            raise UfmError(f"NC4 needs a second pass, and this loader can be run once only; {fix}.")
        moments: dict[str, Moments] = {}
        for seen in run(loader):
            for name, H in seen.H.items():
                moments[name] = moments.get(name, Moments.empty(H.shape[0])).add(H, seen.classes)
        if not moments:
            raise UfmError(_NO_BATCHES)
        given = self._classifier(moments[self.layers[0]].kinds.size)
        records = {name: _scalars(moments[name].record(*given)) for name in self.layers}
        if self.second_pass:
            decided = _decided(run(loader), moments, given)
            records = {name: _with(record, decided[name].values()) for name, record in records.items()}
        return stack([self._chosen(record) for record in records.values()], layer=list(self.layers))

    def _kept(self, batches: Iterator[Batch]) -> Record:
        """All features of all layers, measured at once."""
        seen = list(batches)
        if not seen:
            raise UfmError(_NO_BATCHES)
        labels = np.concatenate([batch.labels for batch in seen])
        H = {name: np.concatenate([batch.H[name] for batch in seen], axis=1) for name in self.layers}
        of_classes = labels.ndim == 1
        targets = labels if of_classes else labels.T
        given = self._classifier(np.unique(labels).size if of_classes else labels.shape[1])
        if given:
            last = measure(H[self.layers[0]], targets, *given, keys=self.keys)
            return stack([_scalars(last)], layer=list(self.layers))
        above = {} if of_classes else self._above()
        return _scalars(measure(H, targets, above or None, keys=self.keys), 2)

    def _chosen(self, record: Record) -> Record:
        """The observables that were asked for."""
        if self.keys is None:
            return record
        if self.keys == "all":
            raise UfmError("keys = 'all' needs the features of all samples at once: watch with stream=False.")
        wanted = [self.keys] if isinstance(self.keys, str) else list(self.keys)
        missing = [name for name in wanted if name not in record]
        if missing:
            fix = "watch with stream=False, which keeps the features and says what is missing"
            raise UfmError(f"keys: {', '.join(missing)} is not what moments and decisions of this layer say; {fix}.")
        return replace(record, values=record.values[wanted])

    def _classifier(self, outputs: int) -> tuple[Any, ...]:
        """(W, b) where the input of the classifier is what is watched, with so many outputs; else nothing."""
        from torch import nn

        layer = dict(self.model.named_modules())[self.layers[0]]
        if self.what != "input" or len(self.layers) > 1 or not isinstance(layer, nn.Linear):
            return ()
        return (layer.weight, layer.bias) if layer.out_features == outputs else ()

    def _above(self) -> dict[str, Any]:
        """The linear layers whose inputs are watched: those that read the features, for the deep metrics."""
        from torch import nn

        known = dict(self.model.named_modules())
        linear = {name: known[name] for name in self.layers if self.what == "input"}
        return {name: layer.weight for name, layer in linear.items() if isinstance(layer, nn.Linear)}

    def record(self) -> Record:
        """Every look so far, with the dimensions (epoch, layer)."""
        if not self.seen:
            raise UfmError("nothing was looked at yet; call look(loader) once an epoch.")
        return stack([record for _, record in self.seen], epoch=[epoch for epoch, _ in self.seen])


def watch(
    model: "nn.Module",
    layers: str | Sequence[str],
    what: str = "output",
    *,
    positions: str = "flatten",
    stream: bool = True,
    second_pass: bool = True,
    keys: Keys = None,
) -> Watch:
    """Watch layers of a torch module: `w = ufm.watch(model, ["fc1", "fc2"])`, then `w.look(loader)` once an epoch.

    layers: names as in `model.named_modules()`, one or several. what: "output", or "input" for the features that enter
    a layer: `ufm.watch(model, "head", "input")` measures the penultimate features, and the classifier on top of them.
    positions: "flatten", or "mean" over the positions of every channel of an image or a sequence. stream: True holds
    moments and runs the batches twice, for NC4 (second_pass=False: once, without it); False keeps all features, and
    says all that `ufm.measure` says, of regressions too. keys: observables to record. Raises UfmError for a name the
    model lacks.
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
    return Watch(model, names, what, positions, stream, second_pass, keys)


def _decided(batches: Iterator[Batch], moments: dict[str, Moments], given: tuple[Any, ...]) -> dict[str, Decisions]:
    """The second pass: by the classifier that is watched, or else by the model's output where it is one a class."""
    found: dict[str, Decisions] = {}
    for seen in batches:
        for name, H in seen.H.items():
            if name not in found:
                codes = None if given else _codes(moments[name].kinds, seen.logits)
                found[name] = Decisions.after(moments[name], *given, codes=codes)
            found[name] = found[name].add(H, seen.classes, seen.logits)
    return found


def _codes(kinds: np.ndarray, logits: np.ndarray | None) -> np.ndarray | None:
    """One-hot codes of these classes, where the model has one output for each; None where it gives something else."""
    return None if logits is None or logits.shape[0] != kinds.size else np.eye(kinds.size)


def _scalars(record: Record, of: int = 1) -> Record:
    """What fits beside other layers: numbers and what has one entry a class, not matrices nor what each sample has."""
    values = record.values
    names = [name for name, value in values.items() if value.ndim <= of and "sample" not in value.dims]
    return replace(record, values=values[names])


def _with(record: Record, values: dict[str, float]) -> Record:
    return replace(record, values=record.values.assign(values))
