"""AZ-NAS: four proxies of an untrained network's blocks, and one made of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

from torch import nn

from knas.errors import KnasError
from knas.observations import ChainGains, ChainSpectra, Findings, Observation, Operations
from knas.proxies.base import Observing, Score
from knas.proxies.grams import spectral_entropy


class _Expressive(Observing):
    """Reads the entropies along the chain."""

    def observations(self) -> tuple[ChainSpectra]:
        """The spectra."""
        return (ChainSpectra(),)


@dataclass(frozen=True)
class AZExpressivity(_Expressive):
    """sum_b H_b, b = 0 .. B (Lee and Ham, CVPR 2024, arXiv 2403.19232).

    H_b is the spectral entropy of the channels' covariance of feature map b, over samples and positions: H_0 of the
    input of the first block, H_1 .. H_B of the outputs of the blocks. As in the published code weights are drawn anew
    (Kaiming, fan-in), inputs are Gaussian, and BatchNorm is in training mode: the network's own weights and the
    samples' values do not matter. `feature-entropy` is the sum H_1 + .. + H_B with those of the caller.

    It departs from the code in the blocks, found by the model's structure alone (`blocks_of`) where each of its
    search spaces names its own, and in the logarithm, which is exact where the code adds 1e-8 to its argument.
    """

    name: ClassVar[str] = "az-expressivity"

    def read(self, model: nn.Module, findings: Findings) -> Score:
        """The sum; it has no shares of layers."""
        return Score(math.fsum(_entropies(findings)), self.name)


@dataclass(frozen=True)
class AZProgressivity(_Expressive):
    """min_b H_b - H_{b-1}, b = 1 .. B, with H_b as for `az-expressivity` (Lee and Ham, arXiv 2403.19232)."""

    name: ClassVar[str] = "az-progressivity"

    def read(self, model: nn.Module, findings: Findings) -> Score:
        """The least step; it has no shares of layers."""
        return Score(min(after - before for before, after in pairwise(_entropies(findings))), self.name)


@dataclass(frozen=True)
class AZTrainability(Observing):
    """mean_b 2 - s_b - 1 / (s_b + 1e-6), largest where s_b = 1 (Lee and Ham, CVPR 2024, arXiv 2403.19232).

    s_b estimates the spectral norm of block b's Jacobian: the largest singular value of the mean over samples and
    positions of d_in d_out^T, where d_out are random signs at the block's output and d_in what the backward pass makes
    of them at its input (positions that a block merges are folded into channels first). Weights, inputs, BatchNorm and
    blocks as for `az-expressivity`.

    It departs from the code where that has no finite or an extreme value: a network with a block that passes its
    input on as it is (the code: -inf), or whose output does not depend on its input (-999,998), has no score.
    """

    name: ClassVar[str] = "az-trainability"

    def observations(self) -> tuple[ChainGains]:
        """The spectral norms."""
        return (ChainGains(),)

    def read(self, model: nn.Module, findings: Findings) -> Score:
        """The mean; it has no shares of layers."""
        terms = [2 - gain - 1 / (gain + 1e-6) for gain in findings[ChainGains()]]
        return Score(math.fsum(terms) / len(terms), self.name)


@dataclass(frozen=True)
class AZComplexity(Observing):
    """Floating point operations per sample (Lee and Ham, CVPR 2024, arXiv 2403.19232), counted as for `flops`."""

    name: ClassVar[str] = "az-complexity"

    def observations(self) -> tuple[Operations]:
        """The operations of a forward pass."""
        return (Operations(),)

    def read(self, model: nn.Module, findings: Findings) -> Score:
        """The count."""
        return Score(findings[Operations()], self.name)


PARTS = (AZExpressivity(), AZProgressivity(), AZTrainability(), AZComplexity())


@dataclass(frozen=True)
class AZNAS(Observing):
    """Expressivity + progressivity + trainability + log complexity, for a network by itself.

    Lee and Ham (CVPR 2024, arXiv 2403.19232) rank a population by each of the four and add the logarithms of the
    ranks: `knas.proxies.rank_sum`, which is AZ-NAS as published. A network by itself has no rank, so this is the sum of
    the values, with a logarithm of the one whose range is of another order. Where there is a population, take the
    ranks.
    """

    name: ClassVar[str] = "az-nas"

    def observations(self) -> tuple[Observation[Any], ...]:
        """Those of the parts."""
        return (ChainSpectra(), ChainGains(), Operations())

    def read(self, model: nn.Module, findings: Findings) -> Score:
        """The sum; it has no shares of layers."""
        *parts, complexity = (part.read(model, findings).value for part in PARTS)
        if complexity <= 0:
            raise KnasError("az-nas: the forward pass has no convolution or matrix product to count")
        return Score(math.fsum(parts) + math.log(complexity), self.name)


def _entropies(findings: Findings) -> list[float]:
    spectra = findings[ChainSpectra()]
    if not all(bool(values.sum() > 0) for values in spectra):
        raise KnasError("model: a block's output is the same for all samples and positions")
    return [float(spectral_entropy(values)) for values in spectra]
