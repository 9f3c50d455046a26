"""Times a way after its result was found right."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

import torch
from pytest_benchmark.fixture import BenchmarkFixture

#: A result, and the error relative to the float64 reference that it may have.
Check = Callable[[Any], float]
#: What float32 rounding may do to sums and smooth networks: ten times what was seen in 97 convolutions.
TOLERANCE = 1e-4


def clock() -> float:
    """Seconds, after all work queued on a GPU is done."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter()


class Measure:
    """Times one way, after its result was found right."""

    def __init__(self, benchmark: BenchmarkFixture, quick: bool) -> None:
        self.benchmark = benchmark
        self.seconds, self.most = (0.4, 4) if quick else (1.0, 10)

    def __call__(
        self, run: Callable[[], object], error: Check, *, question: str, way: str, group: str, **facts: object
    ) -> None:
        """Times `run` in as many rounds (2 to 10) as take about a second.

        Args:
            run: The way.
            error: Its result's error relative to the float64 reference; None for a ceiling, which has no reference.
            question: The table that it belongs to.
            way: Its name in that table.
            group: What is compared in one row of the table.
            facts: What else the report needs, such as network, n, bytes or operations.
        """
        found = error(run())
        assert found <= TOLERANCE, f"{way} is {found:.1e} off the float64 reference"
        self.benchmark.group = f"{question}: {group}"
        self.benchmark.extra_info.update(question=question, way=way, error=found, **facts)
        started = clock()
        run()  # a second time: the first one loads and sets up
        once = clock() - started
        rounds = max(2, min(self.most, int(self.seconds / once)))
        iterations = max(1, min(100, int(0.01 / once)))  # of what is too short for one reading of the clock
        gc.collect()
        self.benchmark.pedantic(run, rounds=rounds, iterations=iterations)
