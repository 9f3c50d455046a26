"""Convolutions over 1 to 3 axes: d f_i / d w[o, c, u] = sum_t delta_i[o, t] a_i[c, t stride + u dilation - padding]."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import override

from knas import native
from knas.gradients.arguments import arguments
from knas.gradients.forms import Size, cheapest, gram_of_positions
from knas.gradients.rules.base import Call, Rule
from knas.library_products import patches

_CONVOLUTION = {
    "input": None,
    "weight": None,
    "bias": None,
    "stride": 1,
    "padding": 0,
    "dilation": 1,
    "groups": 1,
}


class ConvolutionRule(Rule):
    """F.conv1d, F.conv2d and F.conv3d with any stride, padding, dilation and groups."""

    linear_map = True

    @override
    def functions(self) -> tuple[Callable[..., Any], ...]:
        return F.conv1d, F.conv2d, F.conv3d

    @override
    def bind(self, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any] | None) -> Call:
        call = arguments(_CONVOLUTION, args, kwargs)
        input, kernel = call["input"], tuple(call["weight"].shape[2:])
        stride, dilation = _per_axis(call["stride"], len(kernel)), _per_axis(call["dilation"], len(kernel))
        if isinstance(call["padding"], str):
            input, padding = _named_padding(input, call["padding"], kernel, dilation)
        else:
            padding = _per_axis(call["padding"], len(kernel))
        return Call(input, call["weight"], call["bias"], (kernel, stride, padding, dilation, call["groups"]))

    @override
    def unusable(self, call: Call, n: int) -> str | None:
        if call.input.dim() != len(call.geometry[0]) + 2:
            return f"its input {list(call.input.shape)} has no axis of samples"
        return super().unusable(call, n)

    @override
    def sampled(self, call: Call, grad: Tensor, entries: Tensor) -> Tensor:
        return native.conv_sampled_gradients(call.input, grad, entries, *call.geometry)

    @override
    def layer(self, call: Call, grad: Tensor, entries: Tensor) -> native.SampledLayer:
        return native.SampledLayer("conv", (call.input, grad, entries, *call.geometry))

    @override
    def per_sample(self, call: Call, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        weight = native.conv_per_sample_gradients(call.input, grad, *call.geometry)
        return weight, _bias(grad) if call.bias is not None else None

    @override
    def rows(self, values: Tensor) -> Tensor:
        return values.movedim(1, -1).flatten(0, -2)

    @override
    def gram(self, call: Call, grad: Tensor) -> Tensor:
        matrix = _weight_gram(call, grad)
        return matrix + native.gram_matrix(_bias(grad)) if call.bias is not None else matrix


def _weight_gram(call: Call, grad: Tensor) -> Tensor:
    kernel, groups, positions = call.geometry[0], call.geometry[4], grad.shape[2:].numel()
    outputs, inputs = grad.shape[1] // groups, call.input.shape[1] // groups * math.prod(kernel)
    size = Size(grad.shape[0], positions, outputs, inputs, groups)
    if cheapest(size) == "per-sample":
        return native.conv_gram_matrix(call.input, grad, *call.geometry)
    seen = patches(call.input, grad.shape[2:], *call.geometry)  # [n, g, c * taps, t]
    deltas = grad.reshape(grad.shape[0], groups, outputs, positions)
    parts = zip(seen.unbind(1), deltas.unbind(1), strict=True)
    return torch.stack([gram_of_positions(a.mT, d.mT) for a, d in parts]).sum(0)


def _bias(grad: Tensor) -> Tensor:
    return grad.sum(tuple(range(2, grad.dim())), dtype=native.accumulate_type(grad))


def _per_axis(value: int | Sequence[int], axes: int) -> tuple[int, ...]:
    sizes = (value,) if isinstance(value, int) else tuple(value)
    return sizes * axes if len(sizes) == 1 else sizes


def _named_padding(
    input: Tensor, name: str, kernel: Sequence[int], dilation: Sequence[int]
) -> tuple[Tensor, tuple[int, ...]]:
    """The paddings "valid" and "same" in numbers; where "same" adds more on one side, the input is padded here."""
    total = [d * (k - 1) if name == "same" else 0 for k, d in zip(kernel, dilation, strict=True)]
    if all(size % 2 == 0 for size in total):
        return input, tuple(size // 2 for size in total)
    sides = [side for size in reversed(total) for side in (size // 2, size - size // 2)]
    return F.pad(input, sides), (0,) * len(total)
