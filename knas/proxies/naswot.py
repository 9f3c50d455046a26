"""NASWOT: how differently the ReLUs of an untrained network answer to different samples (arXiv 2006.04647)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from knas.errors import KnasError
from knas.gradients import POLICIES, one_of
from knas.observations import Findings, ForwardPass, ReLUCodes
from knas.proxies.base import Observing, Score


@dataclass(frozen=True)
class NASWOT(Observing):
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

    def observations(self) -> tuple[ReLUCodes]:
        """The Hamming kernel."""
        return (ReLUCodes(ForwardPass(self.batch_norm)),)

    def read(self, model: nn.Module, findings: Findings) -> Score:
        """The log-determinant; it has no shares of layers.

        Raises:
            KnasError: The kernel is singular, the network has no ReLU, or some activation is not finite.
        """
        return Score(log_determinant(findings[ReLUCodes(ForwardPass(self.batch_norm))].matrix), self.name)


def log_determinant(kernel: Tensor) -> float:
    """log |K| of a Hamming kernel, float64 [n, n].

    Raises:
        KnasError: K is singular to the precision of float64.
    """
    rank = int(torch.linalg.matrix_rank(kernel, hermitian=True))
    if rank < len(kernel):
        raise KnasError(
            f"naswot: the kernel of {len(kernel)} samples is singular (rank {rank}): the network's ReLUs do "
            "not tell the samples apart, so its log-determinant is not finite"
        )
    return float(torch.linalg.slogdet(kernel).logabsdet)
