"""Proxies that read the gradients of the weights on one batch: pruning criteria summed over a network."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from knas.gradients import Slot
from knas.observations import ChannelSaliency, Findings, HessianProducts, Observation, WeightGradients
from knas.proxies.base import LayerScore, Observing, Score


class WeightProxy(Observing):
    """A sum over the weights, parameters of at least two axes, of something of their gradients.

    The pass is that of an ordinary training step: mean loss, BatchNorm normalizing by the statistics of the batch.
    """

    @property
    def needs_targets(self) -> bool:
        """The loss needs them."""
        return True

    @property
    @abstractmethod
    def looks_at(self) -> Observation[Any]:
        """What it looks at."""

    def observations(self) -> tuple[Observation[Any], ...]:
        """What it looks at."""
        return (self.looks_at,)

    def read(self, model: nn.Module, findings: Findings) -> Score:
        """The sum over the weights, and each layer's share of it."""
        return of_weights(self.name, self.terms(findings[self.looks_at]))

    @abstractmethod
    def terms(self, found: Any) -> dict[Slot, Tensor]:
        """Each weight's term of the sum, a float64 scalar on the model's device."""


def of_weights(name: str, terms: Mapping[Slot, Tensor]) -> Score:
    """The score that is a sum over weights; a layer reports the sum of its own."""
    numbers = torch.stack(list(terms.values())).tolist() if terms else []
    rows = [
        LayerScore(slot.layer.name, slot.layer.kind, slot.layer.size, number)
        for slot, number in zip(terms, numbers, strict=True)
    ]
    shares: dict[str, LayerScore] = {}
    for row in rows:
        before = shares[row.name].value if row.name in shares else 0.0
        shares[row.name] = LayerScore(row.name, row.kind, row.parameters, before + row.value)
    return Score(math.fsum(numbers), name, tuple(shares.values()))


def _each(gradients: Mapping[Slot, list[Tensor]]) -> dict[Slot, tuple[Tensor, Tensor]]:
    """Each weight and its gradient on one batch, in float64."""
    return {slot: (slot.parameter.detach().double(), rows[0].double()) for slot, rows in gradients.items()}


@dataclass(frozen=True)
class GradNorm(WeightProxy):
    """sum_w ||dL/dw||_2 over the weights w (Abdelfattah et al., ICLR 2021, arXiv 2101.08134).

    As in the published code (`grad_norm`): L is the mean loss of a batch in training mode (there 64 images), and biases
    and the parameters of normalization are left out. It departs in the kinds of layers: any weight counts, where the
    code takes those of 2-d convolutions and linear layers.
    """

    name: ClassVar[str] = "grad-norm"

    @property
    def looks_at(self) -> WeightGradients:
        """The weights' gradients."""
        return WeightGradients()

    def terms(self, found: Mapping[Slot, list[Tensor]]) -> dict[Slot, Tensor]:
        """Norms."""
        return {slot: gradient.norm() for slot, (_, gradient) in _each(found).items()}


@dataclass(frozen=True)
class SNIP(WeightProxy):
    """sum |w dL/dw| over all entries of the weights (Lee et al., ICLR 2019, arXiv 1810.02340).

    The criterion of pruning at initialization, summed over a network as in Abdelfattah et al. (ICLR 2021, arXiv
    2101.08134), whose code (`snip`) differentiates for a mask of ones, which is the same. Batch, mode and weights as
    for `grad-norm`.
    """

    name: ClassVar[str] = "snip"

    @property
    def looks_at(self) -> WeightGradients:
        """The weights' gradients."""
        return WeightGradients()

    def terms(self, found: Mapping[Slot, list[Tensor]]) -> dict[Slot, Tensor]:
        """Sums of |w dL/dw|."""
        return {slot: (weight * gradient).abs().sum() for slot, (weight, gradient) in _each(found).items()}


@dataclass(frozen=True)
class GraSP(WeightProxy):
    """-sum w (H g) over all entries of the weights, with g = dL/dw and H the Hessian (Wang et al., ICLR 2020).

    arXiv 2002.07376 keeps weights whose removal would not lower the flow of gradients; summed over a network with the
    sign of the published code of Abdelfattah et al. (`grasp`, arXiv 2101.08134). H g comes of differentiating
    <g, constant g> in the same pass, where the code runs a second forward pass. Batch, mode and weights as for
    `grad-norm`.
    """

    name: ClassVar[str] = "grasp"

    @property
    def looks_at(self) -> HessianProducts:
        """H g."""
        return HessianProducts()

    def terms(self, found: Mapping[Slot, Tensor]) -> dict[Slot, Tensor]:
        """Sums of -w (H g)."""
        return {
            slot: -(slot.parameter.detach().double() * product.double()).sum()
            for slot, product in found.items()
        }


@dataclass(frozen=True)
class Fisher(WeightProxy):
    """sum_l f_l sum_c Delta_c, Delta_c = 1/2 mean_i (sum_t a_ict d_ict)^2 (Theis et al. 2018, arXiv 1801.05787).

    a is the output of layer l for sample i, channel c and position t, d the gradient of the mean loss for it, and f_l
    the number of weights of one output channel: the published code (`fisher` of Abdelfattah et al., arXiv 2101.08134)
    gives every weight of a channel the channel's Delta and sums over weights. Batch and mode as for `grad-norm`;
    convolutions of any dimension and linear layers count.
    """

    name: ClassVar[str] = "fisher"

    @property
    def looks_at(self) -> ChannelSaliency:
        """The channels' squares."""
        return ChannelSaliency()

    def terms(self, found: Mapping[Slot, Tensor]) -> dict[Slot, Tensor]:
        """Sums over channels and weights."""
        return {slot: 0.5 * slot.parameter[0].numel() * squares.sum() for slot, squares in found.items()}
