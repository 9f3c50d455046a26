"""Zen-score: how far small changes of the input move the features of a network of Gaussian weights."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from knas.errors import KnasError, UsageError
from knas.gradients import one_of
from knas.observations import Findings, Perturbations, PerturbedPass
from knas.proxies.base import Observing, Score
from knas.proxies.checks import positive

_AVERAGES = {"running": (0.9**2, 1 - 0.9**2), "batch": (0.0, 1.0)}
"""What remains of BatchNorm's initial variance, and the weight of the batch's."""


@dataclass(frozen=True)
class Zen(Observing):
    """log E |f(x) - f(x + gamma e)| + sum_k 1/2 log mean_c v_kc (Lin et al., ICCV 2021, arXiv 2102.01063).

    Weights, x and e are drawn from the standard normal distribution; f is what the network pools (the last tensor with
    positions, or the output where it has none), |.| the sum over a sample's features, and v_kc the variance of channel
    c before BatchNorm k, which makes up for what BatchNorm divides by. The network's own weights and the samples'
    values do not matter, only the shapes.

    The paper's v is the variance over the batch x. The published code reads BatchNorm's running averages after two
    passes from the initial value 1 with momentum 0.1, so 0.81 + 0.19 var, which orders networks of different depths
    otherwise; published scores are the code's, and so is the default.

    Args:
        gamma: How far the input is moved.
        repeats: Draws that are averaged (the code: 32 by its command line).
        variances: "running", 0.81 + 0.19 var as in the code, or "batch", var itself as in the paper.
    """

    name: ClassVar[str] = "zen"

    gamma: float = 0.01
    repeats: int = 1
    variances: str = "running"

    def __post_init__(self) -> None:
        """Checks the options."""
        positive("repeats", self.repeats, 1)
        one_of("variances", self.variances, tuple(_AVERAGES))
        if not isinstance(self.gamma, int | float) or not 0 < self.gamma < math.inf:
            raise UsageError(f"gamma: a positive number expected, got {self.gamma!r}")

    @property
    def _perturbations(self) -> Perturbations:
        return Perturbations(PerturbedPass(self.gamma, self.repeats))

    def observations(self) -> tuple[Perturbations]:
        """The changes of the features."""
        return (self._perturbations,)

    def read(self, model: nn.Module, findings: Findings) -> Score:
        """The mean over draws; it has no shares of layers."""
        draws = findings[self._perturbations]
        if not all(draw.change > 0 and all(value > 0 for value in draw.variances) for draw in draws):
            raise KnasError("zen: the features do not change with the input")
        kept, added = _AVERAGES[self.variances]
        values = [
            math.log(draw.change)
            + 0.5 * math.fsum(math.log(kept + added * value) for value in draw.variances)
            for draw in draws
        ]
        return Score(math.fsum(values) / len(values), self.name)
