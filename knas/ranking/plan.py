"""How many processes score, with how many threads each."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from knas.errors import UsageError
from knas.search.machine import machine
from knas.search.settings import SMALL_THREADS

if TYPE_CHECKING:
    import torch

WORTH_A_WORKER = 50
"""A worker takes seconds to start: it must have so many networks to score before it is started unasked."""

WORKER_BYTES = 1 << 30
"""Memory that must be free for each worker that is started unasked."""


@dataclass(frozen=True)
class Plan:
    """Processes and threads: those that were asked for, or such as suit the machine and the work.

    Measured on two cores with all kinds of cells at n = 32: two processes of one thread score 11.5 networks a second,
    one of one thread 6.1, and one of two threads 5.8.

    Attributes:
        dataset: its name.
        device: where networks are scored.
        workers: processes; None for as many as suit.
        threads: of each; None for as many as suit, or those that torch has in this process.

    Raises:
        UsageError: a number is below 1.
    """

    dataset: str
    device: torch.device
    workers: int | None
    threads: int | None

    def __post_init__(self) -> None:
        """Refuse numbers that are out of range."""
        for option, value in (("workers", self.workers), ("threads", self.threads)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise UsageError(f"{option} (--{option}) must be a whole number of at least 1, not {value!r}")

    def settled(self, count: int) -> Plan:
        """The plan for scoring `count` networks, with a number of workers."""
        cores = len(os.sched_getaffinity(0))
        if self.workers is not None:
            workers = min(self.workers, max(count, 1))
        elif self.device.type == "cpu":
            workers = max(1, min(cores, _fitting(), count // WORTH_A_WORKER))
        else:
            workers = 1
        suiting = SMALL_THREADS.get(self.dataset) if workers == 1 else max(1, cores // workers)
        return replace(self, workers=workers, threads=self.threads or suiting)

    def text(self) -> str:
        """What computes, in words."""
        if self.workers in (None, 1):
            return machine(self.device, self.threads)
        threads = (
            "" if self.threads is None else f" of {self.threads} thread{'s' if self.threads > 1 else ''}"
        )
        return f"{machine(self.device, 0)} with {self.workers} workers{threads}"


def _fitting() -> int:
    """How many workers fit the free memory."""
    import psutil

    return int(psutil.virtual_memory().available // WORKER_BYTES)
