"""The condition number against the published code's and against kernels that are known."""

from __future__ import annotations

import pytest
import torch
from gradients import brute_force
from proxies.conformance import ProxyConformance, network, samples
from torch import Tensor, nn

import knas
from knas.errors import UsageError
from knas.proxies.ntk_condition import condition_numbers


class TestNTKCondition(ProxyConformance):
    name = "ntk-condition"


class TestNTKConditionOfLoss(ProxyConformance):
    name, options = "ntk-condition", {"of": "loss", "micro_batch": 3}


def kappa(rows: Tensor) -> float:
    """`get_ntk_n` of the published code, for gradients [n, p]."""
    eigenvalues = torch.linalg.eigvalsh(rows @ rows.T)
    return (eigenvalues[-1] / eigenvalues[0]).item()


def test_is_the_condition_number_of_per_sample_gradients() -> None:
    model, images = network().double(), samples()[0].double()
    rows = brute_force.gradients(brute_force.calibrated(network().double(), images), images)
    got = knas.score(model, images, proxy="ntk-condition")
    assert got.value == pytest.approx(-kappa(torch.cat(list(rows.values()), 1)), rel=1e-8)
    layers = {layer.name: layer.value for layer in got.layers}
    assert layers["0"] == pytest.approx(-kappa(rows["0"]), rel=1e-8)


def test_singular_kernel_has_the_stated_value() -> None:
    """Fewer parameters than samples: the kernel has no full rank, whatever the weights are."""
    for dtype in (torch.float32, torch.float64):
        worst = -1 / (8 * torch.finfo(dtype).eps)
        model = nn.Sequential(nn.Linear(3, 1)).to(dtype)
        assert knas.score(model, torch.randn(8, 3, dtype=dtype), proxy="ntk-condition").value == worst


def test_known_condition_numbers() -> None:
    eigenvalues = torch.tensor([[1.0, 4.0], [2.0, 2.0], [0.0, 0.0], [1e-9, 1.0]])
    assert condition_numbers(eigenvalues, 1e6).tolist() == [4.0, 1.0, 1e6, 1e6]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"of": "input"}, "of: one of output, loss"),
        ({"micro_batch": 0}, "micro_batch: an integer of at least 1"),
    ],
)
def test_bad_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        knas.proxies.create("ntk-condition", **options)
