"""How much does the Gram matrix of all parameters cost beside a training step and beside pure PyTorch?

Every way is timed by its best of a few rounds in one run, so that the table's ratios are of one machine and moment:
    pytest bench/test_full_gram.py
"""

from __future__ import annotations

from collections.abc import Callable

import pure_pytorch
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor, nn
from torch.nn import functional as F
from unfolding import gram_by_unfolding

import knas


class Residual(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first, self.second = convolution(inputs, outputs, 3, stride), convolution(outputs, outputs, 3, 1)
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else convolution(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.second(F.relu(self.first(x))) + self.shortcut(x))


def convolution(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Module:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


def resnet() -> nn.Module:
    """ResNet-18 for 32 x 32 images: 11.2 M parameters."""
    torch.manual_seed(0)
    widths = [64, 64, 64, 128, 128, 256, 256, 512, 512]
    strides = [1, 1, 2, 1, 2, 1, 2, 1]
    blocks = map(Residual, widths, widths[1:], strides)
    return nn.Sequential(
        convolution(3, 64, 3, 1), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10)
    )


WAYS = ("frozen pass", "training step", "knas", "unfolding")


@pytest.fixture(params=["cell", "resnet"])
def model(request: pytest.FixtureRequest, network: nn.Module, device: torch.device) -> nn.Module:
    return network if request.param == "cell" else resnet().to(device)


@pytest.fixture
def ways(model: nn.Module, batch: tuple[Tensor, Tensor]) -> dict[str, Callable[[], object]]:
    inputs, targets = batch
    fixed = pure_pytorch.calibrated(model, inputs).requires_grad_(False)
    trained = pure_pytorch.calibrated(model, inputs).train()
    optimizer = torch.optim.SGD(trained.parameters(), 0.1, momentum=0.9, nesterov=True)
    return {
        "frozen pass": lambda: pure_pytorch.frozen_pass(fixed, inputs.clone()),
        "training step": lambda: pure_pytorch.training_step(trained, optimizer, inputs, targets),
        "knas": lambda: knas.gram(model, inputs).matrix,
        "unfolding": lambda: gram_by_unfolding(fixed, inputs),
    }


def test_agreement(model: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
    """In float64, and float32 with it as far as ReLUs at zero let it."""
    inputs = batch[0][:16]
    single = knas.gram(model, inputs).matrix
    model, inputs = model.double(), inputs.double()
    want = gram_by_unfolding(pure_pytorch.calibrated(model, inputs).requires_grad_(False), inputs).cpu()
    assert (knas.gram(model, inputs).matrix - want).norm() <= 1e-9 * want.norm()
    assert (single - want).norm() <= 1e-3 * want.norm()


@pytest.mark.parametrize("way", WAYS)
def test_time(
    benchmark: BenchmarkFixture,
    request: pytest.FixtureRequest,
    ways: dict[str, Callable[[], object]],
    device: torch.device,
    way: str,
) -> None:
    def run() -> None:
        ways[way]()
        if device.type == "cuda":
            torch.cuda.synchronize()

    benchmark.group = f"full Gram matrix, n = 64, {request.node.callspec.params['model']}, {device.type}"
    benchmark.pedantic(run, rounds=5, warmup_rounds=1)
