"""What every proxy must do: its test class inherits this one and sets `make`."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import knas
from knas.errors import KnasError, NotFiniteError, UsageError
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


class Block(nn.Module):
    """A residual block."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv, self.norm = (
            nn.Conv2d(features, features, 3, padding=1, bias=False),
            nn.BatchNorm2d(features),
        )
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return x + self.norm(self.conv(self.relu(x)))


class Tokens(nn.Module):
    """A transformer encoder whose tokens are the pixels."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.embed, self.head = nn.Linear(3, 8), nn.Linear(8, 5)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(self.embed(x.flatten(2).mT)).mean(1))


def mlp() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 16), nn.ReLU(), nn.Linear(16, 5))


def residual() -> nn.Module:
    blocks = nn.Sequential(Block(4), nn.Sequential(Block(4), Block(4)))
    pool = [nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5)]
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), blocks, *pool)


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "mlp": mlp,
    "convolutions": network,
    "residual": residual,
    "transformer": Tokens,
}


class ProxyConformance:
    """Inherited by the tests of every proxy."""

    name: str
    options: dict[str, object] = {}  # noqa: RUF012
    layered = True
    """Whether it reports shares of layers."""
    sees_weights = True
    """Whether the values of the weights matter, so that some can overflow."""
    refuses: dict[str, str] = {}  # noqa: RUF012
    """Names of networks that it refuses, and what it says."""

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
        assert bool(score.layers) == self.layered
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

    @pytest.mark.parametrize("kind", NETWORKS)
    def test_network(self, kind: str) -> None:
        torch.manual_seed(0)
        model = NETWORKS[kind]()
        if kind in self.refuses:
            with pytest.raises(KnasError, match=self.refuses[kind]):
                self.score(model)
            return
        first = self.score(model)
        assert math.isfinite(first.value)
        assert type(first.value) is float
        assert self.score(model).value == first.value

    @pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
    def test_precision(self, dtype: torch.dtype) -> None:
        torch.manual_seed(0)
        images, classes = samples()
        score = knas.score(residual().to(dtype), images.to(dtype), classes, proxy=self.name, **self.options)
        assert math.isfinite(score.value)

    def test_leaves_everything_as_it_was(self) -> None:
        model = residual().train()
        model[0].eval()
        model[0].bias.requires_grad_(False)
        before = copy.deepcopy(model.state_dict())
        modes = [module.training for module in model.modules()]
        wanted = [parameter.requires_grad for parameter in model.parameters()]
        random, (images, classes) = torch.get_rng_state(), samples()
        kept = images.clone()
        knas.score(model, images, classes, proxy=self.name, **self.options)
        assert torch.equal(images, kept)
        assert torch.equal(torch.get_rng_state(), random)
        assert [module.training for module in model.modules()] == modes
        assert [parameter.requires_grad for parameter in model.parameters()] == wanted
        assert all(parameter.grad is None for parameter in model.parameters())
        assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
        assert not torch.nn.modules.module._global_forward_hooks
        assert not any(module._forward_hooks for module in model.modules())

    def test_exploding_network(self) -> None:
        model = network()
        with torch.no_grad():
            model[5].weight.fill_(3e38)
        if not self.sees_weights:
            assert math.isfinite(self.score(model).value)
            return
        with pytest.raises(NotFiniteError, match="NaN or Inf"):
            self.score(model)

    def test_no_parameters(self) -> None:
        with pytest.raises(UsageError, match="model: no trainable parameters"):
            self.score(nn.Sequential(nn.ReLU(), nn.Flatten()))

    def test_a_network_that_is_frozen_whole(self) -> None:
        """It has a score where the forward pass is all that is looked at, else one clear error."""
        model = residual().requires_grad_(False)
        try:
            assert math.isfinite(self.score(model).value)
        except KnasError as error:
            assert "trainable" in str(error)  # noqa: PT017

    def test_one_sample(self) -> None:
        images, classes = samples()
        with pytest.raises(UsageError, match="inputs: at least 2 samples"):
            knas.score(network(), images[:1], classes[:1], proxy=self.name, **self.options)
