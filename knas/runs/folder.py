"""A run's folder: who may use it, and where things lie in it.

```
config.yaml     the settings, written first
search.sqlite   the record: every score, failure, super-network and trial
result.json     the outcome, written last: a run that has it is finished
best/           the winner: architecture.json and weights.safetensors
trials/         checkpoints and weights of trials, removed when the run is finished
lock            held while a process works in the folder; the system lets go of it when that process dies
```
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from knas.errors import RunError, UsageError
from knas.runs.atomic import PARTIAL_SUFFIX
from knas.runs.config import check_same, read_config, write_config
from knas.runs.record import Record
from knas.runs.result import SearchResult, read_result, write_result


class RunFolder:
    """One run's folder, not yet opened: nothing is created or changed before `opened`."""

    def __init__(self, path: str | Path) -> None:
        """Name a folder, which need not exist."""
        self.path = Path(path)
        self.config = self.path / "config.yaml"
        self.record = self.path / "search.sqlite"
        self.result = self.path / "result.json"
        self.best = self.path / "best"
        self.trials = self.path / "trials"
        self.lock = self.path / "lock"

    def check(self, settings: Mapping[str, Any], free: Collection[str] = ()) -> bool:
        """Look whether this folder can carry a run with these settings, without changing anything.

        Args:
            settings: what the run is asked for.
            free: names of settings that may differ from the recorded ones.

        Returns:
            Whether there is a run with these settings in the folder.

        Raises:
            UsageError: the path is a file, holds something else than a run, or a run with other settings.
            RunError: a file of the run is corrupt, foreign or from a newer knas.
        """
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"--run {self.path} is a file; give the name of a folder")
        if not self.path.is_dir():
            return False
        try:
            names = {entry.name for entry in self.path.iterdir()}
        except OSError as error:
            raise RunError(
                f"--run {self.path} can't be read ({error.strerror}); give another --run"
            ) from error
        if self.record.name in names and self.record.stat().st_size > 0:
            Record(self.record, create=False).close()
        if self.config.name in names:
            check_same(self.path, read_config(self.config), settings, free)
            return True
        if names - {self.lock.name, self.config.name + PARTIAL_SUFFIX}:
            raise UsageError(
                f"--run {self.path} is not empty and has no {self.config.name}; give another --run"
            )
        return False

    def finished(self) -> SearchResult | None:
        """The result of a finished run, else None."""
        return read_result(self.result) if self.result.exists() else None

    @contextmanager
    def held(self, settings: Mapping[str, Any], free: Collection[str] = ()) -> Iterator[None]:
        """Hold the folder for this process, with its settings written.

        Args:
            settings: as in `check`, which is made again once the folder is held.
            free: as in `check`.

        Raises:
            RunError: another process holds the folder, or it is not writable.
        """
        from filelock import FileLock, Timeout

        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.lock)
            lock.acquire(blocking=False)
        except Timeout as error:
            raise RunError(
                f"another process is working in {self.path}; wait until it ends, or give another --run"
            ) from error
        except OSError as error:
            raise RunError(
                f"can't write in --run {self.path} ({error.strerror}); give another --run"
            ) from error
        try:
            self.check(settings, free)
            try:
                write_config(self.config, settings)
            except OSError as error:
                raise RunError(f"can't write in --run {self.path} ({error.strerror})") from error
            yield
        finally:
            lock.release()

    @contextmanager
    def opened(self, settings: Mapping[str, Any], free: Collection[str] = ()) -> Iterator[Record]:
        """Hold the folder as `held` does, and open its record."""
        with self.held(settings, free), closing(Record(self.record)) as record:
            yield record

    def finish(self, result: SearchResult) -> None:
        """Write the result, which marks the run as finished, and remove what only a running search needs."""
        write_result(self.result, result)
        shutil.rmtree(self.trials, ignore_errors=True)
