"""A complete table of NAS-Bench-201 with made-up numbers: tests of searches need not have the real one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from knas import spaces
from knas.benchmarks import DATASETS, Benchmark, parquet
from knas.benchmarks.benchmark import FIELDS, Trainings

SIZE = len(spaces.create("nas-bench-201"))
SECONDS = 100.0


def trainings(*, validation: bool, seconds: bool) -> Trainings:
    """One seed; accuracies in the order of the indices, the test's half of the validation's."""
    values = {field: np.full((1, SIZE), np.nan) for field in FIELDS}
    ascending = np.linspace(10, 90, SIZE)[None]
    values["test_accuracy"] = ascending / 2
    if validation:
        values["validation_accuracy"] = ascending
    if seconds:
        values["seconds"] = np.full((1, SIZE), SECONDS)
    return Trainings((None,), values)


def write(path: Path) -> Path:
    """Like the CSV table: no validation accuracy after 200 epochs, and seconds of 12 epochs on CIFAR-10 alone."""
    table = {(dataset, 12): trainings(validation=True, seconds=dataset == "cifar10") for dataset in DATASETS}
    table |= {(dataset, 200): trainings(validation=False, seconds=False) for dataset in DATASETS}
    parquet.write(path, Benchmark(table, source="made up", fingerprint=""))
    return path
