"""Linear layers at any number of positions: d f_i / d w[o, c] = sum_t delta_i[t, o] a_i[t, c]."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.nn import functional as F
from typing_extensions import override

from knas import native
from knas.gradients.arguments import arguments
from knas.gradients.forms import Size, cheapest, gram_of_positions
from knas.gradients.rules.base import Call, Rule

#: Kernel size, stride, padding, dilation and groups of the convolution that a linear layer is over its positions.
_POINTWISE = (1,), (1,), (0,), (1,), 1


class LinearRule(Rule):
    """F.linear on inputs [n, ..., in_features]."""

    linear_map = position_wise = True
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
    def layer(self, call: Call, grad: Tensor, entries: Tensor) -> native.SampledLayer:
        return native.SampledLayer("linear", (*_positions(call.input, grad), entries))

    @override
    def per_sample(self, call: Call, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        input, deltas = _positions(call.input, grad)
        weight = native.conv_per_sample_gradients(input.mT, deltas.mT, *_POINTWISE)
        return weight, _bias(deltas) if call.bias is not None else None

    @override
    def rows(self, values: Tensor) -> Tensor:
        return values.flatten(0, -2)

    @override
    def gram(self, call: Call, grad: Tensor) -> Tensor:
        input, deltas = _positions(call.input, grad)
        n, positions, outputs = deltas.shape
        if cheapest(Size(n, positions, outputs, input.shape[2])) == "per-sample":
            matrix = native.conv_gram_matrix(input.mT, deltas.mT, *_POINTWISE)
        else:
            matrix = gram_of_positions(input, deltas)
        return matrix + native.gram_matrix(_bias(deltas)) if call.bias is not None else matrix


def _bias(deltas: Tensor) -> Tensor:
    return deltas.sum(1, dtype=native.accumulate_type(deltas))


def _positions(input: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
    n = input.shape[0]
    return input.reshape(n, -1, input.shape[-1]), grad.reshape(n, -1, grad.shape[-1])
