"""The study of mgm's settings, with few cells and one estimator."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks import table

from bench import estimators


def test_settings_are_all_there_once() -> None:
    found = list(estimators.settings(32, batched=True))
    assert len({one.name for one in found}) == len(found) == 4 * 2 * 3 + 2 * 3
    assert {one.images for one in found if one.unit == "sample"} == {32}
    assert [one.unit for one in estimators.settings(32, batched=False)] == ["sample"] * 24


def test_it_prints_a_table_and_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyarrow")
    monkeypatch.setattr(estimators, "ESTIMATORS", ("sampled",))
    monkeypatch.setattr(estimators, "POLICIES", ("calibrated", "initial"))
    arguments = ["--dataset=digits", f"--benchmark={table.write(tmp_path / 'made-up.parquet')}"]
    arguments += [f"--runs={tmp_path / 'runs'}", "--samples=4", "--images=2"]
    assert estimators.main(arguments) == 0
    printed = capsys.readouterr().out
    header, _, *rows = printed.splitlines()
    assert "| CIFAR-100, test accuracy, 200 epochs |" in header
    assert "| CIFAR-100, validation accuracy, 12 epochs |" in header
    assert [row.split(" | ")[1:5] for row in rows] == [
        [of, batch_norm, "sample", "2"]
        for of in ("output", "loss")
        for batch_norm in ("calibrated", "initial")
    ]
    assert {path.name for path in (tmp_path / "runs").iterdir()} >= {"sampled-loss-initial-sample"}
    assert estimators.main(arguments) == 0
    assert capsys.readouterr().out == printed


def test_an_error_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--dataset=digits", "--benchmark=none.csv", f"--runs={tmp_path / 'runs'}"]
    assert estimators.main(arguments) == 1
    assert capsys.readouterr().err == "error: there is no benchmark none.csv\n"
