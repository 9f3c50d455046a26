"""The size of a network, counted by hand."""

from __future__ import annotations

import pytest
import torch
from proxies.conformance import ProxyConformance, network, samples
from torch import nn

import knas


class TestParams(ProxyConformance):
    name = "params"

    def test_exploding_network(self) -> None:
        assert self.score(network()).value == 112 + 8 + 148 + 325

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_non_finite_weight(self, value: float) -> None:
        """It looks at no value."""


class TestFLOPs(ProxyConformance):
    name = "flops"
    layered = False


class TestLayerCount(ProxyConformance):
    name = "layers"


def test_operations() -> None:
    want = 2 * (36 * 4 * 27 + 16 * 4 * 36 + 64 * 5)  # positions x outputs x inputs of each layer
    assert knas.score(network(), samples()[0], proxy="flops").value == want
    assert knas.score(network(), samples(3)[0], proxy="flops").value == want


def test_layers_that_the_output_depends_on() -> None:
    class Zeroed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dead, self.alive, self.never = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.dead(x) * 0.0 + self.alive(x)

    score = knas.score(Zeroed(), torch.randn(3, 4), proxy="layers")
    assert score.value == 1
    assert [layer.name for layer in score.layers] == ["alive"]
    assert knas.score(Zeroed(), torch.randn(3, 4), proxy="params").value == 60
