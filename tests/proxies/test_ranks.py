"""Feature and gradient ranks against their formula, by hooks and plain autograd."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from gradients.brute_force import operations
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


def padded() -> nn.Sequential:
    """With an even kernel, for which "same" pads one side more than the other."""
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2),
        nn.Tanh(),
        nn.Conv2d(4, 4, 2, padding="same"),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(36, 5),
    ).double()


def smooth() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2),
        nn.Softplus(),
        nn.Conv2d(4, 6, 2),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(24, 5),
    ).double()


def geometric_mean(values: list[float], weights: list[float]) -> float:
    logs = [weight * math.log(value) for value, weight in zip(values, weights, strict=True)]
    return math.exp(sum(logs) / sum(weights))


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


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("make", [smooth, padded])
def test_agrees_with_hooks(make: Callable[[], nn.Sequential]) -> None:
    model, images = make(), samples()[0].double()
    features, gradients = expected(model, images)
    score = knas.score(model, images, proxy="feature-rank")
    assert [layer.name for layer in score.layers] == ["0", "2", "5"]
    assert [layer.value for layer in score.layers] == pytest.approx(features)
    counts = list(operations(model, images, len(images)).values())
    assert score.value == pytest.approx(geometric_mean(features, counts))
    score = knas.score(model, images, proxy="gradient-rank")
    assert [layer.value for layer in score.layers[1:]] == pytest.approx(gradients)
    assert score.value == pytest.approx(geometric_mean(gradients, [math.log(1 + one) for one in counts[1:]]))


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


class Recurrent(nn.Module):
    """A recurrent cell that takes one step of all samples at a time, as [n, width] or as [1, n, width]."""

    def __init__(self, *, with_step: bool) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.cell, self.state, self.with_step = nn.Linear(6, 5), nn.Linear(5, 5, bias=False), with_step
        self.double()

    def forward(self, values: Tensor) -> Tensor:
        steps = values.transpose(0, 1)
        hidden = values.new_zeros(1, values.shape[0], 5)[0 if not self.with_step else slice(None)]
        for step in steps:
            hidden = torch.tanh(self.cell(step[None] if self.with_step else step) + self.state(hidden))
        return hidden[0] if self.with_step else hidden


class Encoder(nn.Module):
    """PyTorch's encoder over the positions of an image's rows."""

    def __init__(self, *, batch_first: bool) -> None:
        super().__init__()
        torch.manual_seed(2)
        layer = nn.TransformerEncoderLayer(24, 2, 16, dropout=0.0, norm_first=True, batch_first=batch_first)
        self.layers, self.head = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(24, 3)
        self.batch_first = batch_first
        self.double()

    def forward(self, images: Tensor) -> Tensor:
        rows = images.movedim(1, 2).flatten(2)
        rows = self.layers(rows if self.batch_first else rows.transpose(0, 1))
        return self.head(rows.mean(1 if self.batch_first else 0))


@pytest.mark.parametrize("name", ["feature-rank", "gradient-rank", "knas"])
def test_where_the_samples_lie_in_a_model_changes_nothing(name: str) -> None:
    steps = torch.randn(7, 4, 6, dtype=torch.float64)
    alone, in_sequence = (
        knas.score(Recurrent(with_step=with_step), steps, proxy=name) for with_step in (False, True)
    )
    assert in_sequence.value == pytest.approx(alone.value, rel=1e-9)
    assert [layer.value for layer in in_sequence.layers] == pytest.approx(
        [layer.value for layer in alone.layers]
    )
    images = samples()[0].double()
    first, second = (
        knas.score(Encoder(batch_first=batch_first), images, proxy=name) for batch_first in (True, False)
    )
    assert second.value == pytest.approx(first.value, rel=1e-9)
    assert not first.skipped


def test_projections_of_attention_are_seen() -> None:
    images = samples()[0].double()
    score = knas.score(Encoder(batch_first=True), images, proxy="feature-rank")
    kinds = [layer.kind for layer in score.layers]
    assert kinds.count("MultiheadAttention") == 2
    assert len(score.layers) == 2 * 4 + 1, "two projections, two linear layers each, and the head"
    assert min(layer.value for layer in score.layers) > 1


def test_a_tensor_counts_with_the_operations_of_all_layers_that_it_goes_into() -> None:
    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.first, self.left, self.right = nn.Linear(6, 8), nn.Linear(8, 3), nn.Linear(8, 3)
            self.last = nn.Linear(3, 2)

        def forward(self, values: Tensor) -> Tensor:
            hidden = self.first(values).tanh()
            return self.last(self.left(hidden) * self.right(hidden))

    score = knas.score(Branches().double(), torch.randn(5, 6, dtype=torch.float64), proxy="feature-rank")
    assert [layer.name for layer in score.layers] == ["first", "left", "last"]
    want = geometric_mean([layer.value for layer in score.layers], [2 * 6 * 8, 2 * 2 * 8 * 3, 2 * 3 * 2])
    assert score.value == pytest.approx(want, rel=1e-9)


def test_a_part_of_a_split_tensor_that_leads_nowhere_has_rank_0() -> None:
    class Split(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.both, self.used, self.dead = nn.Linear(6, 8), nn.Linear(4, 3), nn.Linear(4, 3)

        def forward(self, values: Tensor) -> Tensor:
            kept, lost = self.both(values).chunk(2, 1)
            self.dead(lost)
            return self.used(kept)

    values = torch.randn(5, 6)
    for name in ("feature-rank", "gradient-rank"):
        shares = {layer.name: layer.value for layer in knas.score(Split(), values, proxy=name).layers}
        assert shares["dead"] == 0 < shares["used"]
    assert knas.score(Split(), values, proxy="knas").value > 0
