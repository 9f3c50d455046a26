"""The whole search on real networks, as small as they come."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from command import Command, recorded_scores

import knas
from knas.errors import KnasError, RunError, UsageError
from knas.runs import Record, SearchResult, load_best
from knas.search import search
from knas.search.events import Event, RunOpened, RunRecalled, Scored, Trained

SMALL: dict[str, Any] = {
    "dataset": "digits",
    "samples": 5,
    "top_k": 2,
    "epochs": 2,
    "channels": 4,
    "cells_per_stage": 1,
    "score_samples": 8,
    "max_train_samples": 200,
    "seed": 1,
}
OPTIONS = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()] + ["--threads=1"]


class Stopped(BaseException):
    """Stands for an interruption."""


def numbers(result: SearchResult) -> SearchResult:
    """A result without what differs from run to run."""
    return dataclasses.replace(result, seconds={}, run="")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small are slower with more threads, and rounding depends on their number."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> SearchResult:
    return search(**SMALL, run=tmp_path_factory.mktemp("whole") / "run", control=True)


def test_result_mirrors_the_file(finished: SearchResult) -> None:
    folder = Path(finished.run)
    content = json.loads((folder / "result.json").read_text())
    assert content == json.loads(json.dumps(finished.to_dict()))
    assert content["scored"] + content["failed"] == 5
    assert len(content["top_k"]) == 2
    assert content["best"]["architecture"] in [one["architecture"] for one in content["top_k"]]
    assert content["best"]["validation_accuracy"] == max(
        one["validation_accuracy"] for one in content["top_k"]
    )
    assert 0 <= content["best"]["test_accuracy"] <= 100
    assert set(content["versions"]) >= {"knas", "torch", "python"}
    assert {entry.name for entry in folder.iterdir()} == {
        "config.yaml",
        "search.sqlite",
        "result.json",
        "best",
        "lock",
    }


def test_reloaded_winner_has_the_same_test_accuracy(finished: SearchResult) -> None:
    from knas.data import load
    from knas.training import evaluate

    dataset = load("digits", max_train_samples=200, seed=1)
    model = load_best(finished.run)
    description = json.loads((Path(finished.run) / "best" / "architecture.json").read_text())
    accuracy = evaluate(
        model,
        dataset.test_images,
        dataset.test_labels,
        mean=torch.tensor(description["mean"]),
        std=torch.tensor(description["std"]),
        precision=description["precision"],
    )
    assert accuracy == finished.best.test_accuracy
    assert not model.training


def test_finished_run_is_recalled_without_computing(finished: SearchResult) -> None:
    seen: list[Event] = []
    started = time.perf_counter()
    again = search(**SMALL, run=finished.run, control=True, progress=seen.append)
    assert again == finished
    assert seen == [RunRecalled(finished.run)]
    assert search(**SMALL, run=finished.run) == finished, "asking for less is answered too"
    assert time.perf_counter() - started < 10


def test_interrupted_anywhere_it_ends_the_same(finished: SearchResult, tmp_path: Path) -> None:
    def stop_at(kind: type, number: int) -> Callable[[Event], None]:
        left = [number]

        def watch(event: Event) -> None:
            if isinstance(event, kind) and not getattr(event, "replayed", False):
                left[0] -= 1
                if left[0] == 0:
                    raise Stopped

        return watch

    run = tmp_path / "run"
    from knas.search.events import EpochEnded

    for kind, number in ((Scored, 2), (Scored, 3), (EpochEnded, 1), (Trained, 1)):
        with pytest.raises(Stopped):
            search(**SMALL, run=run, progress=stop_at(kind, number))
    seen: list[Event] = []
    result = search(**SMALL, run=run, progress=seen.append)
    assert numbers(result) == dataclasses.replace(numbers(finished), control=None)
    opened = seen[0]
    assert isinstance(opened, RunOpened)
    assert (opened.scores, opened.trials) == (5, 1)


def test_control_is_added_to_a_finished_run(finished: SearchResult, tmp_path: Path) -> None:
    plain = search(**SMALL, run=tmp_path / "run")
    assert plain.control is None
    weights = (tmp_path / "run" / "best" / "weights.safetensors").read_bytes()
    seen: list[Event] = []
    controlled = search(**SMALL, run=tmp_path / "run", control=True, progress=seen.append)
    assert numbers(controlled) == numbers(finished)
    measured = [event for event in seen if isinstance(event, (Scored, Trained)) and not event.replayed]
    assert all(isinstance(event, Trained) and event.row.role == "control" for event in measured)
    assert (tmp_path / "run" / "best" / "weights.safetensors").read_bytes() == weights


def test_other_settings_are_refused(finished: SearchResult) -> None:
    before = (Path(finished.run) / "search.sqlite").read_bytes()
    with pytest.raises(UsageError, match="seed was 1 and is now 2, score_samples was 8 and is now 9"):
        search(**{**SMALL, "seed": 2, "score_samples": 9}, run=finished.run)
    assert (Path(finished.run) / "search.sqlite").read_bytes() == before


def test_a_removed_weights_file_is_made_again(tmp_path: Path) -> None:
    def remove(event: Event) -> None:
        if isinstance(event, Trained):
            for path in (tmp_path / "run" / "trials").glob("*.safetensors"):
                path.unlink()

    search(**SMALL, run=tmp_path / "run", progress=remove)
    assert load_best(tmp_path / "run")


def test_all_failures_are_one_error_and_stay_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from knas import scoring

    def fail(*arguments: Any, **options: Any) -> Any:
        raise KnasError("no gradient reaches the input")

    monkeypatch.setattr(scoring, "score", fail)
    with pytest.raises(KnasError, match="none of 5 networks could be scored; 5 of them: no gradient"):
        search(**SMALL, run=tmp_path / "run")
    record = Record(tmp_path / "run" / "search.sqlite", create=False)
    assert [row.reason for row in record.scores()] == ["no gradient reaches the input"] * 5
    record.close()


def test_top_level_function_and_folder_of_nothing(tmp_path: Path) -> None:
    assert knas.search is search
    with pytest.raises(UsageError, match=r"architecture\.json"):
        load_best(tmp_path)
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / "architecture.json").write_text("{}")
    with pytest.raises(RunError, match="can't be rebuilt"):
        load_best(tmp_path)


def test_killed_while_scoring_and_while_training_it_ends_the_same(
    finished: SearchResult, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    Command(*OPTIONS, f"--run={run}").kill_when(lambda: recorded_scores(run) >= 2)
    assert recorded_scores(run) >= 2
    Command(*OPTIONS, f"--run={run}").kill_when(lambda: any((run / "trials").glob("*.checkpoint")))
    assert recorded_scores(run) == 5
    output = Command(*OPTIONS, f"--run={run}", "--json").finish()
    result = SearchResult.from_dict(json.loads(output))
    assert numbers(result) == dataclasses.replace(numbers(finished), control=None)


def test_an_algorithm_that_scores_nothing_trains_and_keeps_the_winner(tmp_path: Path) -> None:
    settings = {name: value for name, value in SMALL.items() if name not in ("samples", "top_k")}
    options = {"trials": 3, "population": 2, "sample": 1}
    run = tmp_path / "run"
    result = search(
        **{**settings, "epochs": 1}, algorithm="regularized-evolution", algorithm_options=options, run=run
    )
    assert (result.scored, result.failed) == (0, 0)
    assert 1 <= len(result.top_k) <= 3
    assert result.seconds["train"] > 0
    assert load_best(run)
    assert (
        json.loads((run / "best" / "architecture.json").read_text())["architecture"]
        == result.best.architecture
    )
    assert result.benchmark is None


def test_one_epoch_more_may_win(tmp_path: Path) -> None:
    settings = {name: value for name, value in SMALL.items() if name not in ("samples", "top_k")}
    result = search(
        **{**settings, "epochs": 2}, algorithm="bohb", algorithm_options={"trials": 5}, run=tmp_path / "run"
    )
    assert load_best(tmp_path / "run")
    record = Record(tmp_path / "run" / "search.sqlite", create=False)
    epochs = {row.epochs for row in record.trials()}
    winners = [
        row.epochs for row in record.trials() if row.validation_accuracy == result.best.validation_accuracy
    ]
    record.close()
    assert max(epochs) in winners
