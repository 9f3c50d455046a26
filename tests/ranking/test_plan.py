from __future__ import annotations

import os
from types import SimpleNamespace

import psutil
import pytest
import torch

from knas.ranking.plan import Plan


@pytest.mark.parametrize(
    ("networks", "cores", "memory", "workers"),
    [(6466, 4, 64, 4), (6466, 4, 2, 2), (6466, 1, 64, 1), (120, 4, 64, 2), (10, 4, 64, 1), (6466, 4, 0, 1)],
)
def test_as_many_workers_as_pay(
    networks: int, cores: int, memory: int, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(cores)))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=memory << 30))
    plan = Plan("cifar10", torch.device("cpu"), None, None).settled(networks)
    assert (plan.workers, plan.threads) == (workers, None if workers == 1 else cores // workers)
    asked = Plan("digits", torch.device("cpu"), 3, None).settled(networks)
    assert asked.workers == 3, "who asks gets them"
    assert Plan("digits", torch.device("cpu"), None, None).settled(0).threads == 1
    assert Plan("digits", torch.device("meta"), None, None).settled(networks).workers == 1
