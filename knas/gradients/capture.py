"""Captures the input and output gradient of every layer in one forward and one backward pass.

Functions are intercepted, not modules: whatever calls `conv2d`, `linear`, ... with a parameter of the model is a
layer's use, in custom modules and functional code too, and nothing is left behind on the caller's model. With all
parameters frozen the backward pass computes activation gradients only.
"""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from knas.errors import KnasError
from knas.gradients.attention import attention
from knas.gradients.batch_norm import BatchNormStatistics
from knas.gradients.depth import count_in_paths
from knas.gradients.layers import Layer, Layers, Slot
from knas.gradients.rules import RULES, Call, Rule


class OverBudget(Exception):
    """The forward pass made more bytes of activations than it may."""


class AmbiguousSamples(Exception):
    """A layer's input has two axes of size n, so that a probe must tell which holds the samples."""


@dataclass(eq=False)
class Use:
    """One call of a layer's function in the forward pass, waiting for the gradient of its output."""

    index: int
    rule: Rule
    call: Call
    version: int

    @property
    def overwritten(self) -> bool:
        """Whether the captured input was changed in place after the call."""
        return self.call.input._version != self.version

    def release(self) -> None:
        """Lets go of the captured input."""
        self.call.input = self.call.input.new_empty(0)
        self.call.extra = []


@dataclass(eq=False)
class LinearMap(Use):
    """One call of a convolution or linear layer with a new tensor, whether its samples can be told apart or not.

    `layer` is the one that owns the weight, `differentiable` says that the tensor comes after the first layer, so that
    it has a gradient, and `operations` are those of all layers that it goes into.
    """

    layer: Layer
    differentiable: bool
    operations: int


@dataclass(eq=False)
class Shared:
    """A layer's output [1, ...] that all samples share, such as the embeddings of the positions, before it is added."""

    output: Tensor
    index: int
    rule: Rule
    call: Call
    slots: list[Slot]


#: Takes a use and the gradient of its output, as the backward pass reaches it.
Receiver = Callable[[Use, Tensor], None]


class MapReceiver(Protocol):
    """Takes linear maps as the backward pass reaches them."""

    def receive_output(self, one: LinearMap, grad: Tensor) -> None:
        """Takes a map and the gradient of its output."""

    def receive_input(self, one: LinearMap, grad: Tensor) -> None:
        """Takes a map and the gradient of its input."""


class _Start(torch.autograd.Function):
    """Makes a tensor depend on an anchor, so that the backward pass reaches it.

    Nothing is copied, and in-place operations may follow, which a leaf that requires a gradient would forbid.
    """

    @staticmethod
    def forward(ctx: Any, output: Tensor, anchor: Tensor) -> Tensor:
        ctx.mark_dirty(output)
        return output

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, Tensor]:
        return None, torch.zeros(())


start: Callable[[Tensor, Tensor], Tensor] = _Start.apply


class Capture(TorchFunctionMode):
    """Records the uses of a model's layers while its forward pass runs within it.

    Args:
        layers: The model's layers.
        n: Number of samples, the size of the first axis of every layer's input.
        statistics: What BatchNorm layers normalize by.
        receive: Called in the backward pass with each use and the gradient of its output.
        copied: Indices of uses whose input is copied, since something overwrites it later.
        budget: Bytes of activations after which the pass gives up with `OverBudget`; None for no limit.
        samples_first: For each call of a layer in order, whether its first axis holds the samples, as a pass with
            another number of samples has shown (`first_axes`); without it an ambiguous call gives up with
            `AmbiguousSamples`.
        map_receiver: Takes the linear maps, of tensors that go into several the first; None where nobody wants those.

    Attributes:
        operations: Floating point operations of the layers' convolutions and matrix products, for all n samples.
    """

    def __init__(
        self,
        layers: Layers,
        n: int,
        statistics: BatchNormStatistics,
        receive: Receiver,
        copied: frozenset[int] = frozenset(),
        budget: float | None = None,
        samples_first: Sequence[bool] | None = None,
        map_receiver: MapReceiver | None = None,
    ) -> None:
        super().__init__()
        self.map_receiver = map_receiver
        self.maps: list[LinearMap] = []
        self._inputs: dict[int, tuple[weakref.ref[Tensor], LinearMap]] = {}
        self.operations: dict[Layer, int] = {}
        self.layers, self.n, self.statistics = layers, n, statistics
        self.receive, self.copied, self.samples_first = receive, copied, samples_first
        self.budget = float("inf") if budget is None else budget
        self.anchor = torch.zeros((), requires_grad=True)
        self.uses: dict[Layer, list[Use]] = {}
        self.shared: dict[int, Shared] = {}
        self.uncovered: dict[Slot, str] = {}
        self.switched_off: set[Slot] = set()
        self.first_axes: list[int] = []
        self.bytes = 0
        self._sure = True  # that what requires a gradient comes of a layer whose first axis holds the samples

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Watches the calls that take one of the model's parameters."""
        if func is F.batch_norm:
            func, args, kwargs = self.statistics.replace(args, kwargs)
        if self.shared and func in _SUMS and len(args) == 2:
            args = self._own_copies(args)
        if func is F.multi_head_attention_forward:
            with self:
                return attention(*args, **(kwargs or {}))
        rule = RULES.get(func)
        output = self._layer(rule, func, args, kwargs) if rule else None
        if output is None:
            output = func(*args, **(kwargs or {}))
            self._note_other_uses(func, args, kwargs, output)
        if isinstance(output, Tensor) and not output._is_view():
            self.bytes += output.nbytes
            if self.bytes > self.budget:
                raise OverBudget
        return output

    def _layer(
        self, rule: Rule, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any] | None
    ) -> Tensor | None:
        call = rule.bind(func, args, kwargs)
        slots = [slot for slot in (self.layers.slot(call.weight), self.layers.slot(call.bias)) if slot]
        if not slots or self.layers.slot(call.input) or id(call.input) in self.shared:
            return None
        if len(self.first_axes) in self.copied:
            args, kwargs = _with_copied(call.input, args, kwargs)
            call = rule.bind(func, args, kwargs)
        output = rule.run(func, call, args, kwargs)
        owner, operations = self.layers.slot(call.weight), rule.operations(call, output)
        if owner and operations:
            self.operations[owner.layer] = self.operations.get(owner.layer, 0) + operations
        self.first_axes.append(call.input.shape[0] if call.input.dim() else 0)
        if not torch.is_grad_enabled():
            self.switched_off.update(slots)
            return output
        index = len(self.first_axes) - 1
        watched = self.map_receiver is not None
        if self.n > 1 and rule.shared(call):
            output = self._started(output) if watched else output
            self.shared[id(output)] = Shared(output, index, rule, call, slots)
        elif reason := self._unusable(rule, call, index):
            self.uncovered.update((slot, f"{getattr(func, '__name__', func)}: {reason}") for slot in slots)
            self._sure &= output.requires_grad or not watched
            output = self._started(output) if watched else output
        else:
            output = self._watch(index, rule, call, slots, output)
        if watched and rule.linear_map and owner:
            count_in_paths(output)
            source = args[0] if args else (kwargs or {})["input"]  # which the rule may have padded
            call = dataclasses.replace(call, input=source.detach())
            one = LinearMap(index, rule, call, source._version, owner.layer, source.requires_grad, operations)
            self._watch_map(one, source, output)
        return output

    def _unusable(self, rule: Rule, call: Call, index: int) -> str | None:
        reason = rule.unusable(call, self.n)
        if reason or not rule.ambiguous(call, self.n):
            return reason
        if self.samples_first is None:
            raise AmbiguousSamples
        return None if self.samples_first[index] else "its samples are not along the first axis of its input"

    def _watch(self, index: int, rule: Rule, call: Call, slots: list[Slot], output: Tensor) -> Tensor:
        call.input = call.input.detach()
        use = Use(index, rule, call, call.input._version)
        for layer in {slot.layer for slot in slots}:
            self.uses.setdefault(layer, []).append(use)
        output = self._started(output)
        output.register_hook(lambda grad: self._receive(use, grad))
        return output

    def _started(self, output: Tensor) -> Tensor:
        """The output, made to depend on the anchor where it depends on nothing yet."""
        if output.requires_grad:
            return output
        return start(output.clone() if output._is_view() else output, self.anchor)

    def _own_copies(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """In the arguments of a sum, an output [1, ...] that all samples share becomes one [n, ...] that is watched.

        Its gradient is that of each sample's own copy, which the sum would otherwise add up over the samples.
        """
        for this, other in ((0, 1), (1, 0)):
            shared, addend = self.shared.get(id(args[this])), args[other]
            if shared and isinstance(addend, Tensor) and self._of_samples(addend, shared.output):
                call = dataclasses.replace(shared.call, input=_expanded(shared.call.input, self.n))
                copies = _expanded(shared.output, self.n)
                own = self._watch(shared.index, shared.rule, call, shared.slots, copies)
                return (own, addend) if this == 0 else (addend, own)
        return args

    def _of_samples(self, addend: Tensor, shared: Tensor) -> bool:
        # What comes from no layer requires no gradient, and its first axis may be n by chance.
        return (
            self._sure and addend.requires_grad and addend.dim() == shared.dim() and addend.shape[0] == self.n
        )

    def _watch_map(self, one: LinearMap, source: Tensor, output: Tensor) -> None:
        receiver = self.map_receiver
        assert receiver
        reference, first = self._inputs.get(id(source), (None, one))
        if reference is not None and reference() is source:
            first.operations += one.operations
            return
        self._inputs[id(source)] = weakref.ref(source), one

        def output_grad(grad: Tensor) -> None:
            self._refuse_overwritten(one)
            receiver.receive_output(one, grad.detach())
            one.release()

        def input_grad(grad: Tensor | None) -> None:
            if grad is not None:  # as for a part of a split tensor that leads nowhere
                receiver.receive_input(one, grad.detach())

        self.maps.append(one)
        output.register_hook(output_grad)
        if source.requires_grad:
            source.register_hook(input_grad)

    def _receive(self, use: Use, grad: Tensor) -> None:
        self._refuse_overwritten(use)
        if use.call.input.is_floating_point() and use.call.input.dtype != grad.dtype:  # autocast
            use.call.input = use.call.input.to(grad.dtype)
        self.receive(use, grad.detach())
        use.release()

    def _refuse_overwritten(self, use: Use) -> None:
        if use.overwritten:
            raise KnasError("model: its backward pass overwrites the input of a layer in place")

    def overwritten(self) -> frozenset[int]:
        """Indices of the uses whose input the forward pass changed in place afterwards.

        The pass needs another round then, in which those uses get copies.
        """
        uses = chain(self.maps, *self.uses.values())
        return frozenset(use.index for use in uses if use.overwritten)

    def _note_other_uses(
        self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any] | None, output: Any
    ) -> None:
        slots = self._slots_among(args) + (self._slots_among(kwargs.values()) if kwargs else [])
        if not slots or func in _NO_GRADIENT or not _has_float_tensor(output):
            return
        if torch.is_grad_enabled():
            reason = f"no per-sample rule covers its use in {getattr(func, '__name__', func)}"
            self.uncovered.update({slot: reason for slot in slots if slot not in self.uncovered})
        else:
            self.switched_off.update(slots)

    def _slots_among(self, values: Iterable[Any]) -> list[Slot]:
        # Called for every function of the forward pass: no generator, and nested arguments only where there are any.
        found = [slot for value in values if (slot := self.layers.slots.get(id(value)))]
        if self.shared:
            found += [
                slot for value in values if (other := self.shared.get(id(value))) for slot in other.slots
            ]
        for value in values:
            if isinstance(value, tuple | list):
                found += self._slots_among(value)
        return found


def _expanded(tensor: Tensor, n: int) -> Tensor:
    """[1, ...] -> [n, ...]."""
    return tensor.expand(n, *tensor.shape[1:])


def _with_copied(
    input: Tensor, args: tuple[Any, ...], kwargs: Mapping[str, Any] | None
) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    """The arguments with a copy in the place of one of them."""
    copy = input.clone()
    return (
        tuple(copy if one is input else one for one in args),
        {name: copy if one is input else one for name, one in (kwargs or {}).items()},
    )


#: Sums of two tensors that leave the second as it is; within them a shared output may be the samples' own copies.
_SUMS = {torch.add, torch.Tensor.add, torch.Tensor.add_}

#: Functions that return a tensor made of a parameter, through which no gradient flows.
_NO_GRADIENT = {
    torch.Tensor.detach,
    torch.detach,
    torch.Tensor.data.__get__,  # type: ignore[attr-defined]
    torch.Tensor.grad.__get__,  # type: ignore[union-attr]
    torch.zeros_like,
    torch.ones_like,
    torch.empty_like,
    torch.rand_like,
    torch.randn_like,
    torch.full_like,
    torch.Tensor.new_zeros,
    torch.Tensor.new_ones,
    torch.Tensor.new_empty,
    torch.Tensor.new_full,
    torch.Tensor.new_tensor,
}


def _flatten(value: Any) -> Iterator[Any]:
    if isinstance(value, tuple | list):
        for item in value:
            yield from _flatten(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _flatten(item)
    else:
        yield value


def _has_float_tensor(output: Any) -> bool:
    return any(isinstance(value, Tensor) and value.is_floating_point() for value in _flatten(output))
