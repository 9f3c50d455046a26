"""NASWOT against the published code, by hooks and one Hamming kernel per ReLU."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from proxies.conformance import ProxyConformance, network, samples
from proxies.relus import FUNCTIONAL, Functional
from torch import Tensor, nn

import knas
from knas.errors import KnasError, NotFiniteError, UsageError
from knas.observations import HammingKernel


class TestNASWOT(ProxyConformance):
    name = "naswot"
    layered = False  # a log-determinant is no sum over layers


def published(model: nn.Module, images: Tensor) -> float:
    """`counting_forward_hook` and `hooklogdet` of the published code."""
    kernel = np.zeros((len(images), len(images)))

    def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal kernel
        on = (inputs[0].flatten(1) > 0).double()
        kernel = kernel + (on @ on.T).numpy() + ((1 - on) @ (1 - on).T).numpy()

    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(hook)
    with torch.no_grad():
        model.train()(images)
    return float(np.linalg.slogdet(kernel)[1])


def test_is_the_published_score() -> None:
    space = knas.spaces.create("nas-bench-201")
    images = torch.randn(12, 3, 8, 8, generator=torch.Generator().manual_seed(3))
    for index in (1, 2, 9):
        models = [space.build(space.architecture(index), channels=4, cells_per_stage=1) for _ in range(2)]
        got = knas.score(models[0], images, proxy="naswot").value
        assert got == pytest.approx(published(models[1], images), rel=1e-9)


@pytest.mark.parametrize("call", FUNCTIONAL.values(), ids=FUNCTIONAL)
def test_functional_relus_count(call) -> None:
    images, _ = samples()
    want = knas.score(Functional(torch.relu), images, proxy="naswot").value
    assert knas.score(Functional(call), images, proxy="naswot").value == pytest.approx(want, rel=1e-12)


def test_kernel_adds_up_exactly() -> None:
    codes = torch.rand(5, 37, generator=torch.Generator().manual_seed(0)) > 0.5
    whole, parts = HammingKernel(5), HammingKernel(5)
    whole.add(codes)
    for part in codes.split(7, 1):
        parts.add(part)
    differences = (codes[:, None] != codes[None]).sum(2)
    assert torch.equal(whole.matrix, (37 - differences).double())
    assert torch.equal(whole.matrix, parts.matrix)


def test_same_codes_are_a_failure() -> None:
    images, _ = samples()
    images[3] = images[5]
    with pytest.raises(KnasError, match=r"naswot: the kernel of 8 samples is singular \(rank 7\)"):
        knas.score(network(), images, proxy="naswot")


def test_no_relu_is_one_clear_error() -> None:
    with pytest.raises(UsageError, match=r"model: no ReLU ran.*'mgm'"):
        knas.score(nn.Sequential(nn.Linear(3, 4), nn.GELU()), torch.randn(4, 3), proxy="naswot")


def test_samples_must_come_first() -> None:
    class SequenceFirst(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(torch.relu(x.transpose(0, 1))).mean(0)

    with pytest.raises(UsageError, match=r"input has the 4 samples first expected, got \[5, 4, 3\]"):
        knas.score(SequenceFirst(3, 2), torch.randn(4, 5, 3), proxy="naswot")


def test_overflow_before_a_relu_is_a_failure() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU())
    with torch.no_grad():
        model[0].weight.fill_(3e38)
        model[0].bias.zero_()
    with pytest.raises(NotFiniteError, match="activations: NaN or Inf before ReLU 1"):
        knas.score(model, torch.ones(4, 3), proxy="naswot")
