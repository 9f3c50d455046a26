"""How many operations a forward pass takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn
from typing_extensions import override

from knas.gradients.watch import Watcher
from knas.observations.forward import CALIBRATED, ForwardObservation, ForwardPass

if TYPE_CHECKING:
    from torch.utils.flop_counter import FlopCounterMode


class OperationWatcher(Watcher):
    """Counts with PyTorch's own counter: 2 operations for each multiply-add of a convolution or matrix product."""

    def __init__(self) -> None:
        from torch.utils.flop_counter import FlopCounterMode

        self.counter, self.n = FlopCounterMode(display=False), 0
        self.per_sample = 0.0

    @override
    def watching(self, model: nn.Module, n: int) -> FlopCounterMode:
        self.n = n
        return self.counter

    @override
    def finish(self) -> None:
        self.per_sample = self.counter.get_total_flops() / self.n


@dataclass(frozen=True)
class Operations(ForwardObservation[float]):
    """Floating point operations per sample."""

    made_in: ForwardPass = CALIBRATED

    def watcher(self) -> OperationWatcher:
        """Watches operators."""
        return OperationWatcher()

    def read(self, watcher: OperationWatcher) -> float:
        """Operations per sample."""
        return watcher.per_sample
