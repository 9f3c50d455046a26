from __future__ import annotations

import pytest
from search.conformance import SearchAlgorithmConformance
from search.imaginary import DEAD, ImaginaryBackend, ImaginarySpace

from knas.errors import UsageError
from knas.runs import Record
from knas.search.base import Outcome
from knas.search.evaluator import Evaluator
from knas.search.knas import Knas


def search(algorithm: Knas, backend: ImaginaryBackend | None = None, seed: int = 0) -> Outcome:
    evaluator = Evaluator(
        ImaginarySpace(), backend or ImaginaryBackend(), Record(":memory:"), seed=seed, epochs=2
    )
    return algorithm.search(evaluator)


class TestKnas(SearchAlgorithmConformance):
    max_scores = 20
    max_trials = 4

    def algorithm(self) -> Knas:
        return Knas(samples=20, top_k=4)


class TestKnasWithControl(SearchAlgorithmConformance):
    max_scores = 20
    max_trials = 8

    def algorithm(self) -> Knas:
        return Knas(samples=20, top_k=4, control=True)


def test_trains_those_with_the_highest_scores() -> None:
    record = Record(":memory:")
    evaluator = Evaluator(ImaginarySpace(), ImaginaryBackend(), record, seed=3, epochs=2)
    outcome = Knas(samples=15, top_k=5).search(evaluator)
    values = sorted((row.value for row in record.scores() if row.value is not None), reverse=True)
    assert [one.score and one.score.value for one in outcome.selected] == values[:5]
    assert [one.trial.role for one in outcome.selected] == ["top-k"] * 5


def test_more_samples_than_classes_takes_all_classes() -> None:
    outcome = search(Knas(samples=1000, top_k=3))
    assert outcome.scored + outcome.failed == 35


def test_fewer_scores_than_top_k_trains_what_there_is() -> None:
    outcome = search(Knas(samples=1000, top_k=900))
    assert len(outcome.selected) == outcome.scored


def test_control_draws_from_all_and_does_not_train_twice() -> None:
    backend = ImaginaryBackend()
    outcome = search(Knas(samples=1000, top_k=20, control=True), backend)
    assert outcome.control is not None
    assert len(outcome.control) == 20
    control = {row.architecture for row in outcome.control}
    assert any(row.count(DEAD) >= 2 for row in control), "those without a score are drawn too"
    shared = control & {str(one.architecture) for one in outcome.selected}
    assert shared
    assert len(backend.trained) == 40 - len(shared)


def test_control_does_not_change_the_search() -> None:
    plain, controlled = search(Knas(samples=20, top_k=4)), search(Knas(samples=20, top_k=4, control=True))
    assert plain.selected == controlled.selected
    assert plain.best == controlled.best


@pytest.mark.parametrize(
    ("samples", "top_k", "text"), [(0, 1, "samples"), (5, 6, "between 1 and samples"), (5, 0, "top_k")]
)
def test_budget_out_of_range(samples: int, top_k: int, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        Knas(samples=samples, top_k=top_k)
