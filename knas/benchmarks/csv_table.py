"""NAS-Bench-201 as a table of text: one row per cell, accuracies after 12 and 200 epochs."""

from __future__ import annotations

import csv
import hashlib
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from knas.benchmarks.benchmark import DATASETS, FIELDS, Benchmark, Numbers, Trainings
from knas.errors import UsageError
from knas.spaces import SearchSpace, create

SOURCES: Mapping[tuple[str, int, str], str] = {
    **{(name, 12, "validation_accuracy"): f"{name}_valid_12ep" for name in DATASETS},
    **{(name, 12, "test_accuracy"): f"{name}_test_12ep" for name in DATASETS},
    **{(name, 200, "test_accuracy"): f"{name}_test_200ep" for name in DATASETS},
    ("cifar10", 12, "seconds"): "cifar10_train_seconds_12ep",
}
"""Which column holds which field of which training; all are means over seeds."""

COLUMNS = (
    "index",
    "arch",
    "isomorphism_class",
    *(
        f"{name}_{column}"
        for name in DATASETS
        for column in ("params_m", "valid_12ep", "test_12ep", "test_200ep")
    ),
    "cifar10_train_seconds_12ep",
)
"""The table's columns: accuracies in per cent, parameters in millions."""

NUMBERS = tuple(column for column in COLUMNS if column not in ("index", "arch", "isomorphism_class"))


def read(path: Path) -> Benchmark:
    """Read the table.

    Raises:
        UsageError: a column or row is missing, unknown or double, or a value can't be; the text tells where.
    """
    content = path.read_bytes()
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not a table of text ({error.reason})") from error
    values = _values(path, csv.reader(io.StringIO(text, newline="")))
    trainings = {
        (dataset, epochs): _trainings(dataset, epochs, values)
        for dataset, epochs in sorted({key[:2] for key in SOURCES})
    }
    return Benchmark(trainings, source=str(path), fingerprint=hashlib.sha256(content).hexdigest())


def _trainings(dataset: str, epochs: int, values: Mapping[str, Numbers]) -> Trainings:
    nothing = np.full_like(next(iter(values.values())), np.nan)
    columns = {field: SOURCES.get((dataset, epochs, field)) for field in FIELDS}
    return Trainings(
        (None,),
        {field: (nothing if name is None else values[name])[None] for field, name in columns.items()},
    )


def _values(path: Path, rows: Iterator[list[str]]) -> dict[str, Numbers]:
    """The columns of numbers, each [len(space)] by index."""
    header = next(rows, [])
    _check_header(path, header)
    space = create("nas-bench-201")
    values = np.full((len(NUMBERS), len(space)), np.nan)
    positions = [header.index(name) for name in ("index", "arch")]
    numbers = [header.index(name) for name in NUMBERS]
    for line, row in enumerate(rows, 2):
        where = f"{path}, line {line}"
        if len(row) != len(header):
            raise UsageError(f"{where}: {len(row)} values instead of {len(header)}")
        index = _index(where, space, *(row[position] for position in positions))
        if not np.isnan(values[0, index]):
            raise UsageError(f"{where}: architecture {index} comes a second time")
        values[:, index] = [
            _number(where, name, row[column]) for name, column in zip(NUMBERS, numbers, strict=True)
        ]
    missing = np.flatnonzero(np.isnan(values[0]))
    if missing.size:
        raise UsageError(f"{path} lacks {missing.size:,} of {len(space):,} architectures, first {missing[0]}")
    return dict(zip(NUMBERS, values, strict=True))


def _check_header(path: Path, header: Sequence[str]) -> None:
    double = [name for name in header if header.count(name) > 1]
    missing = [name for name in COLUMNS if name not in header]
    other = [name for name in header if name not in COLUMNS]
    for what, names in (("lacks the column", missing), ("has an unknown column", other), ("repeats", double)):
        if names:
            raise UsageError(
                f"{path} {what} {names[0]!r}; a table of NAS-Bench-201 has the {len(COLUMNS)} columns "
                f"{', '.join(COLUMNS)}"
            )


def _index(where: str, space: SearchSpace, text: str, architecture: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) < len(space)):
        raise UsageError(f"{where}: index must be a number from 0 to {len(space) - 1}, not {text!r}")
    index = int(text)
    if str(space.architecture(index)) != architecture:
        raise UsageError(
            f"{where}: architecture {index} is {space.architecture(index)}, not {architecture!r}"
        )
    return index


def _number(where: str, name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    accuracy = name.endswith("ep") and "seconds" not in name
    if not math.isfinite(value) or (not 0 <= value <= 100 if accuracy else value <= 0):
        wanted = "a number from 0 to 100" if accuracy else "a number above 0"
        raise UsageError(f"{where}: {name} must be {wanted}, not {text!r}")
    return value
