"""Whole per-sample gradients and their Gram matrices by library matrix products, on any device.

CUDA tensors take these for `knas.native.conv_per_sample_gradients` and `conv_gram_matrix`. A kernel of our own would
save the unfolded input there: written once and read once, it moves 8 bytes for each of its elements, and the product
that follows has 2 operations per output channel for it. On an H100 (3.35 TB/s, 67 TFLOP/s in float32, so 20 operations
per byte) the traffic takes as long as the product for 80 output channels, and longer for fewer: a kernel would save
from half of the time (80 channels) to five sixths of it (16 channels).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

_BLOCK = 1 << 28  # bytes of an unfolded input, and of per-sample gradients, that are held at once


def accumulate_type(tensor: Tensor) -> torch.dtype:
    """The type that sums over a tensor are held in."""
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32


def patches(
    input: Tensor,
    out: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Tensor:
    """What each tap sees at each output position: [n, groups, channels / groups * taps, positions]."""
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


def conv_per_sample_gradients(input: Tensor, grad_output: Tensor, *geometry: Any) -> Tensor:
    """Operator `conv_per_sample_gradients` by unfolding and batched products, some samples at a time."""
    n, groups, kernel = input.shape[0], geometry[4], geometry[0]
    size = grad_output.shape[1] * (input.shape[1] // groups) * torch.Size(kernel).numel()
    if input.numel() == 0 or grad_output.numel() == 0:
        return input.new_zeros(n, size, dtype=accumulate_type(input))
    one = torch.Size(grad_output.shape[2:]).numel() * input.shape[1] * torch.Size(kernel).numel()
    rows = []
    for part in _blocks(n, one * input.element_size()):
        grad = grad_output[part].to(accumulate_type(input))
        seen = patches(input[part].to(grad.dtype), grad.shape[2:], *geometry)  # [n, g, c * taps, t]
        deltas = grad.reshape(grad.shape[0], groups, grad.shape[1] // groups, -1)  # [n, g, o, t]
        rows.append(torch.matmul(deltas, seen.transpose(2, 3)).flatten(1))  # [n, g * o * c * taps]
    return torch.cat(rows)


def output_blocks(input: Tensor, grad_output: Tensor, *geometry: Any) -> Iterator[Tensor]:
    """The same in blocks [n, entries], some output channels of every group at a time."""
    kernel, groups = geometry[0], geometry[4]
    split = grad_output.unflatten(1, (groups, grad_output.shape[1] // groups))
    columns = input.shape[1] * torch.Size(kernel).numel()
    for part in _blocks(split.shape[2], input.shape[0] * columns * input.element_size()):
        yield conv_per_sample_gradients(input, split[:, :, part].flatten(1, 2), *geometry)


def _blocks(count: int, bytes_each: int) -> Iterator[slice]:
    size = max(_BLOCK // max(bytes_each, 1), 1)
    return (slice(start, min(start + size, count)) for start in range(0, count, size))
