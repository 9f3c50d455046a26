from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from knas import benchmarks, spaces
from knas.benchmarks import Benchmark
from knas.benchmarks.csv_table import COLUMNS
from knas.errors import UsageError

SPACE = spaces.create("nas-bench-201")


@pytest.fixture(scope="module")
def lines() -> list[str]:
    """A table that is right in form, with numbers that tell what they are."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for index, architecture in enumerate(SPACE):
        numbers = [round(column + index / 1000, 3) for column in range(len(COLUMNS) - 3)]
        writer.writerow([index, str(architecture), 0, *(number + 0.001 for number in numbers)])
    return stream.getvalue().splitlines()


def load(folder: Path, lines: list[str]) -> Benchmark:
    path = folder / "table.csv"
    path.write_text("\n".join(lines) + "\n")
    return benchmarks.load(path)


def test_every_number_is_found_by_its_name(lines: list[str], tmp_path: Path) -> None:
    table = load(tmp_path, [lines[0], *lines[:0:-1]])  # in whatever order
    row = dict(zip(COLUMNS, lines[1 + 42].split(","), strict=True))
    for dataset in benchmarks.DATASETS:
        short = table.query(42, dataset, 12)
        assert short.validation_accuracy == float(row[f"{dataset}_valid_12ep"])
        assert short.test_accuracy == float(row[f"{dataset}_test_12ep"])
        assert table.query(SPACE.architecture(42), dataset, 200) == benchmarks.Entry(
            None, float(row[f"{dataset}_test_200ep"])
        )
        assert table.accuracies(dataset, 200, "test")[42] == float(row[f"{dataset}_test_200ep"])
        assert table.budgets(dataset) == (12, 200)
        assert table.budgets(dataset, "validation_accuracy") == (12,)
        assert table.seeds(dataset, 12) == (None,)
    assert table.query(42, "cifar10", 12).seconds == float(row["cifar10_train_seconds_12ep"])
    assert table.query(42, "cifar100", 12).seconds is None
    assert table.datasets == benchmarks.DATASETS
    assert table.architectures == len(SPACE)


def test_what_the_table_lacks_is_one_line(lines: list[str], tmp_path: Path) -> None:
    table = load(tmp_path, lines)
    for ask, text in (
        (lambda: table.query(1, "cifar", 12), "one of cifar10, cifar100, imagenet16-120, got 'cifar'"),
        (lambda: table.query(1, "cifar10", 20), r"table\.csv holds 12 and 200 on cifar10, not 20"),
        (lambda: table.query(1, "cifar10", 12, 777), "seed 777; it holds means over seeds only"),
        (lambda: table.query(15_625, "cifar10", 12), "0 to 15624"),
        (lambda: table.accuracies("cifar10", 200, "validation"), "lacks the validation accuracy after 200"),
        (lambda: table.accuracies("cifar10", 200, "train"), "split"),
    ):
        with pytest.raises(UsageError, match=text):
            ask()


def change(line: int, column: str, text: str) -> Callable[[list[str]], list[str]]:
    def changed(lines: list[str]) -> list[str]:
        row = lines[line].split(",")
        row[COLUMNS.index(column)] = text
        return [*lines[:line], ",".join(row), *lines[line + 1 :]]

    return changed


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (lambda lines: [], "lacks the column 'index'"),
        (lambda lines: lines[:1], "lacks 15,625 of 15,625 architectures"),
        (lambda lines: [*lines[:10], *lines[11:]], "lacks 1 of 15,625 architectures, first 9"),
        (lambda lines: [*lines, lines[5]], "line 15627: architecture 4 comes a second time"),
        (lambda lines: [*lines[:3], lines[3] + ",1", *lines[4:]], "line 4: 17 values instead of 16"),
        (lambda lines: [lines[0] + ",color", *lines[1:]], "unknown column 'color'"),
        (lambda lines: [lines[0] + ",arch", *lines[1:]], "repeats 'arch'"),
        (
            lambda lines: [lines[0].replace("cifar100_test_200ep", "x"), *lines[1:]],
            "lacks.*'cifar100_test_200ep'",
        ),
        (
            change(3, "cifar10_test_12ep", "nan"),
            "line 4: cifar10_test_12ep must be a number from 0 to 100, not 'nan'",
        ),
        (change(3, "cifar10_test_12ep", "inf"), "not 'inf'"),
        (change(3, "cifar10_test_12ep", ""), "not ''"),
        (change(3, "cifar10_test_12ep", "100.5"), "from 0 to 100, not '100.5'"),
        (change(3, "cifar10_train_seconds_12ep", "0"), "a number above 0, not '0'"),
        (change(3, "index", "15625"), "index must be a number from 0 to 15624, not '15625'"),
        (change(3, "index", "-1"), "not '-1'"),
        (change(3, "index", "3"), r"architecture 3 is \|"),
        (change(3, "arch", "|none~0|"), r"architecture 2 is \|.*, not '\|none~0\|'"),
    ],
)
def test_faults_are_one_line_that_tells_where(
    fault: Callable[[list[str]], list[str]], text: str, lines: list[str], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=text) as caught:
        load(tmp_path, fault(lines))
    assert "table.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_bytes(b"\xff\xfe\x00")
    for name, text in (
        ("table.csv", "not a table of text"),
        ("table.json", r"must end in \.csv or \.parquet"),
        ("table.pth", "knas-search benchmark import"),
        ("none.csv", "there is no benchmark"),
    ):
        with pytest.raises(UsageError, match=text):
            benchmarks.load(tmp_path / name)


def test_the_real_table(shared_data: Path) -> None:
    table = benchmarks.load(shared_data / "nas-bench-201" / "accuracies.csv")
    best = table.accuracies("cifar10", 200, "test")
    assert (math.isclose(best.max(), 94.373333), int(np.argmax(best))) == (True, 6111)
    assert table.query(1, "cifar10", 12) == benchmarks.Entry(82.834, 88.22, None, 130.18)
