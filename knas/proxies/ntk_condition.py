"""The condition number of the neural tangent kernel, the trainability of TE-NAS (arXiv 2102.11535)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from knas.gradients import OBJECTIVES, POLICIES, Batch, Gradients, Settings, Skipped, one_of
from knas.proxies.base import LayerScore, Proxy, Score
from knas.proxies.checks import non_finite_gradients, positive, refuse_non_finite_weights


@dataclass(frozen=True)
class NTKCondition(Proxy):
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
    """

    name: ClassVar[str] = "ntk-condition"

    of: str = "output"
    batch_norm: str = "calibrated"
    micro_batch: int | None = None

    def __post_init__(self) -> None:
        """Checks the options."""
        one_of("of", self.of, OBJECTIVES)
        one_of("batch_norm", self.batch_norm, POLICIES)
        if self.micro_batch is not None:
            positive("micro_batch", self.micro_batch, 1)

    @property
    def needs_targets(self) -> bool:
        """Whether gradients of the loss are asked for."""
        return self.of == "loss"

    def score(self, model: nn.Module, batch: Batch, *, seed: int = 0) -> Score:
        """Scores a network by one forward and one backward pass."""
        started = time.perf_counter()
        gradients = Gradients(model, batch, Settings(self.of, self.batch_norm, seed, self.micro_batch))
        refuse_non_finite_weights(gradients.layers)
        found = gradients.matrices()
        matrices = torch.stack(list(found.values())).cpu()  # [layers, n, n]
        finite = torch.isfinite(matrices).flatten(1).all(1)
        if not finite.all():
            raise non_finite_gradients(list(found)[int(finite.int().argmin())].name)
        worst = 1 / (batch.n * torch.finfo(gradients.like.dtype).eps)
        whole, *parts = (
            -condition_numbers(torch.cat((matrices.sum(0, keepdim=True), matrices)), worst)
        ).tolist()
        layers = tuple(
            LayerScore(layer.name, layer.kind, gradients.parameters_of(layer), value)
            for layer, value in zip(found, parts, strict=True)
        )
        skipped = tuple(Skipped(*item) for item in gradients.skipped.items())
        return Score(whole, self.name, layers, skipped, time.perf_counter() - started)


def condition_numbers(matrices: Tensor, worst: float) -> Tensor:
    """lambda_max / lambda_min of symmetric positive semidefinite matrices, float64.

    Args:
        matrices: [..., n, n].
        worst: What a singular matrix (or one of zeros) has, and no other exceeds.

    Returns:
        Condition numbers [...].
    """
    eigenvalues = torch.linalg.eigvalsh(matrices.double())  # ascending, [..., n]
    smallest, largest = eigenvalues[..., 0], eigenvalues[..., -1]
    singular = smallest * worst <= largest
    return torch.where(singular, worst, largest / torch.where(singular, 1.0, smallest))
