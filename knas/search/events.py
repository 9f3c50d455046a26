"""What happens during a search or a ranking, told as it happens to whoever watches (the screen, a log, a caller)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from knas.runs.record import ScoreRow, SupernetRow, TrialRow


@dataclass(frozen=True)
class RunOpened:
    """The run's folder is held; `scores` and `trials` are what its record holds already.

    `machine` is where it computes, and `notes` are what the user should know of the data set.
    """

    run: str
    settings: Mapping[str, Any]
    scores: int
    trials: int
    machine: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class RankingOpened:
    """The folder of a ranking is held; of the `classes` of its `architectures`, `scores` are on record already.

    `machine` is where it computes, and `notes` are what the user should know of the data set.
    """

    run: str
    settings: Mapping[str, Any]
    architectures: int
    classes: int
    scores: int
    machine: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunRecalled:
    """The run in the folder is finished: its result is returned as it is."""

    run: str


@dataclass(frozen=True)
class PhaseStarted:
    """A phase ("score", "supernet", "top-k", "search", "control" or "plain") begins.

    `total` is how many architectures (super-networks) it handles, 0 where that depends on what it meets, and `seconds`
    what its answers may take at most, where there is such a limit.
    """

    name: str
    total: int
    seconds: float | None = None


@dataclass(frozen=True)
class Scored:
    """An architecture was scored, or failed; `replayed` where the record already held it."""

    row: ScoreRow
    replayed: bool


@dataclass(frozen=True)
class TrialStarted:
    """The training of an architecture begins, or that of a super-network."""

    architecture: str
    epochs: int


@dataclass(frozen=True)
class EpochEnded:
    """An epoch of the trial in hand ended; `values` are the trainer's (accuracies in per cent)."""

    architecture: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Trained:
    """A trial ended, or failed; `replayed` where the record already held it."""

    row: TrialRow
    replayed: bool


@dataclass(frozen=True)
class SupernetTrained:
    """The training of a super-network ended, or failed; `replayed` where the record already held it."""

    row: SupernetRow
    replayed: bool


Event = (
    RunOpened
    | RankingOpened
    | RunRecalled
    | PhaseStarted
    | Scored
    | TrialStarted
    | EpochEnded
    | Trained
    | SupernetTrained
)
Watcher = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Watch nothing."""
