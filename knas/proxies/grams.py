"""Proxies that read Gram matrices of gradients: norm, coherence, stiffness, spectral entropy, smallest eigenvalue."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from knas.gradients.objective import no_gradient_path
from knas.observations import CapturePass, Findings, LayerGrams, PerLayer, SampledGrams
from knas.proxies.base import Score, layer_scores
from knas.proxies.gradient import SampledGradientProxy


@dataclass(frozen=True)
class GramProxy(SampledGradientProxy):
    """A number of the Gram matrices G_l[i, j] = <g_i^l, g_j^l> of the layers l, by one forward and one backward pass.

    Args:
        of: What is differentiated: "output" (summed over its elements) or "loss" (needs targets).
        batch_norm: "calibrated", "batch" or "initial"; see `knas.proxies.MGM`.
        micro_batch: Samples that are taken at once; None takes as many as fit the memory.
        sample: Entries drawn per layer, which estimate G_l: its P_l parameters have P_l / sample times their Gram
            matrix. None takes all parameters, exactly.
    """

    @property
    def grams(self) -> LayerGrams | SampledGrams:
        """What it looks at."""
        return layer_grams(self.made_in, self.sample)

    def observations(self) -> tuple[LayerGrams | SampledGrams]:
        """The Gram matrices."""
        return (self.grams,)

    def read(self, model: nn.Module, findings: Findings) -> Score:
        """The score of the matrices."""
        grams = findings[self.grams]
        value, shares = self.of_grams(grams)
        return Score(value, self.name, layer_scores(grams, shares), grams.skipped)

    @abstractmethod
    def of_grams(self, grams: PerLayer) -> tuple[float, list[float]]:
        """The score, and each layer's share of it."""


@dataclass(frozen=True)
class GramNorm(GramProxy):
    """sum_l log(1 + ||G_l||_F), over the layers l, with the Frobenius norm of each layer's Gram matrix.

    The norm is what the KNAS paper's theory is about (arXiv 2111.13293, Eq. 14 bounds the smallest eigenvalue by it);
    the logarithm keeps the layer with the largest gradients from being all of the sum. Not a published proxy.
    """

    name: ClassVar[str] = "gram-norm"

    def of_grams(self, grams: PerLayer) -> tuple[float, list[float]]:
        """The sum over layers, and its terms."""
        shares = torch.linalg.matrix_norm(grams.values).log1p().tolist()
        return math.fsum(shares), shares


@dataclass(frozen=True)
class Coherence(GramProxy):
    """sum_l c_l, with c_l = mean(G_l) / (trace(G_l) / n) = n ||mean_i g_i^l||^2 / sum_i ||g_i^l||^2.

    c_l is 1 where all samples pull the layer the same way and 1/n where their gradients are orthogonal; a layer that
    no gradient reaches counts as 0. A sum, not a mean: depth counts. Not a published proxy.
    """

    name: ClassVar[str] = "coherence"

    def of_grams(self, grams: PerLayer) -> tuple[float, list[float]]:
        """The sum over layers, and its terms."""
        mean = grams.values.mean((1, 2))
        per_sample = grams.values.diagonal(dim1=1, dim2=2).mean(1)  # trace / n
        shares = torch.where(per_sample > 0, mean / per_sample.clamp(min=_TINY), 0.0).tolist()
        return math.fsum(shares), shares


@dataclass(frozen=True)
class Stiffness(GramProxy):
    """sum_l w_l artanh(c_l sqrt(1 - c_l^8)) / sum_l w_l, c_l the mean of cos(g_i^l, g_j^l) over pairs i != j.

    How far a step for one sample helps another, on average over the layers with weights that a gradient reaches: the
    cosine stiffness of Fort et al. (arXiv 1901.09491), which is of all parameters at once and of the loss, over pairs
    that are told apart by class. c_l is 0 where the samples' gradients are orthogonal and 1 where they are parallel;
    there the layer tells no sample from another, which is why the root takes such layers out again: it is 0.98 at c =
    0.67 and half at 0.965. artanh is Fisher's transformation, by which correlations are averaged, and w_l = log(1 +
    f_l) of the layer's operations f_l, at least 2 for each weight. A layer whose samples work against each other
    counts as 0, and a sample whose gradient is 0 has cosine 0 with the others. Layers with weights have a parameter
    of two or more axes; those that only scale and shift, such as normalizations, have no part in it. Not a published
    proxy.
    """

    name: ClassVar[str] = "stiffness"

    def of_grams(self, grams: PerLayer) -> tuple[float, list[float]]:
        """The mean over layers, and what each adds to it."""
        means = mean_cosines(grams)
        reached = (grams.values.diagonal(dim1=1, dim2=2) > 0).any(1)
        taking_part = torch.tensor([layer.has_weights for layer in grams.layers]) & reached
        weights = torch.where(taking_part, means.new_tensor(grams.operations).log1p(), 0.0)
        weights = weights / weights.sum().clamp(min=_TINY)
        shares = (weights * (means * (1 - means**8).sqrt()).atanh()).tolist()
        return math.fsum(shares), shares


@dataclass(frozen=True)
class GradientBalance(GramProxy):
    """1 / (1 + s), with s the standard deviation over the layers l of log ||G_l||_F, Frobenius norms.

    It is 1 where all layers get gradients of one size, and small where these vanish or explode on the way through the
    network. Layers that no gradient reaches are left out, here and in s. Not a published proxy.
    """

    name: ClassVar[str] = "gradient-balance"

    def of_grams(self, grams: PerLayer) -> tuple[float, list[float]]:
        """The score; a layer's share is the logarithm of its norm, less the mean over layers."""
        norms = torch.linalg.matrix_norm(grams.values)
        reached = norms > 0
        logs = norms.clamp(min=_TINY).log()
        if not reached.any():
            raise no_gradient_path()
        deviations = torch.where(reached, logs - logs[reached].mean(), 0.0)
        spread = float(deviations[reached].square().mean().sqrt())
        return 1 / (1 + spread), deviations.tolist()


@dataclass(frozen=True)
class GramEntropy(GramProxy):
    """sum_l H_l, with H_l = -sum_k p_k log p_k and p_k = lambda_k(G_l) / trace(G_l), the spectral entropy of a layer.

    H_l is log n where the samples' gradients are orthogonal and of one length, and 0 where they are parallel, or where
    no gradient reaches the layer. Not a published proxy.
    """

    name: ClassVar[str] = "gram-entropy"

    def of_grams(self, grams: PerLayer) -> tuple[float, list[float]]:
        """The sum over layers, and its terms."""
        shares = spectral_entropy(grams.eigenvalues).tolist()
        return math.fsum(shares), shares


@dataclass(frozen=True)
class MinEigenvalue(GramProxy):
    """lambda_min(G) of the Gram matrix G = sum_l G_l of all parameters, the rate of the KNAS paper's Proposition 4.1.

    It is 0 where G is singular to the precision of the gradients: lambda_min <= n eps lambda_max with eps that of
    float32 (or float64 in models of that type). Layers report their own smallest eigenvalues, whose sum it is not.
    """

    name: ClassVar[str] = "min-eigenvalue"

    def of_grams(self, grams: PerLayer) -> tuple[float, list[float]]:
        """The smallest eigenvalue of the whole matrix, and of each layer's."""
        precision = grams.values.shape[-1] * grams.epsilon
        whole = _smallest(grams.whole_eigenvalues, precision)
        return float(whole), _smallest(grams.eigenvalues, precision).tolist()


_TINY = torch.finfo(torch.float64).tiny


def layer_grams(made_in: CapturePass, sample: int | None) -> LayerGrams | SampledGrams:
    """Gram matrices of all parameters of each layer, or their estimates by `sample` of them."""
    return LayerGrams(made_in) if sample is None else SampledGrams(made_in, sample)


def mean_cosines(grams: PerLayer) -> Tensor:
    """The mean of cos(g_i^l, g_j^l) over pairs i != j of each layer [layers], at least 0; of gradients of 0 it is 0."""
    lengths = grams.values.diagonal(dim1=1, dim2=2).clamp(min=_TINY).sqrt()
    cosines = grams.values / lengths.unsqueeze(1) / lengths.unsqueeze(2)
    n = lengths.shape[1]
    off_diagonal = cosines.sum((1, 2)) - cosines.diagonal(dim1=1, dim2=2).sum(1)
    return (off_diagonal / (n * (n - 1))).clamp(0, 1)


def spectral_entropy(eigenvalues: Tensor) -> Tensor:
    """-sum_k p_k log p_k with p the eigenvalues [..., n] over their sum: [...]; 0 where all of them are 0."""
    values = eigenvalues.clamp(min=0)  # rounding leaves some below
    shares = values / values.sum(-1, keepdim=True).clamp(min=_TINY)
    return torch.special.entr(shares).sum(-1)  # type: ignore[no-any-return]


def _smallest(eigenvalues: Tensor, precision: float) -> Tensor:
    smallest, largest = eigenvalues[..., 0], eigenvalues[..., -1]
    return torch.where(smallest > precision * largest, smallest, 0.0)
