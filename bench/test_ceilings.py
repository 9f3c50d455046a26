"""What can this machine do at most: bandwidths, and the rate of a large matrix product in float32?"""

from __future__ import annotations

import pytest
import torch

from bench.exact import relative
from bench.measure import Measure
from bench.workload import ON_DEVICES

QUESTION = "ceilings"


@pytest.mark.parametrize("device", ON_DEVICES)
def test_copy(measure: Measure, device: str) -> None:
    """Bytes read and bytes written; far beyond the caches."""
    size = 2**30 if device == "cuda" else 2**28
    source = torch.randn(size // 4, device=device)
    target = torch.empty_like(source)
    measure(
        lambda: target.copy_(source),
        lambda got: relative(got, source),
        question=QUESTION,
        way="copy",
        group=f"copy of {size >> 20} MiB, bytes read and written",
        device=device,
        bytes=2 * size,
    )


@pytest.mark.parametrize("device", ON_DEVICES)
def test_read(measure: Measure, device: str) -> None:
    """The sum of a large tensor, far beyond the caches."""
    size = 2**30 if device == "cuda" else 2**28
    source = torch.rand(size // 4, device=device)
    measure(
        source.sum,
        lambda got: relative(got, source.double().sum()),
        question=QUESTION,
        way="read",
        group=f"sum of {size >> 20} MiB",
        device=device,
        bytes=size,
    )


@pytest.mark.parametrize("device", ON_DEVICES)
def test_matrix_product(measure: Measure, device: str) -> None:
    side = 8192 if device == "cuda" else 2048
    a, b = torch.randn(2, side, side, device=device)
    measure(
        lambda: a @ b,
        lambda got: relative(got[:16], a[:16].double() @ b.double()),
        question=QUESTION,
        way="sgemm",
        group=f"matrix product of {side} x {side}, float32",
        device=device,
        flops=2 * side**3,
    )
