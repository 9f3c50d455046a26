"""The tables of a comparison: on a console, as CSV, as Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from string import ascii_lowercase
from typing import TYPE_CHECKING

from knas.compare.comparison import Comparison, Entry

if TYPE_CHECKING:
    from rich.console import Console

HEADER = ("model", "accuracy", "paper", "time (s)", "paper", "speed-up", "paper")


def print_comparison(console: Console, comparison: Comparison) -> None:
    """Print a table for each data set, and beneath them what the times are, what is missing, and the notes."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    for dataset in comparison.entries:
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
        for place, name in enumerate((dataset, *HEADER[1:])):
            table.add_column(name, justify="right" if place else "left", overflow="fold")
        for entry in comparison.entries[dataset]:
            table.add_row(*(Text(cell) for cell in cells(comparison, entry)))
        console.print(table)
        console.print()
    for line in lines(comparison):
        console.print(line, highlight=False, soft_wrap=True, markup=False)


def cells(comparison: Comparison, entry: Entry) -> tuple[str, ...]:
    """The texts of one row; letters beside times point to `lines`."""
    published, speed_up = entry.published, comparison.speed_up(entry)
    elsewhere = "" if entry.searched_on is None else " *"
    return (
        entry.system.title,
        "not run" if entry.mean is None else f"{accuracy(entry)}{elsewhere}",
        "" if published.accuracy is None else f"{published.accuracy:.2f}",
        "" if entry.time is None else f"{thousands(entry.time)} {legend(comparison).get(entry.source, '?')}",
        "" if published.seconds is None else thousands(published.seconds),
        "" if speed_up is None else f"{speed_up:.2f}x" if speed_up < 10 else f"{speed_up:.0f}x",
        "" if published.speed_up is None else f"{published.speed_up:g}x",
    )


def accuracy(entry: Entry) -> str:
    """Mean ± standard deviation, as far as there are any."""
    spread = "" if entry.std is None else f" ± {entry.std:.2f}"
    return f"{entry.mean:.2f}{spread}"


def thousands(seconds: float) -> str:
    """Seconds as the paper writes them: 4.4K, 216K, 1.0M; below a thousand as they are."""
    for unit, letter in ((1e6, "M"), (1e3, "K")):
        if seconds >= 0.9995 * unit:
            return f"{seconds / unit:.{0 if seconds >= 99.95 * unit else 1}f}{letter}"
    return f"{seconds:.0f}" if seconds >= 10 else f"{seconds:.2g}"


def legend(comparison: Comparison) -> dict[str, str]:
    """A letter for each thing that seconds are."""
    sources = dict.fromkeys(
        entry.source for entries in comparison.entries.values() for entry in entries if entry.time is not None
    )
    return dict(zip(sources, ascii_lowercase, strict=False))


def lines(comparison: Comparison) -> Iterator[str]:
    """What stands beneath the tables."""
    for source, letter in legend(comparison).items():
        yield f"{letter}  {source}"
    elsewhere = {
        f"{entry.system.title} on {entry.searched_on}"
        for entries in comparison.entries.values()
        for entry in entries
        if entry.searched_on is not None
    }
    if elsewhere:
        yield f"*  searched on another data set and looked up here: {', '.join(sorted(elsewhere))}"
    for name, command in comparison.not_run.items():
        yield f"not run: {name}: {command}"
    yield from comparison.notes
    if comparison.run is not None:
        yield f"run      {comparison.run}"


def as_csv(comparison: Comparison) -> bytes:
    """One line for each row and data set."""
    rows = [comparison.row(entry) for entries in comparison.entries.values() for entry in entries]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode()


def as_markdown(comparison: Comparison) -> bytes:
    """The same tables and lines as on a console."""
    parts = []
    for dataset, entries in comparison.entries.items():
        rows = [(dataset, *HEADER[1:]), ("---", *["--:"] * (len(HEADER) - 1))]
        rows += [cells(comparison, entry) for entry in entries]
        parts.append("\n".join(f"| {' | '.join(row)} |" for row in rows))
    parts.append("\n".join(f"- {line}" for line in lines(comparison)))
    return ("\n\n".join(parts) + "\n").encode()


FORMATS: Mapping[str, Callable[[Comparison], bytes]] = {".csv": as_csv, ".md": as_markdown}
"""What a comparison can be written as, by the file's suffix."""
