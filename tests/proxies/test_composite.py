"""The composite score is the product of its parts, from the same two passes."""

from __future__ import annotations

import math

import pytest
import torch
from proxies.conformance import ProxyConformance, network, residual, samples
from torch import nn

import knas

PARTS = ("flops", "feature-rank", "gradient-rank", "gradient-balance", "stiffness")


class TestKnas(ProxyConformance):
    name = "knas"


class TestGradientBalance(ProxyConformance):
    name = "gradient-balance"


def allowed(part: str, options: dict[str, object]) -> dict[str, object]:
    own = knas.proxies.create(part).options()
    return {name: value for name, value in options.items() if name in own}


@pytest.mark.parametrize(
    "options", [{}, {"of": "loss"}, {"batch_norm": "batch"}, {"micro_batch": 4}, {"sample": 30}]
)
def test_is_the_logarithm_of_the_product_of_its_parts(options: dict[str, object]) -> None:
    model, (images, classes) = residual(), samples()
    found = [knas.score(model, images, classes, proxy=part, **allowed(part, options)) for part in PARTS]
    composite = knas.score(model, images, classes, proxy="knas", **options)
    assert composite.value == pytest.approx(
        math.log(math.prod(max(one.value, 1e-6) for one in found)), rel=1e-9
    )


def test_costs_no_pass_of_its_own() -> None:
    """Asked for with its parts it is the same number as alone."""
    images, classes = samples()
    together = knas.scores(network(), images, classes, proxies=("knas", *PARTS, "mgm", "naswot"))
    assert together["knas"].value == pytest.approx(
        knas.score(network(), images, classes, proxy="knas").value, rel=1e-9
    )
    assert not together.failures


def test_balance_is_one_over_one_plus_the_spread() -> None:
    images, classes = samples()
    model = residual()
    gram = knas.gram(model, images, classes)
    logs = torch.tensor([math.log(layer.frobenius) for layer in gram.layers.values() if layer.frobenius > 0])
    score = knas.score(model, images, classes, proxy="gradient-balance")
    assert score.value == pytest.approx(1 / (1 + float(logs.std(correction=0))), rel=1e-5)


def test_a_larger_scale_of_the_output_changes_nothing() -> None:
    """All parts are free of the gradients' unit."""
    images, classes = samples()

    class Scaled(nn.Module):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.inner, self.factor = residual(), factor
            torch.manual_seed(0)
            for parameter in self.inner.parameters():
                nn.init.normal_(parameter, std=0.3)

        def forward(self, values: torch.Tensor) -> torch.Tensor:
            return self.factor * self.inner(values)

    values = [knas.score(Scaled(factor), images, classes, proxy="knas").value for factor in (1.0, 1e3)]
    assert values[1] == pytest.approx(values[0], rel=1e-6)
