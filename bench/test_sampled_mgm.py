"""How much does the sampled MGM of a network cost beside its floors and beside pure PyTorch?

Every way is timed by its best of a few rounds in one run, so that the table's ratios are of one machine and moment:
    pytest bench/test_sampled_mgm.py
"""

from __future__ import annotations

from collections.abc import Callable

import pure_pytorch
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor, nn

import knas

Way = Callable[[], object]


def ways(network: nn.Module, inputs: Tensor, targets: Tensor) -> dict[str, Way]:
    entries = pure_pytorch.entries_of(network, inputs)
    fixed = pure_pytorch.calibrated(network, inputs)
    frozen = {
        mode: pure_pytorch.calibrated(network, inputs).train(mode).requires_grad_(False)
        for mode in (True, False)
    }
    trained = pure_pytorch.calibrated(network, inputs).train()
    optimizer = torch.optim.SGD(trained.parameters(), 0.1, momentum=0.9, nesterov=True)
    return {
        "frozen pass, evaluation mode": lambda: pure_pytorch.frozen_pass(frozen[False], inputs.clone()),
        "frozen pass, training mode": lambda: pure_pytorch.frozen_pass(frozen[True], inputs.clone()),
        "training step": lambda: pure_pytorch.training_step(trained, optimizer, inputs, targets),
        "knas": lambda: knas.score(network, inputs, seed=pure_pytorch.SEED).value,
        "knas, full": lambda: knas.score(network, inputs, estimator="full").value,
        "backward passes": lambda: pure_pytorch.by_backward_passes(fixed, inputs, entries),
        "torch.func": lambda: pure_pytorch.by_torch_func(fixed, inputs, entries),
    }


WAYS = (
    "frozen pass, evaluation mode",
    "frozen pass, training mode",
    "training step",
    "knas",
    "knas, full",
    "backward passes",
    "torch.func",
)


@pytest.fixture
def all_ways(network: nn.Module, batch: tuple[Tensor, Tensor]) -> dict[str, Way]:
    return ways(network, *batch)


def test_agreement(all_ways: dict[str, Way]) -> None:
    value = all_ways["knas"]()
    assert all_ways["backward passes"]() == pytest.approx(value, rel=1e-4)
    assert all_ways["torch.func"]() == pytest.approx(value, rel=1e-4)


@pytest.mark.parametrize("way", WAYS)
def test_time(benchmark: BenchmarkFixture, all_ways: dict[str, Way], device: torch.device, way: str) -> None:
    def run() -> None:
        all_ways[way]()
        if device.type == "cuda":
            torch.cuda.synchronize()

    benchmark.group = f"sampled MGM, n = 64, 0.83 M parameters, {device.type}"
    slow = way in ("backward passes", "torch.func")
    benchmark.pedantic(run, rounds=4 if slow else 12, warmup_rounds=1)
