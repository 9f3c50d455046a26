"""The inputs of a pass: a tensor, a tuple or a mapping, cut along their samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from knas.errors import NotFiniteError, UsageError

Inputs = Tensor | Sequence[Any] | Mapping[str, Any]


@dataclass(frozen=True)
class Batch:
    """n samples as a model takes them: `inputs` a tensor, tuple or dict whose tensors have the samples first."""

    inputs: Any
    targets: Tensor | None
    n: int

    def call(self, model: nn.Module) -> Any:
        """The model's outputs."""
        if isinstance(self.inputs, dict):
            return model(**self.inputs)
        return model(*self.inputs) if isinstance(self.inputs, tuple) else model(self.inputs)

    def part(self, start: int, stop: int) -> Batch:
        """Samples start .. stop - 1."""
        if (start, stop) == (0, self.n):
            return self
        inputs = _map(self.inputs, lambda tensor: tensor[start:stop] if self.has_samples(tensor) else tensor)
        targets = None if self.targets is None else self.targets[start:stop]
        return Batch(inputs, targets, min(stop, self.n) - start)

    def channels_last(self) -> Batch:
        """The same samples, with the channels of images and volumes side by side in memory."""
        return self.with_inputs(_channels_last)

    def with_inputs(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """The same samples, with each tensor among the inputs changed."""
        return Batch(_map(self.inputs, change), self.targets, self.n)

    def plus(self, other: Batch, factor: float) -> Batch:
        """The same samples, with `factor` times another batch's added to the floating point inputs."""
        added = iter(other.tensors())

        def plus(tensor: Tensor) -> Tensor:
            noise = next(added)
            moves = tensor.is_floating_point() and self.has_samples(tensor)
            return tensor + factor * noise if moves else tensor

        return self.with_inputs(plus)

    def tensors(self) -> list[Tensor]:
        """The tensors among the inputs."""
        return _tensors(self.inputs)

    def has_samples(self, tensor: Tensor) -> bool:
        """Whether the first axis of an input holds the samples."""
        return tensor.dim() > 0 and tensor.shape[0] == self.n


def make_batch(inputs: Inputs, targets: Tensor | None, device: torch.device) -> Batch:
    """Checks inputs and targets and moves them to a device.

    Raises:
        UsageError: There is no tensor among the inputs, fewer than 2 samples, or another number of targets.
        NotFiniteError: An input or target is NaN or infinite.
    """
    plain = (
        dict(inputs)
        if isinstance(inputs, Mapping)
        else tuple(inputs)
        if isinstance(inputs, tuple | list)
        else inputs
    )
    tensors = [value for value in _tensors(plain) if value.dim() > 0]
    if not tensors:
        raise UsageError(
            f"inputs: a tensor, or a tuple or mapping of tensors expected, got {type(inputs).__name__}"
        )
    n = tensors[0].shape[0]
    if n < 2:
        raise UsageError(f"inputs: at least 2 samples are needed to compare their gradients, got {n}")
    if targets is not None and (
        not isinstance(targets, Tensor) or targets.dim() == 0 or targets.shape[0] != n
    ):
        got = list(targets.shape) if isinstance(targets, Tensor) else type(targets).__name__
        raise UsageError(f"targets: a tensor with one entry for each of the {n} samples expected, got {got}")
    for what, values in (("inputs", tensors), ("targets", [] if targets is None else [targets])):
        if not all(bool(torch.isfinite(value).all()) for value in values if value.is_floating_point()):
            raise NotFiniteError(f"{what}: NaN or Inf among the values; clean the data first")
    return Batch(
        _map(plain, lambda value: _fresh(value, device)),
        None if targets is None else _fresh(targets, device),
        n,
    )


def _fresh(tensor: Tensor, device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        moved = tensor.detach().to(device)
        return moved.clone() if moved.is_inference() else moved


def _channels_last(tensor: Tensor) -> Tensor:
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    if tensor.dim() not in formats or not tensor.is_floating_point():
        return tensor
    return tensor.contiguous(memory_format=formats[tensor.dim()])


def _map(inputs: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(inputs, dict):
        return {key: change(value) if isinstance(value, Tensor) else value for key, value in inputs.items()}
    if isinstance(inputs, tuple):
        return tuple(change(value) if isinstance(value, Tensor) else value for value in inputs)
    return change(inputs) if isinstance(inputs, Tensor) else inputs


def _tensors(inputs: Any) -> list[Tensor]:
    values = (
        inputs.values() if isinstance(inputs, dict) else inputs if isinstance(inputs, tuple) else [inputs]
    )
    return [value for value in values if isinstance(value, Tensor)]
