"""float32 within 1e-5 of float64: every operator and whole scores, on hostile shapes, orders in memory and magnitudes.

Operators get the same float32 values as their float64 twins. A value is compared relative to the largest of its
vector, and a sum over pairs of samples, which may cancel, relative to the bound that |<u, v>| <= |u| |v| gives.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hostile import LAYOUTS, Conv, convolutions, magnitudes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor, nn

import knas
from knas import native, reference

CLOSE = 1e-5
Layout = Callable[[Tensor], Tensor]
hostile = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def normal(shape: tuple[int, ...], factor: float, seed: int) -> Tensor:
    """Normal numbers times a factor, in float32."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(shape, generator=generator, dtype=torch.float64) * factor).float()


def check_vectors(got: Tensor, want: Tensor) -> None:
    assert got.shape == want.shape
    assert bool(torch.isfinite(got).all())
    if want.numel():
        assert (got.double() - want).abs().max() <= CLOSE * want.abs().max()


def check_statistics(got: Tensor, vectors: Tensor) -> None:
    """mean, mean_off_diagonal, trace, split (and frobenius) of float64 vectors [n, s]."""
    want, n = reference.gram_statistics(vectors)[: len(got)], vectors.shape[0]
    trace = want[native.STATISTICS.index("trace")]
    bounds = torch.stack([trace / n, trace / n, trace, trace, trace][: len(got)])
    assert bool(((got - want).abs() <= CLOSE * bounds).all()), (got, want)


@hostile
@given(convolutions(), magnitudes(), LAYOUTS, LAYOUTS, st.data())
def test_conv(
    case: Conv, factors: tuple[float, float], order: Layout, other: Layout, data: st.DataObject
) -> None:
    entries = torch.tensor(data.draw(st.lists(st.integers(0, case.parameters - 1), min_size=1, max_size=30)))
    input = order(normal((case.n, case.channels[0], *case.spatial), factors[0], 0))
    grad = other(normal((case.n, case.channels[1], *case.out_spatial), factors[1], 1))
    want = reference.conv_sampled_gradients(input.double(), grad.double(), entries, *case.geometry)
    check_vectors(native.conv_sampled_gradients(input, grad, entries, *case.geometry), want)
    check_statistics(native.conv_gram(input, grad, entries, *case.geometry), want)


@hostile
@given(st.tuples(*[st.integers(1, 6)] * 4), magnitudes(), LAYOUTS, LAYOUTS, st.data())
def test_linear(
    sizes: tuple[int, ...], factors: tuple[float, float], order: Layout, other: Layout, data: st.DataObject
) -> None:
    n, positions, inside, outside = sizes
    entries = torch.tensor(
        data.draw(st.lists(st.integers(0, (inside + 1) * outside - 1), min_size=1, max_size=30))
    )
    input = order(normal((n, positions, inside), factors[0], 0))
    grad = other(normal((n, positions, outside), factors[1], 1))
    want = reference.linear_sampled_gradients(input.double(), grad.double(), entries)
    check_vectors(native.linear_sampled_gradients(input, grad, entries), want)
    check_statistics(native.linear_gram(input, grad, entries), want)


@hostile
@given(
    st.tuples(st.integers(1, 5), st.integers(1, 40), st.integers(1, 50)),
    st.booleans(),
    magnitudes(),
    LAYOUTS,
    st.data(),
)
def test_affine(
    sizes: tuple[int, ...], shared: bool, factors: tuple[float, float], order: Layout, data: st.DataObject
) -> None:
    n, channels, _ = sizes
    entries = torch.tensor(data.draw(st.lists(st.integers(0, 2 * channels - 1), min_size=1, max_size=30)))
    input, grad = order(normal(sizes, factors[0], 0)), order(normal(sizes, factors[1], 1))
    mean = normal((1 if shared else n, channels), factors[0], 2)
    rstd = torch.ones_like(mean)
    want = reference.affine_sampled_gradients(
        input.double(), grad.double(), mean.double(), rstd.double(), entries
    )
    check_vectors(native.affine_sampled_gradients(input, grad, mean, rstd, entries), want)
    check_statistics(native.affine_gram(input, grad, mean, rstd, entries), want)


@hostile
@given(st.integers(1, 20), st.integers(1, 3000), st.integers(-140, 120), LAYOUTS)
def test_gram(n: int, p: int, exponent: int, order: Layout) -> None:
    vectors = order(normal((n, p, 1), 2.0**exponent, 0)).squeeze(2)
    check_vectors(native.gram_matrix(vectors), reference.gram_matrix(vectors.double()))
    check_statistics(native.gram_statistics(vectors), vectors.double())


def test_gram_of_rows_far_apart() -> None:
    """The smallest and the largest gradients side by side: each entry has its digits."""
    vectors = normal((4, 50), 1.0, 0) * torch.tensor([1e-42, 1e-20, 1.0, 1e35])[:, None]
    want = reference.gram_matrix(vectors.double())
    norms = vectors.double().norm(dim=1)
    assert bool(((native.gram_matrix(vectors) - want).abs() <= CLOSE * norms[:, None] * norms).all())


@hostile
@given(
    st.tuples(st.integers(1, 5), st.integers(1, 40), st.integers(1, 9), st.integers(1, 9)),
    st.integers(-60, 60),
    LAYOUTS,
)
def test_batch_norm(sizes: tuple[int, ...], exponent: int, order: Layout) -> None:
    input = order(normal(sizes, 2.0**exponent, 0))
    mean, variance = native.channel_moments(input)
    want_mean, want_variance = reference.channel_moments(input.double())
    size = (want_variance + want_mean**2).sqrt()
    assert bool(((mean.double() - want_mean).abs() <= CLOSE * size).all())
    assert bool(((variance.double() - want_variance).abs() <= CLOSE * size**2).all())
    numbers = [normal((sizes[1],), 1.0, seed) for seed in (1, 2)]
    got = native.fixed_batch_norm(input, mean, variance, *numbers, 1e-5)
    exact = [tensor.double() for tensor in (input, mean, variance, *numbers)]
    for tensor, want in zip(got, reference.fixed_batch_norm(*exact, 1e-5), strict=True):
        check_vectors(tensor, want)


SPACE = knas.spaces.create("nas-bench-201")


def small(architecture: object) -> nn.Module:
    return SPACE.build(architecture, channels=4, cells_per_stage=1)


def smooth(model: nn.Module) -> nn.Module:
    """SiLU in place of ReLU: whose gradient does not jump where rounding moves an input across 0."""
    for module in model.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.ReLU):
                setattr(module, name, nn.SiLU())
    return model


@pytest.mark.parametrize("estimator", ["sampled", "full", "split"])
@pytest.mark.parametrize("of", ["output", "loss"])
def test_whole_scores(estimator: str, of: str) -> None:
    generator = np.random.default_rng(1)
    inputs, targets = torch.randn(9, 3, 12, 12), torch.arange(9)
    for _ in range(6):
        model = smooth(small(SPACE.sample(generator)))
        options = {"estimator": estimator, "of": of}
        got = knas.score(model, inputs, targets, **options)
        want = knas.score(copy.deepcopy(model).double(), inputs.double(), targets, **options)
        scale = max(abs(layer.value) for layer in want.layers)
        assert abs(got.value - want.value) <= CLOSE * max(abs(want.value), scale)


class Times(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs * self.factor


@pytest.mark.parametrize("exponent", [-110, -40, 40, 100])
def test_scores_of_very_small_and_very_large_gradients(exponent: int) -> None:
    """Gradients times 2^k: the score times 2^2k, which float32 could not hold."""
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.SiLU(), nn.Flatten(), nn.Linear(8 * 36, 2))
    inputs = torch.randn(6, 3, 8, 8)
    want, gram = knas.score(body, inputs).value, knas.gram(body, inputs)
    scaled = nn.Sequential(*body, Times(2.0**exponent))
    assert knas.score(scaled, inputs).value == pytest.approx(want * 2.0 ** (2 * exponent), rel=CLOSE)
    got = knas.gram(scaled, inputs)
    for name in ("mean", "trace", "frobenius"):
        assert getattr(got, name) == pytest.approx(getattr(gram, name) * 2.0 ** (2 * exponent), rel=CLOSE)


def test_same_ranking_in_float32_and_float64() -> None:
    """200 cells. Rounding may move a score by more than 1e-5, as ReLU's gradient jumps, but none to another place."""
    generator = np.random.default_rng(0)
    inputs = torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    cells = {str(SPACE.canonical(cell)): cell for cell in (SPACE.sample(generator) for _ in range(320))}
    chosen = list(cells.values())[:200]
    scores = np.array(
        [
            [
                knas.score(model, inputs).value,
                knas.score(copy.deepcopy(model).double(), inputs.double()).value,
            ]
            for model in map(small, chosen)
        ]
    )
    assert len(scores) == 200
    assert stats.spearmanr(scores[:, 0], scores[:, 1]).statistic > 0.99999
    swapped = np.argsort(scores[:, 0]) != np.argsort(scores[:, 1])
    assert swapped.sum() == 0
