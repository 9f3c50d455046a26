"""Scale and shift of normalizations: sum_t delta_i x^_i and sum_t delta_i, with x^ the normalized input."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import override

from knas import native
from knas.gradients.arguments import arguments
from knas.gradients.batch_norm import BATCH_NORM, fixed_batch_norm
from knas.gradients.rules.base import Call, Rule

_FIXED = {"input": None, "mean": None, "variance": None, "weight": None, "bias": None, "eps": 1e-5}
_LAYER_NORM = {"input": None, "normalized_shape": None, "weight": None, "bias": None, "eps": 1e-5}
_GROUP_NORM = {"input": None, "num_groups": None, "weight": None, "bias": None, "eps": 1e-5}


class ChannelRule(Rule):
    """Normalizations with one scale and shift per channel: input [n, channels, ...], mean and rstd in `call.extra`."""

    @override
    def weight_size(self, call: Call) -> int:
        return call.input.shape[1]

    @override
    def sampled(self, call: Call, grad: Tensor, entries: Tensor) -> Tensor:
        mean, rstd = call.extra
        return native.affine_sampled_gradients(*_planes(call.input, grad), mean, rstd, entries)

    @override
    def layer(self, call: Call, grad: Tensor, entries: Tensor) -> native.SampledLayer:
        mean, rstd = call.extra
        return native.SampledLayer("affine", (*_planes(call.input, grad), mean, rstd, entries))

    @override
    def per_sample(self, call: Call, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        channels = call.input.shape[1]
        both = self.sampled(call, grad, torch.arange(2 * channels, device=grad.device))
        weight, bias = both[:, :channels], both[:, channels:]
        return weight if call.weight is not None else None, bias if call.bias is not None else None

    @override
    def gram(self, call: Call, grad: Tensor) -> Tensor:
        if call.weight is None or call.bias is None:
            return super().gram(call, grad)
        entries = torch.arange(2 * call.input.shape[1], device=grad.device)
        return native.gram_matrix(self.sampled(call, grad, entries))


class BatchNormRule(ChannelRule):
    """F.batch_norm by constant statistics or by those of the batch."""

    @override
    def functions(self) -> tuple[Callable[..., Any], ...]:
        return F.batch_norm, fixed_batch_norm

    @override
    def bind(self, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any] | None) -> Call:
        call = arguments(_FIXED if func is fixed_batch_norm else BATCH_NORM, args, kwargs)
        return Call(call["input"], call["weight"], call["bias"], (call["eps"],))

    @override
    def run(
        self, func: Callable[..., Any], call: Call, args: Sequence[Any], kwargs: Mapping[str, Any] | None
    ) -> Tensor:
        if func is fixed_batch_norm:
            mean = arguments(_FIXED, args, kwargs)["mean"]
            output, rstd, _ = native.fixed_batch_norm(*args, **(kwargs or {}))
            call.extra = [mean[None], rstd[None]]
            return output
        (eps,) = call.geometry
        output, mean, rstd = torch.native_batch_norm(
            call.input, call.weight, call.bias, None, None, True, 0.0, eps
        )
        call.extra = [mean.detach()[None], rstd.detach()[None]]
        return output


class GroupNormRule(ChannelRule):
    """F.group_norm: each sample's groups of channels have statistics of their own."""

    @override
    def functions(self) -> tuple[Callable[..., Any], ...]:
        return (F.group_norm,)

    @override
    def bind(self, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any] | None) -> Call:
        call = arguments(_GROUP_NORM, args, kwargs)
        input, groups = call["input"], call["num_groups"]
        with torch.no_grad():
            runs = input.detach().reshape(input.shape[0], groups, -1)
            runs = runs if runs.dtype == torch.float64 else runs.float()
            variance, mean = torch.var_mean(runs, 2, correction=0)  # [n, groups]
            repeat = input.shape[1] // groups
            extra = [
                mean.repeat_interleave(repeat, 1),
                (variance + call["eps"]).rsqrt().repeat_interleave(repeat, 1),
            ]
        return Call(input, call["weight"], call["bias"], extra=extra)


class LayerNormRule(Rule):
    """F.layer_norm: a linear layer's diagonal entries, with the normalized input in place of the input."""

    sequence_axes = True

    @override
    def functions(self) -> tuple[Callable[..., Any], ...]:
        return (F.layer_norm,)

    @override
    def bind(self, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any] | None) -> Call:
        call = arguments(_LAYER_NORM, args, kwargs)
        return Call(
            call["input"], call["weight"], call["bias"], (tuple(call["normalized_shape"]), call["eps"])
        )

    @override
    def unusable(self, call: Call, n: int) -> str | None:
        if call.input.dim() <= len(call.geometry[0]):
            return f"its input {list(call.input.shape)} has no axis of samples"
        return super().unusable(call, n)

    @override
    def weight_size(self, call: Call) -> int:
        return torch.Size(call.geometry[0]).numel()

    @override
    def sampled(self, call: Call, grad: Tensor, entries: Tensor) -> Tensor:
        return native.linear_sampled_gradients(*self._positions(call, grad), self._diagonal(call, entries))

    @override
    def layer(self, call: Call, grad: Tensor, entries: Tensor) -> native.SampledLayer:
        arguments = *self._positions(call, grad), self._diagonal(call, entries)
        return native.SampledLayer("linear", arguments)

    @override
    def per_sample(self, call: Call, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        normalized, deltas = self._positions(call, grad)
        weight = None
        if call.weight is not None:  # a depthwise convolution over the positions, with one tap
            groups = deltas.shape[2]
            weight = native.conv_per_sample_gradients(
                normalized.mT, deltas.mT, (1,), (1,), (0,), (1,), groups
            )
        bias = deltas.sum(1, dtype=native.accumulate_type(deltas)) if call.bias is not None else None
        return weight, bias

    def _positions(self, call: Call, grad: Tensor) -> tuple[Tensor, Tensor]:
        shape, eps = call.geometry
        size, n = torch.Size(shape).numel(), call.input.shape[0]
        normalized = F.layer_norm(call.input.detach(), shape, None, None, eps)
        return normalized.reshape(n, -1, size), grad.reshape(n, -1, size)

    def _diagonal(self, call: Call, entries: Tensor) -> Tensor:
        size = self.weight_size(call)
        return torch.where(entries < size, entries * (size + 1), entries - size + size * size)


def _planes(input: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
    shape = (*input.shape[:2], -1) if input.dim() > 2 else (*input.shape, 1)
    return input.reshape(shape), grad.reshape(shape)
