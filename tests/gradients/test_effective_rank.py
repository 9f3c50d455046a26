"""Effective ranks against eigenvalues, and where they are exact by construction."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from knas.gradients.effective_rank import effective_rank, most_rows, some_rows


def by_eigenvalues(rows: Tensor) -> float:
    values = torch.linalg.eigvalsh(rows.mT @ rows)
    return float(values.sum() ** 2 / values.square().sum())


@pytest.mark.parametrize("shape", [(40, 7), (7, 40), (12, 12)])
def test_is_the_participation_ratio_of_the_eigenvalues(shape: tuple[int, int]) -> None:
    rows = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) + 0.3
    want = by_eigenvalues(rows)
    assert float(effective_rank(rows)) == pytest.approx(want, rel=1e-12)
    assert float(effective_rank(rows.float())) == pytest.approx(want, rel=1e-5)


def test_counts_equal_directions() -> None:
    rows = torch.zeros(9, 6, dtype=torch.float64)
    rows[:3, :3] = 5 * torch.eye(3)
    assert float(effective_rank(rows)) == pytest.approx(3, rel=1e-12)
    assert float(effective_rank(rows.new_ones(9, 6))) == pytest.approx(1, rel=1e-12)
    assert float(effective_rank(rows.new_zeros(9, 6))) == 0


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_scale_does_not_matter(scale: float) -> None:
    rows = torch.randn(20, 5, generator=torch.Generator().manual_seed(2))
    assert float(effective_rank(rows * scale)) == pytest.approx(float(effective_rank(rows)), rel=1e-5)


def test_rows_of_zeros_change_nothing() -> None:
    rows = torch.randn(20, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(3)) + 1
    padded = torch.cat([rows[:8], rows.new_zeros(30, 5), rows[8:]])
    assert float(effective_rank(padded)) == pytest.approx(float(effective_rank(rows)), rel=1e-12)


def test_what_is_not_finite_stays_so() -> None:
    rows = torch.randn(20, 5)
    rows[3, 2] = float("inf")
    assert not torch.isfinite(effective_rank(rows))


def test_some_rows() -> None:
    rows = torch.arange(50.0).unsqueeze(1)
    assert some_rows(rows, 50, 0) is rows
    drawn = some_rows(rows, 20, 7).flatten().tolist()
    assert len(set(drawn)) == 20
    assert drawn == some_rows(rows, 20, 7).flatten().tolist()
    assert drawn != some_rows(rows, 20, 8).flatten().tolist()


def test_most_rows() -> None:
    assert [most_rows(columns) for columns in (0, 3, 512, 700, 4096)] == [2048, 2048, 2048, 1497, 1024]
