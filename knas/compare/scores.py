"""Scores on a simulated clock: from a table that `knas-search rank --all` wrote, or from what costs nothing."""

from __future__ import annotations

import csv
import hashlib
import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from knas.errors import KnasError, UsageError
from knas.runs.record import ScoreRow
from knas.spaces.base import Architecture, SearchSpace

COLUMNS = ("index", "architecture", "class", "reason", "seconds")
"""Columns of a ranking besides that of its proxy."""

AGAIN = "write it again with `knas-search rank --all`"


@dataclass(frozen=True)
class ScoreTable:
    """A score for every isomorphism class of a space.

    Attributes:
        source: the file.
        proxy: name of the column that holds the scores.
        rows: by the text of the architecture that stands for a class.
        fingerprint: SHA-256 of the file.
    """

    source: str
    proxy: str
    rows: Mapping[str, ScoreRow]
    fingerprint: str

    @property
    def failed(self) -> int:
        """Classes without a score."""
        return sum(row.value is None for row in self.rows.values())

    def scorer(self, space: SearchSpace) -> Clocked:
        """What answers with these scores, each of which takes what the table tells."""

        def answer(architecture: Architecture) -> tuple[float, float]:
            row = self.rows[str(space.canonical(architecture))]
            if row.value is None:
                raise _Failed(row.reason or "no reason given", row.seconds)
            return row.value, row.seconds

        return Clocked(answer)


class Clocked:
    """A `ScoreBackend` that looks scores up, with a clock of its own."""

    def __init__(self, answer: Callable[[Architecture], tuple[float, float]]) -> None:
        """Start the clock at zero.

        Args:
            answer: the score of an architecture, and the seconds that it takes.
        """
        self._answer = answer
        self._now = 0.0

    def clock(self) -> float:
        """Simulated seconds since the start."""
        return self._now

    def score(self, architecture: Architecture) -> float:
        """Look a score up, and let its time pass."""
        try:
            value, seconds = self._answer(architecture)
        except _Failed as error:
            self._now += error.seconds
            raise
        self._now += seconds
        return value


class _Failed(KnasError):
    """Scoring failed, after some seconds."""

    def __init__(self, reason: str, seconds: float) -> None:
        super().__init__(reason)
        self.seconds = seconds


def free(space: SearchSpace, kind: str) -> Clocked:
    """Scores that cost nothing: the number of "parameters", or the same for all for "none"."""
    if kind == "none":
        return Clocked(lambda architecture: (0.0, 0.0))
    return Clocked(lambda architecture: (float(space.parameters(architecture)), 0.0))


def read_scores(path: str | Path, space: SearchSpace) -> ScoreTable:
    """Read a table of scores of a whole space.

    Args:
        path: the `.csv` or `.parquet` that `knas-search rank --all --output` wrote.
        space: the space that they must be of.

    Raises:
        UsageError: the file can't be read, is of another space, lacks columns or classes, or holds no numbers.
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"there is no table of scores {path}")
    content = path.read_bytes()
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise UsageError(f"--scores {path} must end in {' or '.join(READERS)}")
    columns, cells = reader(path, content)
    proxy = _proxy(path, columns)
    rows = _classes(path, space, proxy, cells)
    return ScoreTable(str(path), proxy, rows, hashlib.sha256(content).hexdigest())


def _proxy(path: Path, columns: Sequence[str]) -> str:
    """The one column that is not among `COLUMNS`."""
    if missing := [name for name in COLUMNS if name not in columns]:
        raise UsageError(f"--scores {path} lacks the column {missing[0]!r}: {AGAIN}")
    proxies = [name for name in columns if name not in COLUMNS]
    if len(proxies) != 1:
        found = ", ".join(proxies) or "none"
        raise UsageError(
            f"--scores {path} must have one column of scores, named by its proxy, and has {found}"
        )
    return proxies[0]


def _classes(
    path: Path, space: SearchSpace, proxy: str, cells: Iterator[Mapping[str, Any]]
) -> dict[str, ScoreRow]:
    found: dict[str, ScoreRow] = {}
    for number, cell in enumerate(cells, 1):
        where = f"--scores {path}, row {number}"
        row = _row(where, space, proxy, cell)
        known = found.setdefault(row.architecture, row)
        if (known.value, known.reason) != (row.value, row.reason):
            raise UsageError(f"{where}: the isomorphism class {row.architecture} has two scores: {AGAIN}")
    wanted = {str(space.canonical(architecture)) for architecture in space}
    if missing := sorted(wanted - set(found)):
        raise UsageError(
            f"--scores {path} lacks {len(missing):,} of {len(wanted):,} isomorphism classes of {space.name}, such as "
            f"{missing[0]}: {AGAIN}"
        )
    return found


def _row(where: str, space: SearchSpace, proxy: str, cell: Mapping[str, Any]) -> ScoreRow:
    """A row of the table; its architecture is the one that stands for the class."""
    text = str(cell["architecture"])
    try:
        architecture = space.parse(text)
        if str(space.index(architecture)) != str(cell["index"]):
            raise UsageError(f"its index is {space.index(architecture)}, not {cell['index']!r}")
    except UsageError as error:
        raise UsageError(f"{where}: {text!r} is none of {space.name} ({error})") from error
    reason = cell["reason"] or None
    value = None if reason is not None else _number(where, proxy, cell[proxy])
    seconds = _number(where, "seconds", cell["seconds"])
    if seconds < 0:
        raise UsageError(f"{where}: seconds must be at least 0, not {cell['seconds']!r}")
    return ScoreRow(str(space.canonical(architecture)), value, reason, seconds)


def _number(where: str, name: str, text: Any) -> float:
    try:
        value = float(text)
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(f"{where}: {name} must be a number, not {text!r}")
    return value


Rows = tuple[Sequence[str], Iterator[Mapping[str, Any]]]


def _read_csv(path: Path, content: bytes) -> Rows:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"--scores {path} is not a table of text ({error.reason})") from error
    reader = csv.reader(io.StringIO(text, newline=""))
    columns = next(reader, [])
    return columns, _checked(path, columns, reader)


def _checked(path: Path, columns: Sequence[str], rows: Iterator[list[str]]) -> Iterator[dict[str, str]]:
    for number, row in enumerate(rows, 1):
        if len(row) != len(columns):
            raise UsageError(f"--scores {path}, row {number}: {len(row)} values instead of {len(columns)}")
        yield dict(zip(columns, row, strict=True))


def _read_parquet(path: Path, content: bytes) -> Rows:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UsageError(
            f"--scores {path} needs pyarrow (pip install pyarrow), or a table in .csv"
        ) from error
    try:
        table = pyarrow.parquet.read_table(io.BytesIO(content))
    except (OSError, pyarrow.ArrowException) as error:
        raise UsageError(f"--scores {path} is damaged ({' '.join(str(error).split())}): {AGAIN}") from error
    return table.column_names, iter(table.to_pylist())


READERS: Mapping[str, Callable[[Path, bytes], Rows]] = {".csv": _read_csv, ".parquet": _read_parquet}
