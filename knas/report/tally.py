"""The running numbers of a phase, which the live display and the plain lines both show."""

from __future__ import annotations

import time
from collections.abc import Callable

from knas.report.tables import score_text
from knas.runs.record import ScoreRow, SupernetRow, TrialRow
from knas.search.events import EpochEnded, Event, PhaseStarted, Scored, SupernetTrained, Trained, TrialStarted

TITLES = {
    "score": "scoring",
    "supernet": "sharing",
    "top-k": "training",
    "search": "searching",
    "control": "control",
    "plain": "plain model",
}


class Tally:
    """Counts a phase: what is done, how fast, how long still, and the best so far.

    Rates and remaining times come from what was measured in this process; what the record already held costs
    nothing.

    Attributes:
        phase: a key of `TITLES`.
        total: architectures of the phase; 0 where nobody knows.
        limit: seconds that its answers may take; None without a limit.
        seconds: that they took.
        done: of these, with an answer.
        failed: of the done, without a value.
        best: highest score, or validation accuracy in per cent.
        epoch: epochs of the trial in hand that are over, of `epochs`.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        """Start with nothing counted."""
        self._clock = clock
        self._begin(PhaseStarted("score", 0))

    def _begin(self, phase: PhaseStarted) -> None:
        self.phase, self.total, self.limit = phase.name, phase.total, phase.seconds
        self.seconds = 0.0
        self.done = self.failed = self.epoch = self.epochs = 0
        self.best: float | None = None
        self.accuracy: float | None = None
        self._measured = 0.0
        self._start = self._clock()

    def add(self, event: Event) -> None:
        """Count an event."""
        if isinstance(event, PhaseStarted):
            self._begin(event)
        elif isinstance(event, TrialStarted):
            self.epoch, self.epochs, self.accuracy = 0, event.epochs, None
        elif isinstance(event, EpochEnded):
            self._add_epoch(event)
        elif isinstance(event, (Scored, SupernetTrained, Trained)):
            self._add_answer(event)

    def _add_epoch(self, event: EpochEnded) -> None:
        self.epoch = int(event.values.get("epoch", self.epoch + 1))
        accuracy = event.values.get("validation_accuracy")
        self.accuracy = None if accuracy is None else float(accuracy)
        self._measured += 1 / max(self.epochs, 1)

    def _add_answer(self, event: Scored | SupernetTrained | Trained) -> None:
        value = _value(event.row)
        self.done += 1
        self.seconds += event.row.seconds
        self.epoch, self.epochs, self.accuracy = 0, 0, None
        if value is None:
            self.failed += 1
        elif self.best is None or value > self.best:
            self.best = value
        if event.replayed:
            return
        if isinstance(event, Scored):
            self._measured += 1

    @property
    def progress(self) -> float:
        """Architectures done, the epochs of the one in hand counted as a fraction."""
        return self.done + (self.epoch / self.epochs if self.epochs else 0.0)

    @property
    def part(self) -> float:
        """How much of the phase is done, 0 to 1: by architectures or by seconds, whichever is further."""
        counted = self.progress / self.total if self.total else 0.0
        return max(counted, self.seconds / self.limit if self.limit else 0.0)

    @property
    def rate(self) -> float | None:
        """Architectures per second in this process, or None before the first."""
        seconds = self._clock() - self._start
        return self._measured / seconds if self._measured and seconds > 0 else None

    @property
    def remaining(self) -> float | None:
        """Seconds until the phase ends at this rate, or None where that is not known."""
        rate = self.rate
        return (self.total - self.progress) / rate if rate and self.total and not self.limit else None

    def text(self) -> str:
        """The numbers in a few words."""
        parts = [f"{self.done}/{self.total}" if self.total else str(self.done)]
        if self.limit:
            parts.append(f"{duration(self.seconds)} of {duration(self.limit)}")
        if self.epochs:
            parts.append(f"epoch {self.epoch}/{self.epochs}")
        if self.accuracy is not None:
            parts.append(f"now {self.accuracy:.2f} %")
        rate = self.rate
        if rate and self.phase == "score":
            parts.append(f"{rate:.2f}/s" if rate < 10 else f"{rate:.0f}/s")
        if self.best is not None:
            parts.append(
                f"best {score_text(self.best)}" if self.phase == "score" else f"best {self.best:.2f} %"
            )
        if self.failed:
            parts.append(f"{self.failed} failed")
        return "  ".join(parts)


def duration(seconds: float | None) -> str:
    """Seconds as people read them: 8.3 s, 4 min 05 s, 2 h 10 min; "?" where unknown."""
    if seconds is None:
        return "?"
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def count(number: int, noun: str) -> str:
    """A number with its noun: 1 score, 2 scores."""
    plural = "es" if noun.endswith("s") else "s"
    return f"{number:,} {noun}{'' if number == 1 else plural}"


def _value(row: ScoreRow | SupernetRow | TrialRow) -> float | None:
    return row.value if isinstance(row, ScoreRow) else row.validation_accuracy
