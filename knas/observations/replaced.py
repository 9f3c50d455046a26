"""A model run with other weights than its own, which it does not notice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from knas.errors import KnasError
from knas.gradients import Batch
from knas.gradients.functional import one_line

#: What a parameter becomes: its name and itself to the other one.
Change = Callable[[str, Tensor], Tensor]


def replaced(model: nn.Module, change: Change) -> dict[str, Tensor]:
    """Other values for all parameters of a model, by name."""
    with torch.no_grad():
        return {name: change(name, parameter.detach()) for name, parameter in model.named_parameters()}


def call_with(model: nn.Module, values: Mapping[str, Tensor], batch: Batch) -> Any:
    """The model's outputs with other parameters (or buffers).

    Raises:
        KnasError: The model's code counts on its own, for example on their type.
    """
    inputs = batch.inputs
    args, kwargs = ((), inputs) if isinstance(inputs, dict) else (inputs, {})
    try:
        return functional_call(model, dict(values), args if isinstance(args, tuple) else (args,), kwargs)
    except KnasError:
        raise
    except Exception as error:  # whatever a model's own code may raise
        raise KnasError(
            f"model: it does not run with other weights than its own ({one_line(error)})"
        ) from error


def gaussian(model: nn.Module, generator: torch.Generator, *, fan_in: bool) -> dict[str, Tensor]:
    """Parameters drawn anew: weights from a normal distribution, scales 1, biases 0.

    A parameter of at least two axes is a weight; one called "weight" of a single axis is a scale, any other of a
    single axis a bias.

    Args:
        model: Whose.
        generator: On the CPU.
        fan_in: Whether the variance of a weight is 2 / fan-in (Kaiming) in place of 1.
    """

    def draw(name: str, parameter: Tensor) -> Tensor:
        if parameter.dim() < 2:
            value = 1.0 if name.rpartition(".")[2] == "weight" else 0.0
            return torch.full_like(parameter, value)
        values = torch.randn(parameter.shape, generator=generator).to(parameter)
        return values * (2 / parameter[0].numel()) ** 0.5 if fan_in else values

    return replaced(model, draw)


def gaussian_inputs(batch: Batch, generator: torch.Generator) -> Batch:
    """Samples of the shape of a batch's, with all floating point numbers drawn from a normal distribution."""

    def draw(tensor: Tensor) -> Tensor:
        if not tensor.is_floating_point() or not batch.has_samples(tensor):
            return tensor
        return torch.randn(tensor.shape, generator=generator).to(tensor)

    return batch.with_inputs(draw)
