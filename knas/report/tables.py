"""Tables and lines on a console, as text: nothing in them is taken for markup."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

WORDS = ("architecture", "data set", "proxy")
"""Columns of text, which stand to the left; numbers stand to the right."""


def new_table(*columns: str) -> Table:
    """A table without rows."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column in columns:
        table.add_column(
            column, justify="left" if column in WORDS else "right", overflow="fold", no_wrap=False
        )
    return table


def add_row(table: Table, *cells: str) -> None:
    """Add a row."""
    from rich.text import Text

    table.add_row(*(Text(cell) for cell in cells))  # as text: a reason may hold what rich takes for markup


def score_text(value: float) -> str:
    """A score with six digits, zeros at the end among them, so that a column reads down; whole numbers as they are."""
    return f"{value:.12g}" if float(value).is_integer() else f"{value:#.6g}"


def say(console: Console, line: str) -> None:
    """Print a line as it is, however long."""
    console.print(line, highlight=False, soft_wrap=True, markup=False)
