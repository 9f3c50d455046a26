from __future__ import annotations

import pytest
from search.conformance import SearchAlgorithmConformance
from search.imaginary import ImaginaryBackend, ImaginarySpace

from knas.errors import KnasError, UsageError
from knas.runs import Record
from knas.search.evaluator import Evaluator
from knas.search.naswot import Naswot


class TestNaswot(SearchAlgorithmConformance):
    max_scores = 20
    max_trials = 1

    def algorithm(self) -> Naswot:
        return Naswot(samples=20)

    def test_diverging_training_is_one_clear_error(self) -> None:
        backend = self.backend(diverging={self.outcome().best.architecture})
        with pytest.raises(KnasError, match="none of 1 networks could be trained: the loss is nan"):
            self.run(backend, Record(":memory:"))


def test_takes_the_highest_score() -> None:
    record = Record(":memory:")
    outcome = Naswot(samples=20).search(Evaluator(ImaginarySpace(), ImaginaryBackend(), record, seed=2))
    best = max((row for row in record.scores() if row.value is not None), key=lambda row: row.value)
    assert str(outcome.found) == best.architecture
    assert outcome.best.score == best


def test_draws_at_least_one() -> None:
    with pytest.raises(UsageError, match="samples must be at least 1"):
        Naswot(samples=0)
