"""Consoles: progress and messages on stderr, results on stdout."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from knas.report.live import LiveProgress, PlainProgress

LOG_WIDTH = 160
"""Columns of a table that is written to a file or a pipe."""


def console(*, stderr: bool = False) -> Console:
    """A console for one of the two streams, wide and without control codes where it is no terminal."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    if stream.isatty():
        return Console(file=stream)
    return Console(file=stream, width=LOG_WIDTH, force_terminal=False, color_system=None)


def progress() -> LiveProgress | PlainProgress:
    """What shows the events of a search on stderr."""
    from knas.report.live import LiveProgress, PlainProgress

    screen = console(stderr=True)
    return LiveProgress(screen) if screen.is_terminal else PlainProgress(screen)
