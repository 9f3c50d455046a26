"""Feature and gradient ranks against their formula, by hooks and plain autograd."""

from __future__ import annotations

import statistics

import pytest
import torch
from proxies.conformance import ProxyConformance, samples
from torch import Tensor, nn

import knas

torch.manual_seed(0)


def participation(rows: Tensor) -> float:
    values = torch.linalg.eigvalsh(rows.mT @ rows)
    return float(values.sum() ** 2 / values.square().sum())


class TestFeatureRank(ProxyConformance):
    name = "feature-rank"


class TestGradientRank(ProxyConformance):
    name = "gradient-rank"


def smooth() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2),
        nn.Softplus(),
        nn.Conv2d(4, 6, 2),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(24, 5),
    ).double()


def expected(model: nn.Sequential, images: Tensor) -> tuple[list[float], list[float]]:
    """Ranks of the inputs of the model's layers, and of the inputs' gradients."""
    layers = [layer for layer in model if isinstance(layer, nn.Conv2d | nn.Linear)]
    inputs: dict[nn.Module, Tensor] = {}
    hooks = [
        layer.register_forward_pre_hook(lambda one, given: inputs.update({one: given[0]})) for layer in layers
    ]
    total = model(images).sum()
    for hook in hooks:
        hook.remove()
    features = []
    for layer in layers:
        rows = inputs[layer].detach().movedim(1, -1).flatten(0, -2)
        features.append(participation(rows))
    gradients = []
    for delta in torch.autograd.grad(total, [inputs[layer] for layer in layers[1:]]):
        rows = delta.movedim(1, -1).flatten(0, -2)
        gradients.append(participation(rows))
    return features, gradients


def test_agrees_with_hooks() -> None:
    model, images = smooth(), samples()[0].double()
    features, gradients = expected(model, images)
    score = knas.score(model, images, proxy="feature-rank")
    assert [layer.name for layer in score.layers] == ["0", "2", "5"]
    assert [layer.value for layer in score.layers] == pytest.approx(features)
    assert score.value == pytest.approx(statistics.geometric_mean(features))
    score = knas.score(model, images, proxy="gradient-rank")
    assert [layer.value for layer in score.layers[1:]] == pytest.approx(gradients)
    assert score.value == pytest.approx(statistics.geometric_mean(gradients))


@pytest.mark.parametrize("name", ["feature-rank", "gradient-rank"])
def test_parts_of_the_batch_add_up(name: str) -> None:
    model, images = smooth(), samples()[0].double()
    whole = knas.score(model, images, proxy=name)
    parts = knas.score(model, images, proxy=name, micro_batch=3)
    assert parts.value == pytest.approx(whole.value, rel=1e-12)


@pytest.mark.parametrize("name", ["feature-rank", "gradient-rank"])
def test_a_layer_that_runs_for_nothing_has_rank_0(name: str) -> None:
    class Dead(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.dead = smooth(), nn.Linear(192, 5).double()

        def forward(self, images: Tensor) -> Tensor:
            return self.used(images) + 0.0 * self.dead(images.flatten(1))

    images, dead = samples()[0].double(), Dead()
    shares = {layer.name: layer.value for layer in knas.score(dead, images, proxy=name).layers}
    used = {layer.name: layer.value for layer in knas.score(dead.used, images, proxy=name).layers}
    assert shares.pop("dead") == 0
    assert list(shares.values()) == list(used.values())


@pytest.mark.parametrize("name", ["feature-rank", "gradient-rank"])
def test_padding_changes_nothing(name: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).double()

    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self, values: Tensor, mask: Tensor) -> Tensor:
            return (self.inner(values).tanh() * mask.unsqueeze(-1)).sum(1)

    values = torch.randn(4, 5, 6, dtype=torch.float64)
    mask = torch.ones(4, 5, dtype=torch.float64)
    mask[1, 3:] = 0
    longer = torch.cat([values, torch.randn(4, 7, 6, dtype=torch.float64)], 1)
    padded = torch.cat([mask, mask.new_zeros(4, 7)], 1)
    short = knas.score(Masked(), (values, mask), proxy=name).value
    assert knas.score(Masked(), (longer, padded), proxy=name).value == pytest.approx(short, rel=1e-12)
