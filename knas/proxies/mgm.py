"""MGM: the mean of the Gram matrix of per-sample gradients, the score of the KNAS paper (arXiv 2111.13293)."""

from __future__ import annotations

import dataclasses
import math
import time
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from knas import native
from knas.errors import UsageError
from knas.gradients import OBJECTIVES, POLICIES, Batch, Gradients, Layer, Skipped, leading_entries, one_of
from knas.gradients.checks import non_finite_gradients, refuse_non_finite_weights
from knas.observations import CapturePass, Findings, SampledStatistics
from knas.proxies.base import LayerScore, Observing, Score, layer_scores
from knas.proxies.checks import positive, positive_or_none

ESTIMATORS = ("sampled", "full", "split", "released")
UNITS = ("sample", "batch")

_MEAN, _SPLIT = native.STATISTICS.index("mean"), native.STATISTICS.index("split")


@dataclass(frozen=True)
class MGM(Observing):
    """The mean of the Gram matrix of gradients G[i, j] = <g_i, g_j>.

    Estimators, with g_i the gradient of sample i, g^_i^m its sampled entries of layer m, M layers and n samples:

    - "sampled" (Eq. 16): 1/(M n^2) sum_m sum_ij <g^_i^m, g^_j^m>. A layer that no gradient reaches counts as 0.
    - "full" (Eq. 15): 1/n^2 sum_ij <g_i, g_j> = ||(1/n) sum_i g_i||^2, by one ordinary backward pass.
    - "split" (section 5): each sampled parameter's n gradients are split into two vectors of n/2, and their dot
      products averaged: 1/|W| sum_{w in W} sum_{k < n/2} g_k[w] g_{k + n/2}[w], over the samples W of all layers.
    - "released": what the authors' code computes, which is not Eq. 16: gradients of the first 50 coordinates of the
      first 11 parameter tensors with at least 50 elements, the series split in two halves, each half's mean
      subtracted, and the products summed over all coordinates / 2500. Centered, its expectation is zero.

    Args:
        estimator: "sampled", "full", "split" or "released".
        sample: Entries drawn per layer for "sampled" and "split" (the paper: 50); None takes all parameters, which
            makes "sampled" equal to "full", without the average over layers.
        of: What g is the gradient of: "output" (summed over its elements; Eq. 9) or "loss" (needs targets). Default
            "output"; "loss" for "released".
        batch_norm: "calibrated" (statistics of the batch, held constant), "batch" (gradients flow through them) or
            "initial" (mean 0, variance 1). Default "calibrated"; "batch" for "released", as in its training mode.
        unit: Whose gradient a vector is: a "sample"'s, or the mean over a mini-"batch"'s. Default "sample"; "batch"
            for "released".
        batches: Number of equal mini-batches that the n samples are cut into for unit="batch" (the released code: 50).
        micro_batch: Samples that are taken at once; None takes as many as fit the memory.
    """

    name: ClassVar[str] = "mgm"

    estimator: str = "sampled"
    sample: int | None = 50
    of: str | None = None
    batch_norm: str | None = None
    unit: str | None = None
    batches: int = 50
    micro_batch: int | None = None

    def __post_init__(self) -> None:
        """Checks the options and fills in the estimator's defaults."""
        one_of("estimator", self.estimator, ESTIMATORS)
        released = self.estimator == "released"
        for option, value in (
            ("of", "loss" if released else "output"),
            ("batch_norm", "batch" if released else "calibrated"),
            ("unit", "batch" if released else "sample"),
        ):
            if getattr(self, option) is None:
                object.__setattr__(self, option, value)
        one_of("of", self.of, OBJECTIVES)
        one_of("batch_norm", self.batch_norm, POLICIES)
        one_of("unit", self.unit, UNITS)
        positive("batches", self.batches, 2)
        for option in ("sample", "micro_batch"):
            positive_or_none(option, getattr(self, option))

    @property
    def needs_targets(self) -> bool:
        """Whether gradients of the loss are asked for."""
        return self.of == "loss"

    @property
    def own_passes(self) -> bool:
        """Whether the value comes from whole gradients, by passes that no other proxy takes."""
        full = self.estimator == "sampled" and self.sample is None
        return full or self.estimator in ("full", "released")

    @property
    def _pass(self) -> CapturePass:
        assert self.of
        assert self.batch_norm
        batches = self.batches if self.unit == "batch" else None
        return CapturePass(self.of, self.batch_norm, self.micro_batch, batches)

    @property
    def _sampled(self) -> SampledStatistics:
        return SampledStatistics(self._pass, self.sample)

    def observations(self) -> tuple[SampledStatistics]:
        """The statistics of sampled gradients."""
        return (self._sampled,)

    def read(self, model: nn.Module, findings: Findings) -> Score:
        """The sum of the layers' statistics."""
        found, counts = findings[self._sampled]
        column = _MEAN if self.estimator == "sampled" else _SPLIT
        numbers = found.values[:, column].tolist()
        if self.estimator == "sampled":
            return self._score(layer_scores(found, numbers), math.fsum(numbers) / len(numbers), found.skipped)
        shares = [number / max(count, 1) for number, count in zip(numbers, counts, strict=True)]
        return self._score(
            layer_scores(found, shares), math.fsum(numbers) / max(sum(counts), 1), found.skipped
        )

    def score(self, model: nn.Module, batch: Batch, *, seed: int = 0) -> Score:
        """Scores a network; see the class for the formulas."""
        if not self.own_passes:
            return super().score(model, batch, seed=seed)
        started = time.perf_counter()
        gradients = Gradients(model, batch, self._pass.settings(batch.n, seed))
        refuse_non_finite_weights(gradients.layers)
        values = _released(gradients) if self.estimator == "released" else _full(gradients)
        layers = tuple(
            LayerScore(layer.name, layer.kind, gradients.parameters_of(layer), share)
            for layer, share in values.items()
        )
        skipped = tuple(Skipped(*item) for item in gradients.skipped.items())
        return dataclasses.replace(
            self._score(layers, math.fsum(values.values()), skipped), seconds=time.perf_counter() - started
        )

    def _score(self, layers: tuple[LayerScore, ...], value: float, skipped: tuple[Skipped, ...]) -> Score:
        if not math.isfinite(value):
            overflowing = (layer.name for layer in layers if not math.isfinite(layer.value))
            raise non_finite_gradients(next(overflowing, "the sum over layers"))
        return Score(value, self.name, layers, skipped)


def _full(gradients: Gradients) -> dict[Layer, float]:
    mean = gradients.mean_gradients()
    squares = {slot: gradient.double().square().sum() for slot, gradient in mean.items()}
    numbers = dict(zip(squares, torch.stack(list(squares.values())).tolist(), strict=True))
    layers = gradients.layers.layers
    return {layer: math.fsum(numbers.get(slot, 0.0) for slot in layer.slots) for layer in layers}


def _released(gradients: Gradients) -> dict[Layer, float]:
    vectors = gradients.vectors(leading_entries(gradients.layers.layers))
    products = {layer: _centered_product(rows.double()) for layer, rows in vectors.items() if rows.shape[1]}
    if not products:
        raise UsageError("model: estimator='released' needs a parameter tensor of at least 50 elements")
    return dict(zip(products, (torch.stack(list(products.values())) / 2500).tolist(), strict=True))


def _centered_product(rows: Tensor) -> Tensor:
    half = rows.shape[0] // 2
    first, second = rows[:half], rows[half : 2 * half]
    return ((first - first.mean(0)) * (second - second.mean(0))).sum()
