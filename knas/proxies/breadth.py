"""A proxy of effective ranks and Gram matrices together: how broad the gradient is on which samples agree."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from knas.observations import EffectiveRanks, Findings, LayerGrams, SampledGrams
from knas.proxies.base import Score, layer_scores
from knas.proxies.gradient import SampledGradientProxy
from knas.proxies.grams import layer_grams, mean_cosines
from knas.proxies.ranks import no_inner_layer


@dataclass(frozen=True)
class GradientBreadth(SampledGradientProxy):
    """sqrt(L sum_l log(1 + r(D_l) c_l)), over the L layers l whose input comes from another layer.

    r(D_l) is the effective rank of the gradient for a layer's input, of `gradient-rank`, and c_l the mean cosine of two
    samples' gradients of the layer, of `stiffness`: their product is large where a layer is told much, and all samples
    tell it the same. L times a root of a mean: how many layers there are counts. Not a published proxy.

    Args:
        of: What is differentiated: "output" (summed over its elements) or "loss" (needs targets).
        batch_norm: "calibrated", "batch" or "initial"; see `knas.proxies.MGM`.
        micro_batch: Samples that are taken at once; None takes as many as fit the memory.
        sample: Entries drawn per layer for the cosines; None takes all parameters.
    """

    name: ClassVar[str] = "gradient-breadth"

    def observations(self) -> tuple[EffectiveRanks, LayerGrams | SampledGrams]:
        """The ranks and the Gram matrices."""
        return EffectiveRanks(self.made_in), layer_grams(self.made_in, self.sample)

    def read(self, model: nn.Module, findings: Findings) -> Score:
        """The number, and each layer's logarithm; a layer without a Gram matrix of its own has 0."""
        ranks, grams = (findings[one] for one in self.observations())
        cosines = dict(zip((layer.name for layer in grams.layers), mean_cosines(grams).tolist(), strict=True))
        shares = [
            math.log1p(rank * cosines.get(layer.name, 0.0)) if largest > 0 else 0.0
            for layer, (_, _, rank, largest, _) in zip(ranks.layers, ranks.values.tolist(), strict=True)
        ]
        count = int((ranks.values[:, 3] > 0).sum())
        if not count:
            raise no_inner_layer(self.name)
        value = math.sqrt(count * math.fsum(shares))
        return Score(value, self.name, layer_scores(ranks, shares), grams.skipped)
