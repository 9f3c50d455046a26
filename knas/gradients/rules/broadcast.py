"""Parameters that a model uses by themselves: added to every sample, multiplied with it, or handed to each as a copy.

Positions that are added, scales of branches, and tokens that stand before a sequence: d f_i / d w is the gradient of
the sample's own copy of w (times the other factor), summed over the positions that share an entry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from knas import native
from knas.gradients.rules.base import Call, Rule

_NO_USE = Call(torch.empty(0), None, None)
"""What a call without a parameter is bound to."""


class BroadcastRule(Rule):
    """A parameter w that is broadcast over the samples; `call.input` has the output's shape [n, ...]."""

    @override
    def ambiguous(self, call: Call, n: int) -> bool:
        """Always: a table of n positions looks like n samples."""
        return n > 1

    @override
    def unusable(self, call: Call, n: int) -> str | None:
        assert call.weight is not None
        if reason := super().unusable(call, n):
            return reason
        shape, own = call.input.shape, call.weight.shape
        if len(own) > len(shape) or torch.broadcast_shapes(shape, own) != shape:
            return f"its shape {list(own)} does not fit into the other's, {list(shape)}"
        if len(own) == len(shape) and own[0] != 1:
            return f"its shape {list(own)} has an axis of samples"
        return None

    def copies(self, call: Call, grad: Tensor) -> Tensor:
        """The gradients [n, ...] of the copies that the samples have of w, shaped like the output."""
        return grad

    @override
    def per_sample(self, call: Call, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        assert call.weight is not None
        copies, own = self.copies(call, grad), list(call.weight.shape)
        axes = copies.dim() - 1
        own = [1] * (axes - len(own)) + own[-axes:] if axes else []
        shared = [axis + 1 for axis, size in enumerate(own) if size == 1]
        if shared:
            copies = copies.sum(shared, keepdim=True, dtype=native.accumulate_type(copies))
        return copies.flatten(1) if axes else copies[:, None], None

    @override
    def sampled(self, call: Call, grad: Tensor, entries: Tensor) -> Tensor:
        rows, _ = self.per_sample(call, grad)
        assert rows is not None
        return rows[:, entries].to(native.accumulate_type(rows))


class SumRule(BroadcastRule):
    """a + w."""

    @override
    def functions(self) -> tuple[Callable[..., Any], ...]:
        return torch.add, torch.Tensor.add

    @override
    def bind(self, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any] | None) -> Call:
        return _NO_USE if kwargs else _of_two(args)


class ProductRule(BroadcastRule):
    """a * w."""

    @override
    def functions(self) -> tuple[Callable[..., Any], ...]:
        return torch.mul, torch.Tensor.mul, torch.multiply, torch.Tensor.multiply

    @override
    def bind(self, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any] | None) -> Call:
        return _NO_USE if kwargs else _of_two(args)

    @override
    def copies(self, call: Call, grad: Tensor) -> Tensor:
        return grad * call.input


class CopyRule(BroadcastRule):
    """w.expand(n, ...) and w.repeat(n, 1, ...)."""

    @override
    def functions(self) -> tuple[Callable[..., Any], ...]:
        return torch.Tensor.expand, torch.Tensor.repeat

    @override
    def bind(self, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any] | None) -> Call:
        if kwargs or not isinstance(args[0], nn.Parameter):
            return _NO_USE
        return Call(func(args[0].detach(), *args[1:]), args[0], None)


def _of_two(args: Sequence[Any]) -> Call:
    """The tensor and the parameter of a sum or product."""
    if len(args) == 2 and all(isinstance(one, Tensor) for one in args):
        for this, other in (args, args[::-1]):
            if isinstance(other, nn.Parameter):
                return Call(this, other, None)
    return _NO_USE
