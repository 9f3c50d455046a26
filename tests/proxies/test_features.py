"""Entropies of feature maps, and which these are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gradients.brute_force import calibrated
from proxies.conformance import NETWORKS, ProxyConformance, residual, samples
from torch import Tensor, nn

import knas
from knas.observations.blocks import blocks_of


class TestFeatureEntropy(ProxyConformance):
    name = "feature-entropy"

    @pytest.mark.parametrize("kind", NETWORKS)
    def test_blocks_are_found(self, kind: str) -> None:
        want = {
            "mlp": ["1", "3"],
            "convolutions": ["0", "3", "5"],
            "residual": ["2.0", "2.1.0", "2.1.1"],
            "transformer": ["encoder.layers.0", "encoder.layers.1"],
        }
        assert list(blocks_of(NETWORKS[kind]()).values()) == want[kind]


def entropy(features: Tensor) -> float:
    rows = features.movedim(1, -1).reshape(-1, features.shape[1]).numpy()
    values = np.linalg.eigvalsh(np.cov(rows.T, bias=True))
    shares = values / values.sum()
    return float(-(shares * np.log(shares)).sum())


def test_is_the_formula() -> None:
    torch.manual_seed(0)
    model, images = residual().double(), samples()[0].double()
    want = []
    checked = calibrated(model, images)
    for block in (checked[2][0], checked[2][1][0], checked[2][1][1]):
        block.register_forward_hook(lambda _, inputs, output: want.append(entropy(output)))
    with torch.no_grad():
        checked(images)
    got = knas.score(model, images, proxy="feature-entropy")
    assert [layer.value for layer in got.layers] == pytest.approx(want, rel=1e-9)
    assert got.value == pytest.approx(sum(want), rel=1e-9)


def test_fewer_positions_than_channels() -> None:
    """The matrix of products of samples has the same spectrum."""
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(4, 9), nn.Linear(9, 7)).double(), torch.randn(5, 4).double()
    with torch.no_grad():
        hidden = model[0](x)
    values = np.linalg.eigvalsh(np.cov(hidden.numpy().T, bias=True))
    shares = values[values > 1e-9] / values.sum()
    got = knas.score(model, x, proxy="feature-entropy").layers[0].value
    assert got == pytest.approx(float(-(shares * np.log(shares)).sum()), rel=1e-9)


def test_a_block_overwritten_by_the_next_one() -> None:
    class InPlace(nn.Module):
        def __init__(self, *, inplace: bool) -> None:
            super().__init__()
            self.linear, self.inplace = nn.Linear(3, 3), inplace

        def forward(self, x: Tensor) -> Tensor:
            return self.linear(x.relu_() if self.inplace else x.relu())

    scores = []
    for inplace in (False, True):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 3), InPlace(inplace=inplace), InPlace(inplace=inplace))
        scores.append(knas.score(model, torch.eye(3), proxy="feature-entropy").value)
    assert scores[0] == scores[1]
