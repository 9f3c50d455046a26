"""The passes of Zen-NAS: Gaussian weights, Gaussian inputs, and the same inputs moved a little."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from knas.errors import NotFiniteError, UsageError
from knas.gradients import Batch
from knas.gradients.batch_norm import BatchNormStatistics
from knas.gradients.checks import refuse_unusable_weights
from knas.gradients.objective import output_tensor
from knas.gradients.undisturbed import undisturbed
from knas.observations.base import Found, Observation, Pass
from knas.observations.replaced import call_with, gaussian, gaussian_inputs


class LastFeatures(TorchFunctionMode):
    """Keeps the last tensor that still has positions: what a network pools, flattens or classifies."""

    features: Tensor | None = None

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Looks at every output."""
        output = func(*args, **(kwargs or {}))
        if isinstance(output, Tensor) and output.is_floating_point() and output.dim() >= 3:
            positions = output.shape[2:] if output.dim() > 3 else output.shape[1:2]
            if positions.numel() > 1:
                self.features = output
        return output


@dataclass(frozen=True)
class PerturbedPass(Pass):
    """Two forward passes for each of some draws of weights and inputs, BatchNorm with statistics of the batch.

    Args:
        gamma: How far the inputs are moved, in units of their own deviation.
        repeats: Number of draws.
    """

    gamma: float = 0.01
    repeats: int = 1

    def run(self, model: nn.Module, batch: Batch, wanted: Sequence[Observation[Any]], seed: int) -> Found:
        """Runs them; the network's own weights and the samples' values do not matter, only their shapes."""
        refuse_unusable_weights(model)
        inputs = batch.tensors()
        if not any(tensor.is_floating_point() and batch.has_samples(tensor) for tensor in inputs):
            raise UsageError("inputs: floating point numbers expected, which can be moved a little, got none")
        generator = torch.Generator().manual_seed(seed % 2**63)
        with undisturbed(model, seed, frozen=True), torch.no_grad():
            found = [self._once(model, batch, generator) for _ in range(self.repeats)]
        return dict.fromkeys(wanted, found)

    def _once(self, model: nn.Module, batch: Batch, generator: torch.Generator) -> Perturbation:
        weights = gaussian(model, generator, fan_in=False)
        inputs, noise = gaussian_inputs(batch, generator), gaussian_inputs(batch, generator)
        moved = inputs.plus(noise, self.gamma)
        statistics = BatchNormStatistics("calibrated")
        first = _features(model, weights, inputs, statistics)
        second = _features(model, weights, moved, BatchNormStatistics("calibrated"))
        change = float((first - second).abs().flatten(1).double().sum(1).mean())
        if not math.isfinite(change):
            raise NotFiniteError("activations: NaN or Inf with Gaussian weights; the network is unstable")
        variances = [float(variance.double().mean()) for _, variance in statistics.moments]
        return Perturbation(change, variances)


@dataclass(frozen=True)
class Perturbation:
    """What moving the inputs does.

    Attributes:
        change: mean over samples of sum |f(x) - f(x + gamma e)| over the features before pooling.
        variances: Of each BatchNorm call, the mean over channels of the variances that it divides by.
    """

    change: float
    variances: list[float]


PERTURBED = PerturbedPass()


@dataclass(frozen=True)
class Perturbations(Observation[list[Perturbation]]):
    """One `Perturbation` for each draw."""

    made_in: PerturbedPass = PERTURBED


def _features(
    model: nn.Module, weights: Mapping[str, Tensor], batch: Batch, statistics: BatchNormStatistics
) -> Tensor:
    last = LastFeatures()
    with statistics, last:
        outputs = call_with(model, weights, batch)
    return output_tensor(outputs, batch.n) if last.features is None else last.features
