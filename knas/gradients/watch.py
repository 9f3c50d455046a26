"""Watches a forward pass, on its own or as the first half of a pass of gradients."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager

import torch
from torch import nn
from torch._C import DisableTorchFunction
from torch.utils._python_dispatch import _disable_current_modes

from knas.errors import KnasError, NotFiniteError
from knas.gradients.batch import Batch
from knas.gradients.batch_norm import BatchNormStatistics
from knas.gradients.objective import output_tensor
from knas.gradients.undisturbed import undisturbed


class Watcher(ABC):
    """Looks at one forward pass. What it cannot make sense of ends its own watching, not the pass.

    Attributes:
        error: Why it has nothing to tell; None where it has.
    """

    error: KnasError | None = None

    @abstractmethod
    def watching(self, model: nn.Module, n: int) -> AbstractContextManager[object]:
        """What the forward pass of n samples runs within."""

    @abstractmethod
    def finish(self) -> None:
        """Called once after the pass."""


@contextmanager
def unwatched() -> Iterator[None]:
    """Runs its block, a watcher's own arithmetic, out of all watchers' sight."""
    with torch.no_grad(), DisableTorchFunction(), _disable_current_modes():
        yield


@contextmanager
def watched(watchers: Sequence[Watcher], model: nn.Module, n: int) -> Iterator[None]:
    """Runs its block, a forward pass of n samples, within the watchers."""
    with ExitStack() as stack:
        for watcher in watchers:
            stack.enter_context(watcher.watching(model, n))
        yield


def finished(watchers: list[Watcher], outputs: object, n: int) -> list[Watcher]:
    """The watchers after a pass that gave `outputs`."""
    if watchers and not bool(torch.isfinite(output_tensor(outputs, n)).all()):
        error = NotFiniteError("output: NaN or Inf; the network or its initialization is unstable")
        for watcher in watchers:
            watcher.error = watcher.error or error
    for watcher in watchers:
        try:
            if watcher.error is None:
                watcher.finish()
        except KnasError as error:
            watcher.error = error
    return watchers


def watch(
    model: nn.Module, batch: Batch, watchers: list[Watcher], *, batch_norm: str = "calibrated", seed: int = 0
) -> None:
    """Runs one forward pass without gradients for the watchers, and leaves the model as it was.

    Args:
        model: Any module.
        batch: n samples on its device.
        watchers: Who sees it.
        batch_norm: What BatchNorm normalizes by: the statistics of the batch ("calibrated" and "batch" are the same
            here) or "initial".
        seed: For what the model draws in its forward pass.
    """
    with (
        undisturbed(model, seed, frozen=True),
        torch.no_grad(),
        BatchNormStatistics(batch_norm),
        watched(watchers, model, batch.n),
    ):
        outputs = batch.call(model)
    finished(watchers, outputs, batch.n)
