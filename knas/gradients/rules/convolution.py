"""Convolutions over 1 to 3 axes: d f_i / d w[o, c, u] = sum_t delta_i[o, t] a_i[c, t stride + u dilation - padding]."""

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
    def statistics(self, call: Call, grad: Tensor, entries: Tensor) -> Tensor:
        return native.conv_gram(call.input, grad, entries, *call.geometry)

    @override
    def per_sample(self, call: Call, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        n, groups = grad.shape[0], call.geometry[4]
        patches = _patches(call.input, grad.shape[2:], call.geometry)  # [n, g, c * taps, t]
        deltas = grad.reshape(n, groups, grad.shape[1] // groups, -1)  # [n, g, o, t]
        weight = torch.matmul(deltas, patches.transpose(2, 3)).flatten(1)  # [n, g, o, c * taps]
        return weight, grad.flatten(2).sum(2) if call.bias is not None else None


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


def _patches(input: Tensor, out: Sequence[int], geometry: tuple[Any, ...]) -> Tensor:
    """What each tap sees at each output position: [n, groups, channels / groups * taps, positions]."""
    kernel, stride, padding, dilation, groups = geometry
    padded = F.pad(input, [side for size in reversed(padding) for side in (size, size)])
    n, channels = padded.shape[:2]
    steps = padded.stride()
    size = (n, channels, *kernel, *out)
    strides = (
        *steps[:2],
        *(step * d for step, d in zip(steps[2:], dilation, strict=True)),
        *(step * s for step, s in zip(steps[2:], stride, strict=True)),
    )
    windows = padded.as_strided(size, strides, padded.storage_offset())
    return windows.reshape(n, groups, channels // groups * torch.Size(kernel).numel(), -1)
