"""The study of the settings of scores, with few cells and few settings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks import table
from scipy.stats import kendalltau, spearmanr

from bench import sensitivity
from knas import benchmarks, ranking

FEW = {
    "n = 4": {"score_samples": 4},
    "n = 2, 20 sampled": {"score_samples": 2, "sample": 20},
    "images of the other data set": {"other": True},
}


def test_it_prints_tables_and_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyarrow")
    monkeypatch.setattr(sensitivity, "SETTINGS", FEW)
    made_up = str(table.write(tmp_path / "made-up.parquet"))
    arguments = ["--dataset=digits", f"--benchmark={made_up}", f"--runs={tmp_path / 'runs'}", "--cells=5"]
    arguments += ["--proxy", "knas", "mgm", "--timed=1", "--rounds=1", "--workers=1"]
    assert sensitivity.main(arguments) == 0
    printed = capsys.readouterr().out.splitlines()
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {"n-4", "n-2-20-sampled"}
    rows = [
        [part.strip() for part in line.strip("|").split("|")] for line in printed if line.startswith("| n =")
    ]
    assert [row[0] for row in rows] == ["n = 4", "n = 2, 20 sampled"] * 2
    assert [len(row) for row in rows] == [6, 6, 5, 5], "the cost is that of the first proxy"
    assert rows[0][3:] == ["1.000", "0", "1.00"]

    cells = sorted(int(one) for one in np.random.default_rng(0).choice(15625, 5, replace=False))
    scores = ranking.rank(
        cells,
        dataset="digits",
        proxy="mgm",
        proxy_options={"sample": 20},
        score_samples=2,
        run=tmp_path / "again",
    )
    known = {row.index: row.scores["mgm"] for row in scores.rows}
    found = benchmarks.load(made_up)
    truth = [found.accuracies(name, found.budgets(name)[-1], "test")[cells] for name in found.datasets]
    values = [known[cell] for cell in cells]
    wanted = [
        np.mean([measure(values, one).statistic for one in truth]) for measure in (spearmanr, kendalltau)
    ]
    assert rows[3][1:3] == [f"{value:+.3f}" for value in wanted]

    assert sensitivity.main([*arguments[:-3], "--timed=0"]) == 0
    again = capsys.readouterr().out.splitlines()
    assert again[-2:] == printed[-2:], "recalled"


def test_an_error_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--dataset=digits", "--benchmark=none.csv", f"--runs={tmp_path / 'runs'}"]
    assert sensitivity.main(arguments) == 1
    assert capsys.readouterr().err == "error: there is no benchmark none.csv\n"
