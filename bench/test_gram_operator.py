"""How far is `native.gram_matrix` from the ceilings of the machine, and how does it stand beside `G @ G.T`?"""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle

import pytest
import torch
from torch import Tensor

from bench.exact import relative
from bench.measure import Measure
from bench.workload import ON_DEVICES
from knas import native, reference

SHAPES = [(16, 50), (64, 50), (256, 50), (64, 2304), (64, 36_864), (256, 36_864), (64, 589_824)]

WAYS: dict[str, Callable[[Tensor], Tensor]] = {
    "knas": native.gram_matrix,
    "G @ G.T": lambda vectors: vectors @ vectors.T,
    "G @ G.T in float64": reference.gram_matrix,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("device", ON_DEVICES)
def test_gram_operator(measure: Measure, device: str, shape: tuple[int, int], way: str) -> None:
    n, p = shape
    copies = max(1, min(8, 2**28 // (4 * n * p)))  # several, so that a cache does not hold them all
    vectors = torch.randn(copies, n, p, device=device)
    turn = cycle(vectors)
    measure(
        lambda: WAYS[way](next(turn)),
        lambda got: relative(got.double(), reference.gram_matrix(vectors[0])),
        question="Gram operator",
        way=way,
        group=f"{n} x {p:,}, {device}",
        device=device,
        n=n,
        bytes=4 * n * p + 8 * n * n,
        flops=n * (n + 1) * p,  # half of the symmetric matrix
    )
