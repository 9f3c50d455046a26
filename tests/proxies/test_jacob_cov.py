"""jacob-cov against the published code."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from gradients.brute_force import calibrated
from proxies.conformance import ProxyConformance, network, samples
from torch import Tensor, nn

import knas
from knas.errors import KnasError, UsageError


class TestJacobCov(ProxyConformance):
    name = "jacob-cov"
    layered = False


def published(model: nn.Module, images: Tensor) -> float:
    """`compute_jacob_cov`."""
    images = images.clone().requires_grad_()
    output = model(images)
    output.backward(torch.ones_like(output))
    values = np.linalg.eigvalsh(np.corrcoef(images.grad.flatten(1).numpy()))
    return float(-np.sum(np.log(values + 1e-5) + 1 / (values + 1e-5)))


def test_is_the_published_score() -> None:
    model, images = network().double(), samples()[0].double()
    batch = knas.score(model, images, proxy="jacob-cov", batch_norm="batch").value
    assert batch == pytest.approx(published(copy.deepcopy(model).train(), images), rel=1e-7)
    frozen = knas.score(model, images, proxy="jacob-cov").value
    assert frozen == pytest.approx(published(calibrated(model, images), images), rel=1e-7)


def test_parts_of_a_batch_and_two_inputs() -> None:
    class Two(nn.Linear):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return super().forward(x * y).tanh()

    torch.manual_seed(0)
    model, (x, y) = Two(3, 2), torch.randn(2, 6, 3)
    score = knas.score(model, (x, y), proxy="jacob-cov").value
    assert np.isfinite(score)
    assert knas.score(model, {"x": x, "y": y}, proxy="jacob-cov").value == score


def test_constant_rows_are_a_failure() -> None:
    class First(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) * (torch.arange(len(x)) != 2)[:, None]

    with pytest.raises(KnasError, match="jacob-cov: the output does not depend on the input of sample 2"):
        knas.score(First(3, 2), torch.randn(4, 3), proxy="jacob-cov")


def test_token_ids_have_no_gradient() -> None:
    model = nn.Sequential(nn.Embedding(7, 4), nn.Flatten(), nn.Linear(8, 2))
    with pytest.raises(UsageError, match="inputs: floating point numbers expected, whose gradients"):
        knas.score(model, torch.ones(3, 2, dtype=torch.long), proxy="jacob-cov")
