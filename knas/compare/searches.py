"""The finished searches of a comparison (`searches.jsonl`): one line each, on the disk before the next begins."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from knas.errors import RunError

FILE = "searches.jsonl"


@dataclass(frozen=True)
class Task:
    """One search: a row's name, what it searches on, its seed, and the SHA-256 of what scores it, if that is a table.

    `score_seconds` is what a score is said to take; None where nobody says so.
    """

    system: str
    dataset: str
    seed: int
    scores: str | None = None
    score_seconds: float | None = None


@dataclass(frozen=True)
class Found:
    """What a search found, and the simulated seconds that it took."""

    task: Task
    architecture: str
    seconds: float


class Searches:
    """Answers with finished searches, and keeps new ones: in a file, or in memory alone."""

    def __init__(self, path: Path | None) -> None:
        """Read what is finished; a last line that was cut off by the end of its process is dropped.

        Raises:
            RunError: the file holds something else.
        """
        self._path = path
        self._found: dict[Task, Found] = {}
        if path is not None and path.exists():
            lines = path.read_bytes().splitlines(keepends=True)
            whole = [line for line in lines if line.endswith(b"\n")]
            self._found = {one.task: one for one in (_read(path, line) for line in whole)}
            if whole != lines:
                os.truncate(path, sum(map(len, whole)))

    def get(self, task: Task, search: Callable[[Task], Found]) -> Found:
        """What a search found; where that is not known, it is carried out and kept."""
        if (known := self._found.get(task)) is not None:
            return known
        found = self._found[task] = search(task)
        if self._path is not None:
            with self._path.open("ab") as file:
                file.write((json.dumps(asdict(found)) + "\n").encode())
                file.flush()
                os.fsync(file.fileno())
        return found


def _read(path: Path, line: bytes) -> Found:
    try:
        values = json.loads(line)
        return Found(Task(**values.pop("task")), **values)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise RunError(f"{path} is corrupt ({error!r}); give another --run") from error
