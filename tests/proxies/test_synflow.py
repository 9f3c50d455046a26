"""SynFlow against the published code, and where that overflows."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from proxies.conformance import ProxyConformance, network, residual, samples
from torch import Tensor, nn

import knas
from knas.errors import KnasError


class TestSynFlow(ProxyConformance):
    name = "synflow"
    sees_weights = False  # they matter, but float64 holds the flow of the largest that float32 has


def published(model: nn.Module, shape: tuple[int, ...]) -> float:
    """`compute_synflow_per_weight`, with BatchNorm out of the way."""
    model = copy.deepcopy(model).double()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.forward = lambda x: x
    with torch.no_grad():
        for value in model.parameters():
            value.abs_()
    model(torch.ones(1, *shape, dtype=torch.float64)).sum().backward()
    layers = (module for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear))
    return sum(float((layer.weight.detach() * layer.weight.grad).abs().sum()) for layer in layers)


@pytest.mark.parametrize("make", [network, residual])
def test_is_the_logarithm_of_the_published_score(make) -> None:
    torch.manual_seed(1)
    model = make()
    want = math.log(published(model, (3, 8, 8)))
    got = knas.score(model, samples()[0], proxy="synflow")
    assert got.value == pytest.approx(want, rel=1e-10)
    assert math.log(sum(math.exp(layer.value) for layer in got.layers)) == pytest.approx(want, rel=1e-10)


@pytest.mark.parametrize("logarithm", [-460, -200, 200, 460])
def test_flows_beyond_float64(logarithm: float) -> None:
    """A chain of single weights: each of the 100 layers has the product of all as its flow."""
    layers = [nn.Linear(1, 1, bias=False) for _ in range(100)]
    for layer in layers:
        nn.init.constant_(layer.weight, 10 ** (logarithm / 100))
    got = knas.score(nn.Sequential(*layers), torch.ones(2, 1), proxy="synflow").value
    assert got == pytest.approx(logarithm * math.log(10) + math.log(100), rel=1e-6)


def test_no_path_is_a_failure() -> None:
    class Cut(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) * 0

    with pytest.raises(KnasError, match="synflow: no path leads from the input to the output"):
        knas.score(Cut(3, 2), torch.ones(4, 3), proxy="synflow")


def test_token_ids_are_taken_as_they_are() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(7, 4), nn.Flatten(), nn.Linear(8, 2, bias=False))
    ids = torch.tensor([[1, 2], [3, 4]])
    table, weight = (model[place].weight.detach().abs().double() for place in (0, 2))
    flow = (
        table[[1, 2]].flatten() * weight.sum(0)
    ).sum()  # the same through the embedding and the linear layer
    got = knas.score(model, ids, proxy="synflow").value
    assert got == pytest.approx(math.log(2 * float(flow)), rel=1e-6)


def test_code_that_counts_on_its_own_type_is_a_failure() -> None:
    class Single(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x @ torch.ones(3, 3))

    with pytest.raises(KnasError, match="model: it does not run with other weights than its own"):
        knas.score(Single(3, 2), torch.ones(4, 3), proxy="synflow")
