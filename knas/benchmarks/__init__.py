"""Tabular benchmarks: what others measured by training every architecture of a space, to be looked up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from knas.benchmarks.benchmark import DATASETS, Benchmark, Entry
from knas.errors import UsageError

__all__ = ["DATASETS", "Benchmark", "Entry", "load"]


def load(path: str | Path) -> Benchmark:
    """Read a table of NAS-Bench-201 (arXiv 2001.00326), checked from end to end.

    Args:
        path: the `.parquet` that `knas-search benchmark import` made of the official file, or a `.csv` with the columns
            of `knas.benchmarks.csv_table.COLUMNS`, one row for each of the 15,625 cells.

    Raises:
        UsageError: the file is of another kind, damaged, incomplete, or holds impossible values; the text tells where.
    """
    path = Path(path)
    readers = _readers()
    suffix = path.suffix.lower()
    if suffix in (".pth", ".pt"):
        raise UsageError(f"{path} is read slowly: convert it once with `knas-search benchmark import {path}`")
    if suffix not in readers:
        raise UsageError(f"{path} must end in {' or '.join(readers)} to be a benchmark")
    if not path.is_file():
        raise UsageError(f"there is no benchmark {path}")
    return readers[suffix](path)


def _readers() -> dict[str, Callable[[Path], Benchmark]]:
    from knas.benchmarks import csv_table, parquet

    return {".csv": csv_table.read, ".parquet": parquet.read}
