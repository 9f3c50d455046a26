"""Small tables of whole spaces, and those that come with the package."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from knas import ranking, spaces
from knas.cli import run
from knas.errors import UsageError
from knas.ranking import RankedRow, Ranking, compact
from knas.ranking.table import order

pytest.importorskip("pyarrow")
REPOSITORY = Path(__file__).parents[2]
SPACE = spaces.create("nas-bench-201")
ABOUT = {
    "space": "nas-bench-201",
    "dataset": "uoft-cs/cifar10",
    "seed": 3,
    "score_samples": 32,
    "knas": "0.1.0",
}
NAMES = tuple(f"proxy-{number}" for number in range(20))


@pytest.fixture(scope="module")
def whole() -> Ranking:
    """Random numbers for each class, in single precision; one class failed."""
    rng = np.random.default_rng(0)
    stands = {str(one): str(SPACE.canonical(one)) for one in SPACE}
    values = {text: rng.normal(size=20).astype(np.float32).tolist() for text in sorted(set(stands.values()))}
    broken = str(SPACE.canonical(SPACE.architecture(77)))
    rows = []
    for index, (text, canonical) in enumerate(stands.items()):
        scores = dict(zip(NAMES, values[canonical], strict=True))
        failed = {NAMES[5]: "gradients: NaN"} if canonical == broken else {}
        rows.append(RankedRow(index, text, canonical, {**scores, **dict.fromkeys(failed)}, failed, 0.25))
    return Ranking(SPACE.name, "uoft-cs/cifar10", NAMES, order(rows, NAMES[0]), "r", 9, 9.0, ABOUT)


def test_it_comes_back_as_it_was_and_is_small(whole: Ranking, tmp_path: Path) -> None:
    whole.write(tmp_path / "small.parquet", small=True)
    found = ranking.load(tmp_path / "small.parquet")
    assert found.rows == whole.rows
    assert found.proxies == NAMES
    assert (found.about, found.dataset, found.run) == (ABOUT, "uoft-cs/cifar10", None)
    assert (tmp_path / "small.parquet").stat().st_size < 1_000_000, "of 20 proxies, whose numbers are noise"


def test_it_tells_any_reader_what_it_is_of(whole: Ranking, tmp_path: Path) -> None:
    import pyarrow.parquet

    whole.write(tmp_path / "small.parquet", small=True)
    whole.write(tmp_path / "full.parquet")
    for name in ("small", "full"):
        schema = pyarrow.parquet.read_schema(tmp_path / f"{name}.parquet")
        assert json.loads(schema.metadata[b"knas.about"])["seed"] == 3
    assert [str(kind) for kind in schema.types[3:23]] == ["double"] * 20
    small = pyarrow.parquet.read_table(tmp_path / "small.parquet")
    assert small.num_rows == 6_466
    assert {str(kind) for kind in small.schema.types[1:]} == {"float"}
    assert ranking.load(tmp_path / "full.parquet").about == ABOUT


def test_what_a_run_tells(tmp_path: Path) -> None:
    found = ranking.rank(
        3, proxy=("mgm", "params"), channels=4, cells_per_stage=1, score_samples=4, run=tmp_path / "run"
    )
    found.write(tmp_path / "table.parquet")
    about = ranking.load(tmp_path / "table.parquet").about
    assert about == found.about
    assert about["proxies"] == {"mgm": {}, "params": {}}
    assert (about["seed"], about["score_samples"], about["precision"], about["channels"]) == (
        0,
        4,
        "float32",
        4,
    )
    assert len(about["data_sha256"]) == 64
    assert not any(str(tmp_path) in str(value) for value in about.values())


def test_a_part_of_a_space_is_refused(
    whole: Ranking, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match=r"rank --all, not 15,624 of 15,625"):
        replace(whole, rows=whole.rows[1:]).write(tmp_path / "small.parquet", small=True)
    output = str(tmp_path / "small.parquet")
    assert run(["rank", "--samples=3", "--compact", "--output", output]) == 2
    assert "--compact keeps one row for each class of a whole space" in capsys.readouterr().err
    assert run(["rank", "--all", "--compact"]) == 2
    assert "give --output" in capsys.readouterr().err
    assert run(["rank", "--all", "--compact", "--output", str(tmp_path / "small.csv")]) == 2
    assert "must end in .parquet" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_table_of_another_space_or_with_holes_is_refused(whole: Ranking, tmp_path: Path) -> None:
    import pyarrow.parquet

    path = tmp_path / "small.parquet"
    whole.write(path, small=True)
    table = pyarrow.parquet.read_table(path)
    pyarrow.parquet.write_table(table.slice(1), path)
    with pytest.raises(UsageError, match="lacks the class of"):
        ranking.load(path)
    metadata = {**table.schema.metadata, b"knas.about": b'{"space": "other"}'}
    pyarrow.parquet.write_table(table.replace_schema_metadata(metadata), path)
    with pytest.raises(UsageError, match="holds scores of other, not of nas-bench-201"):
        ranking.load(path)


def test_tables_of_the_package(
    whole: Ranking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(compact, "FOLDER", tmp_path)
    with pytest.raises(UsageError, match="no such table, and no other"):
        ranking.load("shipped:made-up")
    whole.write(tmp_path / "made-up.parquet", small=True)
    assert ranking.shipped()["made-up"]["seed"] == 3
    assert ranking.load("shipped:made-up").rows == whole.rows
    assert run(["rank", "--scores", "shipped:made-up", "--top=1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["top"][0]["index"] == whole.rows[0].index
    assert run(["rank", "--scores", "shipped:other"]) == 2
    assert "the package has shipped:made-up" in capsys.readouterr().err


def test_every_shipped_table_is_whole_and_says_what_it_is_of() -> None:
    for name, about in ranking.shipped().items():
        assert {"space", "dataset", "seed", "score_samples", "proxies", "precision", "knas"} <= about.keys()
        found = ranking.load(f"shipped:{name}", about["space"])
        assert set(found.proxies) == set(about["proxies"])


def test_the_folder_of_tables_reaches_the_wheel(tmp_path: Path) -> None:
    """Builds the Python part of the wheel of a copy that has a table."""
    if int(importlib.metadata.version("setuptools").partition(".")[0]) < 77:
        pytest.skip("pyproject.toml needs setuptools>=77")
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE", "knas_search.py"):
        shutil.copy(REPOSITORY / name, tmp_path)
    for name in ("build_support", "knas"):
        ignore = shutil.ignore_patterns("*.so", "__pycache__")
        shutil.copytree(REPOSITORY / name, tmp_path / name, ignore=ignore)
    folder = Path("knas") / "ranking" / compact.FOLDER.name
    (tmp_path / folder).mkdir(exist_ok=True)
    (tmp_path / folder / "made-up.parquet").write_bytes(b"")
    command = [sys.executable, "setup.py", "-q", "build_py", "--build-lib", "out"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "out" / folder / "made-up.parquet").is_file()
    assert (tmp_path / "out" / "knas" / "py.typed").is_file()
