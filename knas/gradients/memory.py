"""How much memory a pass may take, and what running out of it looks like."""

from __future__ import annotations

from pathlib import Path

import torch

_SHARE = 0.7  # of the free memory, for the activations of the forward pass; the rest is for the backward pass
_CPU_MESSAGES = ("can't allocate memory", "not enough memory", "DefaultCPUAllocator")


def activation_budget(device: torch.device) -> float:
    """Bytes that a forward pass on a device may fill with activations."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return _SHARE * free
    import psutil

    free = psutil.virtual_memory().available
    return _SHARE * min(free, _container_memory())


def _container_memory() -> float:
    """What is left of a container's memory limit; infinity without one."""
    folder = Path("/sys/fs/cgroup")
    try:
        limit, used = (folder / "memory.max").read_text().strip(), (folder / "memory.current").read_text()
    except OSError:
        return float("inf")
    return float("inf") if limit == "max" else max(int(limit) - int(used), 0)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the memory ran out, on a CPU or a GPU."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(message in str(error) for message in _CPU_MESSAGES)
