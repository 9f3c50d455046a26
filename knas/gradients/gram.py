"""The Gram matrix of per-sample gradients and what is read off it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from knas.gradients.settings import Skipped


@dataclass(frozen=True)
class Gram:
    """Gram matrix G[i, j] = <g_i, g_j> of the gradients of n samples (H of Eq. 9 in the KNAS paper).

    Attributes:
        matrix: float64 [n, n] on the CPU.
        layers: The same for each layer alone; their matrices add up to `matrix`.
        skipped: Parameters that are not in it, with reasons.
    """

    matrix: Tensor
    layers: Mapping[str, Gram] = field(default_factory=dict)
    skipped: tuple[Skipped, ...] = ()

    @property
    def n(self) -> int:
        """Number of samples."""
        return self.matrix.shape[0]

    @property
    def mean(self) -> float:
        """(1/n^2) sum_ij G_ij (Eq. 15) = ||(1/n) sum_i g_i||^2."""
        return float(self.matrix.mean())

    @property
    def mean_off_diagonal(self) -> float:
        """sum_{i != j} G_ij / (n (n - 1))."""
        return float((self.matrix.sum() - self.matrix.trace()) / (self.n * (self.n - 1)))

    @property
    def trace(self) -> float:
        """sum_i G_ii = sum_i ||g_i||^2."""
        return float(self.matrix.trace())

    @property
    def frobenius(self) -> float:
        """||G||_F, which bounds the smallest eigenvalue (Eq. 14)."""
        return float(torch.linalg.matrix_norm(self.matrix))

    @cached_property
    def eigenvalues(self) -> Tensor:
        """Eigenvalues in ascending order, float64 [n]."""
        return torch.linalg.eigvalsh(self.matrix)  # type: ignore[no-any-return]

    @property
    def min_eigenvalue(self) -> float:
        """lambda_min(G), the rate of Proposition 4.1."""
        return float(self.eigenvalues[0])

    @property
    def coherence(self) -> float:
        """mean / (trace / n): 1 where all gradients are equal, 1/n where they are orthogonal; 0 for G = 0."""
        return self.mean / (self.trace / self.n) if self.trace > 0 else 0.0
