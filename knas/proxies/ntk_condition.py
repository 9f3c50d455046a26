"""The condition number of the neural tangent kernel, the trainability of TE-NAS (arXiv 2102.11535)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from knas.observations import PerLayer
from knas.proxies.grams import GramProxy


@dataclass(frozen=True)
class NTKCondition(GramProxy):
    """Minus the condition number of the neural tangent kernel (Chen et al., ICLR 2021, arXiv 2102.11535).

    The kernel is the Gram matrix G[i, j] = <g_i, g_j> of per-sample gradients of the summed output, and the score is
    -kappa = -lambda_max(G) / lambda_min(G): the paper finds that networks with a small kappa train better,
    so higher is better. It never exceeds -1.

    A kernel that is singular to the precision of its gradients has the worst score there is, -1 / (n eps), where eps
    is that of float32 (or float64 in models of that type): with n = 64 samples -131072. The published code puts
    100,000 in place of an undefined kappa. Layers report minus the condition numbers of their own kernels.

    Published setting (the code's `prune_launch.py` and `prune_tenas.py` for NAS-Bench-201): 72 images, 3 channels and
    1 cell per stage, Kaiming initialization with fan-out, BatchNorm in training mode, the mean over 3 initializations.

    It departs from the code in two ways: gradients are those of all parameters, where the code leaves out biases; and
    by default BatchNorm's statistics are those of the batch but constant, so that the samples are independent and G is
    a kernel of one function. `batch_norm="batch"` lets gradients flow through them, as in the code's training mode.

    Args:
        of: What is differentiated: "output" (summed over its elements) or "loss" (needs targets).
        batch_norm: "calibrated", "batch" or "initial"; see `knas.proxies.MGM`.
        micro_batch: Samples that are taken at once; None takes as many as fit the memory.
        sample: Entries drawn per layer, by which the kernel is estimated; None takes all.
    """

    name: ClassVar[str] = "ntk-condition"

    def of_grams(self, grams: PerLayer) -> tuple[float, list[float]]:
        """Minus the condition number of the whole matrix, and of each layer's."""
        worst = 1 / (grams.values.shape[-1] * grams.epsilon)
        whole = condition_numbers(grams.whole_eigenvalues, worst)
        return -float(whole), (-condition_numbers(grams.eigenvalues, worst)).tolist()


def condition_numbers(eigenvalues: Tensor, worst: float) -> Tensor:
    """lambda_max / lambda_min of symmetric positive semidefinite matrices, float64.

    Args:
        eigenvalues: [..., n] of each, in ascending order.
        worst: What a singular matrix (or one of zeros) has, and no other exceeds.

    Returns:
        Condition numbers [...].
    """
    smallest, largest = eigenvalues[..., 0], eigenvalues[..., -1]
    singular = smallest * worst <= largest
    return torch.where(singular, worst, largest / torch.where(singular, 1.0, smallest))
