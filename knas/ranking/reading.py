"""A ranking from the table that an earlier one wrote."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knas.errors import UsageError
from knas.ranking.compact import expanded
from knas.ranking.table import BETWEEN, COMPACT, FORM, FORMATS, NAMED, RankedRow, Ranking, about_of, order
from knas.spaces.base import SearchSpace

if TYPE_CHECKING:
    import pyarrow

FIRST, LAST = ("index", "architecture", "class"), ("reason", "seconds")
"""The columns before those of the proxies, and after them."""


def read(path: Path, space: SearchSpace) -> Ranking:
    """Read a table of scores that `Ranking.write` wrote.

    Args:
        path: a `.csv` or `.parquet`.
        space: the space of its architectures.

    Raises:
        UsageError: the file can't be read, or is no such table of this space; the text tells where.
    """
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"--scores {path} must end in {' or '.join(FORMATS)}")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"--scores {path} can't be read ({error.strerror})") from error
    about: dict[str, Any] = {}
    if path.suffix.lower() == ".parquet":
        table = _parquet(path, content)
        if (table.schema.metadata or {}).get(FORM) == COMPACT.encode():
            return expanded(table, space, f"--scores {path}")
        about, found = about_of(table.schema.metadata), iter(table.to_pylist())
    else:
        found = _csv(path, content)
    rows: dict[int, RankedRow] = {}
    proxies: tuple[str, ...] = ()
    for number, cells in enumerate(found, start=1):
        where = f"--scores {path}, row {number}"
        proxies = proxies or _proxies(path, cells)
        row = _row(where, space, cells, proxies)
        if rows.setdefault(row.index, row) is not row:
            raise UsageError(f"{where}: architecture {row.index} comes a second time")
    if not rows:
        raise UsageError(f"--scores {path} holds no architecture")
    ordered = order(list(rows.values()), proxies[0])
    return Ranking(space.name, about.get("dataset"), proxies, ordered, None, 0, 0.0, about)


def _csv(path: Path, content: bytes) -> Iterator[Mapping[str, Any]]:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"--scores {path} is not a table of text ({error.reason})") from error
    return csv.DictReader(io.StringIO(text, newline=""))


def _parquet(path: Path, content: bytes) -> pyarrow.Table:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UsageError(f"--scores {path} needs pyarrow (pip install pyarrow), or a .csv") from error
    try:
        return pyarrow.parquet.read_table(io.BytesIO(content))
    except (OSError, pyarrow.ArrowException) as error:
        raise UsageError(f"--scores {path} is no Parquet file") from error


def _proxies(path: Path, cells: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the proxies: the columns between the first three and the last two."""
    names = tuple(name for name in cells if name is not None)
    proxies = names[len(FIRST) : -len(LAST)]
    if names[: len(FIRST)] != FIRST or names[-len(LAST) :] != LAST or not proxies:
        raise UsageError(
            f"--scores {path} must have the columns {', '.join((*FIRST, 'PROXY', *LAST))}, as `rank --output` "
            f"writes them, not {', '.join(names)}"
        )
    return proxies


def _row(where: str, space: SearchSpace, cells: Mapping[str, Any], proxies: tuple[str, ...]) -> RankedRow:
    if None in cells:  # where csv puts what is beyond the last column
        raise UsageError(f"{where} has too many values")
    try:
        index, seconds = int(cells["index"]), float(cells["seconds"])
        values = {name: _score(cells[name]) for name in proxies}
    except (TypeError, ValueError) as error:
        raise UsageError(f"{where}: a number can't be read ({error})") from error
    texts = (str(cells["architecture"]), str(cells["class"]))
    try:
        known = str(space.architecture(index)) == texts[0]
    except UsageError:
        known = False
    if not known:
        raise UsageError(f"{where}: architecture {index} of {space.name} is not {texts[0]!r}")
    told = _reasons(cells["reason"] or "", proxies)
    reasons = {name: told.get(name, "no finite score") for name, value in values.items() if value is None}
    return RankedRow(index, *texts, values, reasons, seconds)


def _reasons(text: str, proxies: tuple[str, ...]) -> dict[str, str]:
    """The reasons by proxy that `RankedRow.reason` put into one text."""
    if len(proxies) == 1:
        return {proxies[0]: text} if text else {}
    names = "|".join(map(re.escape, proxies))
    parts = re.split(rf"(?:^|{re.escape(BETWEEN)})({names}){re.escape(NAMED)}", text)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def _score(cell: Any) -> float | None:
    value = math.nan if cell in (None, "") else float(cell)
    return value if math.isfinite(value) else None
