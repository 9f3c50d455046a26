"""A ranking as a table: one row per architecture, one column per proxy; as CSV or Parquet on the disk."""

from __future__ import annotations

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from knas.errors import UsageError
from knas.runs.atomic import write_atomically

BETWEEN, NAMED = "; ", ": "
"""What stands between the reasons of several proxies, and between a proxy's name and its reason."""

FORM, ABOUT = b"knas.ranking", b"knas.about"
"""Under these names the metadata of a Parquet table tell its form, and what its scores are of."""

FULL, COMPACT = "full", "compact"
"""The forms: a row for each architecture, or for each class."""


@dataclass(frozen=True)
class RankedRow:
    """One architecture of a ranking.

    Attributes:
        index: its number in the space.
        architecture: its text.
        canonical: the text of the architecture that stands for its isomorphism class, and was scored.
        scores: the value of each proxy; None where scoring failed.
        reasons: why it failed, by proxy.
        seconds: that scoring took.
    """

    index: int
    architecture: str
    canonical: str
    scores: Mapping[str, float | None]
    reasons: Mapping[str, str]
    seconds: float

    @property
    def reason(self) -> str | None:
        """Why scoring failed: the reason of the only proxy, or those of several, each after the proxy's name."""
        if not self.reasons:
            return None
        if len(self.scores) == 1:
            return next(iter(self.reasons.values()))
        named = (f"{proxy}{NAMED}{self.reasons[proxy]}" for proxy in self.scores if proxy in self.reasons)
        return BETWEEN.join(named)

    def cells(self) -> dict[str, Any]:
        """The row's values by column."""
        return {
            "index": self.index,
            "architecture": self.architecture,
            "class": self.canonical,
            **self.scores,
            "reason": self.reason,
            "seconds": self.seconds,
        }


@dataclass(frozen=True)
class Ranking:
    """Architectures in the order of their scores.

    Attributes:
        space: name of the search space.
        dataset: name, Hub id or folder as it was given; None where the scores come from a table.
        proxies: what scored; the first one orders the rows.
        rows: best first, equals by index; those without a score last.
        run: the run's folder; None where the scores come from a table.
        measured: classes that were scored by this call; the others were on record.
        seconds: wall-clock time that this took.
        about: what the scores are of: the run's settings, the options of each proxy, and the version of knas; nothing
            where a table doesn't tell.
    """

    space: str
    dataset: str | None
    proxies: tuple[str, ...]
    rows: tuple[RankedRow, ...]
    run: str | None
    measured: int
    seconds: float
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def classes(self) -> int:
        """Isomorphism classes among the rows."""
        return len({row.canonical for row in self.rows})

    @property
    def failed(self) -> int:
        """Classes without a score of the proxy that orders."""
        return self.failures.get(self.proxies[0], 0)

    @property
    def failures(self) -> dict[str, int]:
        """Classes without a score, by proxy; without those that failed nowhere."""
        failed = {(row.canonical, proxy) for row in self.rows for proxy in row.reasons}
        counts = Counter(proxy for _, proxy in failed)
        return {proxy: counts[proxy] for proxy in self.proxies if counts[proxy]}

    def best(self, count: int) -> list[RankedRow]:
        """The first row of each of the best classes by the first proxy; fewer where there are not so many."""
        scored = (row for row in self.rows if row.scores[self.proxies[0]] is not None)
        first: dict[str, RankedRow] = {}
        for row in scored:
            if len(first) == count:
                break
            first.setdefault(row.canonical, row)
        return list(first.values())

    def with_scores(self, proxy: str, scores: Mapping[int, float]) -> Ranking:
        """The same with another proxy, whose scores are given by index."""
        rows = (replace(row, scores={**row.scores, proxy: scores[row.index]}) for row in self.rows)
        return replace(self, proxies=(*self.proxies, proxy), rows=tuple(rows))

    def write(self, path: str | Path, *, overwrite: bool = False, small: bool = False) -> None:
        """Write the table, in one step: all of it or nothing.

        Args:
            path: a file whose suffix is one of `FORMATS`.
            overwrite: replace a file that exists.
            small: write one row for each class of the whole space, in single precision; see `knas.ranking.compact`.

        Raises:
            UsageError: the file can't be written under that name, or the ranking is not of a whole space.
        """
        from knas.ranking.compact import compact

        path = check_output(path, overwrite=overwrite, suffixes=(".parquet",) if small else None)
        write_atomically(path, compact(self) if small else FORMATS[path.suffix.lower()](self))


def order(rows: Sequence[RankedRow], proxy: str) -> tuple[RankedRow, ...]:
    """Rows by descending value of a proxy, equals by index, and those without a value last."""

    def key(row: RankedRow) -> tuple[bool, float, int]:
        value = row.scores[proxy]
        return value is None, -(value or 0.0), row.index

    return tuple(sorted(rows, key=key))


def check_output(path: str | Path, *, overwrite: bool, suffixes: Collection[str] | None = None) -> Path:
    """Look whether a table can be written to a file, without writing.

    Args:
        path: the file.
        overwrite: whether it may exist.
        suffixes: how its name may end; those of `FORMATS` unless given.

    Raises:
        UsageError: the format is unknown, the file exists, its folder is not there, or what writes it is missing.
    """
    path = Path(path)
    suffixes = FORMATS if suffixes is None else suffixes
    if path.suffix.lower() not in suffixes:
        raise UsageError(f"--output {path} must end in {' or '.join(suffixes)}")
    if path.is_dir():
        raise UsageError(f"--output {path} is a folder; give the name of a file")
    if path.exists() and not overwrite:
        raise UsageError(f"--output {path} exists; give another name, or --overwrite")
    if not path.parent.is_dir():
        raise UsageError(f"--output {path}: there is no folder {path.parent}; make it first")
    if not os.access(path.parent, os.W_OK):
        raise UsageError(f"--output {path}: {path.parent} can't be written in")
    if path.suffix.lower() == ".parquet":
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError as error:
            raise UsageError(
                f"--output {path} needs pyarrow (pip install pyarrow), or a name in .csv"
            ) from error
    return path


def _csv(ranking: Ranking) -> bytes:
    stream = io.StringIO()
    cells = [row.cells() for row in ranking.rows]
    writer = csv.DictWriter(stream, fieldnames=list(cells[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(cells)
    return stream.getvalue().encode()


def _parquet(ranking: Ranking) -> bytes:
    import pyarrow
    import pyarrow.parquet

    cells = [row.cells() for row in ranking.rows]
    text, number = pyarrow.string(), pyarrow.float64()
    kinds = {"index": pyarrow.int64(), "architecture": text, "class": text, "reason": text}
    schema = pyarrow.schema([(name, kinds.get(name, number)) for name in cells[0]])
    sink = io.BytesIO()
    table = pyarrow.Table.from_pylist(cells, schema.with_metadata(metadata(ranking.about, FULL)))
    pyarrow.parquet.write_table(table, sink)
    return sink.getvalue()


def metadata(about: Mapping[str, Any], form: str) -> dict[bytes, bytes]:
    """The metadata of a Parquet table: what its scores are of, as JSON."""
    return {FORM: form.encode(), ABOUT: json.dumps(about, default=str).encode()}


def about_of(metadata: Mapping[bytes, bytes] | None) -> dict[str, Any]:
    """What a Parquet table tells of its scores; nothing where it has no such metadata."""
    return dict(json.loads((metadata or {}).get(ABOUT, b"{}")))


FORMATS: Mapping[str, Callable[[Ranking], bytes]] = {".csv": _csv, ".parquet": _parquet}
"""What a table can be written as, by the file's suffix."""
