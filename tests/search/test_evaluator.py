from __future__ import annotations

import pytest
from search.imaginary import ImaginaryBackend, ImaginarySpace, Word

from knas.errors import KnasError
from knas.runs import Record
from knas.search.evaluator import Evaluator
from knas.search.events import EpochEnded, Event, PhaseStarted, Scored, Trained, TrialStarted


def evaluator(backend: ImaginaryBackend, record: Record, events: list[Event] | None = None) -> Evaluator:
    watcher = [].append if events is None else events.append
    return Evaluator(ImaginarySpace(), backend, record, epochs=2, watcher=watcher)


def test_isomorphic_architectures_share_score_and_trial() -> None:
    backend, record = ImaginaryBackend(), Record(":memory:")
    asked = evaluator(backend, record)
    assert asked.score(Word("abca")) == asked.score(Word("aabc"))
    assert asked.train(Word("abca"), role="top-k") == asked.train(Word("cbaa"), role="control")
    assert backend.calls == 2


def test_another_number_of_epochs_is_another_trial() -> None:
    backend, record = ImaginaryBackend(), Record(":memory:")
    asked = evaluator(backend, record)
    assert asked.train(Word("abca"), role="top-k").epochs == 2
    assert asked.train(Word("abca"), role="top-k", epochs=5).epochs == 5
    assert len(record.trials()) == 2


def test_another_seed_is_another_trial() -> None:
    backend, record = ImaginaryBackend(), Record(":memory:")
    asked = evaluator(backend, record)
    rows = [asked.train(Word("abca"), role="search", seed=seed) for seed in (None, 0, 7, 7)]
    assert [row.seed for row in rows] == [None, 0, 7, 7]
    assert backend.trained == [(Word("abca"), 2, seed) for seed in (None, 0, 7)]


def test_seconds_count_every_answer_and_replayed_ones_too() -> None:
    record = Record(":memory:")
    for _ in range(2):
        asked = evaluator(ImaginaryBackend(), record)
        asked.score(Word("abca"))
        assert asked.seconds() == 1.0
        asked.train(Word("abca"), role="search")
        asked.train(Word("caba"), role="search")
        assert asked.seconds() == 5.0


def test_cost_is_known_from_a_benchmark_or_after_the_trial() -> None:
    record = Record(":memory:")
    for _ in range(2):  # resumed, it must not be known earlier
        asked = evaluator(ImaginaryBackend(), record)
        assert asked.cost(Word("abca")) is None
        asked.train(Word("abca"), role="search")
        assert asked.cost(Word("caba")) == 2.0
        assert asked.cost(Word("abca"), epochs=3) is None
    foreseen = evaluator(ImaginaryBackend(foreseen=True, budgets=[2, 5]), Record(":memory:"))
    assert foreseen.cost(Word("abca"), epochs=5) == 5.0
    assert foreseen.budgets() == (2, 5)


def test_events_in_their_order() -> None:
    events: list[Event] = []
    asked = evaluator(ImaginaryBackend(), Record(":memory:"), events)
    asked.begin("score", 1)
    asked.score(Word("abca"))
    asked.train(Word("abca"), role="top-k")
    asked.train(Word("abca"), role="top-k")
    kinds = [PhaseStarted, Scored, TrialStarted, EpochEnded, EpochEnded, Trained, Trained]
    assert [type(event) for event in events] == kinds
    assert [event.replayed for event in events if isinstance(event, Trained)] == [False, True]


def test_the_backend_is_told_after_the_record() -> None:
    backend, record = ImaginaryBackend(), Record(":memory:")
    row = evaluator(backend, record).train(Word("abca"), role="top-k")
    assert backend.told == [row] == record.trials()


def test_reasons_are_one_line_and_take_their_seconds() -> None:
    record = Record(":memory:")
    asked = evaluator(ImaginaryBackend(), record)
    assert asked.score(Word("xxxa")).reason == "no gradient reaches the input"
    assert asked.score(Word("xxab")).reason == "the score is nan"
    assert [row.seconds for row in record.scores()] == [1.0, 1.0]


def test_out_of_memory_stops_the_search_and_blames_no_network() -> None:
    record = Record(":memory:")
    asked = evaluator(ImaginaryBackend(memory=2), record)
    asked.score(Word("aaaa"))
    with pytest.raises(KnasError, match="memory"):
        asked.score(Word("bbbb"))
    assert len(record.scores()) == 1
