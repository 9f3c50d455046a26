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


class TestDepth(ProxyConformance):
    name = "depth"
    layered = False
    sees_weights = False


class Branches(nn.Module):
    """A long and a short way, which are added."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.again, self.beside = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.first(x).relu_()
        return self.again(self.again(hidden).tanh()) + self.beside(hidden) + hidden


@pytest.mark.parametrize("micro_batch", [None, 2])
def test_depth_is_that_of_the_longest_way(micro_batch: int | None) -> None:
    """Three: a layer that is used twice counts twice, and what lies beside it does not."""
    assert knas.score(Branches(), torch.randn(5, 4), proxy="depth", micro_batch=micro_batch).value == 3


def test_depth_of_a_transformer_counts_projections_along_the_way() -> None:
    torch.manual_seed(0)
    layers = [nn.TransformerEncoderLayer(8, 2, 16, batch_first=True) for _ in range(2)]
    model = nn.Sequential(*layers, nn.Linear(8, 3))
    assert knas.score(model, torch.randn(4, 5, 8), proxy="depth").value == 2 * 4 + 1


def test_depth_of_a_very_deep_network() -> None:
    model = nn.Sequential(*[nn.Linear(2, 2) for _ in range(1500)])
    with torch.no_grad():
        for layer in model:
            nn.init.orthogonal_(layer.weight)
    assert knas.score(model, torch.randn(3, 2), proxy="depth").value == 1500


def test_depth_without_layers_is_0() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * self.scale

    assert knas.score(Scaled(), torch.randn(3, 4), proxy="depth").value == 0


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
