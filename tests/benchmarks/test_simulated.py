"""Searches on a benchmark: nothing is trained, and the time is simulated."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest
from benchmarks import official_file, table

from knas import benchmarks, spaces
from knas.benchmarks import official
from knas.benchmarks.simulated import Simulated
from knas.cli import run
from knas.errors import KnasError, UsageError
from knas.runs import Record, SearchResult, load_best, read_result
from knas.search import search
from knas.search.events import Event, RunOpened, RunRecalled, Trained
from knas.search.probe import Probe
from knas.spaces import Architecture, Supernet

SPACE = spaces.create("nas-bench-201")
PAPER = 4600 / 2160


class Stopped(BaseException):
    """Stands for an interruption."""


class Scorer:
    """Scores by the index, in a quarter of a second each; one architecture has none."""

    def __init__(self) -> None:
        self.now = 100.0

    def clock(self) -> float:
        return self.now

    def score(self, architecture: Architecture) -> float:
        self.now += 0.25
        if SPACE.index(architecture) == 4:
            raise KnasError("no gradient")
        return float(SPACE.index(architecture))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return table.write(tmp_path_factory.mktemp("table") / "table.parquet")


@pytest.fixture(scope="module")
def whole(path: Path) -> benchmarks.Benchmark:
    return benchmarks.load(path)


def numbers(result: SearchResult) -> SearchResult:
    return dataclasses.replace(result, run="", versions={})


def test_trainings_take_simulated_seconds(whole: benchmarks.Benchmark) -> None:
    simulated = Simulated(whole, "cifar10")
    cell = SPACE.architecture(15_624)
    measured = simulated.train(cell, 12, lambda values: None)
    assert (measured.validation_accuracy, measured.test_accuracy, measured.train_loss) == (90, 45, None)
    assert measured.seconds == simulated.clock() == simulated.cost(cell, 12) == table.SECONDS
    assert simulated.epochs() == (12,)
    simulated.train(cell, 12, lambda values: None)
    assert simulated.clock() == 2 * table.SECONDS


def test_seconds_that_the_table_lacks_are_scaled_and_said(whole: benchmarks.Benchmark) -> None:
    simulated = Simulated(whole, "cifar100")
    assert simulated.cost(SPACE.architecture(1), 12) == pytest.approx(PAPER * table.SECONDS)
    assert "12 epochs on cifar10, times 2.13; 4600 / 2160" in simulated.seconds_are(12)
    assert Simulated(whole, "cifar10").seconds_are(12) == "those of the table for 12 epochs on cifar10"


def test_the_official_file_needs_no_scaling(tmp_path: Path) -> None:
    read = official.read(official_file.save(tmp_path / "a.pth", official_file.content((5,))))
    simulated = Simulated(read, "imagenet16-120")
    assert simulated.epochs() == (12, 200)
    cell = SPACE.architecture(5)
    for epochs in (12, 200):
        seconds = epochs * official_file.TRAIN_SECONDS + official_file.VALIDATION_SECONDS
        assert simulated.train(cell, epochs, lambda values: None, 777).seconds == seconds
    with pytest.raises(UsageError, match="lacks architecture 6"):
        simulated.train(SPACE.architecture(6), 12, lambda values: None)


def test_scores_take_what_they_take_or_what_is_stated(whole: benchmarks.Benchmark) -> None:
    cell = SPACE.architecture(7)
    stated = Simulated(whole, "cifar10", Scorer(), score_seconds=2.5)
    assert stated.score(cell) == 7.0
    assert stated.clock() == 2.5
    with pytest.raises(KnasError, match="no gradient"):
        stated.score(SPACE.architecture(4))
    assert stated.clock() == 5.0, "a failure costs as much"
    measured = Simulated(whole, "cifar10", Scorer())
    measured.score(cell)
    assert measured.clock() == 0.25


class ProbingScorer(Scorer):
    """Scores super-networks too."""

    def probe(self, supernet: Supernet, probe: Probe) -> float:
        return 100.0 * probe.seed + len(supernet.options)


def test_super_networks_are_scored_where_there_are_networks(whole: benchmarks.Benchmark) -> None:
    supernet = Supernet((("none",),) * 6)
    stated = Simulated(whole, "cifar10", ProbingScorer(), score_seconds=2.5)
    assert stated.probe(supernet, Probe(3)) == 306.0
    assert stated.clock() == 2.5
    with pytest.raises(UsageError, match="scores no super-networks"):
        Simulated(whole, "cifar10", Scorer()).probe(supernet, Probe(3))


@pytest.mark.parametrize("algorithm", ["random", "regularized-evolution", "reinforce", "bohb"])
def test_a_search_resumes_with_the_same_end(algorithm: str, path: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "algorithm": algorithm,
        "algorithm_options": {"seconds": 2000.0},
        "benchmark": path,
        "seed": 3,
    }
    expected = search(**options, run=tmp_path / "whole")
    assert expected.benchmark is not None
    assert len(expected.top_k) <= 20
    assert sum(expected.seconds.values()) <= 2000.0
    assert expected.scored == expected.failed == 0
    assert all(one.score is None for one in expected.top_k)

    def stop(event: Event) -> None:
        if isinstance(event, Trained) and not event.replayed:
            raise Stopped

    for _ in range(3):
        with pytest.raises(Stopped):
            search(**options, run=tmp_path / "run", progress=stop)
    seen: list[Event] = []
    assert numbers(search(**options, run=tmp_path / "run", progress=seen.append)) == numbers(expected)
    opened = seen[0]
    assert isinstance(opened, RunOpened)
    assert (opened.trials, opened.machine) == (3, "a simulated clock")
    assert search(**options, run=tmp_path / "run", progress=seen.append) == read_result(
        tmp_path / "run" / "result.json"
    )
    assert isinstance(seen[-1], RunRecalled)


def test_what_the_result_tells(path: Path, tmp_path: Path) -> None:
    result = search(
        algorithm="random",
        algorithm_options={"trials": 5},
        benchmark=path,
        benchmark_dataset="imagenet16-120",
        run=tmp_path / "run",
    )
    index = SPACE.index(SPACE.parse(result.best.architecture))
    accuracy = 10 + 80 * index / (table.SIZE - 1)
    assert result.best.validation_accuracy == pytest.approx(accuracy)
    assert result.dataset == "imagenet16-120"
    content = json.loads((tmp_path / "run" / "result.json").read_text())["benchmark"]
    assert content["sha256"] == benchmarks.load(path).fingerprint
    assert content["dataset"] == "imagenet16-120"
    assert "6.3" in content["seconds"]["train"]
    assert content["found"]["cifar100"]["200"] == {
        "validation_accuracy": None,
        "test_accuracy": pytest.approx(accuracy / 2),
    }
    assert not (tmp_path / "run" / "best").exists()
    with pytest.raises(UsageError, match=r"architecture\.json"):
        load_best(tmp_path / "run")
    record = Record(tmp_path / "run" / "search.sqlite", create=False)
    assert all(math.isclose(row.seconds, 100 * 10_000 / 2160) for row in record.trials())
    record.close()


def test_scores_come_from_real_networks(path: Path, tmp_path: Path) -> None:
    seen: list[Event] = []
    options: dict[str, Any] = {
        "benchmark": path,
        "samples": 4,
        "top_k": 2,
        "channels": 4,
        "cells_per_stage": 1,
        "score_samples": 8,
        "max_train_samples": 200,
    }
    result = search(**options, run=tmp_path / "a", progress=seen.append, control=True)
    assert result.benchmark is not None
    assert result.benchmark["scored_on"] == "digits"
    assert result.benchmark["seconds"]["score"] == "measured"
    assert result.scored + result.failed == 4
    assert result.seconds["train"] == 2 * table.SECONDS
    assert 0 < result.seconds["score"] < 60
    assert result.control is not None
    stated = search(**options, score_seconds=3.0, run=tmp_path / "b")
    assert stated.seconds["score"] == 4 * 3.0
    assert stated.best == result.best
    assert stated.benchmark is not None
    assert stated.benchmark["seconds"]["score"] == "stated, 3 each"


def test_the_command_line(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--benchmark", str(path), "--algorithm", "random", "--algorithm-option", "seconds=450"]
    assert run([*arguments, "--run", str(tmp_path / "run")]) == 0
    captured = capsys.readouterr()
    assert "nas-bench-201 on cifar10: random, seconds 450, 12 epochs per trial, seed 0\n" in captured.err
    assert "looked up in" in captured.err
    assert "cifar10 after 12 epochs: validation" in captured.out
    assert "cifar10 after 200 epochs: validation unknown, test" in captured.out
    assert "imagenet16-120 after 200 epochs: test" in captured.out
    assert "training 6 min 40 s (4 networks)" in captured.out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("--algorithm random --algorithm-option seconds=99", "smaller than one evaluation"),
        ("--algorithm bohb --algorithm-option seconds=99", "smaller than one evaluation"),
        ("--algorithm random --algorithm-option seconds=-1", "seconds must be a number above 0"),
        ("--algorithm random --benchmark-dataset cifar11", "did you mean 'cifar10'?"),
        ("--algorithm random --epochs 20", "after 12 epochs, not 20"),
        ("--algorithm random --samples 3", "'random' has no samples (--samples)"),
        ("--algorithm random --score-seconds 0", "--score-seconds) must be a number above 0"),
        ("--algorithm random --benchmark none.csv", "there is no benchmark none.csv"),
    ],
)
def test_bad_arguments_leave_nothing(
    arguments: str,
    text: str,
    path: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["--benchmark", str(path), *arguments.split()]) == 2
    captured = capsys.readouterr()
    assert text in captured.err
    assert captured.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_options_of_a_benchmark_need_one(capsys: pytest.CaptureFixture[str]) -> None:
    for option in ("--benchmark-dataset=cifar10", "--score-seconds=1"):
        assert run([option]) == 2
        assert "give --benchmark FILE too" in capsys.readouterr().err


def test_another_table_is_refused(path: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "algorithm": "random",
        "algorithm_options": {"trials": 3},
        "run": tmp_path / "run",
    }

    def stop(event: Event) -> None:
        if isinstance(event, Trained):
            raise Stopped

    copy = tmp_path / "copy.parquet"
    copy.write_bytes(path.read_bytes())
    with pytest.raises(Stopped):
        search(**options, benchmark=copy, progress=stop)
    changed = {key: one for key, one in benchmarks.load(path).trainings().items() if key != ("cifar100", 200)}
    benchmarks.parquet.write(copy, benchmarks.Benchmark(changed, source="made up", fingerprint=""))
    with pytest.raises(UsageError, match="benchmark_sha256 was"):
        search(**options, benchmark=copy)
