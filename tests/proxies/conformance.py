"""What every proxy must do: its test class inherits this one and sets `make`."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import knas
from knas.errors import NotFiniteError, UsageError
from knas.proxies import Proxy


def network(features: int = 4) -> nn.Module:
    """A small convolutional network with BatchNorm, always the same."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, features, 3),
        nn.BatchNorm2d(features),
        nn.ReLU(),
        nn.Conv2d(features, 4, 3),
        nn.Flatten(),
        nn.Linear(64, 5),
    )


def samples(n: int = 8) -> tuple[Tensor, Tensor]:
    """Images and classes, always the same."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, 3, 8, 8, generator=generator), torch.arange(n) % 5


class ProxyConformance:
    """Inherited by the tests of every proxy."""

    name: str
    options: dict[str, object] = {}  # noqa: RUF012

    def score(self, model: nn.Module, **kwargs: object) -> knas.Score:
        return knas.score(model, *samples(), proxy=self.name, **{**self.options, **kwargs})

    def test_registered(self) -> None:
        assert self.name in knas.proxies.names()
        assert isinstance(knas.proxies.create(self.name, **self.options), Proxy)

    def test_same_bits_twice(self) -> None:
        first, second = self.score(network()), self.score(network())
        assert first.value == second.value
        assert first.layers == second.layers
        assert first.proxy == self.name
        assert first.seconds > 0

    def test_training_mode_does_not_matter(self) -> None:
        assert self.score(network().train()).value == self.score(network().eval()).value

    def test_layers_name_modules(self) -> None:
        model = network()
        modules = dict(model.named_modules())
        score = self.score(model)
        assert score.layers
        for layer in score.layers:
            assert layer.kind == type(modules[layer.name]).__name__
            assert layer.parameters == sum(p.numel() for p in modules[layer.name].parameters(recurse=False))

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_non_finite_weight(self, value: float) -> None:
        model = network()
        with torch.no_grad():
            model[3].weight[0, 0, 0, 0] = value
        with pytest.raises(NotFiniteError, match=r"model: NaN or Inf in 3\.weight"):
            self.score(model)

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_non_finite_input(self, value: float) -> None:
        images, classes = samples()
        images[1, 2, 3, 4] = value
        with pytest.raises(NotFiniteError, match="inputs: NaN or Inf"):
            knas.score(network(), images, classes, proxy=self.name, **self.options)

    def test_exploding_network(self) -> None:
        model = network()
        with torch.no_grad():
            model[5].weight.fill_(3e38)
        with pytest.raises(NotFiniteError, match="NaN or Inf"):
            self.score(model)

    def test_no_parameters(self) -> None:
        with pytest.raises(UsageError, match="model: no trainable parameters"):
            self.score(nn.Sequential(nn.ReLU(), nn.Flatten()))

    def test_one_sample(self) -> None:
        images, classes = samples()
        with pytest.raises(UsageError, match="inputs: at least 2 samples"):
            knas.score(network(), images[:1], classes[:1], proxy=self.name, **self.options)
