"""Where does the time of a score go? By PyTorch's profiler, in the operators' own time; the rest is Python."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from torch.profiler import ProfilerActivity, profile

import knas
from bench.measure import clock
from bench.workload import ON_DEVICES, Case, Workload, make_workload

#: Parts by what the operators' (on a GPU the kernels' launching operators') names hold; the first that fits.
PARTS = {
    "knas's operators": ("knas::",),
    "convolutions, backward": ("convolution_backward",),
    "convolutions, forward": ("convolution",),
    "matrix products": ("::mm", "::bmm", "::addmm", "::matmul"),
    "BatchNorm": ("batch_norm", "var_mean"),
}
REST = "other operators of PyTorch"
CALLS = {
    "sampled MGM": lambda load: knas.score(load.model, load.inputs),
    "full Gram": lambda load: knas.gram(load.model, load.inputs),
}


def part_of(operator: str) -> str:
    return next((part for part, names in PARTS.items() if any(name in operator for name in names)), REST)


def profiled(call: Callable[[Workload], object], load: Workload) -> tuple[float, profile]:
    """The seconds and the profile of a call."""
    on_cuda = load.inputs.is_cuda
    with profile(
        activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_cuda else [])]
    ) as profiler:
        started = clock()
        call(load)
        seconds = clock() - started
    return seconds, profiler


@pytest.mark.parametrize("what", CALLS)
@pytest.mark.parametrize("device", ON_DEVICES)
def test_breakdown(benchmark: BenchmarkFixture, device: str, what: str) -> None:
    load = make_workload(Case("medium cell", 64, device))
    for _ in range(3):
        CALLS[what](load)
    seconds, profiler = min((profiled(CALLS[what], load) for _ in range(3)), key=lambda pair: pair[0])
    parts = dict.fromkeys([*PARTS, REST], 0.0)
    launches = 0
    for event in profiler.key_averages():
        if event.key.startswith(("aten::", "knas::")):
            own = event.self_device_time_total if device == "cuda" else event.self_cpu_time_total
            parts[part_of(event.key)] += own / 1e6
        launches += event.count if event.key.startswith(("cudaLaunchKernel", "cuLaunchKernel")) else 0
    spent = sum(parts.values())
    assert 0 < spent <= seconds * (1 if device == "cpu" else 1.05)
    parts["waiting for Python" if device == "cuda" else "Python"] = max(seconds - spent, 0.0)
    benchmark.group = f"where the time goes: {what}, medium cell, n = 64, {device}"
    benchmark.extra_info.update(question="where the time goes", way="knas", device=device, parts=parts)
    benchmark.extra_info.update({"launches": launches} if device == "cuda" else {})
    benchmark.pedantic(lambda: CALLS[what](load), rounds=3)
