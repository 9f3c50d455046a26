"""Three exact ways to the Gram matrix of a layer whose gradients are sums of outer products over positions.

With g_i = sum_t d_i[t] (x) a_i[t] for T positions, O outputs and I inputs (channels x taps), in G groups of their own:

per-sample: form the g_i, then their products. G (n T O I + n (n + 1) / 2 O I) multiply-adds. The g_i are formed some
    outputs at a time and stay in cache.
positions ("ghost"): <g_i, g_j> = sum_{t, t'} <d_i[t], d_j[t']> <a_i[t], a_j[t']> from two matrices of products of
    positions. G n (n + 1) / 2 T^2 (O + I) multiply-adds, and the two matrices are written and read: 16 bytes for each
    pair of positions. Cheaper for few positions and many parameters.
closed: the latter with T = 1, (A A^T) * (D D^T), in n (n + 1) / 2 (O + I) multiply-adds.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from knas import native

#: Multiply-adds in the time of 16 bytes of memory traffic: 160 G/s to 16 GB/s on two CPU cores, 33 T/s to 3.3 TB/s on
#: a GPU.
_PAIR = 160
_BLOCK = 1 << 24  # bytes of a matrix of products of positions that are held at once


@dataclass(frozen=True)
class Size:
    """What a layer's cost depends on; `inputs` (channels x taps) and `outputs` are those of one group."""

    n: int
    positions: int
    outputs: int
    inputs: int
    groups: int = 1

    @property
    def pairs(self) -> int:
        """Pairs of samples, n (n + 1) / 2."""
        return self.n * (self.n + 1) // 2


def per_sample_cost(size: Size) -> int:
    """Multiply-adds of the per-sample form."""
    return size.groups * size.outputs * size.inputs * (size.n * size.positions + size.pairs)


def positions_cost(size: Size) -> int:
    """Multiply-adds of the positions' form, with its memory traffic in the same unit."""
    traffic = _PAIR if size.positions > 1 else 0
    return size.groups * size.pairs * size.positions**2 * (size.outputs + size.inputs + traffic)


def cheapest(size: Size) -> str:
    """One of "per-sample", "positions" and "closed"."""
    if per_sample_cost(size) <= positions_cost(size):
        return "per-sample"
    return "closed" if size.positions == 1 else "positions"


def gram_of_positions(input: Tensor, deltas: Tensor) -> Tensor:
    """Gram matrix, float64 [n, n], of g_i = sum_t deltas[i, t] (x) input[i, t], by the positions' form.

    Args:
        input: [n, T, I].
        deltas: [n, T, O].
    """
    n, positions = input.shape[:2]
    if positions == 1:
        return native.gram_matrix(input[:, 0]) * native.gram_matrix(deltas[:, 0])
    (a, scale), (d, other) = (
        near_one(tensor.to(native.accumulate_type(tensor))) for tensor in (input, deltas)
    )
    a, d = a.flatten(0, 1), d.flatten(0, 1)
    matrix = input.new_zeros(n, n, dtype=torch.float64)
    rows = max(_BLOCK // max(n * positions**2 * a.element_size(), 1), 1)
    for start in range(0, n, rows):  # the lower triangle, some rows at a time
        stop = min(start + rows, n)
        here, before = slice(start * positions, stop * positions), slice(0, stop * positions)
        products = (a[here] @ a[before].T).mul_(d[here] @ d[before].T)
        products = products.view(stop - start, positions, stop, positions)
        matrix[start:stop, :stop] = products.sum((1, 3), dtype=torch.float64)
    return (matrix.tril() + matrix.tril(-1).T) * (scale * other).square()


def near_one(tensor: Tensor) -> tuple[Tensor, Tensor]:
    """The tensor over a power of two, which is returned in float64, so that products of its elements stay in range."""
    exponent = torch.frexp(tensor.abs().amax())[1].clamp(-125, 125)
    return torch.ldexp(tensor, -exponent), torch.exp2(exponent.double())
