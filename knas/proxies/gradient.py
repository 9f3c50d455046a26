"""What proxies of one forward and one backward pass with frozen weights have in common."""

from __future__ import annotations

from dataclasses import dataclass

from knas.gradients import OBJECTIVES, POLICIES, one_of
from knas.observations import CapturePass
from knas.proxies.base import Observing
from knas.proxies.checks import positive_or_none


@dataclass(frozen=True)
class GradientProxy(Observing):
    """A proxy of what one forward and one backward pass shows.

    Args:
        of: What is differentiated: "output" (summed over its elements) or "loss" (needs targets).
        batch_norm: "calibrated", "batch" or "initial"; see `knas.proxies.MGM`.
        micro_batch: Samples that are taken at once; None takes as many as fit the memory.
    """

    of: str = "output"
    batch_norm: str = "calibrated"
    micro_batch: int | None = None

    def __post_init__(self) -> None:
        """Checks the options."""
        one_of("of", self.of, OBJECTIVES)
        one_of("batch_norm", self.batch_norm, POLICIES)
        positive_or_none("micro_batch", self.micro_batch)

    @property
    def needs_targets(self) -> bool:
        """Whether gradients of the loss are asked for."""
        return self.of == "loss"

    @property
    def made_in(self) -> CapturePass:
        """The pass."""
        return CapturePass(self.of, self.batch_norm, self.micro_batch)


@dataclass(frozen=True)
class SampledGradientProxy(GradientProxy):
    """A proxy of all gradients of each layer, or of some.

    Args:
        sample: Entries drawn per layer; None takes all parameters.
    """

    sample: int | None = None

    def __post_init__(self) -> None:
        """Checks the options."""
        super().__post_init__()
        positive_or_none("sample", self.sample)
