"""How many directions the feature maps of an untrained network spread over."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from knas.gradients import POLICIES, one_of
from knas.observations import FeatureSpectra, Findings, ForwardPass
from knas.proxies.base import LayerScore, Observing, Score
from knas.proxies.grams import spectral_entropy


@dataclass(frozen=True)
class FeatureEntropy(Observing):
    """sum_b H_b over the blocks b, with H_b the spectral entropy of the covariance of the block's channels.

    The covariance is taken over samples and positions of the block's output; with lambda_k its eigenvalues and
    p_k = lambda_k / sum lambda, H_b = -sum_k p_k log p_k. Each position of each sample is a point in the space of
    channels, and exp(H_b) says how many directions of it the points fill. This is the expressivity of AZ-NAS (Lee and
    Ham, CVPR 2024, arXiv 2403.19232) on given samples and weights; `az-expressivity` is that with the paper's own.
    A block is found by the structure of the model alone, see `knas.observations.blocks.blocks_of`.

    Args:
        batch_norm: What BatchNorm normalizes by: the statistics of the batch ("calibrated" and "batch" are the same
            without gradients) or "initial".
    """

    name: ClassVar[str] = "feature-entropy"

    batch_norm: str = "calibrated"

    def __post_init__(self) -> None:
        """Checks the option."""
        one_of("batch_norm", self.batch_norm, POLICIES)

    def observations(self) -> tuple[FeatureSpectra]:
        """The eigenvalues."""
        return (FeatureSpectra(ForwardPass(self.batch_norm)),)

    def read(self, model: nn.Module, findings: Findings) -> Score:
        """The sum over blocks, and its terms."""
        spectra = findings[FeatureSpectra(ForwardPass(self.batch_norm))]
        entropies = [float(spectral_entropy(values)) for values in spectra.values]
        rows = zip(spectra.names, spectra.kinds, spectra.parameters, entropies, strict=True)
        return Score(math.fsum(entropies), self.name, tuple(LayerScore(*row) for row in rows))
