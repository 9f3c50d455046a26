"""Table 2 on a small encoder and small data sets."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest
import tiny_text

from bench import table_2
from knas.runs.result import read_result


def test_rows_are_means_over_seeds_and_runs_are_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_text.data_folder(tmp_path / "rte", 24, 9)
    model = tiny_text.encoder_with_tokenizer(tmp_path / "encoder")
    command = ["--model", model, "--data", str(tmp_path), "--runs", str(tmp_path / "runs"), "--tasks", "rte"]
    command += ["--seeds", "2", "--top-k", "2", "--epochs", "1", "--score-samples", "4"]
    assert table_2.main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    found = [read_result(tmp_path / "runs" / f"rte-{seed}" / "result.json") for seed in (0, 1)]
    tested = [one.best.test_accuracy for one in found]
    assert all(value is not None for value in tested)
    mean, deviation = statistics.fmean(tested), statistics.stdev(tested)  # type: ignore[type-var]
    assert lines[3] == "| RTE | KNAS, paper | 83.75 | | | 2K s |"
    assert lines[4].startswith("| RTE | plain model | ")
    assert lines[5].startswith(f"| RTE | KNAS, top 2 | {mean:.2f} ± {deviation:.2f} | ")
    assert lines[-1] == f"rte: the winners are {', '.join(one.best.architecture for one in found)}"
    assert table_2.main(command) == 0
    assert capsys.readouterr().out.splitlines() == lines, "recalled"
    assert table_2.main([*command, "--max-length", "1"]) == 1
    assert capsys.readouterr().err.startswith("error: ")


def test_spread() -> None:
    assert table_2.spread([90.0, 92.0]) == "91.00 ± 1.41"
    assert table_2.spread([90.0]) == "90.00 ± 0.00"
    assert table_2.spread([90.0, None]) == "–"
