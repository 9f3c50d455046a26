"""What do launches cost: one for each layer's statistics, or one for all layers of a kind; and K networks as one?

The second question is that of architecture batching: K networks whose weights are stacked run as one convolution of K
groups, whose rate decides what that is worth.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.exact import relative
from bench.measure import Measure
from bench.networks import NETWORKS
from bench.test_layer_operators import Layer
from bench.workload import ON_DEVICES
from knas import native, reference

N = 32
STAGES = [(16, 32), (32, 16), (64, 8)]


def layers_of_medium_cell() -> list[Layer]:
    """Every convolution and normalization, with the shapes that it sees."""
    found: list[Layer] = []

    def note(module: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> None:
        conv = isinstance(module, nn.Conv2d)
        shapes = [t.shape[1:] if conv else (t.shape[1], t[0, 0].numel()) for t in (arguments[0], output)]
        found.append(Layer("conv_gram" if conv else "affine_gram", module, *map(tuple, shapes)))  # type: ignore[arg-type]

    model = NETWORKS["medium cell"]()
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d):
            module.register_forward_hook(note)
    with torch.no_grad():
        model(torch.randn(2, 3, 32, 32))
    return found


@pytest.mark.skipif(not hasattr(native, "grouped_gram"), reason="this knas has no grouped_gram")
@pytest.mark.parametrize("way", ["knas", "each layer alone"])
@pytest.mark.parametrize("device", ON_DEVICES)
def test_grouped_launch(measure: Measure, device: str, way: str) -> None:
    layers = layers_of_medium_cell()
    packed = [
        native.SampledLayer(layer.operator.removesuffix("_gram"), layer.arguments(N, device))
        for layer in layers
    ]
    ways: dict[str, Callable[[], Tensor]] = {
        "knas": lambda: native.grouped_gram(packed),
        "each layer alone": lambda: torch.stack(
            [getattr(native, f"{layer.kind}_gram")(*layer.arguments) for layer in packed]
        ),
    }
    want = torch.stack(
        [getattr(reference, f"{layer.kind}_gram")(*map(doubled, layer.arguments)) for layer in packed]
    )
    measure(
        ways[way],
        lambda got: relative(got, want),
        question="grouped launch",
        way=way,
        group=f"grouped_gram, {len(layers)} layers of the medium cell, n = {N}, {device}",
        device=device,
        n=N,
        bytes=sum(layer.bytes(N) for layer in layers),
        flops=sum(layer.operations(N) for layer in layers),
    )


@pytest.mark.cuda
@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("networks", [1, 16, 64])
@pytest.mark.parametrize(("channels", "side"), STAGES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_networks_as_groups(
    measure: Measure, dtype: torch.dtype, channels: int, side: int, networks: int, kernel: int
) -> None:
    """Forward and the gradient for the input, as in a frozen pass."""
    options = {"device": "cuda", "dtype": dtype}
    inputs = torch.randn(N, networks * channels, side, side, **options).requires_grad_()
    weight = torch.randn(networks * channels, channels, kernel, kernel, **options)

    def run() -> Tensor:
        output = F.conv2d(inputs, weight, padding=kernel // 2, groups=networks)
        return torch.autograd.grad(output, inputs, output.detach())[0]

    def error(got: Tensor) -> float:
        first = inputs[:2, :channels].detach().double().requires_grad_()
        output = F.conv2d(first, weight[:channels].double(), padding=kernel // 2)
        return relative(got[:2, :channels], torch.autograd.grad(output, first, output.detach())[0])

    measure(
        run,
        error,
        question="networks as groups",
        way="knas",
        group=f"{networks} networks, {kernel}x{kernel}, {channels} x {side} x {side}, {dtype}, cuda",
        device="cuda",
        n=N,
        flops=2 * 2 * N * networks * channels**2 * kernel**2 * side**2,
    )


def doubled(argument: object) -> object:
    return argument.double() if isinstance(argument, Tensor) and argument.is_floating_point() else argument
