"""Leaves the caller's model as it was: mode, weights, buffers, requires_grad and random state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from knas.gradients.layers import walk


@contextmanager
def undisturbed(model: nn.Module, seed: int, *, frozen: bool) -> Iterator[None]:
    """Runs its block with the model in evaluation mode, gradients on, and the random state seeded with `seed`.

    Args:
        model: Whose mode, buffers and requires_grad flags are put back afterwards, also after an exception.
        seed: What random numbers that the model draws in its forward pass come from.
        frozen: Whether no parameter asks for a gradient within the block.
    """
    modes = [(module, module.training) for _, module in walk(model)]
    own = [tensor for module, _ in modes for tensor in module._buffers.values() if tensor is not None]
    buffers = [(buffer, buffer._version, buffer.detach().clone()) for buffer in own]
    parameters = [
        tensor for module, _ in modes for tensor in module._parameters.values() if tensor is not None
    ]
    wanted = [(parameter, parameter.requires_grad) for parameter in parameters]
    fast_attention = torch.backends.mha.get_fastpath_enabled()
    # inference_mode(False) first: tensors made under it could not take part in a backward pass.
    with torch.inference_mode(False), torch.enable_grad(), torch.random.fork_rng(_gpus(parameters)):
        seed_random_state(seed, parameters)
        torch.backends.mha.set_fastpath_enabled(
            False
        )  # one fused call, whose parameters no rule could tell apart
        try:
            for module, _ in modes:
                module.__dict__["training"] = False  # Module.__setattr__ takes 5 times as long
            if frozen:
                for parameter, _ in wanted:
                    parameter.requires_grad_(False)
            yield
        finally:
            torch.backends.mha.set_fastpath_enabled(fast_attention)
            _restore(modes, buffers, wanted)


def seed_random_state(seed: int, tensors: Iterable[Tensor]) -> None:
    """Seeds the global generators of the CPU and of the GPUs that tensors lie on.

    `torch.manual_seed` seeds every device's, for which it writes down a stack trace where CUDA is not in use yet.
    """
    torch.default_generator.manual_seed(seed)
    for device in _gpus(tensors):
        torch.cuda.default_generators[device].manual_seed(seed)


def _gpus(tensors: Iterable[Tensor]) -> list[int]:
    return sorted({tensor.device.index or 0 for tensor in tensors if tensor.is_cuda})


def _restore(
    modes: list[tuple[nn.Module, bool]],
    buffers: list[tuple[Tensor, int, Tensor]],
    wanted: list[tuple[nn.Parameter, bool]],
) -> None:
    for module, training in modes:
        module.__dict__["training"] = training
    for parameter, requires_grad in wanted:
        parameter.requires_grad_(requires_grad)
    with torch.no_grad():
        for buffer, version, value in buffers:
            if buffer._version != version:
                buffer.copy_(value)
