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
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from knas.errors import KnasError
from knas.gradients.batch_norm import BatchNormStatistics
from knas.gradients.layers import Layer, Layers, Slot
from knas.gradients.rules import RULES, Call, Rule


class OverBudget(Exception):
    """The forward pass made more bytes of activations than it may."""


class AmbiguousSamples(Exception):
    """A layer's input has two axes of size n, so that a probe must tell which holds the samples."""


@dataclass(eq=False)
class Use:
    """One call of a layer's function in the forward pass, waiting for the gradient of its output.

    `first` says that no earlier call of a linear map had the same tensor for its input, and `differentiable` that this
    tensor comes after the first layer, so that it has a gradient.
    """

    index: int
    rule: Rule
    call: Call
    version: int
    first: bool = True
    differentiable: bool = True

    @property
    def overwritten(self) -> bool:
        """Whether the captured input was changed in place after the call."""
        return self.call.input._version != self.version

    def release(self) -> None:
        """Lets go of the captured input."""
        self.call.input = self.call.input.new_empty(0)
        self.call.extra = []


@dataclass(eq=False)
class Shared:
    """A layer's output [1, ...] that all samples share, such as the embeddings of the positions, before it is added."""

    output: Tensor
    index: int
    rule: Rule
    call: Call
    slots: list[Slot]


#: Takes a use and the gradient of its output (or of its input), as the backward pass reaches it.
Receiver = Callable[[Use, Tensor], None]


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
        receive_input: Called in the backward pass with the first use of each tensor that is the input of linear maps,
            and the gradient of that tensor; None where nobody wants those.
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
        receive_input: Receiver | None = None,
    ) -> None:
        super().__init__()
        self.receive_input = receive_input
        self._inputs: dict[int, weakref.ref[Tensor]] = {}
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

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Watches the calls that take one of the model's parameters."""
        if func is F.batch_norm:
            func, args, kwargs = self.statistics.replace(args, kwargs)
        if self.shared and func in _SUMS and len(args) == 2:
            args = self._own_copies(args)
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
            args, kwargs = _with_copied_input(args, kwargs)
            call = rule.bind(func, args, kwargs)
        output = rule.run(func, call, args, kwargs)
        self.first_axes.append(call.input.shape[0] if call.input.dim() else 0)
        if not torch.is_grad_enabled():
            self.switched_off.update(slots)
            return output
        index = len(self.first_axes) - 1
        if self.n > 1 and rule.shared(call):
            self.shared[id(output)] = Shared(output, index, rule, call, slots)
            return output
        if reason := self._unusable(rule, call, index):
            self.uncovered.update((slot, f"{getattr(func, '__name__', func)}: {reason}") for slot in slots)
            return output
        return self._watch(index, rule, call, slots, output)

    def _unusable(self, rule: Rule, call: Call, index: int) -> str | None:
        reason = rule.unusable(call, self.n)
        if reason or not rule.ambiguous(call, self.n):
            return reason
        if self.samples_first is None:
            raise AmbiguousSamples
        return None if self.samples_first[index] else "its samples are not along the first axis of its input"

    def _watch(self, index: int, rule: Rule, call: Call, slots: list[Slot], output: Tensor) -> Tensor:
        source, call.input = call.input, call.input.detach()
        use = Use(index, rule, call, call.input._version)
        if self.receive_input and rule.linear_map:
            self._watch_input(use, source, self.receive_input)
        for layer in {slot.layer for slot in slots}:
            self.uses.setdefault(layer, []).append(use)
        if not output.requires_grad:
            output = start(output.clone() if output._is_view() else output, self.anchor)
        output.register_hook(lambda grad: self._receive(use, grad))
        return output

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
        return addend.requires_grad and addend.dim() == shared.dim() and addend.shape[0] == self.n

    def _watch_input(self, use: Use, source: Tensor, receive: Receiver) -> None:
        known = self._inputs.get(id(source))
        use.first, use.differentiable = known is None or known() is not source, source.requires_grad
        self._inputs[id(source)] = weakref.ref(source)
        if use.first and source.requires_grad:
            source.register_hook(lambda grad: receive(use, grad.detach()))

    def _receive(self, use: Use, grad: Tensor) -> None:
        if use.overwritten:
            raise KnasError("model: its backward pass overwrites the input of a layer in place")
        if use.call.input.is_floating_point() and use.call.input.dtype != grad.dtype:  # autocast
            use.call.input = use.call.input.to(grad.dtype)
        self.receive(use, grad.detach())
        use.release()

    def overwritten(self) -> frozenset[int]:
        """Indices of the uses whose input the forward pass changed in place afterwards.

        The pass needs another round then, in which those uses get copies.
        """
        return frozenset(use.index for uses in self.uses.values() for use in uses if use.overwritten)

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


def _with_copied_input(
    args: tuple[Any, ...], kwargs: Mapping[str, Any] | None
) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    if args:
        return (args[0].clone(), *args[1:]), kwargs or {}
    assert kwargs
    return args, {**kwargs, "input": kwargs["input"].clone()}


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
