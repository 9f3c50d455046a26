"""The forward and backward pass with frozen weights, which gives per-sample gradients of every layer."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from knas import native
from knas.errors import KnasError, UsageError
from knas.gradients import Batch, Gradients, Layer, Sampler, Settings, Skipped, all_entries, random_entries
from knas.gradients.checks import non_finite_gradients, refuse_non_finite_weights
from knas.gradients.look import Look
from knas.observations.base import Found, Observation, Pass
from knas.observations.forward import ForwardObservation, ForwardPass, read

Result = TypeVar("Result")


@dataclass(frozen=True)
class CapturePass(Pass):
    """One forward and one backward pass of all samples.

    Args:
        of: What is differentiated: "output" or "loss".
        batch_norm: "calibrated", "batch" or "initial".
        micro_batch: Samples that are taken at once; None takes as many as fit the memory.
        batches: Number of equal mini-batches whose mean gradients stand for single samples'; None for single samples.
    """

    of: str = "output"
    batch_norm: str = "calibrated"
    micro_batch: int | None = None
    batches: int | None = None

    def settings(self, n: int, seed: int) -> Settings:
        """How the gradients of n samples are taken.

        Raises:
            UsageError: There are fewer samples than mini-batches.
        """
        parts = None
        if self.batches is not None:
            if n < self.batches:
                raise UsageError(
                    f"inputs: unit='batch' cuts them into batches = {self.batches} mini-batches, "
                    f"got only {n} samples; pass more of them, or fewer batches"
                )
            parts = tuple(n // self.batches + (k < n % self.batches) for k in range(self.batches))
        return Settings(self.of, self.batch_norm, seed, self.micro_batch, parts)

    def carries(self, other: Pass) -> bool:
        """Its forward half is a forward pass."""
        own = "initial" if self.batch_norm == "initial" else "calibrated"
        return isinstance(other, ForwardPass) and other.batch_norm == own

    def run(self, model: nn.Module, batch: Batch, wanted: Sequence[Observation[Any]], seed: int) -> Found:
        """Takes all that is wanted in one look; each further number of sampled entries takes a look of its own."""
        gradients = Gradients(model, batch, self.settings(batch.n, seed))
        refuse_non_finite_weights(gradients.layers)
        own = [one for one in wanted if isinstance(one, CaptureObservation)]
        seen = [one for one in wanted if isinstance(one, ForwardObservation)]
        groups = _by_entries(own)
        first, *others = groups or [[]]
        look = gradients.look(
            first[0].sampler(seed) if first else None,
            fuse=_fuses(first),
            full=any(isinstance(one, LayerGrams) for one in own),
            reach=any(isinstance(one, ReachedLayers) for one in own),
            ranks=any(isinstance(one, EffectiveRanks) for one in own),
            depth=any(isinstance(one, Depth) for one in own),
            inputs=any(isinstance(one, InputJacobian) for one in own),
            watchers=[one.watcher for one in seen],
        )
        found = read(seen, look.watchers) if look.watchers else {}
        later = [one for group in others for one in group]
        for one in own:
            if one not in later:
                found[one] = _read(one, gradients, look)
        for group in others:
            look = gradients.look(group[0].sampler(seed), fuse=_fuses(group))
            found.update({one: _read(one, gradients, look) for one in group})
        return found


OF_OUTPUT = CapturePass()


class CaptureObservation(Observation[Result]):
    """Something of the gradients."""

    made_in: CapturePass

    @abstractmethod
    def read(self, gradients: Gradients, look: Look) -> Result:
        """What a look has found."""


class SampledObservation(CaptureObservation[Result]):
    """Something of sampled gradients: of `sample` entries of each layer, or of all for None."""

    sample: int | None

    def sampler(self, seed: int) -> Sampler:
        """Which entries these are; the same for all observations of as many."""
        return all_entries if self.sample is None else random_entries(self.sample, seed)


def _read(observation: CaptureObservation[Any], gradients: Gradients, look: Look) -> object | KnasError:
    try:
        result: object = observation.read(gradients, look)
        return result
    except KnasError as error:
        return error


def _by_entries(observations: Sequence[CaptureObservation[Any]]) -> list[list[SampledObservation[Any]]]:
    """Those that sample gradients, by how many."""
    groups: dict[int | None, list[SampledObservation[Any]]] = {}
    for one in observations:
        if isinstance(one, SampledObservation):
            groups.setdefault(one.sample, []).append(one)
    return list(groups.values())


def _fuses(group: Sequence[SampledObservation[Any]]) -> bool:
    """Whether statistics of the sampled gradients are all that is wanted of them."""
    return all(isinstance(one, SampledStatistics) for one in group)


@dataclass(frozen=True)
class PerLayer:
    """Something of each layer.

    Attributes:
        layers: The layers, in the model's order.
        parameters: How many parameters of each the values cover.
        operations: Floating point operations of each per sample, at least 2 for each weight.
        values: float64 on the CPU, one row for each layer.
        skipped: Parameters that the values do not cover, with reasons.
        epsilon: The precision of the gradients.
    """

    layers: tuple[Layer, ...]
    parameters: tuple[int, ...]
    operations: tuple[float, ...]
    values: Tensor
    skipped: tuple[Skipped, ...]
    epsilon: float

    @cached_property
    def whole(self) -> Tensor:
        """The sum over layers, of Gram matrices the matrix [n, n] of all parameters."""
        return self.values.sum(0)

    @cached_property
    def eigenvalues(self) -> Tensor:
        """Of Gram matrices: the eigenvalues [layers, n] of each, in ascending order."""
        return torch.linalg.eigvalsh(self.values)  # type: ignore[no-any-return]

    @cached_property
    def whole_eigenvalues(self) -> Tensor:
        """Of Gram matrices: the eigenvalues [n] of that of all parameters, in ascending order."""
        return torch.linalg.eigvalsh(self.whole)  # type: ignore[no-any-return]


def _per_layer(gradients: Gradients, found: dict[Layer, Tensor]) -> PerLayer:
    if not found:
        reason = next(iter(gradients.skipped.values()), "no layer was reached")
        raise KnasError(f"model: no layer's per-sample gradients can be taken ({reason})")
    return PerLayer(
        tuple(found),
        tuple(gradients.parameters_of(layer) for layer in found),
        tuple(gradients.operations_of(layer) for layer in found),
        torch.stack(list(found.values())).cpu(),  # the one copy from the device
        tuple(Skipped(*item) for item in gradients.skipped.items()),
        torch.finfo(gradients.like.dtype).eps,
    )


@dataclass(frozen=True)
class LayerGrams(CaptureObservation[PerLayer]):
    """The Gram matrix [n, n] of all parameters of each layer: values [layers, n, n]."""

    made_in: CapturePass = OF_OUTPUT

    def read(self, gradients: Gradients, look: Look) -> PerLayer:
        """The matrices, all of them finite."""
        grams = _per_layer(gradients, gradients.matrices_in(look))
        _refuse_non_finite(grams)
        return grams


@dataclass(frozen=True)
class SampledGrams(SampledObservation[PerLayer]):
    """Estimates of `LayerGrams` by s sampled entries of each layer.

    Of P_l parameters s are drawn, and (P_l / s) V V^T is the estimate, for their gradients V [n, s].
    """

    made_in: CapturePass = OF_OUTPUT
    sample: int | None = 50

    def read(self, gradients: Gradients, look: Look) -> PerLayer:
        """The estimates, all of them finite."""
        estimates = {
            layer: native.gram_matrix(rows) * (gradients.parameters_of(layer) / max(rows.shape[1], 1))
            for layer, rows in gradients.vectors_in(look).items()
        }
        grams = _per_layer(gradients, estimates)
        _refuse_non_finite(grams)
        return grams


def _refuse_non_finite(found: PerLayer) -> None:
    finite = torch.isfinite(found.values).flatten(1).all(1)
    if not finite.all():
        raise non_finite_gradients(found.layers[int(finite.int().argmin())].name)


@dataclass(frozen=True)
class EffectiveRanks(CaptureObservation[PerLayer]):
    """Effective ranks of the tensors that go into linear maps and of their gradients: values [layers, 5].

    Linear maps are convolutions and linear layers; a tensor that goes into several counts for the first. The
    ranks are those of the second moments of the channels over samples and positions, of the tensor's and of the
    gradient's (see `knas.gradients.effective_rank`). Each comes before the largest that it could be, min(N, C) for N
    rows of C channels. Last come the floating point operations per sample of all layers that the tensor goes into.
    """

    made_in: CapturePass = OF_OUTPUT

    def read(self, gradients: Gradients, look: Look) -> PerLayer:
        """The ranks, all of them finite; 0 for what runs and no gradient reaches, 0 of 0 before the first layer."""
        assert look.ranks
        ranks = _per_layer(gradients, look.ranks.ranks())
        _refuse_non_finite(ranks)
        return ranks


@dataclass(frozen=True)
class Depth(CaptureObservation[int]):
    """The most convolutions and linear layers on one path from the inputs to what is differentiated."""

    made_in: CapturePass = OF_OUTPUT

    def read(self, gradients: Gradients, look: Look) -> int:
        """The number; 0 for a network without such layers."""
        assert look.depth
        return look.depth.depth


@dataclass(frozen=True)
class SampledStatistics(SampledObservation[tuple[PerLayer, tuple[int, ...]]]):
    """`knas.native.STATISTICS` of sampled gradients of each layer, values [layers, 4], and how many were sampled."""

    made_in: CapturePass = OF_OUTPUT
    sample: int | None = 50

    def read(self, gradients: Gradients, look: Look) -> tuple[PerLayer, tuple[int, ...]]:
        """The statistics."""
        statistics = _per_layer(gradients, gradients.statistics_in(look))
        return statistics, tuple(gradients.sampled_entries(layer) for layer in statistics.layers)


@dataclass(frozen=True)
class ReachedLayers(CaptureObservation[tuple[Layer, ...]]):
    """The layers that the output depends on, those whose gradient is not zero."""

    made_in: CapturePass = OF_OUTPUT

    def read(self, gradients: Gradients, look: Look) -> tuple[Layer, ...]:
        """The layers; also those of which a gradient came by another way than the backward pass."""
        assert look.reach
        largest = look.reach.largest()
        for layer, value in largest.items():
            if not math.isfinite(value):
                raise non_finite_gradients(layer.name)
        reached = {layer for layer, value in largest.items() if value > 0}
        reached |= {slot.layer for slot, rows in look.extra.items() if bool(rows.any())}
        return tuple(layer for layer in gradients.layers.layers if layer in reached)


@dataclass(frozen=True)
class InputJacobian(CaptureObservation[Tensor]):
    """The gradient of each sample's objective for its own input, [n, input elements] on the model's device."""

    made_in: CapturePass = OF_OUTPUT

    def read(self, gradients: Gradients, look: Look) -> Tensor:
        """The gradients, all of them finite."""
        assert look.inputs
        rows = look.inputs.joined()
        if not bool(torch.isfinite(rows).all()):
            raise non_finite_gradients("the inputs")
        return rows
