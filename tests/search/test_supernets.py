"""Weight-sharing searches on real networks as small as they come, and on a table."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from benchmarks import table
from command import Command

from knas.errors import DivergedError, KnasError, RunError, UsageError
from knas.runs import Record, SearchResult, SupernetRow, load_best
from knas.search import search
from knas.search.events import Event, PhaseStarted, SupernetTrained
from knas.search.runner import run_search
from knas.search.settings import SearchSettings
from knas.search.supernets import Supernets

SMALL: dict[str, Any] = {
    "dataset": "digits",
    "channels": 2,
    "cells_per_stage": 1,
    "max_train_samples": 100,
}
REAL: dict[str, Any] = {**SMALL, "epochs": 1}
OPTIONS = [f"--{name.replace('_', '-')}={value}" for name, value in REAL.items()] + ["--threads=1"]


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return table.write(tmp_path_factory.mktemp("table") / "table.parquet")


def supernets(run: Path) -> list[SupernetRow]:
    try:
        with closing(Record(run / "search.sqlite", create=False)) as record:
            return record.supernets()
    except RunError:  # not there yet
        return []


@pytest.mark.parametrize(
    ("algorithm", "options"),
    [("rsps", {"cells": 4}), ("darts", {}), ("darts", {"order": 2}), ("gdas", {})],
)
def test_finds_a_cell_and_trains_it(algorithm: str, options: dict[str, Any], tmp_path: Path) -> None:
    options = {"supernet_epochs": 2, **options}
    result = search(algorithm=algorithm, algorithm_options=options, **REAL, run=tmp_path / "run")
    (row,) = supernets(tmp_path / "run")
    assert row.found == (result.best.architecture,)
    assert result.seconds["supernet"] == row.seconds > 0
    assert result.seconds["train"] > 0
    assert len(row.history) == 2
    load_best(tmp_path / "run")


def test_candidates_of_several_epochs_and_seeds_are_all_trained(tmp_path: Path) -> None:
    options = {"supernet_epochs": 2, "seeds": 2, "candidates": 2, "cells": 2}
    result = search(algorithm="rsps", algorithm_options=options, **REAL, run=tmp_path / "run")
    told = [text for row in supernets(tmp_path / "run") for text in row.found]
    assert len(told) == 4
    assert {one.architecture for one in result.top_k} <= set(told)
    accuracies = [one.validation_accuracy for one in result.top_k]
    assert result.best.validation_accuracy == max(accuracies)  # type: ignore[type-var]


def test_on_a_table_the_training_is_real_and_the_cell_is_looked_up(made_up: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = search(
        algorithm="gdas", algorithm_options={"supernet_epochs": 2}, **SMALL, benchmark=made_up, run=run
    )
    assert result.benchmark is not None
    assert result.benchmark["seconds"]["supernet"] == "measured"
    assert result.benchmark["seconds"]["train"].startswith("simulated")
    assert result.benchmark["supernet_on"] == "digits"
    assert result.seconds["train"] == table.SECONDS
    (row,) = supernets(run)
    assert result.seconds["supernet"] == row.seconds < table.SECONDS
    assert "200" in result.benchmark["found"]["cifar10"]
    assert search(
        algorithm="gdas", algorithm_options={"supernet_epochs": 2}, **SMALL, benchmark=made_up, run=run
    ) == SearchResult.from_dict(json.loads((run / "result.json").read_text()), run=str(run))


def test_divergence_takes_its_time_on_a_table_too(
    made_up: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverge(*_: object) -> None:
        raise DivergedError("the loss is nan", 5.0)

    monkeypatch.setattr(Supernets, "train_supernet", diverge)
    run = tmp_path / "run"
    with pytest.raises(KnasError, match="none of 1 super-networks could be trained: the loss is nan"):
        search(algorithm="gdas", **SMALL, benchmark=made_up, run=run)
    (row,) = supernets(run)
    assert row.seconds == 5


def test_resnet_on_the_table(made_up: Path, tmp_path: Path) -> None:
    result = search(algorithm="resnet", benchmark=made_up, run=tmp_path / "run")
    assert "supernet" not in result.seconds
    assert result.best.validation_accuracy == pytest.approx(10 + 80 * 11_472 / (table.SIZE - 1))


def test_killed_while_sharing_it_ends_the_same(tmp_path: Path) -> None:
    options = ["--algorithm=darts", "--algorithm-option=supernet_epochs=12"]
    text = Command(*OPTIONS, *options, f"--run={tmp_path / 'whole'}", "--json").finish()
    whole = SearchResult.from_dict(json.loads(text))
    run = tmp_path / "run"
    saved = lambda: any((run / "trials").glob("supernet-*.checkpoint"))  # noqa: E731
    Command(*OPTIONS, *options, f"--run={run}").kill_when(saved)
    assert not supernets(run)
    output = Command(*OPTIONS, *options, f"--run={run}", "--json").finish()
    result = SearchResult.from_dict(json.loads(output))
    assert result.best == whole.best
    plain = [
        [{**epoch, "seconds": 0} for epoch in supernets(one)[0].history] for one in (run, tmp_path / "whole")
    ]
    assert plain[0] == plain[1]
    assert supernets(run)[0].found == supernets(tmp_path / "whole")[0].found


def test_a_finished_super_network_is_not_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, told = tmp_path / "run", list[Event]()
    settings = SearchSettings(algorithm="gdas", algorithm_options={"supernet_epochs": 1}, **REAL).resolved()

    def stop(event: Event) -> None:
        if isinstance(event, PhaseStarted) and event.name == "top-k":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_search(settings, run, watcher=stop)
    assert not list((run / "trials").iterdir()), "its checkpoint is gone"

    def again(*_: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(Supernets, "train_supernet", again)
    run_search(settings, run, watcher=told.append)
    assert [event.replayed for event in told if isinstance(event, SupernetTrained)] == [True]


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({"algorithm_options": {"supernet_epochs": 0}}, "supernet_epochs must be an integer of at least 1"),
        ({"algorithm_options": {"order": 3}}, "order must be an integer from 1 to 2, got 3"),
        ({"max_train_samples": 10}, "10 are too few; raise --max-train-samples"),
        ({"dataset": "no/such-data"}, "no/such-data"),
    ],
)
@pytest.mark.parametrize("on_table", [False, True])
def test_refused_before_anything_is_written(
    settings: dict[str, Any], wrong: str, on_table: bool, made_up: Path, tmp_path: Path
) -> None:
    benchmark = {"benchmark": made_up} if on_table else {}
    with pytest.raises(KnasError, match=wrong) as caught:
        search(algorithm="darts", **{**SMALL, **settings}, **benchmark, run=tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_another_budget_is_another_run(tmp_path: Path) -> None:
    arguments = {**REAL, "algorithm": "gdas", "run": tmp_path / "run"}
    search(**arguments, algorithm_options={"supernet_epochs": 1})
    with pytest.raises(UsageError, match=r"algorithm_options was .*'supernet_epochs': 1.* and is now"):
        search(**arguments, algorithm_options={"supernet_epochs": 2})
