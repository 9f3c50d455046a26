"""What the operations of an edge are multiplied by, so that an architecture can be drawn or differentiated.

Architecture parameters are one tensor [edges, operations].
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

Path = list[list["float | Tensor"]]
"""Weights [edges, operations] of which one per edge is not the number 0; only that operation is run."""


def initial_parameters(edges: int, operations: int, generator: torch.Generator) -> Tensor:
    """Draw architecture parameters, 0.001 times normal as in the released code, so that no operation is ahead."""
    return (1e-3 * torch.randn(edges, operations, generator=generator)).requires_grad_()


def softmax_weights(parameters: Tensor) -> Tensor:
    """All operations of an edge at once, DARTS's continuous relaxation (arXiv 1806.09055): softmax over each edge."""
    return torch.softmax(parameters, dim=1)


def uniform_path(edges: int, operations: int, generator: torch.Generator) -> list[int]:
    """One operation for each edge, each with the same probability."""
    return torch.randint(operations, (edges,), generator=generator).tolist()


def one_path(chosen: Sequence[int], operations: int) -> Path:
    """Weight 1 for the chosen operation of each edge, the number 0 for the others."""
    return [[1.0 if position == one else 0.0 for position in range(operations)] for one in chosen]


def gumbel_path(parameters: Tensor, tau: float, generator: torch.Generator) -> Path:
    r"""One operation for each edge, drawn by the parameters, with GDAS's gradient (arXiv 1910.04465).

    With Gumbel noise :math:`o`, the operation is the largest of :math:`\tilde h = \mathrm{softmax}((\log
    \mathrm{softmax}(\alpha) + o) / \tau)`; its weight is 1 forward, and has the gradient of its :math:`\tilde h`
    backward (straight through). Only that operation is run, and no gradient comes by way of the others' weights.
    The released code also adds each other weight, 0 by value, to the feature map, which gives it the sum of the map's
    gradient; the paper does not.

    Args:
        parameters: [edges, operations].
        tau: the temperature.
        generator: a CPU generator that the noise comes from.
    """
    noise = -torch.empty(parameters.shape).exponential_(generator=generator).clamp_min_(1e-30).log()
    relaxed = torch.softmax((parameters.log_softmax(1) + noise.to(parameters)) / tau, dim=1)
    path = one_path(relaxed.argmax(1).tolist(), parameters.shape[1])
    for edge, weights in enumerate(path):
        chosen = weights.index(1.0)
        probability = relaxed[edge, chosen]
        weights[chosen] = 1.0 - probability.detach() + probability
    return path


def temperature(first: float, last: float, epoch: int, epochs: int) -> float:
    """The temperature of an epoch, counted from 0: from `first` to `last` along a line.

    >>> [temperature(10.0, 1.0, epoch, 4) for epoch in range(4)]
    [10.0, 7.0, 4.0, 1.0]
    """
    return first if epochs == 1 else first - (first - last) * epoch / (epochs - 1)
