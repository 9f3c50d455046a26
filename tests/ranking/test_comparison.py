"""`knas-search rank --benchmark --figures`: checked before anything is scored, answered after it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from benchmarks import table

from knas import spaces
from knas.cli import comparison, run
from knas.errors import UsageError
from knas.ranking import RankedRow, Ranking
from knas.spaces.base import SearchSpace

SPACE = spaces.create("nas-bench-201")


@pytest.fixture(scope="module")
def accuracies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("pyarrow")
    return table.write(tmp_path_factory.mktemp("table") / "made-up.parquet")


def scores(path: Path, values: dict[int, float | None]) -> Path:
    rows = []
    for index, value in values.items():
        cell = SPACE.architecture(index)
        reasons = {"mgm": "failed"} if value is None else {}
        rows.append(RankedRow(index, str(cell), str(SPACE.canonical(cell)), {"mgm": value}, reasons, 0.1))
    Ranking("nas-bench-201", "digits", ("mgm",), tuple(rows), "r", 0, 0.0).write(path)
    return path


def test_agreement_is_printed_and_drawn(
    accuracies: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    noise = np.random.default_rng(0).normal(size=300)
    file = scores(tmp_path / "scores.csv", {50 * i: i + 60.0 * noise[i] for i in range(300)} | {7: None})
    arguments = ["rank", "--scores", str(file), "--benchmark", str(accuracies), "--bootstrap=20"]
    figures = ["--figures", str(tmp_path / "figures"), "--cell", "1462"]
    assert run([*arguments, *figures]) == 0
    out = capsys.readouterr().out
    assert "301 architectures; without a finite score of mgm: 1" in out
    assert "note     the scores lack the controls flops, layers" in out
    assert max(map(len, out.split("CIFAR-10, val")[1].split("against")[0].splitlines())) <= 120
    assert "paper    Spearman 0.53 with the negative training loss, 0.56 with" in out
    assert sum("validation accuracy, 12 epochs;" in line for line in out.splitlines()) == 3
    for name in ("mgm", "params", "random", "expected"):
        assert sum(line.startswith(f"{name} ") for line in out.splitlines()) == 6
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {
        f"figure{number}.{kind}" for number in (1, 2, 3, 4) for kind in ("svg", "png")
    }
    assert "cell 1462" in (tmp_path / "figures" / "figure3.svg").read_text()
    assert run([*arguments, *figures]) == 2, "they are there"
    assert "holds figure1.svg" in capsys.readouterr().err
    assert run([*arguments, *figures, "--overwrite", "--benchmark-dataset", "cifar10", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert [(one["dataset"], one["proxy"]) for one in content["agreement"]] == [
        ("cifar10", name) for name in ("mgm", "params", "random", "expected")
    ] * 2
    last = content["agreement"][4]
    assert (last["compared_with"], last["architectures"], last["left_out"]) == (
        "test accuracy, 200 epochs",
        300,
        1,
    )
    assert 0.5 < last["kendall"] < last["spearman"] < 1
    assert 0 <= last["spearman_p"] < 1e-9
    assert last["spearman_95"][0] < last["spearman"] < last["spearman_95"][1]
    assert last["regret_1"] >= last["regret_10"] >= last["regret_20"] >= 0
    assert last["first"] == pytest.approx(last["optimum"] - last["regret_1"])
    assert last["chosen"] <= last["optimum"]
    assert len(content["figures"]) == 8


def test_a_ranking_is_compared_and_a_finished_one_again(
    accuracies: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["rank", "--samples=5", "--channels=4", "--cells-per-stage=1", "--score-samples=4"]
    arguments += [
        "--benchmark",
        str(accuracies),
        "--benchmark-dataset=cifar10",
        "--run",
        str(tmp_path / "run"),
    ]
    assert run(arguments) == 0
    first = capsys.readouterr().out
    assert "made-up.parquet (of made up): 5 architectures" in first
    assert run(arguments) == 0
    again = capsys.readouterr().out
    assert again.splitlines()[-20:] == first.splitlines()[-20:]


def test_equal_scores_have_no_correlation(
    accuracies: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["rank", "--benchmark", str(accuracies), "--benchmark-dataset", "cifar10", "--scores"]
    file = str(scores(tmp_path / "scores.csv", dict.fromkeys(range(5), 1.0)))
    assert run([*arguments, file]) == 0
    assert "all are equal" in capsys.readouterr().out
    assert run([*arguments, file, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["agreement"][0]["spearman"] is None


def test_too_few_scores_are_one_line(
    accuracies: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = scores(tmp_path / "scores.csv", {1: 1.0, 2: 2.0, 3: None})
    assert run(["rank", "--scores", str(file), "--benchmark", str(accuracies)]) == 1
    assert capsys.readouterr().err.startswith("error: a correlation needs at least 3 finite scores of mgm")


def test_without_controls_and_intervals(
    accuracies: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = scores(tmp_path / "scores.csv", {index: float(index) for index in range(10)})
    arguments = [
        "rank",
        "--scores",
        str(file),
        "--benchmark",
        str(accuracies),
        "--no-controls",
        "--bootstrap=0",
    ]
    assert run(arguments) == 0
    out = capsys.readouterr().out
    assert "random" not in out
    assert "95 %" not in out
    assert "note" not in out
    assert run([*arguments, "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert {one["proxy"] for one in content["agreement"]} == {"mgm"}
    assert not any("spearman_95" in one for one in content["agreement"])


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--samples", "3", "--bootstrap", "-1"], "--bootstrap must be a whole number of at least 0, not -1"),
        (["--samples", "3", "--benchmark-dataset", "digits"], "--benchmark-dataset"),
        (["--samples", "3", "--figures", "file"], "file is a file"),
        (["--samples", "3", "--figures", "new", "--cell", "99999"], "15624"),
        (["--samples", "2"], "at least 3 architectures to compare, not 2"),
        (["--architectures", "cells.txt"], "at least 3 architectures to compare, not 2"),
    ],
)
def test_bad_options_are_refused_before_anything_is_scored(
    options: list[str],
    text: str,
    accuracies: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    (tmp_path / "cells.txt").write_text("1\n2\n2\n")
    assert run(["rank", *options, "--benchmark", str(accuracies)]) == 2
    error = capsys.readouterr().err
    assert text in error
    assert error.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cells.txt", "file"]


def test_a_table_of_another_space_is_refused(accuracies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(SearchSpace):
        name = "other"

    monkeypatch.setattr(Other, "__abstractmethods__", frozenset())
    real = spaces.create
    monkeypatch.setattr(spaces, "create", lambda name: Other() if name == "other" else real(name))  # type: ignore[abstract]
    with pytest.raises(UsageError, match=r"holds architectures of nas-bench-201, not of other"):
        comparison.asked(accuracies, None, None, None, space="other", count=None, overwrite=False)


def test_on_the_real_table(shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The number of parameters, which the table holds as well, has a known rank correlation with the accuracy."""
    file = scores(
        tmp_path / "scores.csv",
        {index: float(SPACE.parameters(SPACE.architecture(index))) for index in range(0, 15_625, 5)},
    )
    benchmark = shared_data / "nas-bench-201" / "accuracies.csv"
    assert run(["rank", "--scores", str(file), "--benchmark", str(benchmark), "--bootstrap=9", "--json"]) == 0
    found = {
        (one["dataset"], one["compared_with"]): one["spearman"]
        for one in json.loads(capsys.readouterr().out)["agreement"]
        if one["proxy"] == "mgm"
    }
    assert found["cifar10", "test accuracy, 200 epochs"] == pytest.approx(0.75, abs=0.03)
