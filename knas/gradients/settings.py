"""How gradients are taken, and what is left out of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from knas.gradients.arguments import one_of
from knas.gradients.batch_norm import POLICIES
from knas.gradients.objective import OBJECTIVES


class Skipped(NamedTuple):
    """A parameter whose gradient is not in the result, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Settings:
    """How gradients are taken.

    `parts` fixes the parts of the batch (mini-batches that are units of their own); else `micro_batch` is their size,
    and None takes the whole batch, or less where that does not fit the memory. `grouped` takes the statistics of all
    layers in a few launches after the backward pass instead of two for each layer within it, for the memory of all
    output gradients.

    Raises:
        UsageError: `of` or `batch_norm` is not among `OBJECTIVES` and `POLICIES`.
    """

    of: str = "output"
    batch_norm: str = "calibrated"
    seed: int = 0
    micro_batch: int | None = None
    parts: tuple[int, ...] | None = None
    grouped: bool = False

    def __post_init__(self) -> None:
        """Checks the names."""
        one_of("of", self.of, OBJECTIVES)
        one_of("batch_norm", self.batch_norm, POLICIES)
