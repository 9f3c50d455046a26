"""The independent test of proxies, on a few networks and digits."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from bench import mixed_networks


def test_trains_scores_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "rows.csv"
    given = ["--dataset=digits", f"--output={output}", "--train-images=128", "--test-images=64", "--epochs=1"]
    assert mixed_networks.main([*given, "--networks=2"]) == 0
    before = output.read_text()
    assert mixed_networks.main([*given, "--networks=3"]) == 0
    assert output.read_text().startswith(before), "rows that are on file stay as they are"
    rows = list(csv.DictReader(output.read_text().splitlines()))
    assert len({row["kind"] for row in rows}) == len(rows) == 3
    for row in rows:
        assert 0 <= float(row["accuracy"]) <= 1
        assert float(row["params"]) > 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[-4].startswith("| all (3) | ")
    others = tmp_path / "others.csv"
    assert (
        mixed_networks.main([*given[:1], f"--output={others}", *given[2:], "--networks=1", "--skip=2"]) == 0
    )
    assert list(csv.DictReader(others.read_text().splitlines())) == rows[2:]


def test_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert mixed_networks.main(["--dataset=no/such", f"--output={tmp_path / 'rows.csv'}"]) == 1
    assert capsys.readouterr().err.startswith("error: ")
