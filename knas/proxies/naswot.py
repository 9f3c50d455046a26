"""NASWOT: how differently the ReLUs of an untrained network answer to different samples (arXiv 2006.04647)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from knas.errors import KnasError
from knas.gradients import POLICIES, Batch, one_of, watch_relus
from knas.proxies.base import Proxy, Score
from knas.proxies.checks import refuse_unusable_weights

_EXACT = 1 << 24  # float32 adds ones exactly up to here


@dataclass(frozen=True)
class NASWOT(Proxy):
    """The log-determinant of the Hamming kernel of activation codes (Mellor et al., ICML 2021, arXiv 2006.04647).

    With c_i in {0, 1}^{N_A} telling which of all N_A ReLU units are on for sample i, and d_H the Hamming distance,
    K_H[i, j] = N_A - d_H(c_i, c_j) (section 3 of the paper), and the score is log |K_H|. As in the published code
    K_H is the sum over all ReLUs of the network, in training mode (statistics of the batch). Published setting for
    NAS-Bench-201: 128 images (`--batch_size` of the code), one random initialization.

    K_H has whole entries, which are added up exactly, and its log-determinant is taken in float64.

    It departs from the code in two ways. Every ReLU that runs counts; the code leaves out those that no backward pass
    reaches. And a network that answers to two samples alike, so that |K_H| = 0, has no score; the code says -inf.

    Args:
        batch_norm: What BatchNorm normalizes by: the statistics of the batch ("calibrated" and "batch" are the same
            without gradients) or "initial".
    """

    name: ClassVar[str] = "naswot"

    batch_norm: str = "calibrated"

    def __post_init__(self) -> None:
        """Checks the option."""
        one_of("batch_norm", self.batch_norm, POLICIES)

    def score(self, model: nn.Module, batch: Batch, *, seed: int = 0) -> Score:
        """Scores a network by one forward pass without gradients; it has no shares of layers.

        Raises:
            KnasError: The kernel is singular, the network has no ReLU, or some activation is not finite.
        """
        started = time.perf_counter()
        refuse_unusable_weights(model)
        kernel = HammingKernel(batch.n)
        watch_relus(model, batch, kernel.add, batch_norm=self.batch_norm, seed=seed)
        return Score(kernel.log_determinant(), self.name, seconds=time.perf_counter() - started)


class HammingKernel:
    """K[i, j] = number of units that are on for both samples or for neither, over all codes added so far."""

    def __init__(self, n: int) -> None:
        """Starts with no units.

        Args:
            n: Number of samples.
        """
        self.matrix = torch.zeros(n, n, dtype=torch.float64)

    def add(self, code: Tensor) -> None:
        """Adds the units of a code, bool [n, units]."""
        for part in code.split(_EXACT, 1):
            signs = part.float().mul_(2).sub_(1)  # +1 or -1, whose products are +1 where two samples agree
            agreements = (signs @ signs.T).double().cpu()
            self.matrix += (agreements + part.shape[1]) / 2

    def log_determinant(self) -> float:
        """log |K| in float64.

        Raises:
            KnasError: K is singular to the precision of float64.
        """
        rank = int(torch.linalg.matrix_rank(self.matrix, hermitian=True))
        if rank < len(self.matrix):
            raise KnasError(
                f"naswot: the kernel of {len(self.matrix)} samples is singular (rank {rank}): the network's ReLUs do "
                "not tell the samples apart, so its log-determinant is not finite"
            )
        return float(torch.linalg.slogdet(self.matrix).logabsdet)
