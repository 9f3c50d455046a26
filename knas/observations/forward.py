"""A forward pass without gradients, and what watches it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import nn

from knas.gradients import Batch
from knas.gradients.checks import refuse_unusable_weights
from knas.gradients.watch import Watcher, watch
from knas.observations.base import Found, Observation, Pass

Result = TypeVar("Result")


@dataclass(frozen=True)
class ForwardPass(Pass):
    """One forward pass.

    Args:
        batch_norm: "calibrated" and "batch" are the same without gradients: statistics of the batch; or "initial".
    """

    batch_norm: str = "calibrated"

    def __post_init__(self) -> None:
        """Gives equal passes equal names."""
        if self.batch_norm == "batch":
            object.__setattr__(self, "batch_norm", "calibrated")

    def run(self, model: nn.Module, batch: Batch, wanted: Sequence[Observation[Any]], seed: int) -> Found:
        """Runs it once, with one watcher for each observation."""
        refuse_unusable_weights(model)
        seen = [one for one in wanted if isinstance(one, ForwardObservation)]
        watchers = [one.watcher() for one in seen]
        watch(model, batch, watchers, batch_norm=self.batch_norm, seed=seed)
        return read(seen, watchers)


CALIBRATED = ForwardPass()


class ForwardObservation(Observation[Result]):
    """Something that a watcher sees in a forward pass."""

    made_in: ForwardPass

    @abstractmethod
    def watcher(self) -> Watcher:
        """What watches one pass."""

    @abstractmethod
    def read(self, watcher: Any) -> Result:
        """What it has seen."""


def read(observations: Sequence[ForwardObservation[Any]], watchers: Sequence[Watcher]) -> Found:
    """What watchers have seen, or their errors."""
    return {
        one: one.read(watcher) if watcher.error is None else watcher.error
        for one, watcher in zip(observations, watchers, strict=True)
    }
