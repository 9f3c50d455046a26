"""The composite score: size, depth, features, gradients and their agreement in one number."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn

from knas.observations import Findings, Observation
from knas.proxies.base import Observing, Score
from knas.proxies.breadth import GradientBreadth
from knas.proxies.gradient import SampledGradientProxy
from knas.proxies.grams import GradientBalance, Stiffness
from knas.proxies.ranks import FeatureRank, GradientRank
from knas.proxies.size import DepthCount, FLOPs

LEAST = 1e-6
"""Parts below count as so much, so that a network whose samples pull against each other has a score."""


@dataclass(frozen=True)
class Knas(SampledGradientProxy):
    """log of the product of seven proxies.

    `flops`, how much a network computes; `depth`, in how many steps; `feature-rank`, how many directions its features
    fill; `gradient-rank`, how many its learning signal fills; `gradient-balance`, how evenly the gradient comes
    through; `stiffness`, how far samples agree on where to move; `gradient-breadth`, in how many directions and
    layers they do. All by one forward and one backward pass of the samples. Nothing is fitted. Each part has the
    exponent 1, so that no part's unit matters to the order, and a network's value needs no other network. A part below
    1e-6 counts as 1e-6. No part looks at what operations are called.

    Chosen on NAS-Bench-201's development half and on other spaces; docs/ranking.md has what was tried, and how it does.

    Args:
        of: What is differentiated: "output" (summed over its elements) or "loss" (needs targets).
        batch_norm: "calibrated", "batch" or "initial"; see `knas.proxies.MGM`.
        micro_batch: Samples that are taken at once; None takes as many as fit the memory.
        sample: Entries drawn per layer for the last three; None takes all parameters.
    """

    name: ClassVar[str] = "knas"

    @property
    def parts(self) -> tuple[Observing, ...]:
        """The proxies whose product it is."""
        options = (self.of, self.batch_norm, self.micro_batch)
        return (
            FLOPs(),
            DepthCount(*options),
            FeatureRank(*options),
            GradientRank(*options),
            GradientBalance(*options, self.sample),
            GradientBreadth(*options, self.sample),
            Stiffness(*options, self.sample),
        )

    def observations(self) -> tuple[Observation[Any], ...]:
        """Those of the parts."""
        return tuple(one for part in self.parts for one in part.observations())

    def read(self, model: nn.Module, findings: Findings) -> Score:
        """The sum of the parts' logarithms; layers have their share of the stiffness."""
        scores = [part.read(model, findings) for part in self.parts]
        value = math.fsum(math.log(max(score.value, LEAST)) for score in scores)
        return Score(value, self.name, scores[-1].layers, scores[-1].skipped)
