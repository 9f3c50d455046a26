"""An encoder's layers one after the other, with the connections of a structure between them.

Projections are left with unset weights, which `knas.spaces.initialization.initialize` sets.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init

from knas.errors import UsageError
from knas.spaces.checks import one_of
from knas.spaces.text.architecture import Wiring


class Concatenation(nn.Module):
    """What DenseNet (arXiv 1608.06993) does: h = W [x_1; …; x_k] + b, with W [d, k d] back to the layer's width d.

    Args:
        sources: k.
        width: d.
    """

    def __init__(self, sources: int, width: int) -> None:
        super().__init__()
        self.projection = skip_init(nn.Linear, sources * width, width)

    def forward(self, outputs: Sequence[Tensor]) -> Tensor:  # k times [n, t, d]
        """Return [n, t, d]."""
        projected: Tensor = self.projection(torch.cat(list(outputs), -1))
        return projected


class Addition(nn.Module):
    """The chain's own input and a projection of the others: h = x_k + W [x_1; …; x_(k−1)] + b, W [d, (k − 1) d].

    Args:
        sources: k.
        width: d.
    """

    def __init__(self, sources: int, width: int) -> None:
        super().__init__()
        self.projection = skip_init(nn.Linear, (sources - 1) * width, width)

    def forward(self, outputs: Sequence[Tensor]) -> Tensor:  # k times [n, t, d]
        """Return [n, t, d]."""
        projected: Tensor = self.projection(torch.cat(list(outputs[:-1]), -1))
        return outputs[-1] + projected


class Mean(nn.Module):
    """The mean of all inputs, without parameters: h = (x_1 + … + x_k) / k.

    Args:
        sources: k.
        width: d, which nothing depends on.
    """

    def __init__(self, sources: int, width: int) -> None:
        super().__init__()

    def forward(self, outputs: Sequence[Tensor]) -> Tensor:  # k times [n, t, d]
        """Return [n, t, d]."""
        return torch.stack(list(outputs)).mean(0)


CONNECTIONS: dict[str, type[Concatenation | Addition | Mean]] = {
    "concatenation": Concatenation,
    "addition": Addition,
    "mean": Mean,
}
"""How a layer that takes several outputs makes one input of them; the chain's own is the last of them."""


def connections(wiring: Wiring, width: int, connection: str) -> nn.ModuleDict:
    """Make what joins the inputs of each layer that takes several, by the layer's number from 1."""
    make = CONNECTIONS[one_of("connection", connection, CONNECTIONS)]
    return nn.ModuleDict(
        {str(layer): make(len(taken), width) for layer, taken in enumerate(wiring, 1) if len(taken) > 1}
    )


class Chain(nn.Module):
    """Stands in an encoder's list of layers for all of them: the encoder calls it once, as it would its only layer.

    Args:
        layers: the encoder's own.
        wiring: what each takes as its input.
        joints: what makes one input of several, as `connections` returns it.
    """

    def __init__(self, layers: Iterable[nn.Module], wiring: Wiring, joints: nn.ModuleDict) -> None:
        super().__init__()
        self.layers, self.joints, self.wiring = nn.ModuleList(layers), joints, wiring
        if len(self.layers) != len(wiring):
            raise UsageError(f"wiring must have {len(self.layers)} layers, got {len(wiring)}")

    def forward(self, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Any:  # [n, t, d]
        """Return what the last layer does: [n, t, d], or a tuple with it first."""
        result: Any = hidden_states
        outputs = [hidden_states]
        for number, (layer, taken) in enumerate(zip(self.layers, self.wiring, strict=True), 1):
            inputs = [outputs[source] for source in taken]
            joined = self.joints[str(number)](inputs) if len(inputs) > 1 else inputs[0]
            result = layer(joined, *args, **kwargs)
            outputs.append(result[0] if isinstance(result, tuple) else result)
        return result
