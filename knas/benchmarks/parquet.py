"""A benchmark as a compact Parquet file: one row per training, with a checksum over all values."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from knas.benchmarks.benchmark import DATASETS, FIELDS, Benchmark, Trainings
from knas.errors import UsageError
from knas.runs.atomic import write_atomically
from knas.spaces import create

FORMAT = b"1"
KEYS = {"dataset": np.int8, "epochs": np.int16, "seed": np.int32, "index": np.int32}
"""What tells a training from others; `dataset` is a position in `DATASETS`, and seed -1 a mean over seeds."""

Columns = Mapping[str, Any]


def write(path: Path, benchmark: Benchmark) -> str:
    """Write a table in one step: all of it or nothing.

    Args:
        path: the file; its folder exists.
        benchmark: the table.

    Returns:
        The SHA-256 over its values.
    """
    import pyarrow
    import pyarrow.parquet

    columns = _columns(benchmark)
    digest = checksum(columns)
    metadata = {
        "knas.format": FORMAT,
        "knas.sha256": digest.encode(),
        "knas.source": benchmark.source.encode(),
    }
    arrays = [pyarrow.array(values, from_pandas=True) for values in columns.values()]  # NaN becomes null
    table = pyarrow.table(arrays, names=list(columns)).replace_schema_metadata(metadata)
    sink = io.BytesIO()
    pyarrow.parquet.write_table(table, sink, compression="zstd", write_page_checksum=True)
    write_atomically(path, sink.getvalue())
    return digest


def read(path: Path) -> Benchmark:
    """Read a table that `write` wrote.

    Raises:
        UsageError: the file is damaged, is no such table, or its checksum does not fit its values.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path, page_checksum_verification=True)
        metadata = table.schema.metadata or {}
        if metadata.get(b"knas.format") != FORMAT or table.column_names != [*KEYS, *FIELDS]:
            raise UsageError(f"{path} was not made by this knas: import the official file again")
        kinds = {**KEYS, **dict.fromkeys(FIELDS, np.float64)}
        columns = {
            name: table.column(name).to_numpy().astype(kind, casting="same_kind")
            for name, kind in kinds.items()
        }
        source = metadata[b"knas.source"].decode()
    except (OSError, pyarrow.ArrowException, TypeError, ValueError, KeyError) as error:
        if isinstance(error, UsageError):
            raise
        reason = " ".join(str(error).split())
        raise UsageError(f"{path} is damaged ({reason}): import the official file again") from error
    digest = checksum(columns)
    if metadata.get(b"knas.sha256") != digest.encode():
        raise UsageError(f"{path} is damaged (its checksum is wrong): import the official file again")
    trainings = _trainings(columns, len(create("nas-bench-201")))
    return Benchmark(trainings, source=f"{path} (of {source})", fingerprint=digest)


def checksum(columns: Columns) -> str:
    """The SHA-256 over the names and values of all columns."""
    digest = hashlib.sha256()
    for name, values in columns.items():
        values = np.where(np.isnan(values), np.nan, values) if values.dtype.kind == "f" else values
        digest.update(f"{name} {values.dtype.str} {len(values)}\n".encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def _columns(benchmark: Benchmark) -> dict[str, Any]:
    """One row for each training that has some value, ordered by data set, epochs, seed and index."""
    parts: dict[str, list[Any]] = {name: [] for name in (*KEYS, *FIELDS)}
    for (dataset, epochs), trainings in sorted(benchmark.trainings().items()):
        for row, seed in enumerate(trainings.seeds):
            values = {field: trainings.values[field][row] for field in FIELDS}
            index = np.flatnonzero(~np.isnan(list(values.values())).all(axis=0))
            numbers = (DATASETS.index(dataset), epochs, -1 if seed is None else seed)
            for name, number in zip(KEYS, numbers, strict=False):
                parts[name].append(np.full(len(index), number))
            parts["index"].append(index)
            for field in FIELDS:
                parts[field].append(values[field][index])
    kinds = {**KEYS, **dict.fromkeys(FIELDS, np.float64)}
    return {name: np.concatenate(parts[name]).astype(kinds[name]) for name in parts}


def _trainings(columns: Columns, size: int) -> dict[tuple[str, int], Trainings]:
    found: dict[tuple[str, int], Trainings] = {}
    for code, epochs in sorted(
        set(zip(columns["dataset"].tolist(), columns["epochs"].tolist(), strict=True))
    ):
        held = (columns["dataset"] == code) & (columns["epochs"] == epochs)
        seeds = np.unique(columns["seed"][held])
        rows = np.searchsorted(seeds, columns["seed"][held])
        values = {field: np.full((len(seeds), size), np.nan) for field in FIELDS}
        for field, table in values.items():
            table[rows, columns["index"][held]] = columns[field][held]
        names = tuple(None if seed < 0 else int(seed) for seed in seeds)
        found[DATASETS[code], int(epochs)] = Trainings(names, values)
    return found
