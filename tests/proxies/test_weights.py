"""Proxies of weight gradients against the formulas, in float64, by PyTorch alone."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from proxies.conformance import ProxyConformance, network, residual, samples
from torch import Tensor, nn
from torch.nn import functional as F

import knas
from knas.errors import KnasError, UsageError


class TestGradNorm(ProxyConformance):
    name = "grad-norm"


class TestSNIP(ProxyConformance):
    name = "snip"


class TestGraSP(ProxyConformance):
    name = "grasp"


class TestFisher(ProxyConformance):
    name = "fisher"


class TestZiCo(ProxyConformance):
    name = "zico"


def weights(model: nn.Module) -> dict[str, nn.Parameter]:
    return {name: value for name, value in model.named_parameters() if value.dim() >= 2}


def loss(model: nn.Module, images: Tensor, classes: Tensor) -> Tensor:
    return F.cross_entropy(model.train()(images), classes)


def grad_norm(model: nn.Module, images: Tensor, classes: Tensor) -> float:
    loss(model, images, classes).backward()
    return sum(float(value.grad.norm()) for value in weights(model).values())


def snip(model: nn.Module, images: Tensor, classes: Tensor) -> float:
    """By a mask of ones, as the published code has it."""
    masks = {name: torch.ones_like(value).requires_grad_() for name, value in weights(model).items()}
    masked = {name: value * masks[name] for name, value in weights(model).items()}
    output = torch.func.functional_call(model.train(), masked, (images,))
    F.cross_entropy(output, classes).backward()
    return sum(float(mask.grad.abs().sum()) for mask in masks.values())


def grasp(model: nn.Module, images: Tensor, classes: Tensor) -> float:
    """H g by the difference of two gradients along g."""
    own = weights(model)
    first = torch.autograd.grad(loss(model, images, classes), list(own.values()))
    start, step = {name: value.detach().clone() for name, value in own.items()}, 1e-5

    def gradient_at(distance: float) -> tuple[Tensor, ...]:
        with torch.no_grad():
            for (name, value), row in zip(own.items(), first, strict=True):
                value.copy_(start[name] + distance * row)
        return torch.autograd.grad(loss(model, images, classes), list(own.values()))

    pairs = zip(start.values(), gradient_at(step), gradient_at(-step), strict=True)
    return -sum(float((weight * (up - down) / (2 * step)).sum()) for weight, up, down in pairs)


def fisher(model: nn.Module, images: Tensor, classes: Tensor) -> float:
    kept: list[tuple[nn.Module, Tensor]] = []

    def keep(module: nn.Module, inputs: object, output: Tensor) -> Tensor:
        output.retain_grad()
        kept.append((module, output))
        return output.clone()

    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(keep)
    loss(model, images, classes).backward()
    total = 0.0
    for module, output in kept:
        products = (output * output.grad).detach()
        products = products.flatten(2).sum(2) if products.dim() > 2 else products
        channels = products.square().mean(0) / 2
        total += float(channels.sum()) * module.weight[0].numel()
    return total


def zico(model: nn.Module, images: Tensor, classes: Tensor) -> float:
    gradients: dict[str, list[np.ndarray]] = {}
    for half in (slice(0, 4), slice(4, 8)):
        model.zero_grad()
        loss(model, images[half], classes[half]).backward()
        for name, value in weights(model).items():
            gradients.setdefault(name, []).append(value.grad.flatten().numpy().copy())
    total = 0.0
    for rows in gradients.values():
        deviation = np.std(rows, axis=0)
        moving = deviation != 0
        total += np.log((np.mean(np.abs(rows), axis=0)[moving] / deviation[moving]).sum())
    return total


WANTED: dict[str, Callable[[nn.Module, Tensor, Tensor], float]] = {
    "grad-norm": grad_norm,
    "snip": snip,
    "grasp": grasp,
    "fisher": fisher,
    "zico": zico,
}


@pytest.mark.parametrize("name", WANTED)
@pytest.mark.parametrize("make", [network, residual])
def test_is_the_formula(name: str, make: Callable[[], nn.Module]) -> None:
    torch.manual_seed(3)
    model, (images, classes) = make().double(), samples()
    images = images.double()
    want = WANTED[name](copy.deepcopy(model), images, classes)
    got = knas.score(model, images, classes, proxy=name)
    assert got.value == pytest.approx(want, rel=1e-6)
    assert sum(layer.value for layer in got.layers) == pytest.approx(want, rel=1e-6)


def test_fisher_is_the_same_beside_a_second_derivative() -> None:
    images, classes = samples()
    both = knas.scores(network(), images, classes, proxies=("fisher", "grasp"))
    assert both["fisher"].value == knas.score(network(), images, classes, proxy="fisher").value


def test_outputs_overwritten_in_place() -> None:
    def chain(*, inplace: bool) -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace), nn.Flatten(), nn.Linear(144, 5))

    images, classes = samples()
    values = [
        knas.score(chain(inplace=kind), images, classes, proxy="fisher").value for kind in (False, True)
    ]
    assert values[0] == pytest.approx(values[1], rel=1e-6)


@pytest.mark.parametrize("name", WANTED)
def test_targets_are_needed(name: str) -> None:
    assert knas.proxies.create(name).needs_targets
    with pytest.raises(UsageError, match="targets: needed for the loss"):
        knas.score(network(), samples()[0], proxy=name)


def test_linear_model_of_equal_gradients() -> None:
    images, classes = torch.ones(4, 3), torch.zeros(4, dtype=torch.long)
    with pytest.raises(KnasError, match="zico: no gradient changes"):
        knas.score(nn.Linear(3, 2), images, classes, proxy="zico")
    with pytest.raises(UsageError, match="inputs: at least 2 samples for each of 3 mini-batches"):
        knas.score(nn.Linear(3, 2), images, classes, proxy="zico", batches=3)
