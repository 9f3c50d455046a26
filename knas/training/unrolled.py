"""The second-order gradient of DARTS: through one step of the weights, by a finite difference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

EPSILON = 0.01
"""Of the finite difference, before it is divided by the norm of the vector (arXiv 1806.09055)."""


class Step(NamedTuple):
    """One step of SGD: learning rate, momentum and weight decay, and the momentum buffers (None before the first)."""

    learning_rate: float
    momentum: float
    weight_decay: float
    buffers: Sequence[Tensor | None]


def unrolled_gradient(
    training_loss: Callable[[], Tensor],
    validation_loss: Callable[[], Tensor],
    weights: Sequence[Tensor],
    parameters: Tensor,
    step: Step,
) -> tuple[Tensor, Tensor]:
    r"""The gradient of the validation loss after the next step of the weights, by architecture parameters.

    With :math:`w' = w - \xi (\mu v + \nabla_w L_{train}(w, \alpha) + \lambda w)`, it is

    .. math:: \nabla_\alpha L_{val}(w', \alpha) - \xi \nabla^2_{\alpha, w} L_{train}(w, \alpha) d,
        \quad d = \nabla_{w'} L_{val}(w', \alpha),

    and the product is :math:`(\nabla_\alpha L_{train}(w + \epsilon d, \alpha) - \nabla_\alpha L_{train}(w - \epsilon
    d, \alpha)) / 2 \epsilon` with :math:`\epsilon = 0.01 / \|d\|` (DARTS, arXiv 1806.09055, "Approximate Architecture
    Gradient"). The step has momentum and weight decay but no Nesterov, as in the released `DARTS-V2.py`.

    Args:
        training_loss: of the weights and parameters as they are at the call.
        validation_loss: likewise.
        weights: w; they are moved and put back to the bit.
        parameters: :math:`\alpha` [edges, operations].
        step: :math:`\xi, \mu, \lambda, v`.

    Returns:
        The gradient [edges, operations], and the validation loss after the step.
    """
    original = [weight.detach().clone() for weight in weights]
    slopes = _gradients(training_loss(), weights)
    try:
        _assign(weights, _stepped(original, slopes, step))
        loss = validation_loss()
        outer, *direction = _gradients(loss, [parameters, *weights])
        norm = torch.sqrt(sum((one.double().square().sum() for one in direction), torch.zeros(())))
        if norm > 0:  # at 0 the step does not depend on how the weights got there
            epsilon = EPSILON / float(norm)
            sides = []
            for sign in (1, -1):
                moved = [at + sign * epsilon * by for at, by in zip(original, direction, strict=True)]
                _assign(weights, moved)
                sides.append(_gradients(training_loss(), [parameters])[0])
            outer = outer - step.learning_rate * (sides[0] - sides[1]) / (2 * epsilon)
    finally:
        _assign(weights, original)
    return outer, loss.detach()


def _stepped(weights: Sequence[Tensor], slopes: Sequence[Tensor], step: Step) -> list[Tensor]:
    moved = []
    for weight, slope, buffer in zip(weights, slopes, step.buffers, strict=True):
        change = slope + step.weight_decay * weight
        if buffer is not None:
            change = change + step.momentum * buffer
        moved.append(weight - step.learning_rate * change)
    return moved


def _gradients(loss: Tensor, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    return torch.autograd.grad(loss, inputs, allow_unused=True, materialize_grads=True)


def _assign(weights: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    with torch.no_grad():
        for weight, value in zip(weights, values, strict=True):
            weight.copy_(value)
