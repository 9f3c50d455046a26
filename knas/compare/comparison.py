"""What a comparison found: one entry for each row and data set, with the paper's numbers beside it."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from knas.compare.paper import NOTHING, Published
from knas.compare.systems import System


@dataclass(frozen=True)
class Entry:
    """One system on one data set; without accuracies where it was not run.

    Attributes:
        system: the row.
        dataset: of the table.
        accuracies: of the found cells, test, one for each seed.
        seconds: of the searches, likewise; empty for a cell that nobody searched for.
        source: what the seconds are.
        searched_on: the data set that was searched on, where it is another.
        published: the paper's numbers.
    """

    system: System
    dataset: str
    accuracies: tuple[float, ...] = ()
    seconds: tuple[float, ...] = ()
    source: str = ""
    searched_on: str | None = None
    published: Published = NOTHING

    @property
    def mean(self) -> float | None:
        """Mean accuracy, None where there is none."""
        return statistics.fmean(self.accuracies) if self.accuracies else None

    @property
    def std(self) -> float | None:
        """Standard deviation of the accuracy (n − 1), None for less than two searches."""
        return statistics.stdev(self.accuracies) if len(self.accuracies) > 1 else None

    @property
    def time(self) -> float | None:
        """Mean seconds, None where nobody searched."""
        return statistics.fmean(self.seconds) if self.seconds else None


@dataclass(frozen=True)
class Comparison:
    """A whole table.

    Attributes:
        settings: what was compared, by name.
        entries: by data set, then in the order of the rows.
        not_run: for rows without a number, the command that fills them.
        notes: choices that were made, and what disagrees with the paper, in words.
        run: the folder; None where nothing was kept.
    """

    settings: Mapping[str, Any]
    entries: Mapping[str, tuple[Entry, ...]]
    not_run: Mapping[str, str]
    notes: tuple[str, ...] = ()
    run: str | None = None

    def entry(self, system: str, dataset: str) -> Entry:
        """One row on one data set."""
        return next(one for one in self.entries[dataset] if one.system.name == system)

    def speed_up(self, entry: Entry) -> float | None:
        """The seconds of random search on the same data set, divided by those of an entry; None without seconds."""
        reference = self.entry("random", entry.dataset).time
        return reference / entry.time if reference and entry.time else None

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values, for JSON."""
        return {
            **self.settings,
            "rows": [self.row(entry) for entries in self.entries.values() for entry in entries],
            "not_run": dict(self.not_run),
            "notes": list(self.notes),
            "run": self.run,
        }

    def row(self, entry: Entry) -> dict[str, Any]:
        """One entry as plain values."""
        return {
            "dataset": entry.dataset,
            "system": entry.system.name,
            "title": entry.system.title,
            "runs": len(entry.accuracies),
            "accuracy": entry.mean,
            "std": entry.std,
            "paper_accuracy": entry.published.accuracy,
            "seconds": entry.time,
            "paper_seconds": entry.published.seconds,
            "speed_up": self.speed_up(entry),
            "paper_speed_up": entry.published.speed_up,
            "seconds_are": entry.source or None,
            "searched_on": entry.searched_on,
            "not_run": self.not_run.get(entry.system.name) if entry.mean is None else None,
        }
