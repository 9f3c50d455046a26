"""The network, the batch and the devices that benches share."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import knas

#: The cell of 0.83 M parameters and 67 convolutions (three 3x3 and one 1x1 per cell).
CELL = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|skip_connect~0|skip_connect~1|nor_conv_3x3~2|"
N = 64


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def device(request: pytest.FixtureRequest) -> torch.device:
    if request.param == "cuda" and not (torch.cuda.is_available() and knas.native.build_info().with_cuda):
        pytest.skip("needs a GPU and knas's CUDA kernels")
    return torch.device(request.param)


@pytest.fixture
def network(device: torch.device) -> nn.Module:
    space = knas.spaces.create("nas-bench-201")
    return space.build(space.parse(CELL)).to(device)


@pytest.fixture
def batch(device: torch.device) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(N, 3, 32, 32, generator=generator)
    return inputs.to(device), (torch.arange(N) % 10).to(device)
