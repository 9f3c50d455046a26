"""How many directions rows of numbers spread over."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from knas import native

MOST_ROWS, LEAST_ROWS, MOST_NUMBERS = 2048, 1024, 1 << 20
"""Limits of what is looked at of one tensor: a sum over more rows would cost more than the layer itself."""


def effective_rank(rows: Tensor) -> Tensor:
    """(tr K)^2 / ||K||_F^2 of K = X^T X, the participation ratio of its eigenvalues.

    With p_k the eigenvalues over their sum it is 1 / sum_k p_k^2: r where r eigenvalues are equal and the others 0,
    between 1 and min(N, C), and 0 for rows that are all 0. It needs no eigenvalues, and X^T X and X X^T have the same.
    Rows of 0 change nothing.

    Args:
        rows: X [N, C].

    Returns:
        A number in float64 on the rows' device.
    """
    rows = rows.to(native.accumulate_type(rows))
    lowest, highest = rows.aminmax() if rows.numel() else rows.new_zeros(2)
    largest = torch.maximum(-lowest, highest).clamp(min=torch.finfo(rows.dtype).tiny)
    rows = rows / largest  # fourth powers of numbers may leave float32
    kernel = rows.mT @ rows if rows.shape[1] <= rows.shape[0] else rows @ rows.mT
    total, squares = kernel.diagonal().sum(dtype=torch.float64), kernel.square().sum(dtype=torch.float64)
    ratio = total.square() / squares.clamp(min=torch.finfo(torch.float64).tiny)
    return torch.where(squares == 0, 0.0, ratio)  # NaN stays NaN


def most_rows(columns: int) -> int:
    """How many rows of so many columns are looked at."""
    return max(LEAST_ROWS, min(MOST_ROWS, MOST_NUMBERS // max(columns, 1)))


def some_rows(rows: Tensor, count: int, seed: int) -> Tensor:
    """`count` of the rows [N, C], drawn without repetition by a seed; all where there are no more."""
    if rows.shape[0] <= count:
        return rows
    return rows.index_select(0, _drawn(rows.shape[0], count, seed, rows.device))


@lru_cache(maxsize=64)
def _drawn(rows: int, count: int, seed: int, device: torch.device) -> Tensor:
    """Numbers of `count` of so many rows, which all layers of one size share."""
    return torch.randperm(rows, generator=torch.Generator().manual_seed(seed))[:count].to(device)
