"""Progress on the screen: one live line per phase on a terminal, a few plain lines everywhere else."""

from __future__ import annotations

import math
from types import TracebackType
from typing import TYPE_CHECKING

from knas.report.opening import told_once
from knas.report.tally import TITLES, Tally, duration
from knas.search.events import EpochEnded, Event, PhaseStarted, Scored, SupernetTrained, Trained

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

PARTS = 10
"""Without a terminal, a phase is told in about so many lines."""


class LiveProgress:
    """A bar per phase, redrawn in place; used as a context and called with every event."""

    def __init__(self, console: Console) -> None:
        """Prepare to draw on a terminal."""
        from rich.progress import BarColumn, Progress, TextColumn

        self._tally = Tally()
        self._task: TaskID | None = None
        self._progress: Progress = Progress(
            TextColumn("{task.description:>8}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[text]}", markup=False),
            TextColumn("{task.fields[eta]}"),
            console=console,
        )

    def __enter__(self) -> LiveProgress:
        """Start drawing."""
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the last state on the screen."""
        self._progress.stop()

    def __call__(self, event: Event) -> None:
        """Show an event."""
        for line in told_once(event):
            self._progress.console.print(line, highlight=False, soft_wrap=True, markup=False)
        self._tally.add(event)
        tally = self._tally
        if isinstance(event, PhaseStarted):
            self._task = self._progress.add_task(TITLES[event.name], total=1.0, text="", eta="")
        if self._task is not None:
            over = tally.done == tally.total
            eta = "" if over or tally.remaining is None else f"ETA {duration(tally.remaining)}"
            self._progress.update(self._task, completed=tally.part, text=tally.text(), eta=eta)


class PlainProgress:
    """The same as plain lines without control codes, one per tenth of a phase; for logs and pipes."""

    def __init__(self, console: Console) -> None:
        """Prepare to write lines."""
        self._console = console
        self._tally = Tally()
        self._told = 0

    def __enter__(self) -> PlainProgress:
        """Nothing to prepare."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to clean up."""

    def __call__(self, event: Event) -> None:
        """Write a line when another tenth of the phase is done."""
        for line in told_once(event):
            self._say(line)
        self._tally.add(event)
        tally = self._tally
        if isinstance(event, PhaseStarted):
            self._told = 0
        if not isinstance(event, (Scored, SupernetTrained, Trained, EpochEnded)):
            return
        if isinstance(event, EpochEnded) and tally.epoch == tally.epochs:
            return  # the end of the trial follows
        if isinstance(event, (Scored, SupernetTrained, Trained)) and event.replayed and tally.part < 1:
            return  # what was recorded is told in one line at its end, not in ten
        part = math.floor(PARTS * tally.part + 1e-9)
        if part > self._told:
            self._told = part
            over = tally.done == tally.total or tally.limit
            eta = "" if over else f"  ETA {duration(tally.remaining)}"
            self._say(f"{TITLES[tally.phase]} {tally.text()}{eta}")

    def _say(self, line: str) -> None:
        self._console.print(line, highlight=False, soft_wrap=True, markup=False)
