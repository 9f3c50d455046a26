"""The layers of a model: modules that own parameters, and where each parameter lies in its layer's gradient vector."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn

from knas import native
from knas.errors import UsageError


@dataclass(eq=False)
class Slot:
    """One parameter of a layer: entries offset .. offset + size - 1 of the layer's gradient vector."""

    name: str
    parameter: nn.Parameter
    layer: Layer
    offset: int

    @property
    def size(self) -> int:
        """Number of entries."""
        return self.parameter.numel()

    @property
    def is_weight(self) -> bool:
        """Whether it has two or more axes, as in convolutions, linear layers and embeddings."""
        return self.parameter.dim() >= 2

    def holds(self, entries: Tensor) -> Tensor:
        """Which of the layer's entries [s] belong to this parameter: bool [s]."""
        return (entries >= self.offset) & (entries < self.offset + self.size)


@dataclass(eq=False)
class Layer:
    """A module's own parameters, in the order of their registration, flattened one after the other.

    `name` is the module's path (the model's class for parameters of the model itself), `kind` the module's class.
    """

    name: str
    kind: str
    slots: list[Slot] = field(default_factory=list)

    @property
    def size(self) -> int:
        """p: entries of the layer's gradient vector."""
        return sum(slot.size for slot in self.slots)

    @property
    def has_weights(self) -> bool:
        """Whether it does more than to scale and shift."""
        return any(slot.is_weight for slot in self.slots)


@dataclass(frozen=True)
class Layers:
    """All layers with trainable parameters, the slot of each parameter by identity, and the frozen ones' names."""

    layers: list[Layer]
    slots: dict[int, Slot]
    frozen: list[str]

    @property
    def like(self) -> Tensor:
        """An empty tensor of the type that gradients are accumulated in, on their device."""
        first = self.layers[0].slots[0].parameter
        return first.new_empty(0, dtype=native.accumulate_type(first))

    def slot(self, value: object) -> Slot | None:
        """The slot of a parameter of the model; None for anything else."""
        return self.slots.get(id(value)) if isinstance(value, Tensor) else None


def layers_of(model: nn.Module) -> Layers:
    """Lists the layers of a model; a parameter that several modules share belongs to the first."""
    found = Layers([], {}, [])
    for path, module in walk(model):
        layer = Layer(path or type(model).__name__, type(module).__name__)
        for leaf, parameter in module._parameters.items():
            if parameter is None:
                continue
            name = f"{path}.{leaf}" if path else leaf
            if id(parameter) in found.slots or name in found.frozen:
                continue
            if not parameter.requires_grad or parameter.numel() == 0:
                found.frozen.append(name)
                continue
            slot = Slot(name, parameter, layer, layer.size)
            layer.slots.append(slot)
            found.slots[id(parameter)] = slot
        if layer.slots:
            found.layers.append(layer)
    return found


def no_parameters() -> UsageError:
    """The error of a model that nothing can be said about, since nothing of it is to be trained."""
    return UsageError("model: no trainable parameters; give one whose parameters have requires_grad=True")


def walk(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """`model.named_modules()`, whose nested generators take several times as long in deep models."""
    found: list[tuple[str, nn.Module]] = []
    seen: set[int] = set()

    def visit(path: str, module: nn.Module) -> None:
        seen.add(id(module))
        found.append((path, module))
        for name, child in module._modules.items():
            if child is not None and id(child) not in seen:
                visit(f"{path}.{name}" if path else name, child)

    visit("", model)
    return found
