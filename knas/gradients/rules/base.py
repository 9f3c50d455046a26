"""What a per-sample gradient rule answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from knas import native


@dataclass
class Call:
    """One call of a layer's function: its input, its parameters, and what else the rule needs."""

    input: Tensor
    weight: Tensor | None
    bias: Tensor | None
    geometry: tuple[Any, ...] = ()
    extra: list[Tensor] = field(default_factory=list)


class Rule(ABC):
    """Per-sample gradients of one kind of layer from its input and the gradient of its output.

    Entries are numbered through the weight and then the bias: `entries` >= `weight_size(call)` lie in the bias.
    """

    @abstractmethod
    def functions(self) -> tuple[Callable[..., Any], ...]:
        """The torch functions that the rule covers."""

    @abstractmethod
    def bind(self, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any] | None) -> Call:
        """Reads a call's arguments."""

    def run(
        self, func: Callable[..., Any], call: Call, args: Sequence[Any], kwargs: Mapping[str, Any] | None
    ) -> Tensor:
        """Calls the function; a rule that needs something of the computation keeps it in `call.extra`."""
        return func(*args, **(kwargs or {}))  # type: ignore[no-any-return]

    def unusable(self, call: Call, n: int) -> str | None:
        """Why the call's samples cannot be told apart; None when the first axis of the input may hold them."""
        shape = list(call.input.shape)
        if not shape or shape[0] != n:
            return f"its input {shape} does not have the {n} samples along its first axis"
        return None

    def shared(self, call: Call) -> bool:
        """Whether all samples share the call's output, which has a first axis of 1 to be added to theirs."""
        return False

    def ambiguous(self, call: Call, n: int) -> bool:
        """Whether the second axis may as well be the samples' (sequence-first models)."""
        shape = call.input.shape
        return self.sequence_axes and len(shape) > self.least_axes and shape[1] == n > 1

    linear_map = False
    """Whether the output is a linear map of the input by the weight; then the rule has `rows`."""

    position_wise = False
    """Whether an output's position depends on the input at the same position alone."""

    sequence_axes = False
    least_axes = 2

    def weight_size(self, call: Call) -> int:
        """Number of entries before the bias; a rule whose call may lack the weight says how many those would be."""
        assert call.weight is not None
        return call.weight.numel()

    def operations(self, call: Call, output: Tensor) -> int:
        """Floating point operations of a linear map, 2 for each multiply-add; 0 for a rule that is none."""
        if not self.linear_map:
            return 0
        assert call.weight is not None
        return 2 * output.numel() * call.weight[0].numel()

    @abstractmethod
    def sampled(self, call: Call, grad: Tensor, entries: Tensor) -> Tensor:
        """Sampled per-sample gradients [n, s]."""

    @abstractmethod
    def per_sample(self, call: Call, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """All per-sample gradients [n, weight size] and [n, bias size]; None for a parameter that the call lacks."""

    def rows(self, values: Tensor) -> Tensor:
        """The input or output of a linear map, or the gradient of one, as rows [N, channels], one for each position."""
        raise NotImplementedError

    def layer(self, call: Call, grad: Tensor, entries: Tensor) -> native.SampledLayer | None:
        """What the operators that never store the sampled gradients take; None where there is none for the rule."""
        return None

    def statistics(self, call: Call, grad: Tensor, entries: Tensor) -> Tensor:
        """`knas.native.STATISTICS` of the sampled gradients."""
        if layer := self.layer(call, grad, entries):
            return native.layer_gram(layer)
        return native.gram_statistics(self.sampled(call, grad, entries))[: len(native.STATISTICS)]

    def gram(self, call: Call, grad: Tensor) -> Tensor:
        """Gram matrix [n, n] of all per-sample gradients of the call."""
        parts = [part for part in self.per_sample(call, grad) if part is not None]
        return torch.stack([native.gram_matrix(part) for part in parts]).sum(0)
