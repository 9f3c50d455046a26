from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import pytest
import torch

from knas import data


def make_network(seed: int = 0, classes: int = 10, dropout: float = 0.2) -> torch.nn.Module:
    """A small network with all that a checkpoint must carry: normalization, dropout, 1x1 and 3x3 kernels."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3, padding=1, bias=False),
            torch.nn.BatchNorm2d(8),
            torch.nn.ReLU(),
            torch.nn.Conv2d(8, 16, 1),
            torch.nn.BatchNorm2d(16),
            torch.nn.ReLU(),
            torch.nn.Dropout(dropout),
            torch.nn.AdaptiveAvgPool2d(2),
            torch.nn.Flatten(),
            torch.nn.Linear(64, classes),
        )


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """So small a network gains nothing by a second thread, and waits for it long on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def network() -> Callable[..., torch.nn.Module]:
    return make_network


@pytest.fixture(scope="session")
def digits() -> data.ImageDataset:
    return data.load("digits", max_train_samples=200, max_test_samples=51)


@pytest.fixture
def weights_of() -> Callable[[torch.nn.Module], dict[str, torch.Tensor]]:
    return lambda model: copy.deepcopy(model.state_dict())
