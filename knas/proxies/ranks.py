"""Proxies that read effective ranks: how many directions features and gradients spread over."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from knas.errors import KnasError
from knas.observations import EffectiveRanks, Findings
from knas.proxies.base import Score, layer_scores
from knas.proxies.gradient import GradientProxy


@dataclass(frozen=True)
class RankProxy(GradientProxy):
    """A number of effective ranks of the convolutions and linear layers, by one forward and one backward pass.

    The effective rank of K is r(K) = (tr K)^2 / ||K||_F^2, the participation ratio of its eigenvalues. A row is a
    position of a sample; positions that the output does not depend on, such as padding, are left out of linear layers.
    What runs and no gradient reaches counts, with rank 0, and a tensor that goes into several layers counts once. Of
    more than 2,048 rows (of 2^20 / C, but at least 1,024, for more than 512 channels C) so many are drawn by the seed.

    Args:
        of: What is differentiated: "output" (summed over its elements) or "loss" (needs targets).
        batch_norm: "calibrated", "batch" or "initial"; see `knas.proxies.MGM`.
        micro_batch: Samples that are taken at once; None takes as many as fit the memory.
    """

    @property
    def ranks(self) -> EffectiveRanks:
        """What it looks at."""
        return EffectiveRanks(self.made_in)

    def observations(self) -> tuple[EffectiveRanks]:
        """The ranks."""
        return (self.ranks,)

    def read(self, model: nn.Module, findings: Findings) -> Score:
        """The number, and each layer's."""
        ranks = findings[self.ranks]
        value, shares = self.of_ranks(ranks.values)
        return Score(float(value), self.name, layer_scores(ranks, shares.tolist()), ranks.skipped)

    @abstractmethod
    def of_ranks(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """The score of ranks [layers, 5], as `knas.observations.EffectiveRanks` has them, and the layers' own."""


@dataclass(frozen=True)
class FeatureRank(RankProxy):
    """exp(sum_l f_l log max(r(A_l), 1) / sum_l f_l), with A_l the second moments of the rows a_t [C_l] of layer l.

    How many directions the features fill that an operation works on: the geometric mean over the operations, f_l of
    them in the layers that the rows go into. Not a published proxy; log r is the Rényi entropy of order 2 of the
    spectrum, of which AZ-NAS (arXiv 2403.19232) takes the Shannon entropy, summed over blocks.
    """

    name: ClassVar[str] = "feature-rank"

    def of_ranks(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """The geometric mean, and the layers' ranks."""
        return _geometric_mean(values[:, 0], values[:, 4]), values[:, 0]


@dataclass(frozen=True)
class GradientRank(RankProxy):
    """exp(sum_l w_l log max(r(D_l), 1) / sum_l w_l), with D_l the second moments of the gradients d_t [C_l].

    How many directions the learning signal comes from: the geometric mean over the layers l whose input comes from
    another layer, of the gradients for that input, with weights w_l = log(1 + f_l) of the operations f_l of the layers
    that it goes into. Not a published proxy.
    """

    name: ClassVar[str] = "gradient-rank"

    def of_ranks(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """The geometric mean, and the layers' ranks."""
        inner = values[:, 3] > 0
        if not inner.any():
            raise no_inner_layer(self.name)
        return _geometric_mean(values[inner, 2], values[inner, 4].log1p()), values[:, 2]


def no_inner_layer(proxy: str) -> KnasError:
    """The error of a network that has no gradient for the input of a layer."""
    return KnasError(f"model: no convolution or linear layer comes after another layer; {proxy} needs one")


def _geometric_mean(ranks: Tensor, weights: Tensor) -> Tensor:
    return ((ranks.clamp(min=1).log() * weights).sum() / weights.sum()).exp()
