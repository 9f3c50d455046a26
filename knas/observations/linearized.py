"""The pass of SynFlow: a network of absolute weights, without data, which sums the flow over all of its paths."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from knas.errors import KnasError
from knas.gradients import Batch, Slot, layers_of, no_parameters
from knas.gradients.arguments import arguments
from knas.gradients.checks import refuse_unusable_weights
from knas.gradients.objective import no_gradient_path, output_tensor
from knas.gradients.undisturbed import undisturbed
from knas.observations.base import Found, Observation, Pass
from knas.observations.replaced import call_with, replaced

_NORMALIZATIONS = frozenset({F.batch_norm, F.layer_norm, F.group_norm, F.instance_norm, F.rms_norm})

#: Logarithms of what the input and the gradient of the output are multiplied by, tried in turn.
_SHIFTS = (0.0, -300 * math.log(10), 300 * math.log(10))

_LEAST = -287 * math.log(10)  # a flow below has lost bits, or has vanished


class WithoutNormalization(TorchFunctionMode):
    """Lets every normalization pass its input on as it is."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Leaves all other functions alone."""
        if func in _NORMALIZATIONS:
            return arguments({"input": None}, args[:1], kwargs)["input"]
        return func(*args, **(kwargs or {}))


@dataclass(frozen=True)
class LinearizedPass(Pass):
    """Forward and backward pass, in float64, of one input of ones through a network of absolute weights.

    Normalization is left out. Inputs that are not floating point numbers, such as token ids, are those of the first
    sample.
    """

    def run(self, model: nn.Module, batch: Batch, wanted: Sequence[Observation[Any]], seed: int) -> Found:
        """Runs it; again with smaller or larger numbers where they leave the range of float64."""
        refuse_unusable_weights(model)
        found: dict[Slot, float] | None = None
        with undisturbed(model, seed, frozen=False):
            for shift in _SHIFTS:
                flow = _flow(model, batch, shift)
                found = flow or found
                if flow and max(flow.values()) + 2 * shift > _LEAST:
                    break
        if found is None:
            raise KnasError("synflow: the flow through the network exceeds the range of float64")
        return dict.fromkeys(wanted, found)


LINEARIZED = LinearizedPass()


@dataclass(frozen=True)
class SynapticFlow(Observation[dict[Slot, float]]):
    """log sum |w dR/dw| of each weight, R being the sum of the outputs; -inf where no path goes through it."""

    made_in: LinearizedPass = LINEARIZED


def _flow(model: nn.Module, batch: Batch, shift: float) -> dict[Slot, float] | None:
    """The logarithms; None where something overflows.

    Scaling the input and all biases scales each activation alike, where these are ReLUs.
    """
    weights = [slot for slot in layers_of(model).slots.values() if slot.is_weight]
    factor = math.exp(shift)
    values = replaced(model, lambda _, given: given.double().abs() * (1.0 if given.dim() >= 2 else factor))
    leaves = [values[slot.name].requires_grad_() for slot in weights]
    buffers = {name: value.double() for name, value in model.named_buffers() if value.is_floating_point()}
    with WithoutNormalization():
        output = output_tensor(call_with(model, {**values, **buffers}, _ones(batch, factor)), 1)
    if not leaves or not output.requires_grad:
        raise no_gradient_path() if layers_of(model).layers else no_parameters()
    gradients = torch.autograd.grad(output, leaves, torch.full_like(output, factor), allow_unused=True)
    sums = [
        0.0 if gradient is None else float((leaf.detach() * gradient).abs().sum())
        for leaf, gradient in zip(leaves, gradients, strict=True)
    ]
    if not all(math.isfinite(value) for value in sums):
        return None
    logarithms = [math.log(value) - 2 * shift if value > 0 else -math.inf for value in sums]
    return dict(zip(weights, logarithms, strict=True))


def _ones(batch: Batch, value: float) -> Batch:
    def change(tensor: Tensor) -> Tensor:
        if tensor.is_floating_point():
            return torch.full_like(tensor, value, dtype=torch.float64)
        return tensor

    return batch.part(0, 1).with_inputs(change)
