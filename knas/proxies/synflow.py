"""SynFlow: the flow through all paths of a network, without data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from knas.errors import KnasError
from knas.observations import Findings, SynapticFlow
from knas.proxies.base import LayerScore, Observing, Score


@dataclass(frozen=True)
class SynFlow(Observing):
    """log sum |w dR/dw| over the weights w, R = 1^T f_|w|(1) (Tanaka et al., NeurIPS 2020, arXiv 2006.05467).

    f_|w| is the network with absolute weights and without normalization, on one input of ones: each weight counts the
    flow over all paths through it. The published code (`synflow` of Abdelfattah et al., ICLR 2021, arXiv 2101.08134)
    gives the sum itself; the logarithm orders networks alike, and where the sum leaves the range of
    float64, input, biases and the gradient of the output are scaled by 1e-300 or 1e300, which squares that range.

    It departs from the code in that all normalization is left out, not BatchNorm alone; and any parameter of at least
    two axes is a weight. Layers report the logarithms of their own sums. A network in which no path leads from input
    to output has no score.
    """

    name: ClassVar[str] = "synflow"

    def observations(self) -> tuple[SynapticFlow]:
        """The flow."""
        return (SynapticFlow(),)

    def read(self, model: nn.Module, findings: Findings) -> Score:
        """Adds up in the domain of logarithms."""
        flow = findings[SynapticFlow()]
        total = _log_sum(list(flow.values()))
        if total == -math.inf:
            raise KnasError("synflow: no path leads from the input to the output")
        layers = {slot.layer: [flow[other] for other in slot.layer.slots if other in flow] for slot in flow}
        shares = tuple(
            LayerScore(layer.name, layer.kind, layer.size, _log_sum(terms)) for layer, terms in layers.items()
        )
        return Score(total, self.name, shares)


def _log_sum(logarithms: list[float]) -> float:
    """log sum exp."""
    largest = max(logarithms)
    if largest == -math.inf:
        return largest
    return largest + math.log(math.fsum(math.exp(value - largest) for value in logarithms))
