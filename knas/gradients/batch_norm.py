"""What a BatchNorm layer's statistics are while gradients are taken.

calibrated: those of the batch, held constant, so that samples are independent (statistics of one forward pass in
    training mode, then evaluation with them; both in the same pass, since the activations are equal);
batch: those of the batch, through which gradients flow and which couple the samples;
initial: mean 0 and variance 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from knas import native
from knas.gradients.arguments import arguments

POLICIES = ("calibrated", "batch", "initial")

#: Mean and variance of one BatchNorm call.
Moments = tuple[Tensor, Tensor]

#: A function and its arguments.
FunctionCall = tuple[Callable[..., Tensor], tuple[Any, ...], dict[str, Any]]


def fixed_batch_norm(
    input: Tensor, mean: Tensor, variance: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> Tensor:
    """BatchNorm by constant statistics: (input - mean) * weight / sqrt(variance + eps) + bias."""
    trainable = any(tensor is not None and tensor.requires_grad for tensor in (weight, bias))
    if trainable or torch._C._functorch.is_functorch_wrapped_tensor(input):
        # Statistics of 16 bit inputs are held in float32, and PyTorch wants weight and bias like them.
        weight, bias = (None if tensor is None else tensor.to(mean.dtype) for tensor in (weight, bias))
        return F.batch_norm(input, mean, variance, weight, bias, False, 0.0, eps)
    return native.fixed_batch_norm(input, mean, variance, weight, bias, eps)[0]


def moments_of(input: Tensor) -> Moments:
    """Mean and biased variance of each channel [channels] of a batch [n, channels, ...]."""
    return native.channel_moments(input.detach())


class BatchNormStatistics(TorchFunctionMode):
    """Gives every call of `batch_norm` within it the statistics of a policy.

    Args:
        policy: One of `POLICIES`.
        recorded: Statistics to use for "calibrated", one per call in order; without them each call takes those of its
            own batch and keeps them in `moments`.
    """

    def __init__(self, policy: str, recorded: Iterable[Moments] | None = None) -> None:
        super().__init__()
        self.policy = policy
        self.moments: list[Moments] = []
        self.calls = 0
        self._recorded = None if recorded is None else iter(recorded)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Replaces the statistics of F.batch_norm and leaves every other function alone."""
        if func is F.batch_norm:
            func, args, kwargs = self.replace(args, kwargs)
        return func(*args, **(kwargs or {}))

    def replace(self, args: tuple[Any, ...], kwargs: Mapping[str, Any] | None) -> FunctionCall:
        """The call that stands for one of F.batch_norm with these arguments."""
        self.calls += 1
        call = arguments(BATCH_NORM, args, kwargs)
        input, weight, bias, eps = call["input"], call["weight"], call["bias"], call["eps"]
        if self.policy == "batch":
            return F.batch_norm, (input, None, None, weight, bias, True, 0.0, eps), {}
        mean, variance = self._fixed(input)
        return fixed_batch_norm, (input, mean, variance, weight, bias, eps), {}

    def _fixed(self, input: Tensor) -> Moments:
        if self.policy == "initial":
            zeros = input.new_zeros(input.shape[1], dtype=native.accumulate_type(input))
            return zeros, torch.ones_like(zeros)
        if self._recorded is not None:
            return next(self._recorded)
        self.moments.append(moments_of(input))
        return self.moments[-1]


BATCH_NORM = {
    "input": None,
    "running_mean": None,
    "running_var": None,
    "weight": None,
    "bias": None,
    "training": False,
    "momentum": 0.1,
    "eps": 1e-5,
}

__all__ = ["BATCH_NORM", "POLICIES", "BatchNormStatistics", "Moments", "fixed_batch_norm", "moments_of"]
