"""AZ-NAS against the published code's formulas, on the same draws."""

from __future__ import annotations

import copy
from itertools import pairwise

import numpy as np
import pytest
import torch
from proxies.conformance import Block, ProxyConformance, residual, samples
from proxies.test_features import entropy
from torch import Tensor, nn
from torch.nn import functional as F

import knas
from knas.errors import KnasError, UsageError
from knas.observations.chain import block_gain
from knas.observations.replaced import gaussian
from knas.proxies import rank_sum

MISMATCH = {"convolutions": "positions that do not match"}


class OnGaussianWeights(ProxyConformance):
    layered = False
    sees_weights = False


class TestExpressivity(OnGaussianWeights):
    name = "az-expressivity"


class TestProgressivity(OnGaussianWeights):
    name = "az-progressivity"


class TestTrainability(OnGaussianWeights):
    name = "az-trainability"
    refuses = MISMATCH

    def test_exploding_network(self) -> None:
        """The network there is one that it refuses; `test_weights_do_not_matter` is the same check."""

    test_same_bits_twice = test_training_mode_does_not_matter = test_layers_name_modules = (
        test_exploding_network
    )


class TestComplexity(ProxyConformance):
    name = "az-complexity"
    layered = False


class TestAZNAS(TestTrainability):
    name = "az-nas"

    def test_is_the_sum_of_its_parts(self) -> None:
        names = ("az-expressivity", "az-progressivity", "az-trainability", "az-complexity", "az-nas")
        found = knas.scores(residual(), samples()[0], proxies=names)
        *parts, complexity, whole = (found[name].value for name in names)
        assert whole == pytest.approx(sum(parts) + np.log(complexity))


def test_weights_do_not_matter() -> None:
    model, name = residual(), "az-trainability"
    first = knas.score(model, samples()[0], proxy=name).value
    with torch.no_grad():
        model[0].weight.fill_(3e38)
    assert knas.score(model.train(), samples()[0] * 2, proxy=name).value == first


def test_is_the_formula() -> None:
    """Features and gains of a network with the same weights, inputs and signs."""
    model, generator = residual().double(), torch.Generator().manual_seed(5)
    model.load_state_dict(gaussian(model, generator, fan_in=True), strict=False)
    x = torch.randn(8, 3, 8, 8, generator=generator).double()
    model.train()
    features = [model[1](model[0](x)).detach().requires_grad_()]
    for block in (model[2][0], model[2][1][0], model[2][1][1]):
        features.append(block(features[-1]))
    entropies = [entropy(feature.detach()) for feature in features]
    terms = []
    for before, after in pairwise(features):
        signs = torch.randint(0, 2, after.shape, generator=generator).double() * 2 - 1
        (gradient,) = torch.autograd.grad(after, before, signs, retain_graph=True)
        rows = [value.movedim(1, -1).reshape(-1, 4) for value in (gradient, signs)]
        gain = float(torch.linalg.svdvals(rows[0].T @ rows[1] / len(rows[0])).max())
        terms.append(-gain - 1 / (gain + 1e-6) + 2)
    names = ("az-expressivity", "az-progressivity", "az-trainability")
    found = knas.scores(residual().double(), samples()[0].double(), proxies=names, seed=5)
    assert found["az-expressivity"].value == pytest.approx(sum(entropies), rel=1e-9)
    assert found["az-progressivity"].value == pytest.approx(min(np.diff(entropies)), rel=1e-9)
    assert found["az-trainability"].value == pytest.approx(np.mean(terms), rel=1e-9)


def test_gain_of_a_strided_linear_map() -> None:
    """The positions that a pooling by 2 x 2 merges become channels; the signs come back through it exactly."""
    torch.manual_seed(0)
    before = torch.randn(4000, 2, 4, 4, requires_grad=True)
    gain = block_gain("pool", before, 3 * F.avg_pool2d(before, 2), torch.Generator().manual_seed(0))
    assert gain == pytest.approx(3 / 4 * 2, rel=0.02)  # four positions, each with a quarter of the gradient


def test_a_block_that_does_nothing_is_a_failure() -> None:
    model = nn.Sequential(Block(3), nn.Sequential(Block(3), Block(3)))
    skipping = copy.deepcopy(model)
    skipping[1][0].forward = lambda x: x
    with pytest.raises(KnasError, match=r"model: block 1\.0 passes its input on as it is"):
        knas.score(skipping, samples()[0], proxy="az-trainability")
    skipping[1][0].forward = torch.zeros_like
    with pytest.raises(KnasError, match=r"model: the output of block 1\.0 does not depend on its input"):
        knas.score(skipping, samples()[0], proxy="az-trainability")
    with pytest.raises(KnasError, match="model: a block's output is the same for all samples"):
        knas.score(skipping, samples()[0], proxy="az-expressivity")


def test_a_lone_layer_is_no_chain() -> None:
    with pytest.raises(KnasError, match="model: a chain of at least two blocks"):
        knas.score(nn.Linear(3, 2), torch.randn(4, 3), proxy="az-expressivity")


def test_blocks_that_return_tuples() -> None:
    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(3, 3)

        def forward(self, x: Tensor | tuple[Tensor, None]) -> tuple[Tensor, None]:
            x = x if isinstance(x, Tensor) else x[0]
            return self.linear(x).tanh(), None

    torch.manual_seed(0)
    model = nn.Sequential(Pair(), Pair(), Pair())
    assert np.isfinite(knas.score(model, torch.randn(6, 5, 3), proxy="az-trainability").value)


def test_rank_sum() -> None:
    found = rank_sum({"a": [1.0, 2.0, 2.0, None], "b": [3.0, 1.0, 2.0, 9.0]})
    want = [np.log(1 / 3) + np.log(3 / 3), np.log(2.5 / 3) + np.log(1 / 3), np.log(2.5 / 3) + np.log(2 / 3)]
    assert found[:3] == pytest.approx(want)
    assert np.isnan(found[3])
    with pytest.raises(UsageError, match="scores: as many networks for each"):
        rank_sum({"a": [1.0], "b": []})
