"""The composite score is the product of its parts, from the same two passes."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from gradients.brute_force import calibrated, gradients
from proxies.conformance import ProxyConformance, network, residual, samples
from torch import nn

import knas
from knas.errors import KnasError

PARTS = (
    "flops",
    "depth",
    "feature-rank",
    "gradient-rank",
    "gradient-balance",
    "gradient-breadth",
    "stiffness",
)


class TestKnas(ProxyConformance):
    name = "knas"


class TestGradientBalance(ProxyConformance):
    name = "gradient-balance"


class TestGradientBreadth(ProxyConformance):
    name = "gradient-breadth"


@pytest.mark.parametrize("options", [{}, {"micro_batch": 3}, {"sample": 10**6}])
def test_breadth_is_of_ranks_times_cosines(options: dict[str, object]) -> None:
    model, images = network().double(), samples()[0].double()
    ranks = {layer.name: layer.value for layer in knas.score(model, images, proxy="gradient-rank").layers}
    assert list(ranks) == ["0", "3", "5"]
    want = {"0": 0.0}  # no layer comes before it
    for name, rows in gradients(calibrated(copy.deepcopy(model), images), images).items():
        unit = rows / rows.norm(dim=1, keepdim=True)
        pairs = len(rows) * (len(rows) - 1)
        cosine = max(float((unit @ unit.T).sum() - len(rows)) / pairs, 0.0)
        if name in ("3", "5"):
            want[name] = math.log(1 + ranks[name] * cosine)
    score = knas.score(model, images, proxy="gradient-breadth", **options)
    assert {layer.name: layer.value for layer in score.layers} == pytest.approx(want, rel=1e-8)
    assert score.value == pytest.approx(math.sqrt(2 * sum(want.values())), rel=1e-8)


@pytest.mark.parametrize("name", ["gradient-rank", "gradient-breadth", "knas"])
def test_a_single_layer_has_no_gradient_for_its_input(name: str) -> None:
    with pytest.raises(KnasError, match="no convolution or linear layer comes after another layer"):
        knas.score(nn.Linear(4, 3), torch.randn(5, 4), proxy=name)


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
