"""Which form of a layer's Gram matrix is chosen, and that all forms agree."""

from __future__ import annotations

import pytest
import torch

from knas import native, reference
from knas.gradients.forms import Size, cheapest, gram_of_positions, per_sample_cost, positions_cost
from knas.gradients.rules.embedding import gram_of_indices


def test_costs_count_the_operations() -> None:
    size = Size(n=4, positions=3, outputs=5, inputs=7, groups=2)
    assert per_sample_cost(size) == 2 * (4 * 3 * 5 * 7 + 10 * 5 * 7)
    assert positions_cost(size) == 2 * 10 * 9 * (5 + 7 + 160)
    one = Size(n=4, positions=1, outputs=5, inputs=7)
    assert positions_cost(one) == 10 * (5 + 7)


@pytest.mark.parametrize(
    ("size", "form"),
    [
        (Size(64, 1024, 16, 16 * 9), "per-sample"),  # an early convolution
        (Size(64, 64, 64, 64 * 9), "per-sample"),
        (Size(8, 49, 512, 512 * 9), "positions"),  # a late ResNet layer, few samples
        (Size(16, 16, 768, 3072), "positions"),  # a transformer's layer on short texts
        (Size(32, 128, 768, 3072), "per-sample"),
        (Size(64, 1, 64, 10), "closed"),  # a classifier
        (Size(64, 784, 1, 9, groups=96), "per-sample"),  # depthwise
    ],
)
def test_cheapest(size: Size, form: str) -> None:
    assert cheapest(size) == form


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("block", [1, 1 << 24])
@pytest.mark.parametrize("positions", [1, 6])
def test_positions(positions: int, block: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("knas.gradients.forms._BLOCK", block)
    input, deltas = torch.randn(5, positions, 7).to(dtype), torch.randn(5, positions, 3).to(dtype)
    entries = torch.arange(21)
    want = reference.gram_matrix(reference.linear_sampled_gradients(input.double(), deltas.double(), entries))
    tolerance = 1e-12 if dtype == torch.float64 else 1e-5
    got = gram_of_positions(input, deltas)
    assert got.dtype == torch.float64
    assert (got - want).abs().max() <= tolerance * want.abs().max()


@pytest.mark.parametrize(("first", "second"), [(1e-30, 1e-9), (1e20, 1e-35), (1e15, 1e17)])
def test_positions_of_any_magnitude(first: float, second: float) -> None:
    """Gradients that float32 holds, from factors whose products of four it does not."""
    input, deltas = torch.randn(5, 6, 7), torch.randn(5, 6, 3)
    want = gram_of_positions(input.double() * first, deltas.double() * second)
    got = gram_of_positions(input * first, deltas * second)
    assert (got - want).abs().max() <= 1e-5 * want.abs().max()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_indices(dtype: torch.dtype) -> None:
    """Frequent, rare and left out indices."""
    indices = torch.randint(-1, 30, (7, 20)).clamp(max=12)
    deltas = torch.randn(7, 20, 5).to(dtype)
    rows = torch.zeros(7, 13, 5, dtype=torch.float64)
    for i in range(7):
        for t in range(20):
            if indices[i, t] >= 0:
                rows[i, indices[i, t]] += deltas[i, t].double()
    want = native.gram_matrix(rows.flatten(1))
    tolerance = 1e-12 if dtype == torch.float64 else 1e-5
    assert (gram_of_indices(indices, deltas) - want).abs().max() <= tolerance * want.abs().max()
    assert torch.equal(gram_of_indices(indices * 0 - 1, deltas), torch.zeros(7, 7, dtype=torch.float64))
    for factor in (2.0**-90, 2.0**90):  # squares that float32 does not hold
        scaled = gram_of_indices(indices, deltas * factor) / factor**2
        assert (scaled - want).abs().max() <= tolerance * want.abs().max()
