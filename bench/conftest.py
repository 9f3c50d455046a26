"""Options, markers and the fixture `measure`, which asserts before it times."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

import knas
from bench import machine
from bench.measure import Measure, clock

STARTED = pytest.StashKey[float]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="only n = 16 and small networks, few rounds")
    parser.addoption("--stop-after", type=float, metavar="SECONDS", help="stop then, with the results so far")
    parser.addoption(
        "--whole-space", metavar="FILE", help="rank all of NAS-Bench-201, into this .csv or .parquet"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "thorough: left out by --quick")
    config.addinivalue_line(
        "filterwarnings", "ignore:.torch.jit.script:DeprecationWarning"
    )  # PyTorch's, of jvp
    # pytest-benchmark says so outside of what pytest's own filters reach; it is no error where all benches skip.
    warnings.filterwarnings("ignore", "Not saving anything, no benchmarks")
    torch.backends.cudnn.allow_tf32 = False  # float32 means float32 on every side
    torch.backends.cuda.matmul.allow_tf32 = False


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--quick"):
        thorough = [item for item in items if item.get_closest_marker("thorough")]
        config.hook.pytest_deselected(items=thorough)
        items[:] = [item for item in items if item not in thorough]
    for item in items:
        item.add_marker(pytest.mark.benchmark(timer=clock))
        if item.get_closest_marker("cuda") and not machine.runs_cuda():
            item.add_marker(pytest.mark.skip(reason="needs a GPU and knas's CUDA kernels"))


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    machine_info.clear()  # of names of hosts and the like
    machine_info.update(machine.describe())


def pytest_benchmark_generate_commit_info(config: pytest.Config) -> dict[str, Any]:
    return {"knas": knas.__version__}


def pytest_sessionstart(session: pytest.Session) -> None:
    session.config.stash[STARTED] = clock()


def pytest_runtest_teardown(item: pytest.Item) -> None:
    limit = item.config.getoption("--stop-after")
    if limit is not None and clock() - item.config.stash[STARTED] > limit:
        item.session.shouldstop = f"--stop-after {limit:.0f}"


@pytest.fixture
def measure(benchmark: BenchmarkFixture, request: pytest.FixtureRequest) -> Iterator[Measure]:
    yield Measure(benchmark, request.config.getoption("--quick"))
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
