"""What is benched: a network, n samples and a device, and which of them are affordable where."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import pytest
import torch
from torch import Tensor, nn

from bench.exact import Exact
from bench.networks import NETWORKS, smooth
from bench.pure_pytorch import Rows, calibrated
from knas.gradients import Gradients, Settings, make_batch, random_entries

SEED = 0

#: Numbers of samples for each network on a CPU: what two cores do in a few minutes. A GPU takes `ALL`.
ON_CPU = {
    "small cell": (16, 64, 256),
    "medium cell": (16, 64, 256),
    "large cell": (16, 64),
    "ResNet-18": (16, 64),
    "transformer": (16, 64, 256),
}
ALL = (16, 64, 256)

#: The largest n at which a CPU also runs the ways that take several times as long.
SLOW_ON_CPU = {"small cell": 256, "medium cell": 64, "large cell": 64, "ResNet-18": 16, "transformer": 256}
#: On a GPU n backward passes and the n per-sample gradients of the largest network stay affordable up to here.
SLOW_ON_CUDA = 64

#: The devices of benches that have no network.
ON_DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)]

QUICK = {("small cell", 16), ("medium cell", 16), ("transformer", 16)}


@dataclass(frozen=True)
class Case:
    """One network (or its smooth twin), number of samples and device; `str` names it."""

    network: str
    n: int
    device: str
    smooth: bool = False

    def __str__(self) -> str:
        return f"{self.network}, n = {self.n}, {self.device}"


@dataclass
class Workload:
    """A case's tensors."""

    model: nn.Module
    inputs: Tensor  # [n, 3, 32, 32]

    @cached_property
    def targets(self) -> Tensor:
        """Classes [n]."""
        return torch.arange(len(self.inputs), device=self.inputs.device) % 10

    @cached_property
    def fixed(self) -> nn.Module:
        """The network with the statistics of the batch in its BatchNorm layers, in evaluation mode."""
        return calibrated(self.model, self.inputs)

    def copy_of_fixed(self) -> nn.Module:
        """One that may be changed."""
        return copy.deepcopy(self.fixed)

    @cached_property
    def exact(self) -> Exact:
        """The float64 references."""
        return Exact(self.model, self.inputs)

    @cached_property
    def entries(self) -> Rows:
        """The entries that knas samples with `SEED`, per layer, numbered through the layer's parameters."""
        layers = Gradients(
            self.model, make_batch(self.inputs, None, self.inputs.device), Settings()
        ).layers.layers
        draw = random_entries(50, SEED)
        return {layer.name: draw(layer).to(self.inputs.device) for layer in layers}

    def facts(self) -> dict[str, int]:
        """What the report says of the network."""
        layers = {name.rpartition(".")[0] for name, _ in self.model.named_parameters()}
        return {"parameters": sum(p.numel() for p in self.model.parameters()), "layers": len(layers)}


@lru_cache(maxsize=4)
def make_workload(case: Case, dtype: torch.dtype = torch.float32) -> Workload:
    """The same weights and images on every call, whatever the type."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = NETWORKS[case.network]()
    model = smooth(model) if case.smooth else model
    inputs = torch.randn(case.n, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    return Workload(model.to(case.device, dtype), inputs.to(case.device, dtype))


def cases(ways: Iterable[str], slow: Iterable[str]) -> list[pytest.ParameterSet]:
    """Every affordable pair of a case and a way; those that `--quick` leaves out are marked `thorough`."""
    ways, slow = tuple(ways), set(slow)
    return [
        pytest.param(case, way, id=f"{case}, {way}", marks=marks(case))
        for case in _all_cases()
        for way in ways
        if way not in slow or case.n <= (SLOW_ON_CUDA if case.device == "cuda" else SLOW_ON_CPU[case.network])
    ]


def marks(case: Case) -> list[pytest.MarkDecorator]:
    """The markers of a case."""
    found = [pytest.mark.cuda] if case.device == "cuda" else []
    return found if (case.network, case.n) in QUICK else [*found, pytest.mark.thorough]


def _all_cases() -> Iterator[Case]:
    for network, numbers in ON_CPU.items():
        yield from (Case(network, n, "cpu") for n in numbers)
    for network in ON_CPU:
        yield from (Case(network, n, "cuda") for n in ALL)
