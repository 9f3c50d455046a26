"""Checks of a model's weights, and the error of gradients that overflow."""

from __future__ import annotations

import torch
from torch import nn

from knas import native
from knas.errors import NotFiniteError
from knas.gradients.layers import Layers, layers_of, no_parameters


def refuse_non_finite_weights(layers: Layers) -> None:
    """Raises NotFiniteError naming the first parameter that holds NaN or Inf."""
    slots = layers.slots.values()
    if native.all_finite([slot.parameter.detach() for slot in slots]):
        return
    for slot in slots:
        if not bool(torch.isfinite(slot.parameter).all()):
            raise NotFiniteError(f"model: NaN or Inf in {slot.name}; initialize the network again")


def refuse_unusable_weights(model: nn.Module) -> None:
    """Refuses a model without parameters, or with NaN or Inf among the trainable ones.

    Raises:
        UsageError: There are no parameters, so nothing to be trained.
        NotFiniteError: Some parameter is not finite; the text names it.
    """
    layers = layers_of(model)
    if not layers.layers and not layers.frozen:
        raise no_parameters()
    refuse_non_finite_weights(layers)


def non_finite_gradients(where: str) -> NotFiniteError:
    """The error of gradients that overflow in a layer."""
    return NotFiniteError(f"gradients: NaN or Inf in {where}; the network or its initialization is unstable")
