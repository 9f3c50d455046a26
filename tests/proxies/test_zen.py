"""Zen-score, on networks whose score is known."""

from __future__ import annotations

import math

import pytest
import torch
from proxies.conformance import ProxyConformance, network, residual, samples
from torch import Tensor, nn

import knas
from knas.errors import KnasError, UsageError
from knas.observations.replaced import gaussian


class TestZen(ProxyConformance):
    name = "zen"
    layered = False
    sees_weights = False


@pytest.mark.parametrize(("variances", "kept"), [("running", 0.81), ("batch", 0.0)])
def test_is_the_formula(variances: str, kept: float) -> None:
    """With the same draws: two passes in training mode, and the variances that BatchNorm saw."""
    model = residual().double()
    generator = torch.Generator().manual_seed(5)
    model.load_state_dict(gaussian(model, generator, fan_in=False), strict=False)
    x, e = (torch.randn(8, 3, 8, 8, generator=generator).double() for _ in range(2))
    found: list[Tensor] = []
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_pre_hook(
                lambda _, inputs: found.append(inputs[0].var((0, 2, 3), correction=0).mean())
            )
    before_pool = model[:4].train()
    with torch.no_grad():
        change = (before_pool(x) - before_pool(x + 0.1 * e)).abs().sum((1, 2, 3)).mean()
    seen = found[: len(found) // 2]
    want = math.log(change) + sum(0.5 * math.log(kept + (1 - kept) * variance) for variance in seen)
    images = samples()[0].double()
    options = {"gamma": 0.1, "variances": variances}
    got = knas.score(residual().double(), images, proxy="zen", seed=5, **options).value
    assert got == pytest.approx(want, rel=1e-10)


def test_weights_and_values_do_not_matter() -> None:
    values = {
        knas.score(model, images, proxy="zen").value
        for model, images in ((network(), samples()[0]), (network().apply(_zeroed), samples()[0] * 5))
    }
    assert len(values) == 1


def _zeroed(module: nn.Module) -> None:
    for parameter in module.parameters(recurse=False):
        nn.init.zeros_(parameter)


def test_mean_of_repeats() -> None:
    once, twice = (knas.score(network(), samples()[0], proxy="zen", repeats=count).value for count in (1, 2))
    assert once != twice
    assert once == pytest.approx(twice, rel=0.5)


def test_token_ids_cannot_be_moved() -> None:
    model = nn.Sequential(nn.Embedding(7, 4), nn.Flatten(), nn.Linear(8, 2))
    with pytest.raises(UsageError, match="inputs: floating point numbers expected, which can be moved"):
        knas.score(model, torch.ones(3, 2, dtype=torch.long), proxy="zen")


def test_constant_features_are_a_failure() -> None:
    class Constant(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x * 0)

    with pytest.raises(KnasError, match="zen: the features do not change with the input"):
        knas.score(Constant(3, 2), torch.randn(4, 3), proxy="zen")


def test_options_are_checked() -> None:
    with pytest.raises(UsageError, match="gamma: a positive number expected, got 0"):
        knas.proxies.create("zen", gamma=0)
    with pytest.raises(UsageError, match="repeats: an integer of at least 1"):
        knas.proxies.create("zen", repeats=0)
    with pytest.raises(UsageError, match="variances: one of running, batch expected, got 'momentum'"):
        knas.proxies.create("zen", variances="momentum")
