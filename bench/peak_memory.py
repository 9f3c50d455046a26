"""The peak memory in bytes of one way, above what the process held before.

On a CPU by the process's own resident peak, so each way needs a process of its own; on a GPU by PyTorch's allocator.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from bench import test_full_gram, test_sampled_mgm
from bench.ways import Way
from bench.workload import Case, make_workload

NETWORK = "medium cell"
WAYS: dict[str, Way] = {
    **{way: test_sampled_mgm.WAYS[way] for way in ("frozen pass, evaluation mode", "training step")},
    "sampled MGM": test_sampled_mgm.WAYS["knas"],
    "mean of the full Gram": test_full_gram.WAYS["knas, mean only (Eq. 15)"],
    "full Gram": test_full_gram.WAYS["knas"],
}


def resident(field: str) -> int:
    """A figure of this process in bytes: VmRSS now, VmHWM at most since the peak was cleared."""
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(field)) * 1024


def on_cpu(run: Callable[[], object]) -> int:
    with open("/proc/self/clear_refs", "w") as clear:
        clear.write("5")  # the peak starts anew from here
    before = resident("VmRSS")
    run()
    return resident("VmHWM") - before


def on_cuda(run: Callable[[], object]) -> int:
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    run()
    return torch.cuda.max_memory_allocated() - before


def peak(way: str, n: int, device: str) -> int:
    """The peak of one call; everything is loaded by a call on two samples before."""
    WAYS[way](make_workload(Case(NETWORK, 2, device)))()
    run = WAYS[way](make_workload(Case(NETWORK, n, device)))
    return {"cpu": on_cpu, "cuda": on_cuda}[device](run)


def main(way: str, n: str, device: str) -> None:
    """Prints the peak."""
    print(peak(way, int(n), device))
