"""What a result says of the machine that it was measured on: models and versions, no names."""

from __future__ import annotations

import os
import platform
import subprocess
from typing import Any

import torch

import knas

#: Clocks in MHz and the limit in W, read and never set.
CLOCKS = ("clocks.sm", "clocks.mem", "clocks.max.sm", "clocks.max.mem", "power.limit")


def runs_cuda() -> bool:
    """Whether there is a GPU that knas was built for."""
    return torch.cuda.is_available() and knas.native.build_info().with_cuda


def describe() -> dict[str, Any]:
    """Models of CPU and GPU, cores, and versions."""
    return {
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "clocks": clocks(),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "knas": knas.__version__,
    }


def cpu_model() -> str:
    """The CPU's name and the widest vectors that PyTorch uses on it."""
    with open("/proc/cpuinfo") as lines:
        names = (line.split(":")[1].strip() for line in lines if line.startswith("model name"))
        name = next(names, platform.processor())
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}"


def clocks() -> dict[str, float]:
    """The GPU's clocks at the moment, empty without one."""
    if not torch.cuda.is_available():
        return {}
    query = ["nvidia-smi", f"--query-gpu={','.join(CLOCKS)}", "--format=csv,noheader,nounits", "--id=0"]
    try:
        line = subprocess.run(query, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return {}
    values = dict(zip(CLOCKS, line.split(","), strict=True))
    return {name: float(value) for name, value in values.items() if value.strip().replace(".", "").isdigit()}
