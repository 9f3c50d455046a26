"""How many operations a forward pass takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry
from typing_extensions import override

from knas.gradients.watch import Watcher
from knas.observations.forward import CALIBRATED, ForwardObservation, ForwardPass


class OperationWatcher(TorchDispatchMode, Watcher):
    """Counts by PyTorch's own formulas: 2 operations for each multiply-add of a convolution or matrix product.

    `torch.utils.flop_counter.FlopCounterMode` counts the same, but also by module, which takes several times as long.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total, self.n = 0, 1

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Runs an operator and counts what it took."""
        output = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            self.total += formula(*args, **(kwargs or {}), out_val=output)
        return output

    @override
    def watching(self, model: nn.Module, n: int) -> OperationWatcher:
        self.n = n
        return self

    @override
    def finish(self) -> None:
        """The count is there."""


@dataclass(frozen=True)
class Operations(ForwardObservation[float]):
    """Floating point operations per sample."""

    made_in: ForwardPass = CALIBRATED

    def watcher(self) -> OperationWatcher:
        """Watches operators."""
        return OperationWatcher()

    def read(self, watcher: OperationWatcher) -> float:
        """Operations per sample."""
        return watcher.total / watcher.n
