"""Plain PyTorch twins of the operators in `knas.native`: slow, obviously right, and what those are tested against.

Each has the name and arguments of its operator, works in the type of its input, and takes one sample after the other
through PyTorch's own gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from knas.native import SampledLayer

_CONVOLUTIONS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


def _per_sample(
    forward: Callable[..., Tensor],
    parameters: Sequence[Tensor],
    inputs: Sequence[Tensor],
    grad_output: Tensor,
) -> Tensor:
    """Rows [n, p] of d<forward(sample), grad_output>/d(parameters), parameters flattened one after the other."""
    rows = []
    for i in range(grad_output.shape[0]):
        leaves = [parameter.detach().requires_grad_() for parameter in parameters]
        with torch.enable_grad():
            output = forward(*(tensor[i : i + 1] for tensor in inputs), *leaves)
            objective = (output * grad_output[i : i + 1]).sum()
        gradients = torch.autograd.grad(objective, leaves)
        rows.append(torch.cat([gradient.flatten() for gradient in gradients]))
    width = sum(parameter.numel() for parameter in parameters)
    return torch.stack(rows) if rows else grad_output.new_zeros(0, width)


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
    """Twin of `knas.native.conv_sampled_gradients`."""
    out_channels = grad_output.shape[1]
    weight = input.new_zeros(out_channels, input.shape[1] // groups, *kernel_size)
    convolution = _CONVOLUTIONS[len(kernel_size)]

    def forward(sample: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return convolution(sample, weight, bias, list(stride), list(padding), list(dilation), groups)

    rows = _per_sample(forward, [weight, input.new_zeros(out_channels)], [input], grad_output)
    return rows[:, entries]


def conv_gram(input: Tensor, grad_output: Tensor, entries: Tensor, *geometry: Sequence[int] | int) -> Tensor:
    """Twin of `knas.native.conv_gram`."""
    return gram_statistics(conv_sampled_gradients(input, grad_output, entries, *geometry))[:4]  # type: ignore[arg-type]


def conv_per_sample_gradients(input: Tensor, grad_output: Tensor, *geometry: Sequence[int] | int) -> Tensor:
    """Twin of `knas.native.conv_per_sample_gradients`."""
    kernel, groups = torch.Size(geometry[0]), geometry[4]  # type: ignore[arg-type]
    weights = grad_output.shape[1] * (input.shape[1] // groups) * kernel.numel()  # type: ignore[operator]
    return conv_sampled_gradients(input, grad_output, torch.arange(weights), *geometry)  # type: ignore[arg-type]


def conv_gram_matrix(input: Tensor, grad_output: Tensor, *geometry: Sequence[int] | int) -> Tensor:
    """Twin of `knas.native.conv_gram_matrix`."""
    return gram_matrix(conv_per_sample_gradients(input, grad_output, *geometry))


def linear_sampled_gradients(input: Tensor, grad_output: Tensor, entries: Tensor) -> Tensor:
    """Twin of `knas.native.linear_sampled_gradients`."""
    out_features = grad_output.shape[-1]
    parameters = [input.new_zeros(out_features, input.shape[-1]), input.new_zeros(out_features)]
    return _per_sample(F.linear, parameters, [input], grad_output)[:, entries]


def linear_gram(input: Tensor, grad_output: Tensor, entries: Tensor) -> Tensor:
    """Twin of `knas.native.linear_gram`."""
    return gram_statistics(linear_sampled_gradients(input, grad_output, entries))[:4]


def affine_sampled_gradients(
    input: Tensor, grad_output: Tensor, mean: Tensor, rstd: Tensor, entries: Tensor
) -> Tensor:
    """Twin of `knas.native.affine_sampled_gradients`."""
    channels = input.shape[1]
    normalized = (input - mean[:, :, None]) * rstd[:, :, None]

    def forward(sample: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return sample * weight[:, None] + bias[:, None]

    parameters = [input.new_zeros(channels), input.new_zeros(channels)]
    return _per_sample(forward, parameters, [normalized], grad_output)[:, entries]


def affine_gram(input: Tensor, grad_output: Tensor, mean: Tensor, rstd: Tensor, entries: Tensor) -> Tensor:
    """Twin of `knas.native.affine_gram`."""
    return gram_statistics(affine_sampled_gradients(input, grad_output, mean, rstd, entries))[:4]


def grouped_gram(layers: Sequence[SampledLayer]) -> Tensor:
    """Twin of `knas.native.grouped_gram`."""
    twins: dict[str, Callable[..., Tensor]] = {
        "conv": conv_gram,
        "linear": linear_gram,
        "affine": affine_gram,
    }
    return torch.stack([twins[layer.kind](*layer.arguments) for layer in layers])


def gram_matrix(vectors: Tensor) -> Tensor:
    """Twin of `knas.native.gram_matrix`."""
    return vectors.double() @ vectors.double().T


def gram_statistics(vectors: Tensor) -> Tensor:
    """Twin of `knas.native.gram_statistics`."""
    matrix = gram_matrix(vectors)
    n = matrix.shape[0]
    diagonal = matrix.diagonal()
    off_diagonal = (matrix.sum() - diagonal.sum()) / max(n * (n - 1), 1)
    return torch.stack(
        [
            matrix.sum() / max(n * n, 1),
            off_diagonal if n > 1 else torch.zeros_like(off_diagonal),
            diagonal.sum(),
            matrix.diagonal(n // 2)[: n // 2].sum() if n > 1 else torch.zeros_like(off_diagonal),
            torch.linalg.matrix_norm(matrix) if n else matrix.sum(),
        ]
    )


def all_finite(tensors: Sequence[Tensor]) -> bool:
    """Twin of `knas.native.all_finite`."""
    return all(bool(torch.isfinite(tensor).all()) for tensor in tensors)


def channel_moments(input: Tensor) -> tuple[Tensor, Tensor]:
    """Twin of `knas.native.channel_moments`."""
    planes = input.flatten(2) if input.dim() > 2 else input[:, :, None]
    return planes.mean((0, 2)), planes.var((0, 2), correction=0)


def scale_channels(input: Tensor, scale: Tensor) -> Tensor:
    """Twin of `knas.native.scale_channels`."""
    return (input.movedim(1, -1) * scale).movedim(-1, 1)


def fixed_batch_norm(
    input: Tensor, mean: Tensor, variance: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Twin of `knas.native.fixed_batch_norm`."""
    rstd = 1 / torch.sqrt(variance + eps)
    scale = rstd if weight is None else weight * rstd
    output = (input.movedim(1, -1) - mean) * scale + (0 if bias is None else bias)
    return output.movedim(-1, 1), rstd, scale
