"""Scores of a whole space in a small file: one row for each isomorphism class, in single precision.

What they are scores of stands in the metadata of the file, as in every Parquet table that a ranking writes. Tables in
this form can be shipped within the package (`shipped`); they hold nothing but scores that knas computed.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knas.errors import UsageError
from knas.ranking.table import COMPACT, RankedRow, Ranking, about_of, metadata, order
from knas.spaces.base import SearchSpace

if TYPE_CHECKING:
    import pyarrow

FOLDER = Path(__file__).parent / "tables"
"""Where the package's own tables lie."""

PREFIX = "shipped:"
"""What tells the name of a table in the package from that of a file."""

SECONDS = "seconds"
"""The column after those of the proxies."""


def shipped() -> dict[str, dict[str, Any]]:
    """The tables of scores that come with the package: by name what they tell of themselves.

    Raises:
        UsageError: there are some, but no pyarrow that reads them.
    """
    return {path.stem: about_of(_schema(path).metadata) for path in sorted(FOLDER.glob("*.parquet"))}


def find(name: str | Path) -> Path:
    """The file of a table: one of the package's where the name begins with `PREFIX`, else the path itself.

    Raises:
        UsageError: the package has no such table.
    """
    if not isinstance(name, str) or not name.startswith(PREFIX):
        return Path(name)
    path = FOLDER / f"{name.removeprefix(PREFIX)}.parquet"
    if not path.is_file():
        known = ", ".join(PREFIX + one.stem for one in sorted(FOLDER.glob("*.parquet")))
        raise UsageError(f"--scores {name}: the package has {known or 'no such table, and no other'}")
    return path


def compact(ranking: Ranking) -> bytes:
    """A ranking of a whole space as the content of such a file.

    Raises:
        UsageError: the ranking lacks architectures.
    """
    import pyarrow
    import pyarrow.parquet

    from knas import spaces

    space = spaces.create(ranking.space)
    if len(ranking.rows) != len(space):
        raise UsageError(
            f"--compact keeps one row for each class of a whole space: rank --all, not {len(ranking.rows):,} of "
            f"{len(space):,} architectures"
        )
    rows = sorted(
        (row for row in ranking.rows if row.architecture == row.canonical), key=lambda row: row.index
    )
    number = pyarrow.float32()
    columns: dict[str, Any] = {"class": pyarrow.array([row.index for row in rows], pyarrow.int32())}
    for proxy in ranking.proxies:
        columns[proxy] = pyarrow.array([row.scores[proxy] for row in rows], number)
    columns[SECONDS] = pyarrow.array([row.seconds for row in rows], number)
    told = {
        **ranking.about,
        "space": ranking.space,
        "reasons": {row.index: dict(row.reasons) for row in rows if row.reasons},
    }
    table = pyarrow.table(columns).replace_schema_metadata(metadata(told, COMPACT))
    sink = io.BytesIO()
    pyarrow.parquet.write_table(table, sink, compression="zstd", compression_level=19)
    return sink.getvalue()


def expanded(table: pyarrow.Table, space: SearchSpace, where: str) -> Ranking:
    """The ranking of a whole space that `compact` made small.

    Args:
        table: as it was read.
        space: that it must be of.
        where: begins an error.

    Raises:
        UsageError: it is of another space, or damaged.
    """
    about = about_of(table.schema.metadata)
    reasons: Mapping[str, Mapping[str, str]] = about.pop("reasons", {})
    if about.get("space") != space.name:
        raise UsageError(f"{where} holds scores of {about.get('space')}, not of {space.name}")
    proxies = tuple(table.column_names[1:-1])
    by_class = {row["class"]: row for row in table.to_pylist()}
    rows = []
    for index, architecture in enumerate(space):
        stands = space.canonical(architecture)
        number = space.index(stands)
        if number not in by_class:
            raise UsageError(f"{where} lacks the class of {stands}")
        found = by_class[number]
        scores = {proxy: found[proxy] for proxy in proxies}
        told = reasons.get(str(number), {})
        failed = {proxy: told.get(proxy, "no finite score") for proxy in proxies if scores[proxy] is None}
        rows.append(RankedRow(index, str(architecture), str(stands), scores, failed, found[SECONDS]))
    ordered = order(rows, proxies[0])
    return Ranking(space.name, about.get("dataset"), proxies, ordered, None, 0, 0.0, about)


def _schema(path: Path) -> pyarrow.Schema:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise UsageError("the package's tables of scores need pyarrow (pip install pyarrow)") from error
    return pyarrow.parquet.read_schema(path)
