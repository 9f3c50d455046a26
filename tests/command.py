"""`knas-search` in a process of its own, which a test may kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from knas.errors import RunError
from knas.runs import Record


class Command:
    """`knas-search` with these arguments, started at once."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", "from knas.cli import main; main()", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    def stop_when(self, ready: Callable[[], bool], signal_number: int = signal.SIGKILL) -> tuple[str, str]:
        """Send a signal, `kill -9` unless told otherwise, as soon as something holds; what it had printed."""
        while not ready():
            assert self.process.poll() is None, self.process.communicate()[1]
            time.sleep(0.005)
        self.process.send_signal(signal_number)
        return self.process.communicate()

    def kill_when(self, ready: Callable[[], bool]) -> None:
        """`kill -9` as soon as something holds."""
        self.stop_when(ready)
        assert self.process.returncode == -signal.SIGKILL

    def finish(self) -> str:
        """What it prints on stdout, once it ended well and without a word on stderr."""
        output, error = self.process.communicate(timeout=120)
        assert self.process.returncode == 0, error
        assert error == ""
        return output


def recorded_scores(run: Path) -> int:
    """How many scores a run's record holds."""
    try:
        with closing(Record(run / "search.sqlite", create=False)) as record:
            return len(record.scores())
    except RunError:  # not there yet, or without its tables
        return 0
