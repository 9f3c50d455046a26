"""Gradients of a model's inputs, from the same passes as those of its layers."""

from __future__ import annotations

import torch
from torch import Tensor

from knas.errors import UsageError
from knas.gradients.batch import Batch
from knas.gradients.capture import start


class InputGradients:
    """Collects, part by part, what the backward pass brings to the floating point inputs."""

    def __init__(self) -> None:
        self._parts: list[Tensor] = []
        self._arrived: dict[int, Tensor] = {}
        self._inputs: list[Tensor] = []

    def attach(self, part: Batch, anchor: Tensor) -> Batch:
        """The part with inputs that a backward pass to the anchor goes through."""
        self._arrived, self._inputs = {}, []

        def attached(tensor: Tensor) -> Tensor:
            if not part.has_samples(tensor) or not tensor.is_floating_point():
                return tensor
            number = len(self._inputs)
            self._inputs.append(tensor)
            watched = start(tensor.clone(), anchor)
            watched.register_hook(lambda grad: self._arrived.__setitem__(number, grad.detach()))
            return watched

        return part.with_inputs(attached)

    def end(self) -> None:
        """Called after a part's backward pass."""
        if not self._inputs:
            raise UsageError(
                "inputs: floating point numbers expected, whose gradients can be taken; "
                "use a proxy of weight gradients, such as 'mgm', for token ids"
            )
        rows = [self._arrived.get(number, tensor * 0) for number, tensor in enumerate(self._inputs)]
        self._parts.append(torch.cat([row.flatten(1) for row in rows], 1))

    def joined(self) -> Tensor:
        """Gradients [n, all input elements] of all parts."""
        return torch.cat(self._parts)
