"""An ordinary training step's forward and backward pass, which gives gradients of the weights."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from knas import native
from knas.errors import KnasError, UsageError
from knas.gradients import Batch, Slot, layers_of, no_parameters
from knas.gradients.batch_norm import BatchNormStatistics
from knas.gradients.checks import non_finite_gradients, refuse_non_finite_weights
from knas.gradients.functional import one_line
from knas.gradients.objective import no_gradient_path, total_objective, trained_gradients
from knas.gradients.rules import RULES
from knas.gradients.rules.convolution import ConvolutionRule
from knas.gradients.rules.linear import LinearRule
from knas.gradients.undisturbed import undisturbed
from knas.gradients.watch import unwatched
from knas.observations.base import Found, Observation, Pass

Result = TypeVar("Result")


@dataclass(frozen=True)
class TrainingPass(Pass):
    """Forward and backward pass of the mean loss, with gradients of the weights, nothing being stepped.

    Weights are the parameters of at least two axes: those of convolutions, linear layers and embeddings, and not
    biases, nor the scales of normalization. Dropout is off.

    Args:
        batch_norm: What BatchNorm normalizes by; "batch" is training mode.
        batches: Number of equal mini-batches that the samples are cut into, each with passes of its own.
    """

    batch_norm: str = "batch"
    batches: int = 1

    def run(self, model: nn.Module, batch: Batch, wanted: Sequence[Observation[Any]], seed: int) -> Found:
        """Runs it once for each mini-batch."""
        own = [one for one in wanted if isinstance(one, TrainingObservation)]
        weights = _weights(model)
        saliency = OutputSaliency() if any(isinstance(one, ChannelSaliency) for one in own) else None
        twice = any(isinstance(one, HessianProducts) for one in own)
        steps = []
        with undisturbed(model, seed, frozen=False):
            for part in self._parts(batch):
                with _twice_differentiable(twice), BatchNormStatistics(self.batch_norm):
                    steps.append(_step(model, part, weights, saliency, twice=twice))
        results = Steps(weights, steps, saliency)
        return {one: _read(one, results) for one in own}

    def _parts(self, batch: Batch) -> Iterator[Batch]:
        if batch.targets is None:
            raise UsageError(
                "targets: needed for the loss; pass the samples' classes, or use a proxy of the output"
            )
        if batch.n < 2 * self.batches:
            raise UsageError(
                f"inputs: at least 2 samples for each of {self.batches} mini-batches expected, got {batch.n}"
            )
        size = batch.n // self.batches
        for start in range(0, size * self.batches, size):
            yield batch.part(start, start + size)


MEAN_LOSS = TrainingPass()


@dataclass(frozen=True)
class Step:
    """Gradients of the weights on one mini-batch, and the products of the Hessian with them where asked for."""

    gradients: list[Tensor | None]
    products: list[Tensor | None] | KnasError | None


@dataclass(frozen=True)
class Steps:
    """What the passes have left."""

    weights: list[Slot]
    steps: list[Step]
    saliency: OutputSaliency | None


class TrainingObservation(Observation[Result]):
    """Something that a training step shows."""

    made_in: TrainingPass

    @abstractmethod
    def read(self, steps: Steps) -> Result:
        """What it shows."""


def _read(observation: TrainingObservation[Any], steps: Steps) -> object | KnasError:
    try:
        result: object = observation.read(steps)
        return result
    except KnasError as error:
        return error


@dataclass(frozen=True)
class WeightGradients(TrainingObservation[dict[Slot, list[Tensor]]]):
    """The gradient of each weight that gets one, for each mini-batch."""

    made_in: TrainingPass = MEAN_LOSS

    def read(self, steps: Steps) -> dict[Slot, list[Tensor]]:
        """The gradients, all of them finite."""
        found: dict[Slot, list[Tensor]] = {}
        for place, slot in enumerate(steps.weights):
            rows = [step.gradients[place] for step in steps.steps]
            if given := [row for row in rows if row is not None]:
                found[slot] = given
        for slot, given in found.items():
            if not native.all_finite(given):
                raise non_finite_gradients(slot.name)
        return found


@dataclass(frozen=True)
class HessianProducts(TrainingObservation[dict[Slot, Tensor]]):
    """H g of each weight, with H the Hessian of the loss in the weights and g their gradient, on one batch."""

    made_in: TrainingPass = MEAN_LOSS

    def read(self, steps: Steps) -> dict[Slot, Tensor]:
        """The products, all of them finite."""
        products = steps.steps[0].products
        if isinstance(products, KnasError):
            raise products
        assert products is not None
        found = {slot: row for slot, row in zip(steps.weights, products, strict=True) if row is not None}
        for slot, row in found.items():
            if not native.all_finite([row]):
                raise non_finite_gradients(f"{slot.name}, differentiated twice")
        return found


@dataclass(frozen=True)
class ChannelSaliency(TrainingObservation[dict[Slot, Tensor]]):
    """For each weight the mean over samples of (sum_t a_t d_t)^2 of its outputs' channels [outputs].

    a is the output of the convolution or linear layer, d the gradient of the loss for it, t a position. Layers that
    PyTorch's attention calls within itself are not seen.
    """

    made_in: TrainingPass = MEAN_LOSS

    def read(self, steps: Steps) -> dict[Slot, Tensor]:
        """The squares; weights whose output gets no gradient have none."""
        assert steps.saliency
        by_parameter = {id(slot.parameter): slot for slot in steps.weights}
        return {
            by_parameter[key]: value for key, value in steps.saliency.found.items() if key in by_parameter
        }


class OutputSaliency(TorchFunctionMode):
    """Multiplies the outputs of convolutions and linear layers with the gradients that come back to them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[int, Tensor] = {}
        self.over = False  # whether a second differentiation follows, which passes the outputs again

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Watches the calls that have a weight."""
        output = func(*args, **(kwargs or {}))
        rule = RULES.get(func)
        if isinstance(rule, ConvolutionRule | LinearRule) and output.requires_grad:
            weight = rule.bind(func, args, kwargs).weight
            with unwatched():
                values = output.detach().clone()  # what follows may overwrite it
            axis = 1 if isinstance(rule, ConvolutionRule) else -1
            output.register_hook(lambda grad: self._add(id(weight), values, grad.detach(), axis))
        return output

    def _add(self, key: int, values: Tensor, grad: Tensor, axis: int) -> None:
        if self.over:
            return
        products = (values * grad).movedim(axis, 1).flatten(2) if values.dim() > 2 else values * grad
        sums = products.sum(2) if products.dim() > 2 else products  # [n, channels]
        squares = sums.double().square().mean(0)
        self.found[key] = self.found[key] + squares if key in self.found else squares


def _weights(model: nn.Module) -> list[Slot]:
    layers = layers_of(model)
    if not layers.layers:
        raise no_parameters()
    refuse_non_finite_weights(layers)
    weights = [slot for slot in layers.slots.values() if slot.is_weight]
    if not weights:
        raise UsageError(
            "model: a trainable weight of at least two axes expected, got only biases and scales"
        )
    return weights


@contextmanager
def _twice_differentiable(twice: bool) -> Iterator[None]:
    """The fused attentions have no second derivative."""
    if not twice:
        yield
        return
    with sdpa_kernel(SDPBackend.MATH):
        yield


def _step(
    model: nn.Module, part: Batch, weights: Sequence[Slot], saliency: OutputSaliency | None, *, twice: bool
) -> Step:
    with saliency or nullcontext():
        outputs = part.call(model)
    objective = total_objective(outputs, part.targets, "loss", part.n) / part.n
    if not objective.requires_grad:
        raise no_gradient_path()
    gradients = trained_gradients(objective, weights, twice=twice)
    if saliency:
        saliency.over = True
    if all(gradient is None for gradient in gradients):
        raise no_gradient_path()
    constants = [None if gradient is None else gradient.detach() for gradient in gradients]
    return Step(constants, _hessian_products(gradients, weights) if twice else None)


def _hessian_products(
    gradients: Sequence[Tensor | None], weights: Sequence[Slot]
) -> list[Tensor | None] | KnasError:
    """d/dw of sum <g, constant g>."""
    terms = [(gradient * gradient.detach()).sum() for gradient in gradients if gradient is not None]
    total = torch.stack(terms).sum()
    if not total.requires_grad:
        return KnasError(
            "model: its gradients do not depend on its weights, so there is no second derivative"
        )
    try:
        return list(trained_gradients(total, weights))
    except RuntimeError as error:
        return KnasError(f"model: its loss cannot be differentiated twice ({one_line(error)})")
