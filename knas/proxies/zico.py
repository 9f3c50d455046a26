"""ZiCo: how large and how steady the gradients of an untrained network are from batch to batch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from knas.errors import KnasError
from knas.gradients import Slot
from knas.observations import Findings, TrainingPass, WeightGradients
from knas.proxies.base import LayerScore, Observing, Score
from knas.proxies.checks import positive


@dataclass(frozen=True)
class ZiCo(Observing):
    """sum_w log sum_k mean_b |g_bk| / std_b(g_bk) over the weights w (Li et al., ICLR 2023, arXiv 2301.11300).

    g_bk is the gradient of the mean loss of mini-batch b for entry k of the weight, the deviation that over the
    mini-batches (divided by their number, not one less); entries whose gradient does not change do not count, nor does
    a weight without others. As in the published code BatchNorm is in training mode, and two mini-batches are taken;
    there these are batches of their own, of 64 images or more, here the n samples are cut in two.

    It departs from the code in the kinds of layers: any parameter of at least two axes is a weight, where the code
    takes those of 2-d convolutions and linear layers.

    Args:
        batches: Number of mini-batches that the samples are cut into.
    """

    name: ClassVar[str] = "zico"

    batches: int = 2

    def __post_init__(self) -> None:
        """Checks the option."""
        positive("batches", self.batches, 2)

    @property
    def needs_targets(self) -> bool:
        """The loss needs them."""
        return True

    @property
    def _gradients(self) -> WeightGradients:
        return WeightGradients(TrainingPass(batches=self.batches))

    def observations(self) -> tuple[WeightGradients]:
        """Gradients of each mini-batch."""
        return (self._gradients,)

    def read(self, model: nn.Module, findings: Findings) -> Score:
        """The sum over the weights, whose terms the layers report."""
        gradients = findings[self._gradients]
        terms = _terms(gradients)
        if not terms:
            raise KnasError("zico: no gradient changes from one mini-batch to the other")
        shares = tuple(
            LayerScore(slot.layer.name, slot.layer.kind, slot.layer.size, value)
            for slot, value in terms.items()
        )
        return Score(math.fsum(terms.values()), self.name, shares)


def _terms(gradients: Mapping[Slot, list[Tensor]]) -> dict[Slot, float]:
    sums = {slot: _steadiness(torch.stack(rows).double()) for slot, rows in gradients.items()}
    numbers = zip(sums, torch.stack(list(sums.values())).tolist(), strict=True)
    return {slot: math.log(number) for slot, number in numbers if number > 0}


def _steadiness(rows: Tensor) -> Tensor:
    """sum_k mean_b |g_bk| / std_b(g_bk) of gradients [batches, ...], where the deviation is not 0."""
    deviation = rows.std(0, correction=0)
    moving = deviation > 0
    return torch.where(moving, rows.abs().mean(0) / torch.where(moving, deviation, 1.0), 0.0).sum()
