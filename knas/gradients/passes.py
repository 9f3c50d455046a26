"""Runs the passes that gradients take: in micro-batches that fit the memory, again where an input was overwritten."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch import Tensor, nn

from knas import native
from knas.errors import KnasError, UsageError
from knas.gradients.batch import Batch
from knas.gradients.batch_norm import BatchNormStatistics, Moments
from knas.gradients.capture import AmbiguousSamples, Capture, OverBudget
from knas.gradients.collect import (
    Collector,
    DepthCollector,
    FullCollector,
    RankCollector,
    ReachCollector,
    SampledCollector,
    Together,
)
from knas.gradients.functional import gradients_without_rules, one_line
from knas.gradients.inputs import InputGradients
from knas.gradients.layers import Layer, Layers, Slot, layers_of, no_parameters
from knas.gradients.look import Look
from knas.gradients.memory import activation_budget, is_out_of_memory
from knas.gradients.objective import no_gradient_path, total_objective, trained_gradients
from knas.gradients.sampling import Sampler
from knas.gradients.settings import Settings
from knas.gradients.undisturbed import seed_random_state, undisturbed
from knas.gradients.watch import Watcher, finished, watched

Result = TypeVar("Result")


@dataclass
class Gradients:
    """Per-sample gradients of a model: what each layer's were asked for, and what is left out."""

    model: nn.Module
    batch: Batch
    settings: Settings
    layers: Layers = field(init=False)
    skipped: dict[str, str] = field(init=False)
    _moments: list[Moments] | None = field(init=False, default=None)
    _samples_first: list[bool] | None = field(init=False, default=None)
    _as_given: Batch = field(init=False)
    _watching: Sequence[Callable[[], Watcher]] = field(init=False, default=())
    _inputs: InputGradients | None = field(init=False, default=None)
    _entries: dict[Layer, Tensor] = field(init=False, default_factory=dict)
    _operations: dict[Layer, float] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.layers = layers_of(self.model)
        self._as_given = self.batch
        if self.settings.of == "loss" and self.batch.targets is None:
            raise UsageError("targets: needed for of='loss'; pass the samples' classes, or use of='output'")
        if not self.layers.layers:
            raise no_parameters()
        self.skipped = dict.fromkeys(self.layers.frozen, "frozen: requires_grad is False, or no elements")
        if self.like.is_cpu and any(slot.parameter.dim() in (4, 5) for slot in self.layers.slots.values()):
            self.batch = self.batch.channels_last()  # convolutions need no copies in another order then

    @property
    def like(self) -> Tensor:
        """An empty tensor of the type and device of the gradients."""
        return self.layers.like

    def look(
        self,
        sampler: Sampler | None = None,
        *,
        fuse: bool = True,
        full: bool = False,
        reach: bool = False,
        ranks: bool = False,
        depth: bool = False,
        inputs: bool = False,
        watchers: Sequence[Callable[[], Watcher]] = (),
    ) -> Look:
        """Takes the passes once for all that is asked for.

        Args:
            sampler: Which entries' gradients are sampled; None for none.
            fuse: Whether the sampled gradients' `native.STATISTICS` are all that is wanted of them.
            full: Whether Gram matrices of all parameters are wanted.
            reach: Whether it is wanted how large the output gradients of layers are.
            ranks: Whether effective ranks of inputs and output gradients of layers are wanted.
            depth: Whether it is wanted how many convolutions and linear layers follow one another.
            inputs: Whether gradients of the inputs are wanted.
            watchers: Make what watches the forward pass; they see nothing of a batch that comes in parts.
        """
        fuse = fuse and self.settings.parts is None
        self._entries = {} if sampler is None else {layer: sampler(layer) for layer in self.layers.layers}
        entries = self._on_device(self._entries)

        def run(sizes: Sequence[int]) -> Look:
            look = Look()
            one = fuse and len(sizes) == 1
            if sampler is not None:
                look.sampled = SampledCollector(self.layers, entries, fuse=one, grouped=self.settings.grouped)
            look.full = FullCollector.rounds(self.layers, sizes, self.like) if full else []
            look.reach = ReachCollector(self.layers) if reach else None
            look.ranks = RankCollector(self.layers, len(sizes), self.settings.seed) if ranks else None
            look.depth = DepthCollector(self.layers) if depth else None
            look.inputs = self._inputs = InputGradients() if inputs else None
            self._watching = watchers
            later = look.full[1:]
            first = [collector for collector in look.collectors if collector not in later]
            look.watchers = self._round(sizes, Together(self.layers, first))
            self._inputs, self._watching = None, ()
            for collector in later:
                self._round(sizes, collector)
            return look

        with undisturbed(self.model, self.settings.seed, frozen=True):
            look = self._in_micro_batches(run)
            look.extra = self._uncovered(look.collectors)
        for collector in look.collectors:
            self._note_skipped(collector, look.extra)
        return look

    def statistics(self, sampler: Sampler) -> dict[Layer, Tensor]:
        """`native.STATISTICS` [4] of the sampled gradients of each layer, on the model's device."""
        return self.statistics_in(self.look(sampler))

    def statistics_in(self, look: Look) -> dict[Layer, Tensor]:
        """`statistics` from a look with a sampler."""
        assert look.sampled
        found = dict(look.sampled.statistics)
        for layer, rows in self.vectors_in(look).items():
            found[layer] = native.gram_statistics(rows)[: len(native.STATISTICS)]
        return {layer: found[layer] for layer in self.layers.layers if layer in found}

    def vectors(self, sampler: Sampler) -> dict[Layer, Tensor]:
        """Sampled per-sample gradients [n, s] of each layer; means over the parts [parts, s] where those are fixed."""
        return self.vectors_in(self.look(sampler, fuse=False))

    def matrices(self) -> dict[Layer, Tensor]:
        """Gram matrix [n, n] of all parameters of each layer, in float64."""
        return self.matrices_in(self.look(full=True))

    def matrices_in(self, look: Look) -> dict[Layer, Tensor]:
        """`matrices` from a look at full gradients."""
        found = {
            layer: self._full_matrix(collector, layer, look.extra)
            for collector in look.full
            for layer in collector.wanted
            if self._kept(layer)
        }
        return {layer: found[layer] for layer in self.layers.layers if layer in found}

    def mean_gradients(self) -> dict[Slot, Tensor]:
        """(1/n) sum_i g_i of each parameter by one ordinary backward pass; parameters without a gradient left out."""
        with undisturbed(self.model, self.settings.seed, frozen=False):
            sums = self._in_micro_batches(self._mean_round)
        if not sums:
            raise no_gradient_path()
        return sums

    # Rounds over the parts of the batch --------------------------------------------------------------------------

    def _on_device(self, entries: dict[Layer, Tensor]) -> dict[Layer, Tensor]:
        if not entries:
            return {}
        moved = torch.cat(list(entries.values())).to(self.like.device)  # one copy for all layers
        parts = moved.split([part.numel() for part in entries.values()])
        return dict(zip(entries, parts, strict=True))

    def vectors_in(self, look: Look) -> dict[Layer, Tensor]:
        """`vectors` from a look with a sampler, of the layers whose statistics were not taken at once."""
        assert look.sampled
        found = {}
        for layer in self.layers.layers:
            if layer in look.sampled.statistics or not self._kept(layer):
                continue
            entries = look.sampled.entries[layer]
            rows = look.sampled.joined(layer, entries.numel(), self.like)
            keep = torch.ones_like(entries, dtype=torch.bool)
            for slot in layer.slots:
                inside = slot.holds(entries)
                if slot in look.extra:
                    rows[:, inside] = look.extra[slot][:, entries[inside] - slot.offset].to(rows)
                elif slot.name in self.skipped:
                    keep &= ~inside
            found[layer] = self._unit_means(rows[:, keep])
        return found

    def _unit_means(self, rows: Tensor) -> Tensor:
        if self.settings.parts is None:
            return rows
        return torch.stack([part.mean(0) for part in rows.split(list(self.settings.parts))])

    def _full_matrix(self, collector: FullCollector, layer: Layer, extra: dict[Slot, Tensor]) -> Tensor:
        matrix = collector.matrix(layer, self.like)  # columns of uncovered parameters are zero in it
        for slot in layer.slots:
            if slot in extra:
                matrix = matrix + native.gram_matrix(extra[slot])
        return matrix

    def _mean_round(self, sizes: Sequence[int]) -> dict[Slot, Tensor]:
        slots = list(self.layers.slots.values())
        sums: dict[Slot, Tensor] = {}
        for part in self._parts(sizes):
            with self._statistics(whole=self._whole(sizes)):
                outputs = part.call(self.model)
            objective = total_objective(outputs, part.targets, self.settings.of, part.n)
            if not objective.requires_grad:
                raise no_gradient_path()
            weight = 1 / self.batch.n if self.settings.parts is None else 1 / (part.n * len(sizes))
            gradients = trained_gradients(objective, slots)
            for slot, gradient in zip(slots, gradients, strict=True):
                if gradient is not None:
                    scaled = gradient.detach().to(self.like.dtype) * weight
                    sums[slot] = sums[slot] + scaled if slot in sums else scaled
        return sums

    def _round(self, sizes: Sequence[int], collector: Collector) -> list[Watcher]:
        watchers: list[Watcher] = []
        for part in self._parts(sizes):
            watchers = self._part(part, collector, whole=self._whole(sizes))
        if not collector.reached and not collector.uncovered:
            raise no_gradient_path()
        return watchers

    def _parts(self, sizes: Sequence[int]) -> Iterator[Batch]:
        start = 0
        for size in sizes:
            yield self.batch.part(start, start + size)
            start += size

    def _part(self, part: Batch, collector: Collector, *, whole: bool) -> list[Watcher]:
        copied: frozenset[int] = frozenset()
        budget = activation_budget(self.like.device) if self.settings.parts is None else None
        while True:
            statistics = self._statistics(whole=whole)
            capture = Capture(
                self.layers,
                part.n,
                statistics,
                collector.receive,
                copied,
                budget,
                self._samples_first,
                collector.map_receiver,
            )
            # A repeated part draws the same random numbers.
            seed_random_state(self.settings.seed, (slot.parameter for slot in self.layers.slots.values()))
            watchers = [make() for make in self._watching] if part is self.batch else []
            given = part if self._inputs is None else self._inputs.attach(part, capture.anchor)
            try:
                with capture, watched(watchers, self.model, part.n):
                    outputs = given.call(self.model)
            except AmbiguousSamples:
                self._samples_first = self._find_samples(collector)
                continue
            if whole and self.settings.batch_norm == "calibrated":
                self._moments = statistics.moments
            if overwritten := capture.overwritten():
                copied |= overwritten
                continue
            objective = total_objective(outputs, part.targets, self.settings.of, part.n)
            collector.begin(capture, objective)
            if objective.requires_grad:
                torch.autograd.grad(objective, capture.anchor, allow_unused=True)
            collector.end()
            self._operations = {layer: count / part.n for layer, count in capture.operations.items()}
            if self._inputs is not None:
                self._inputs.end()
            return finished(watchers, outputs, part.n)

    def _find_samples(self, collector: Collector) -> list[bool]:
        """For each call of a layer, whether its first axis changes with the number of samples."""
        few = self.batch.part(0, 1 if self.batch.n == 2 else 2)
        probe = Capture(self.layers, few.n, BatchNormStatistics("initial"), collector.receive)
        with torch.no_grad(), probe:
            few.call(self.model)
        return [size == few.n for size in probe.first_axes]

    def _whole(self, sizes: Sequence[int]) -> bool:
        """Whether each part has BatchNorm statistics of its own: the only part, and mini-batches that are units."""
        return len(sizes) == 1 or self.settings.parts is not None

    def _statistics(self, *, whole: bool) -> BatchNormStatistics:
        policy = self.settings.batch_norm
        if policy != "calibrated" or whole:
            return BatchNormStatistics(policy)
        if self._moments is None:
            self._moments = self._calibrate() if self._has_batch_norm() else []
        return BatchNormStatistics(policy, self._moments)

    def _calibrate(self) -> list[Moments]:
        """Statistics of the whole batch, by a forward pass that keeps no activations."""
        statistics = BatchNormStatistics("calibrated")
        try:
            with torch.no_grad(), statistics:
                self.batch.call(self.model)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise KnasError(
                f"batch_norm: 'calibrated' takes one forward pass of all {self.batch.n} samples, which do not fit the "
                "memory; use fewer samples, or batch_norm='initial'"
            ) from error
        return statistics.moments

    def _has_batch_norm(self) -> bool:
        probe = BatchNormStatistics("initial")
        with torch.no_grad(), probe:
            self.batch.part(0, 1).call(self.model)
        return probe.calls > 0

    def _in_micro_batches(self, run: Callable[[Sequence[int]], Result]) -> Result:
        """Runs over parts of the batch that fit the memory, halving them until they do."""
        n, size = self.batch.n, self.settings.micro_batch or self.batch.n
        if self.settings.parts is not None:
            return run(self.settings.parts)
        while True:
            sizes = [min(size, n - start) for start in range(0, n, size)]
            if len(sizes) > 1:
                self._refuse_coupled_parts()
            try:
                return run(sizes)
            except (OverBudget, RuntimeError, MemoryError) as error:
                if self.batch is not self._as_given and "view size is not compatible" in str(error):
                    self.batch = self._as_given  # the model's own code counts on the order
                    continue
                if not isinstance(error, OverBudget) and not is_out_of_memory(error):
                    raise
                if size == 1:
                    raise KnasError(
                        "model: a single sample does not fit the memory; use a smaller model or input"
                    ) from error
                if not isinstance(error, OverBudget):
                    warnings.warn(
                        f"out of memory with {size} samples at once; going on with {(size + 1) // 2}",
                        stacklevel=2,
                    )
            size = (size + 1) // 2

    def _refuse_coupled_parts(self) -> None:
        if self._coupled():
            raise UsageError(
                "batch_norm: 'batch' couples all samples, so they cannot be taken in parts; "
                "use batch_norm='calibrated', or inputs that fit the memory at once"
            )

    # Parameters that no rule covers ------------------------------------------------------------------------------

    def _uncovered(self, collectors: Sequence[Collector]) -> dict[Slot, Tensor]:
        """Gradients of parameters that no rule covers; what can't be had is noted in `skipped`."""
        reasons = {slot: reason for collector in collectors for slot, reason in collector.uncovered.items()}
        if not reasons:
            return {}
        failure = "samples are coupled by the statistics of the batch" if self._coupled() else ""
        if not failure:
            try:
                return self._without_rules(list(reasons))
            except Exception as error:  # whatever a model's own code may raise
                failure = one_line(error)
        self.skipped.update(
            {slot.name: f"{reason}; one sample alone: {failure}" for slot, reason in reasons.items()}
        )
        return {}

    def _coupled(self) -> bool:
        """Whether samples depend on each other through BatchNorm statistics."""
        coupling = self.settings.batch_norm == "batch" or self.settings.parts is not None
        return coupling and self._has_batch_norm()

    def _without_rules(self, slots: list[Slot]) -> dict[Slot, Tensor]:
        return gradients_without_rules(
            self.model,
            self.batch,
            slots,
            of=self.settings.of,
            batch_norm=self.settings.batch_norm,
            moments=self._moments or [],
            chunk=self.settings.micro_batch or self.batch.n,
        )

    def _note_skipped(self, collector: Collector, extra: dict[Slot, Tensor]) -> None:
        for slot in collector.switched_off:
            if slot.layer not in collector.reached and slot not in extra:
                self.skipped[slot.name] = (
                    "used only with gradients switched off (no_grad, or reentrant checkpointing)"
                )

    def _kept(self, layer: Layer) -> bool:
        return any(slot.name not in self.skipped for slot in layer.slots)

    def sampled_entries(self, layer: Layer) -> int:
        """Number of a layer's entries that the last sampling looked at, without skipped parameters."""
        entries = self._entries[layer]
        skipped = [slot for slot in layer.slots if slot.name in self.skipped]
        return entries.numel() - sum(int(slot.holds(entries).sum()) for slot in skipped)

    def operations_of(self, layer: Layer) -> float:
        """Floating point operations of a layer per sample, as the last pass ran it; at least 2 for each weight.

        So count functions that no rule covers, and lookups, which take none.
        """
        weights = sum(slot.size for slot in layer.slots if slot.is_weight)
        return max(self._operations.get(layer, 0.0), 2.0 * weights)

    def parameters_of(self, layer: Layer) -> int:
        """Number of a layer's parameters whose gradients are in the result."""
        return sum(slot.size for slot in layer.slots if slot.name not in self.skipped)
