"""What is the peak memory of a score beside that of a frozen pass and of a training step?"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.peak_memory import NETWORK, WAYS, peak
from bench.workload import ON_DEVICES

N = 64
ROOT = str(Path(__file__).parent.parent)
#: The root goes last: its knas/ would hide an installed one.
PROGRAM = f"import sys; sys.path.append({ROOT!r}); from bench.peak_memory import main; main(*sys.argv[1:])"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("device", ON_DEVICES)
def test_peak_memory(benchmark: BenchmarkFixture, tmp_path: Path, device: str, way: str) -> None:
    """Once, on a CPU in a process of its own; agreement is asserted where the same ways are timed."""
    call = [sys.executable, "-c", PROGRAM, way, str(N), device]

    def run() -> int:
        if device == "cuda":
            return peak(way, N, device)
        done = subprocess.run(call, capture_output=True, text=True, check=True, cwd=tmp_path)
        return int(done.stdout)

    benchmark.group = f"peak memory: {NETWORK}, n = {N}, {device}"
    found = benchmark.pedantic(run)
    assert found > 4 * N * 16 * 32 * 32  # one activation of the first stage
    facts = {"network": NETWORK, "n": N, "device": device, "peak_bytes": found}
    benchmark.extra_info.update(question="peak memory", way=way, **facts)
