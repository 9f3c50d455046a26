"""`knas.native.grouped_gram`: many layers at once, with the bits of their own operators."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from knas import native, reference
from knas.native import SampledLayer


def network(seed: int, n: int = 3, dtype: torch.dtype = torch.float32) -> list[SampledLayer]:
    """Layers of every kind, with a geometry, statistics and entries of their own."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator).to(dtype)

    same = [3, 3], [1, 1], [1, 1], [1, 1], 1
    strided = [3], [2], [0], [2], 2
    statistics = draw(1, 3).float(), draw(1, 3).abs().float()
    own = draw(n, 3).float(), draw(n, 3).abs().float()
    return [
        SampledLayer("conv", (draw(n, 2, 8, 8), draw(n, 3, 8, 8), torch.arange(0, 57, 4), *same)),
        SampledLayer("affine", (draw(n, 3, 16), draw(n, 3, 16), *statistics, torch.arange(6))),
        SampledLayer("conv", (draw(n, 4, 11), draw(n, 2, 4), torch.tensor([0, 5, 9, 13]), *strided)),
        SampledLayer("affine", (draw(n, 3, 5), draw(n, 3, 5), *own, torch.tensor([0, 5]))),
        SampledLayer("linear", (draw(n, 2, 6), draw(n, 2, 4), torch.arange(28))),
    ]


def alone(layers: list[SampledLayer]) -> Tensor:
    return torch.stack([getattr(native, f"{layer.kind}_gram")(*layer.arguments) for layer in layers])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16], ids=str)
def test_the_bits_of_each_layers_own_operator(dtype: torch.dtype) -> None:
    layers = network(0, dtype=dtype)
    assert torch.equal(native.grouped_gram(layers), alone(layers))


def doubled(argument: object) -> object:
    return argument.double() if isinstance(argument, Tensor) and argument.is_floating_point() else argument


def test_against_the_twin_in_float64() -> None:
    layers = network(0, dtype=torch.float64)
    wide = [SampledLayer(layer.kind, tuple(map(doubled, layer.arguments))) for layer in layers]
    torch.testing.assert_close(
        native.grouped_gram(layers), reference.grouped_gram(wide), rtol=1e-6, atol=1e-6
    )


def test_several_networks_and_types_at_once() -> None:
    networks = [network(0), network(1, n=4), network(2, n=1, dtype=torch.bfloat16)]
    together = native.grouped_gram([layer for layers in networks for layer in layers])
    assert torch.equal(together, torch.cat([alone(layers) for layers in networks]))


def test_groups_may_be_left_out_as_in_the_operator() -> None:
    layer = network(0)[0]
    assert torch.equal(
        native.grouped_gram([SampledLayer("conv", layer.arguments[:-1])]), native.grouped_gram([layer])
    )


@pytest.mark.parametrize(
    ("kinds", "geometry", "message"),
    [
        ([0, 1], [], "kinds has 2 layers, but inputs 1"),
        ([3], [], "kinds are 0"),
        ([0], [3, 3], "geometry ends before layer 0"),
        ([2], [], "statistics ends before layer 0"),
        ([1], [1], "1 numbers of geometry and 0 tensors of statistics belong to no layer"),
    ],
)
def test_lists_that_do_not_fit(kinds: list[int], geometry: list[int], message: str) -> None:
    tensor, entries = torch.randn(2, 3, 4), torch.arange(3)
    with pytest.raises(RuntimeError, match=message):
        torch.ops.knas.grouped_gram([tensor], [tensor], [entries], [], kinds, geometry)


def test_no_layer() -> None:
    with pytest.raises((RuntimeError, NotImplementedError)):
        native.grouped_gram([])
