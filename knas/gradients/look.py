"""What the passes over a model leave for those who asked for them."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from knas.gradients.collect import (
    Collector,
    DepthCollector,
    FullCollector,
    RankCollector,
    ReachCollector,
    SampledCollector,
)
from knas.gradients.inputs import InputGradients
from knas.gradients.layers import Slot
from knas.gradients.watch import Watcher


@dataclass
class Look:
    """What the passes of one look have collected.

    Attributes:
        sampled: Sampled gradients, or their statistics.
        full: Gram matrices of all parameters, in one or more rounds over the layers.
        reach: How large the output gradients of layers are.
        ranks: Effective ranks of inputs and output gradients.
        depth: How many convolutions and linear layers follow one another.
        inputs: Gradients of the inputs.
        extra: Gradients of parameters that no rule covers.
        watchers: What watched the forward pass; none where the batch came in parts.
    """

    sampled: SampledCollector | None = None
    full: list[FullCollector] = field(default_factory=list)
    reach: ReachCollector | None = None
    ranks: RankCollector | None = None
    depth: DepthCollector | None = None
    inputs: InputGradients | None = None
    extra: dict[Slot, Tensor] = field(default_factory=dict)
    watchers: list[Watcher] = field(default_factory=list)

    @property
    def collectors(self) -> list[Collector]:
        """All collectors."""
        found = (self.sampled, self.reach, self.ranks, self.depth, *self.full)
        return [collector for collector in found if collector]
