"""What becomes of the per-sample gradients as a backward pass delivers them, layer by layer."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from typing_extensions import override

from knas import native
from knas.gradients.capture import Capture, LinearMap, MapReceiver, Use
from knas.gradients.depth import longest_path
from knas.gradients.effective_rank import effective_rank, most_rows, some_rows
from knas.gradients.layers import Layer, Layers, Slot
from knas.gradients.memory import activation_budget


class Collector(ABC):
    """Receives the uses of one part of the batch after the other and keeps what is asked for."""

    def __init__(self, layers: Layers) -> None:
        self.layers = layers
        self.uncovered: dict[Slot, str] = {}
        self.switched_off: set[Slot] = set()
        self.reached: set[Layer] = set()
        self._parts: dict[Layer, list[Tensor | None]] = {layer: [] for layer in layers.layers}
        self._sizes: list[int] = []
        self._current: dict[Layer, Tensor] = {}
        self._capture: Capture

    def begin(self, capture: Capture, objective: Tensor) -> None:
        """Called before the backward pass of a part, of what is differentiated, and again when the part is repeated."""
        self._capture, self._current = capture, {}

    def end(self) -> None:
        """Called after a part's backward pass."""
        self.uncovered.update(self._capture.uncovered)
        self.switched_off |= self._capture.switched_off
        self._sizes.append(self._capture.n)
        for layer in self.layers.layers:
            self._parts[layer].append(self._current.get(layer))

    def receive(self, use: Use, grad: Tensor) -> None:
        """Takes one use of a layer and the gradient of its output."""
        slots = (self.layers.slot(use.call.weight), self.layers.slot(use.call.bias))
        for layer in dict.fromkeys(slot.layer for slot in slots if slot):
            self.reached.add(layer)
            self.take(layer, use, grad)

    @abstractmethod
    def take(self, layer: Layer, use: Use, grad: Tensor) -> None:
        """Takes a use for one of the layers whose parameters it has."""

    @property
    def map_receiver(self) -> MapReceiver | None:
        """What takes the linear maps; None where those are not wanted."""
        return None

    def alone(self, layer: Layer, use: Use) -> bool:
        """Whether the use is the layer's only one and has exactly its parameters, weight first."""
        parameters = [use.call.weight] if use.call.bias is None else [use.call.weight, use.call.bias]
        covered = not any(slot in self._capture.uncovered for slot in layer.slots)
        only = len(self._capture.uses[layer]) == 1
        return covered and only and layer.slots == [self.layers.slot(parameter) for parameter in parameters]

    def add(self, layer: Layer, width: int, columns: Tensor | slice, gradients: Tensor) -> None:
        """Adds gradients [part, columns] to the layer's vectors [part, width] of this part."""
        if layer not in self._current:
            self._current[layer] = gradients.new_zeros(gradients.shape[0], width)
        self._current[layer][:, columns] += gradients

    def joined(self, layer: Layer, width: int, like: Tensor) -> Tensor:
        """The layer's vectors of all parts [n, width]; zeros where no gradient arrived."""
        parts = zip(self._parts[layer], self._sizes, strict=True)
        return torch.cat([like.new_zeros(size, width) if part is None else part for part, size in parts])


class Together(Collector):
    """Hands what arrives on to several collectors; alone it notes which layers a gradient reaches.

    Args:
        layers: The model's layers.
        collectors: Who gets it.
    """

    def __init__(self, layers: Layers, collectors: Sequence[Collector]) -> None:
        super().__init__(layers)
        self.collectors = collectors

    @override
    def begin(self, capture: Capture, objective: Tensor) -> None:
        super().begin(capture, objective)
        for collector in self.collectors:
            collector.begin(capture, objective)

    @override
    def end(self) -> None:
        super().end()
        for collector in self.collectors:
            collector.end()

    @override
    def receive(self, use: Use, grad: Tensor) -> None:
        super().receive(use, grad)
        for collector in self.collectors:
            collector.receive(use, grad)

    @override
    def take(self, layer: Layer, use: Use, grad: Tensor) -> None:
        """Nothing to keep here."""

    @property
    @override
    def map_receiver(self) -> MapReceiver | None:
        return next((one.map_receiver for one in self.collectors if one.map_receiver), None)


class ReachCollector(Collector):
    """How large the output gradients of layers are."""

    def __init__(self, layers: Layers) -> None:
        super().__init__(layers)
        self._largest: list[tuple[Layer, Tensor]] = []

    @override
    def take(self, layer: Layer, use: Use, grad: Tensor) -> None:
        self._largest.append((layer, grad.abs().amax()))

    def largest(self) -> dict[Layer, float]:
        """The largest absolute output gradient of each layer that gets one; by one copy from the device."""
        found: dict[Layer, float] = {}
        if self._largest:
            values = torch.stack([largest for _, largest in self._largest]).tolist()
            for (layer, _), value in zip(self._largest, values, strict=True):
                found[layer] = max(value, found.get(layer, 0.0), key=lambda one: (math.isnan(one), one))
        return found


class MapCollector(Collector):
    """Looks at linear maps, convolutions and linear layers, whether their samples can be told apart or not."""

    @override
    def end(self) -> None:
        super().end()
        self.uncovered.clear()

    @override
    def take(self, layer: Layer, use: Use, grad: Tensor) -> None:
        """Nothing to keep here: linear maps come by `receive_output` and `receive_input`."""

    @property
    @override
    def map_receiver(self) -> MapReceiver:
        return self

    def receive_output(self, one: LinearMap, grad: Tensor) -> None:
        """Takes a map and the gradient of its output."""

    def receive_input(self, one: LinearMap, grad: Tensor) -> None:
        """Takes a map and the gradient of its input."""


class DepthCollector(MapCollector):
    """How many convolutions and linear layers follow one another.

    Attributes:
        depth: The most on one path from the inputs to what is differentiated.
    """

    depth = 0

    @override
    def begin(self, capture: Capture, objective: Tensor) -> None:
        super().begin(capture, objective)
        self.depth = longest_path(objective)


class RankCollector(MapCollector):
    """Effective ranks of the tensors that go into linear maps, and of the gradients of these tensors.

    The rows are positions of samples and the columns channels. A tensor that goes into several layers counts once, for
    the first of them. Of very many rows some are drawn; where the batch comes in parts, each part gives its share.

    Args:
        layers: The model's layers.
        parts: In how many parts the batch comes.
        seed: For the draws.
    """

    def __init__(self, layers: Layers, parts: int, seed: int) -> None:
        super().__init__(layers)
        self.parts, self.seed = parts, seed
        self._features: dict[_Key, list[Tensor]] = {}
        self._gradients: dict[_Key, list[Tensor]] = {}
        self._run: dict[_Key, tuple[bool, float]] = {}
        self._now: list[tuple[dict[_Key, list[Tensor]], _Key, Tensor]] = []

    @override
    def begin(self, capture: Capture, objective: Tensor) -> None:
        super().begin(capture, objective)
        self._now = []

    @override
    def end(self) -> None:
        super().end()
        for kept, key, rows in self._now:
            kept.setdefault(key, []).append(rows)
        self._now = []
        for one in self._capture.maps:
            self._run[one.layer, one.index] = one.differentiable, one.operations / self._capture.n

    @override
    def receive_output(self, one: LinearMap, grad: Tensor) -> None:
        """Keeps the features that the output depends on."""
        rows = one.rule.rows(one.call.input)
        if one.rule.position_wise:
            rows = rows * (one.rule.rows(grad) != 0).any(1, keepdim=True)
        self._keep(self._features, (one.layer, one.index), rows)

    @override
    def receive_input(self, one: LinearMap, grad: Tensor) -> None:
        """Keeps the gradients of the features."""
        self._keep(self._gradients, (one.layer, one.index), one.rule.rows(grad))

    def _keep(self, kept: dict[_Key, list[Tensor]], key: _Key, rows: Tensor) -> None:
        rows = some_rows(rows, -(-most_rows(rows.shape[1]) // self.parts), self.seed)
        self._now.append((kept, key, rows if self.parts > 1 else _rank(rows)))

    def ranks(self) -> dict[Layer, Tensor]:
        """Of each layer [5]: `knas.observations.EffectiveRanks` of its input.

        Several uses of a layer count by their mean, with the operations of all. What runs and is not reached by a
        gradient has rank 0, and a tensor that comes before any layer has no gradient: both numbers are 0.
        """
        found: dict[Layer, list[Tensor]] = {}
        operations: dict[Layer, float] = {}
        for (layer, index), (differentiable, count) in self._run.items():
            features = self._rank(self._features.get((layer, index)))
            gradients = self._rank(self._gradients.get((layer, index)))
            found.setdefault(layer, []).append(
                torch.cat([features, gradients if differentiable else 0 * gradients])
            )
            operations[layer] = operations.get(layer, 0.0) + count
        means = {layer: torch.stack(found[layer]).mean(0) for layer in self.layers.layers if layer in found}
        return {
            layer: torch.cat([mean, mean.new_tensor([operations[layer]])]) for layer, mean in means.items()
        }

    def _rank(self, kept: list[Tensor] | None) -> Tensor:
        if kept is None:
            return self.layers.like.new_tensor([0, 1], dtype=torch.float64)
        return kept[0] if self.parts == 1 else _rank(torch.cat(kept))


_Key = tuple[Layer, int]


def _rank(rows: Tensor) -> Tensor:
    """The rank and the largest that it could be [2]."""
    rank = effective_rank(rows)
    return torch.stack([rank, rank.new_full((), min(rows.shape))])


class SampledCollector(Collector):
    """Sampled per-sample gradients [n, s] of each layer; statistics instead, at once, where `fuse` allows it.

    Args:
        layers: The model's layers.
        entries: The sampled entries of each layer, on the model's device.
        fuse: Whether the whole batch comes in one part and its `native.STATISTICS` are all that is wanted.
        grouped: Whether those of all layers are taken together after the backward pass, by `native.grouped_gram`.
    """

    def __init__(
        self, layers: Layers, entries: Mapping[Layer, Tensor], *, fuse: bool, grouped: bool = False
    ) -> None:
        super().__init__(layers)
        self.entries, self.fuse, self.grouped = entries, fuse, grouped
        self.statistics: dict[Layer, Tensor] = {}
        self._waiting: dict[Layer, native.SampledLayer] = {}

    @override
    def begin(self, capture: Capture, objective: Tensor) -> None:
        super().begin(capture, objective)
        self.statistics, self._waiting = {}, {}

    @override
    def end(self) -> None:
        super().end()
        if self._waiting:
            rows = native.grouped_gram(list(self._waiting.values())).unbind()
            self.statistics.update(zip(self._waiting, rows, strict=True))
            self._waiting = {}

    @override
    def take(self, layer: Layer, use: Use, grad: Tensor) -> None:
        entries = self.entries[layer]
        if entries.numel() == 0:
            return
        alone = self.alone(layer, use)
        if alone and self.fuse:
            later = use.rule.layer(use.call, grad, entries) if self.grouped else None
            if later:
                self._waiting[layer] = later
            else:
                self.statistics[layer] = use.rule.statistics(use.call, grad, entries)
        elif alone:
            self.add(layer, entries.numel(), slice(None), use.rule.sampled(use.call, grad, entries))
        else:
            columns, numbers = self._columns(layer, use)
            self.add(layer, entries.numel(), columns, use.rule.sampled(use.call, grad, numbers))

    def _columns(self, layer: Layer, use: Use) -> tuple[Tensor, Tensor]:
        """Which of the layer's entries belong to the use's parameters, and their numbers in the rule's order."""
        entries = self.entries[layer]
        columns, numbers = [], []
        bases = ((use.call.weight, 0), (use.call.bias, use.rule.weight_size(use.call)))
        for parameter, base in bases:
            slot = self.layers.slot(parameter)
            if slot and slot.layer is layer and slot not in self._capture.uncovered:
                inside = slot.holds(entries)
                columns.append(inside.nonzero().flatten())
                numbers.append(entries[inside] - slot.offset + base)
        empty = entries.new_zeros(0)
        return torch.cat([empty, *columns]), torch.cat([empty, *numbers])


class FullCollector(Collector):
    """Gram matrices [n, n] of all parameters of each layer, or their vectors [n, p] where a layer needs several parts.

    Args:
        layers: The model's layers.
        fuse: Whether the whole batch comes in one part, so that a layer's matrix may come from its input and output
            gradient at once.
        wanted: The layers of this round; the others are left out.
    """

    def __init__(self, layers: Layers, *, fuse: bool, wanted: set[Layer]) -> None:
        super().__init__(layers)
        self.fuse, self.wanted = fuse, wanted
        self.matrices: dict[Layer, Tensor] = {}

    @classmethod
    def rounds(cls, layers: Layers, sizes: Sequence[int], like: Tensor) -> list[FullCollector]:
        """One for each round over a batch of these parts: layers whose vectors [n, p] fit the memory share one."""
        if len(sizes) == 1:
            return [cls(layers, fuse=True, wanted=set(layers.layers))]
        limit = activation_budget(like.device) / 4
        groups: list[set[Layer]] = [set()]
        filled = 0.0
        for layer in layers.layers:
            size = sum(sizes) * layer.size * like.element_size()
            if filled and filled + size > limit:
                groups.append(set())
                filled = 0.0
            groups[-1].add(layer)
            filled += size
        return [cls(layers, fuse=False, wanted=wanted) for wanted in groups]

    @override
    def begin(self, capture: Capture, objective: Tensor) -> None:
        super().begin(capture, objective)
        self.matrices = {}

    @override
    def take(self, layer: Layer, use: Use, grad: Tensor) -> None:
        if layer not in self.wanted:
            return
        if self.fuse and self.alone(layer, use):
            self.matrices[layer] = use.rule.gram(use.call, grad)
            return
        parts = zip((use.call.weight, use.call.bias), use.rule.per_sample(use.call, grad), strict=True)
        for parameter, gradients in parts:
            slot = self.layers.slot(parameter)
            if slot and gradients is not None and slot.layer is layer and slot not in self._capture.uncovered:
                self.add(layer, layer.size, slice(slot.offset, slot.offset + slot.size), gradients)

    def matrix(self, layer: Layer, like: Tensor) -> Tensor:
        """The layer's Gram matrix once all parts are in."""
        if layer in self.matrices:
            return self.matrices[layer]
        vectors = self.joined(layer, layer.size, like)
        for slot in layer.slots:
            if slot in self.uncovered:  # in some part, so that what the others gave is not all
                vectors[:, slot.offset : slot.offset + slot.size] = 0
        return native.gram_matrix(vectors)
