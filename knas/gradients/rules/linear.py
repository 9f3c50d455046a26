"""Linear layers at any number of positions: d f_i / d w[o, c] = sum_t delta_i[t, o] a_i[t, c]."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import override

from knas import native
from knas.gradients.arguments import arguments
from knas.gradients.rules.base import Call, Rule


class LinearRule(Rule):
    """F.linear on inputs [n, ..., in_features]."""

    sequence_axes = True

    @override
    def functions(self) -> tuple[Callable[..., Any], ...]:
        return (F.linear,)

    @override
    def bind(self, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any] | None) -> Call:
        call = arguments({"input": None, "weight": None, "bias": None}, args, kwargs)
        return Call(call["input"], call["weight"], call["bias"])

    @override
    def unusable(self, call: Call, n: int) -> str | None:
        if call.input.dim() < 2:
            return f"its input {list(call.input.shape)} has no axis of samples"
        return super().unusable(call, n)

    @override
    def sampled(self, call: Call, grad: Tensor, entries: Tensor) -> Tensor:
        return native.linear_sampled_gradients(*_positions(call.input, grad), entries)

    @override
    def statistics(self, call: Call, grad: Tensor, entries: Tensor) -> Tensor:
        return native.linear_gram(*_positions(call.input, grad), entries)

    @override
    def per_sample(self, call: Call, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        input, deltas = _positions(call.input, grad)  # [n, t, in], [n, t, out]
        weight = torch.bmm(deltas.transpose(1, 2), input).flatten(1)
        return weight, deltas.sum(1) if call.bias is not None else None


def _positions(input: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
    n = input.shape[0]
    return input.reshape(n, -1, input.shape[-1]), grad.reshape(n, -1, grad.shape[-1])
