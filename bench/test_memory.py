"""What is the peak memory of a score beside that of one training step? Each is run in a process of its own.

pytest bench/test_memory.py -s
"""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import sys, torch, knas
sys.path.insert(0, "bench")
import pure_pytorch
from conftest import CELL, N

def kibibytes(key):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key))

space = knas.spaces.create("nas-bench-201")
network, what = space.build(space.parse(CELL)), sys.argv[1]
inputs, targets = torch.randn(N, 3, 32, 32), torch.arange(N) % 10
knas.score(network, inputs[:2])  # everything is loaded before the base is taken
open("/proc/self/clear_refs", "w").write("5")  # the peak starts anew from here
before = kibibytes("VmRSS")
if what == "training step":
    network.train()
    pure_pytorch.training_step(network, torch.optim.SGD(network.parameters(), 0.1, momentum=0.9), inputs, targets)
elif what == "frozen pass":
    pure_pytorch.frozen_pass(network.eval().requires_grad_(False), inputs)
else:
    knas.score(network, inputs, estimator=what)
print(kibibytes("VmHWM") - before)
"""


def peak(what: str) -> float:
    """MiB above what the process held before."""
    done = subprocess.run([sys.executable, "-c", SCRIPT, what], capture_output=True, text=True, check=True)
    return int(done.stdout) / 1024


@pytest.mark.parametrize("estimator", ["sampled", "split", "full"])
def test_peak_beside_training(estimator: str) -> None:
    step, frozen, score = peak("training step"), peak("frozen pass"), peak(estimator)
    print(
        f"\n{estimator}: {score:.0f} MiB; training step {step:.0f} MiB ({score / step:.2f} x), "
        f"frozen pass {frozen:.0f} MiB ({score / frozen:.2f} x)"
    )
    assert score <= 1.3 * step
