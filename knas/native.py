"""The only module that touches the compiled extension: knas's operators, with their shapes, and how they were built.

Every operator has a plain PyTorch twin of the same name in `knas.reference`. Inputs may be float32, float64,
bfloat16 or float16, on the CPU or a CUDA device; sums are held in float32 (float64 for float64), statistics come back
in float64 on the input's device. The same build gives the same bits on every run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from knas import library_products
from knas.compatibility import load_extension
from knas.library_products import accumulate_type as accumulate_type

_C = load_extension()

#: Order of the numbers that the `*_gram` operators return; `gram_statistics` adds "frobenius".
STATISTICS = ("mean", "mean_off_diagonal", "trace", "split")


@dataclass(frozen=True)
class BuildInfo:
    """What the extension was compiled for: `cuda_version` is None, and `cuda_reason` says why, in a CPU build."""

    torch_version: str
    cuda_version: str | None
    with_cuda: bool
    cuda_reason: str


def build_info() -> BuildInfo:
    """Tell which torch and CUDA the extension was compiled for."""
    return BuildInfo(_C.torch_version, _C.cuda_version, _C.with_cuda, _C.cuda_reason)


def conv_sampled_gradients(
    input: Tensor,
    grad_output: Tensor,
    entries: Tensor,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int = 1,
) -> Tensor:
    """Sampled per-sample gradients of a convolution's weight and bias.

    g[i, (o, c, u)] = sum_t grad_output[i, o, t] * input[i, c, t * stride + u * dilation - padding], and
    sum_t grad_output[i, o, t] for a bias entry.

    Args:
        input: The layer's input [n, in_channels, *spatial], with 1 to 3 spatial axes.
        grad_output: Gradient of the objective for the layer's output [n, out_channels, *out_spatial].
        entries: int64 [s]: flat indices into the weight [out_channels, in_channels / groups, *kernel_size], followed
            by the bias [out_channels].
        kernel_size: Size of the kernel along each spatial axis.
        stride: Step along each spatial axis.
        padding: Zeros added on both sides of each spatial axis.
        dilation: Distance of neighbouring taps along each spatial axis.
        groups: Number of channel groups.

    Returns:
        [n, s] in float32 (float64 for float64).
    """
    return torch.ops.knas.conv_sampled_gradients(
        input, grad_output, entries, kernel_size, stride, padding, dilation, groups
    )


def conv_gram(
    input: Tensor,
    grad_output: Tensor,
    entries: Tensor,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int = 1,
) -> Tensor:
    """`STATISTICS` of the vectors of `conv_sampled_gradients`, which are never stored: float64 [4]."""
    return torch.ops.knas.conv_gram(
        input, grad_output, entries, kernel_size, stride, padding, dilation, groups
    )


def linear_sampled_gradients(input: Tensor, grad_output: Tensor, entries: Tensor) -> Tensor:
    """Sampled per-sample gradients of a linear layer: g[i, (o, c)] = sum_t grad_output[i, t, o] * input[i, t, c].

    Args:
        input: [n, positions, in_features].
        grad_output: [n, positions, out_features].
        entries: int64 [s]: flat indices into the weight [out_features, in_features], followed by the bias.

    Returns:
        [n, s] in float32 (float64 for float64).
    """
    return torch.ops.knas.linear_sampled_gradients(input, grad_output, entries)


def linear_gram(input: Tensor, grad_output: Tensor, entries: Tensor) -> Tensor:
    """`STATISTICS` of the vectors of `linear_sampled_gradients`, which are never stored: float64 [4]."""
    return torch.ops.knas.linear_gram(input, grad_output, entries)


def affine_sampled_gradients(
    input: Tensor, grad_output: Tensor, mean: Tensor, rstd: Tensor, entries: Tensor
) -> Tensor:
    """Sampled per-sample gradients of a normalization's scale and shift.

    g[i, c] = sum_t grad_output[i, c, t] * (input[i, c, t] - mean[i, c]) * rstd[i, c] for the weight, and
    sum_t grad_output[i, c, t] for the bias.

    Args:
        input: What is normalized [n, channels, positions].
        grad_output: [n, channels, positions].
        mean: [n, channels], or [1, channels] where all samples share it.
        rstd: 1 / sqrt(variance + eps), shaped like `mean`.
        entries: int64 [s]: indices into weight [channels], followed by the bias [channels].

    Returns:
        [n, s] in float32 (float64 for float64).
    """
    return torch.ops.knas.affine_sampled_gradients(input, grad_output, mean, rstd, entries)


def affine_gram(input: Tensor, grad_output: Tensor, mean: Tensor, rstd: Tensor, entries: Tensor) -> Tensor:
    """`STATISTICS` of the vectors of `affine_sampled_gradients`, which are never stored: float64 [4]."""
    return torch.ops.knas.affine_gram(input, grad_output, mean, rstd, entries)


def conv_per_sample_gradients(
    input: Tensor,
    grad_output: Tensor,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int = 1,
) -> Tensor:
    """All per-sample gradients of a convolution's weight; arguments as for `conv_sampled_gradients`.

    On a CPU the input is never unfolded, and tensors may be channels-last or have any other strides. A linear layer is
    a convolution over its positions with a kernel of size 1; a normalization's scale one with as many groups as
    channels.

    Returns:
        [n, out_channels * in_channels / groups * taps] in float32 (float64 for float64).
    """
    return torch.ops.knas.conv_per_sample_gradients(
        input, grad_output, kernel_size, stride, padding, dilation, groups
    )


def conv_gram_matrix(
    input: Tensor,
    grad_output: Tensor,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int = 1,
) -> Tensor:
    """`gram_matrix` of `conv_per_sample_gradients`, of which a block is held at a time: float64 [n, n]."""
    return torch.ops.knas.conv_gram_matrix(input, grad_output, kernel_size, stride, padding, dilation, groups)


@dataclass(frozen=True)
class SampledLayer:
    """What `layer_gram` and `grouped_gram` take of a layer.

    Attributes:
        kind: "conv", "linear" or "affine".
        arguments: What `conv_gram`, `linear_gram` or `affine_gram` takes, in its order.
    """

    kind: Literal["conv", "linear", "affine"]
    arguments: tuple[Any, ...]


def layer_gram(layer: SampledLayer) -> Tensor:
    """`STATISTICS` of one layer by the operator of its kind: float64 [4]."""
    operators: dict[str, Callable[..., Tensor]] = {
        "conv": conv_gram,
        "linear": linear_gram,
        "affine": affine_gram,
    }
    return operators[layer.kind](*layer.arguments)


def grouped_gram(layers: Sequence[SampledLayer]) -> Tensor:
    """`STATISTICS` of many layers, of one network or of several: float64 [layers, 4].

    Each row has the same bits as the layer's own operator gives. On a CUDA device all layers of one kind, element type
    and block size share a launch, so that a network takes about 6 of them in place of 2 per layer; the price is
    that all inputs and output gradients are alive at once. On a CPU the layers' operators run one after another.

    Args:
        layers: At least one, all on one device; element types may differ.
    """
    return torch.ops.knas.grouped_gram(*pack(layers))


def pack(
    layers: Sequence[SampledLayer],
) -> tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor], list[int], list[int]]:
    """The flat lists that the operator's schema holds.

    They are inputs, output gradients and entries of each layer, mean and rstd of each normalization, the kind of each
    layer, and the geometry of each convolution.
    """
    inputs, grad_outputs, entries, statistics, geometry = [], [], [], [], []
    for layer in layers:
        input, grad_output, *rest = layer.arguments
        inputs.append(input)
        grad_outputs.append(grad_output)
        if layer.kind == "affine":
            statistics += rest[:2]
        entries.append(rest[2 if layer.kind == "affine" else 0])
        if layer.kind == "conv":
            lists, groups = rest[1:5], rest[5] if len(rest) > 5 else 1
            geometry += [number for numbers in lists for number in numbers] + [groups]
    kinds = [_KINDS[layer.kind] for layer in layers]
    return inputs, grad_outputs, entries, statistics, kinds, geometry


#: Numbers of the kinds of layers in the operator's schema.
_KINDS = {"conv": 0, "linear": 1, "affine": 2}


def gram_matrix(vectors: Tensor) -> Tensor:
    """G[i, j] = <vectors[i], vectors[j]> for vectors [n, p]: float64 [n, n]."""
    return torch.ops.knas.gram_matrix(vectors)


def gram_statistics(vectors: Tensor) -> Tensor:
    """`STATISTICS` and the Frobenius norm of the Gram matrix of vectors [n, p]: float64 [5].

    mean = sum_ij G_ij / n^2; mean_off_diagonal = sum_{i != j} G_ij / (n (n - 1)); trace = sum_i G_ii;
    split = sum_{k < n/2} G_{k, k + n/2}; frobenius = sqrt(sum_ij G_ij^2).
    """
    return torch.ops.knas.gram_statistics(vectors)


def all_finite(tensors: Sequence[Tensor]) -> bool:
    """Whether no element of floating-point tensors on one device is NaN or infinite."""
    return not tensors or torch.ops.knas.all_finite(list(tensors))


def channel_moments(input: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of each channel of [n, channels, ...] over samples and positions.

    On a CPU in one reading of the input; elsewhere by `torch.var_mean`.

    Returns:
        Mean and variance [channels], in float32 (float64 for float64).
    """
    return torch.ops.knas.channel_moments(input)


def scale_channels(input: Tensor, scale: Tensor) -> Tensor:
    """Each channel of [n, channels, ...] times a number [channels], in the input's memory order.

    Broadcasting would go through channels-last tensors a handful of elements at a time.
    """
    return torch.ops.knas.scale_channels(input, scale)


def fixed_batch_norm(
    input: Tensor, mean: Tensor, variance: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """BatchNorm by constant statistics: (input - mean) * scale + bias with scale = weight / sqrt(variance + eps).

    Gradients flow to the input alone, by one multiplication. The input's memory order is kept.

    Args:
        input: [n, channels, ...].
        mean: [channels], as the following; in float32 (float64 for float64).
        variance: Biased.
        weight: None for 1.
        bias: None for 0.
        eps: Added to the variance.

    Returns:
        Output shaped like the input, 1 / sqrt(variance + eps) [channels], and scale [channels].
    """
    return torch.ops.knas.fixed_batch_norm(input, mean, variance, weight, bias, eps)


def _fake_gradients(input: Tensor, grad_output: Tensor, *rest: object) -> Tensor:
    entries = next(argument for argument in reversed(rest) if isinstance(argument, Tensor))
    return input.new_empty((input.shape[0], entries.shape[0]), dtype=accumulate_type(input))


def _fake_statistics(input: Tensor, *_: object) -> Tensor:
    return input.new_empty(len(STATISTICS), dtype=torch.float64)


def _fake_per_sample(input: Tensor, grad_output: Tensor, kernel_size: Sequence[int], *rest: int) -> Tensor:
    width = grad_output.shape[1] * (input.shape[1] // rest[-1]) * math.prod(kernel_size)
    return input.new_empty((input.shape[0], width), dtype=accumulate_type(input))


def _fake_matrix(input: Tensor, *_: object) -> Tensor:
    return input.new_empty((input.shape[0],) * 2, dtype=torch.float64)


def _conv_gram_by_products(input: Tensor, grad_output: Tensor, *geometry: Sequence[int] | int) -> Tensor:
    matrix = input.new_zeros((input.shape[0],) * 2, dtype=torch.float64)
    for block in library_products.output_blocks(input, grad_output, *geometry):
        matrix += gram_matrix(block)
    return matrix


def _register_products() -> None:
    """What has no CUDA kernel of its own is done by the library there."""
    torch.library.impl("knas::conv_per_sample_gradients", "cuda", library_products.conv_per_sample_gradients)
    torch.library.impl("knas::conv_gram_matrix", "cuda", _conv_gram_by_products)


def _fake_grouped(inputs: Sequence[Tensor], *_: object) -> Tensor:
    return inputs[0].new_empty((len(inputs), len(STATISTICS)), dtype=torch.float64)


def _register_fakes() -> None:
    for layer in ("conv", "linear", "affine"):
        torch.library.register_fake(f"knas::{layer}_sampled_gradients", _fake_gradients)
        torch.library.register_fake(f"knas::{layer}_gram", _fake_statistics)
    torch.library.register_fake("knas::conv_per_sample_gradients", _fake_per_sample)
    for name in ("conv_gram_matrix", "gram_matrix"):
        torch.library.register_fake(f"knas::{name}", _fake_matrix)
    torch.library.register_fake("knas::grouped_gram", _fake_grouped)
    torch.library.register_fake(
        "knas::gram_statistics",
        lambda vectors: vectors.new_empty(len(STATISTICS) + 1, dtype=torch.float64),
    )
    torch.library.register_fake(
        "knas::channel_moments", lambda input: (_per_channel(input), _per_channel(input))
    )
    torch.library.register_fake("knas::scale_channels", lambda input, _: torch.empty_like(input))
    torch.library.register_fake(
        "knas::fixed_batch_norm",
        lambda input, *_: (torch.empty_like(input), _per_channel(input), _per_channel(input)),
    )


def _per_channel(input: Tensor) -> Tensor:
    return input.new_empty(input.shape[1], dtype=accumulate_type(input))


_register_fakes()
_register_products()
