from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from benchmarks import official_file

from knas import benchmarks
from knas.benchmarks import Benchmark, official, parquet
from knas.cli import run
from knas.errors import UsageError


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("official") / "small.pth"
    return official_file.save(path, official_file.content((3, 7)))


@pytest.fixture(scope="module")
def table(source: Path) -> Benchmark:
    return official.read(source)


def test_round_trip(table: Benchmark, tmp_path: Path) -> None:
    digest = parquet.write(tmp_path / "a.parquet", table)
    read = benchmarks.load(tmp_path / "a.parquet")
    assert read.fingerprint == digest
    assert "small.pth" in read.source
    written = table.trainings()
    assert read.trainings().keys() == written.keys()
    for key, trainings in read.trainings().items():
        assert trainings.seeds == written[key].seeds
        for field, values in trainings.values.items():
            np.testing.assert_array_equal(values, written[key].values[field])


def test_a_changed_value_is_refused(table: Benchmark, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    parquet.write(path, table)
    held = pyarrow.parquet.read_table(path)
    position = held.column_names.index("test_accuracy")
    values = held.column("test_accuracy").to_pylist()
    values[0] = 99.9
    pyarrow.parquet.write_table(held.set_column(position, "test_accuracy", pyarrow.array(values)), path)
    with pytest.raises(UsageError, match=r"a\.parquet is damaged \(its checksum is wrong\)"):
        benchmarks.load(path)


def test_damage_anywhere_is_refused(table: Benchmark, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    parquet.write(path, table)
    whole, good = path.read_bytes(), parquet.checksum(parquet._columns(table))
    for position in range(4, len(whole), max(len(whole) // 40, 1)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x10]) + whole[position + 1 :])
        with contextlib.suppress(UsageError):
            # what is not refused is in statistics and the like: no value is different
            assert parquet.checksum(parquet._columns(benchmarks.load(path))) == good
    path.write_bytes(whole[:-100])
    with pytest.raises(UsageError, match="damaged"):
        benchmarks.load(path)


def test_another_table_in_parquet_is_refused(tmp_path: Path) -> None:
    pyarrow.parquet.write_table(pyarrow.table({"index": [1]}), tmp_path / "a.parquet")
    with pytest.raises(UsageError, match="was not made by this knas"):
        benchmarks.load(tmp_path / "a.parquet")


def test_import_of_the_command_line(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "a.parquet"
    assert run(["benchmark", "import", str(source), "--output", str(output)]) == 0
    captured = capsys.readouterr()
    assert "read     2 of 15,625 architectures\n" in captured.out
    assert "cifar10 after 12 epochs: seeds 111, 777\n" in captured.out
    assert benchmarks.load(output).fingerprint in captured.out
    before = output.read_bytes()
    for arguments, text in (
        ([str(source), "--output", str(output)], "a.parquet exists"),
        ([str(source), "--output", str(tmp_path / "a.csv")], "must end in .parquet"),
        ([str(tmp_path / "none.pth")], "there is no file"),
        ([str(output), "--output", str(output), "--overwrite"], "damaged or not the official file"),
    ):
        assert run(["benchmark", "import", *arguments]) == 2
        assert text in capsys.readouterr().err
    assert output.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"], "nothing is left half-written"
