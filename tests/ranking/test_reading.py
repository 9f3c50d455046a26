"""Tables of scores: what `Ranking.write` writes is read again, and nothing else is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from knas import spaces
from knas.errors import UsageError
from knas.ranking import RankedRow, Ranking
from knas.ranking.reading import read

SPACE = spaces.create("nas-bench-201")
HEADER = "index,architecture,class,mgm,reason,seconds"


def row(index: int, score: float | None) -> RankedRow:
    cell = SPACE.architecture(index)
    reasons = {} if score is not None else {"mgm": "gradients: NaN or Inf in cells.0"}
    return RankedRow(index, str(cell), str(SPACE.canonical(cell)), {"mgm": score}, reasons, 0.25)


WRITTEN = Ranking(
    "nas-bench-201", "digits", ("mgm",), (row(7, 3.5), row(3, 0.1), row(5, -1e-30), row(4, None)), "r", 4, 1.0
)


def line(index: int, score: str = "1.0", reason: str = "") -> str:
    cell = SPACE.architecture(index)
    return f"{index},{cell},{SPACE.canonical(cell)},{score},{reason},0.5"


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_what_was_written_is_read(suffix: str, tmp_path: Path) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    WRITTEN.write(tmp_path / f"table{suffix}")
    found = read(tmp_path / f"table{suffix}", SPACE)
    assert found.rows == WRITTEN.rows
    assert found.proxies == WRITTEN.proxies
    assert (found.dataset, found.run) == (None, None)


def test_several_proxies_with_reasons_of_their_own(tmp_path: Path) -> None:
    reasons = {"gram-norm": "NaN; mgm is not to blame", "mgm": "gradients: NaN or Inf; gone"}
    names = ("mgm", "gram-norm", "params")
    rows = (
        replace(row(7, 3.5), scores={"mgm": 3.5, "gram-norm": 1.0, "params": 5.0}),
        replace(row(3, None), scores={"mgm": None, "gram-norm": None, "params": 9.0}, reasons=reasons),
        replace(row(5, None), scores=dict.fromkeys(names), reasons=dict.fromkeys(names, "no: thing")),
    )
    replace(WRITTEN, proxies=names, rows=rows).write(tmp_path / "table.csv")
    found = read(tmp_path / "table.csv", SPACE)
    assert found.rows == rows
    assert found.rows[1].reason == "mgm: gradients: NaN or Inf; gone; gram-norm: NaN; mgm is not to blame"
    assert found.failures == {"mgm": 2, "gram-norm": 2, "params": 1}
    assert found.failed == 2


def test_scores_that_are_no_numbers_come_last(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("\n".join([HEADER, line(1, "nan"), line(2, "inf"), line(3, "-4")]))
    found = read(tmp_path / "a.csv", SPACE)
    assert [row.index for row in found.rows] == [3, 1, 2]
    assert [row.reason for row in found.rows] == [None, "no finite score", "no finite score"]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", "holds no architecture"),
        (HEADER, "holds no architecture"),
        ("index,arch\n1,2", "must have the columns index, architecture, class, PROXY, reason, seconds"),
        (HEADER.replace("mgm,", "") + "\n1,a,b,,0.5", "must have the columns"),
        (f"{HEADER}\n{line(3)}\n{line(3)}", "row 2: architecture 3 comes a second time"),
        (f"{HEADER}\n{line(3, 'much')}", "row 1: a number can't be read"),
        (f"{HEADER}\n{line(3)},9", "row 1 has too many values"),
        (f"{HEADER}\n3,|none~0|", "row 1: a number can't be read"),
        (f"{HEADER}\n{line(3).replace('3,', '4,', 1)}", "row 1: architecture 4 of nas-bench-201 is not"),
        (
            f"{HEADER}\n{line(3).replace('3,', '99999,', 1)}",
            "row 1: architecture 99999 of nas-bench-201 is not",
        ),
    ],
)
def test_other_tables_are_refused(content: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(UsageError, match=text):
        read(tmp_path / "a.csv", SPACE)


def test_files_that_can_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe")
    (tmp_path / "a.parquet").write_bytes(b"no")
    cases = [("a.csv", "not a table of text"), ("b.csv", "No such file"), ("a.txt", r"\.csv or \.parquet")]
    for name, text in cases:
        with pytest.raises(UsageError, match=text):
            read(tmp_path / name, SPACE)
    pytest.importorskip("pyarrow")
    with pytest.raises(UsageError, match="no Parquet file"):
        read(tmp_path / "a.parquet", SPACE)
