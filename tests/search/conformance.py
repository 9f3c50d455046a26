"""What every search algorithm must do, whatever it searches and however often it is interrupted.

A test class inherits `SearchAlgorithmConformance` and says which `algorithm` it is about.
"""

from __future__ import annotations

import pytest
from search.imaginary import DEAD, ImaginaryBackend, ImaginarySpace, Interrupted

from knas.errors import KnasError
from knas.runs import Record
from knas.search.base import Outcome, SearchAlgorithm
from knas.search.evaluator import Evaluator


class SearchAlgorithmConformance:
    """Inherit, and override `algorithm`; `max_scores` and `max_trials` are its budget."""

    max_scores: int
    max_trials: int

    def algorithm(self) -> SearchAlgorithm:
        raise NotImplementedError

    def run(self, backend: ImaginaryBackend, record: Record, seed: int = 0) -> Outcome:
        return self.algorithm().search(Evaluator(ImaginarySpace(), backend, record, seed=seed, epochs=3))

    def outcome(self, seed: int = 0) -> Outcome:
        return self.run(ImaginaryBackend(), Record(":memory:"), seed)

    def test_same_seed_same_outcome(self) -> None:
        assert self.outcome() == self.outcome()

    def test_another_seed_looks_elsewhere(self) -> None:
        looked = set()
        for seed in range(4):
            record = Record(":memory:")
            self.run(ImaginaryBackend(), record, seed)
            looked.add(tuple(row.architecture for row in record.scores()))
        assert len(looked) > 1

    def test_global_random_state_is_neither_read_nor_changed(self) -> None:
        import numpy as np

        np.random.seed(0)  # noqa: NPY002
        before = np.random.get_state()[1].tolist()  # noqa: NPY002
        first = self.outcome()
        assert np.random.get_state()[1].tolist() == before  # noqa: NPY002
        np.random.seed(1)  # noqa: NPY002
        assert self.outcome() == first

    def test_respects_its_budget(self) -> None:
        backend = ImaginaryBackend()
        self.run(backend, Record(":memory:"))
        assert len(backend.scored) <= self.max_scores
        assert len(backend.trained) <= self.max_trials

    def test_measures_no_class_twice(self) -> None:
        backend = ImaginaryBackend()
        self.run(backend, Record(":memory:"))
        for asked in (backend.scored, backend.trained):
            classes = [ImaginarySpace().canonical(architecture) for architecture in asked]
            assert len(classes) == len(set(classes))

    def test_failures_are_recorded_and_never_ranked(self) -> None:
        record = Record(":memory:")
        outcome = self.run(ImaginaryBackend(), record)
        failures = [row for row in record.scores() if row.value is None]
        assert failures, "the imaginary space has failures in every draw of this size"
        assert all(DEAD in row.architecture and row.reason for row in failures)
        assert outcome.failed == len(failures)
        assert outcome.scored + outcome.failed == len(record.scores())
        assert all(one.score.value is not None for one in outcome.selected)

    def test_best_has_the_highest_validation_accuracy(self) -> None:
        outcome = self.outcome()
        assert outcome.best in outcome.selected
        accuracies = [one.trial.validation_accuracy or 0.0 for one in outcome.selected]
        assert outcome.best.trial.validation_accuracy == max(accuracies)

    def test_diverging_training_does_not_win(self) -> None:
        winner = self.outcome().best.architecture
        outcome = self.run(ImaginaryBackend(diverging={winner}), Record(":memory:"))
        assert outcome.best.architecture != winner
        reasons = {one.trial.reason for one in outcome.selected if one.architecture == winner}
        assert reasons == {"the loss is nan"}

    def test_all_failures_are_one_clear_error(self) -> None:
        with pytest.raises(KnasError, match=r"could be scored.*no gradient"):
            self.run(ImaginaryBackend(all_fail=True), Record(":memory:"))

    def test_resumes_after_an_interruption_at_any_step(self) -> None:
        whole = ImaginaryBackend()
        record = Record(":memory:")
        expected = self.run(whole, record)
        steps = whole.calls
        for step in range(steps):
            self.check_interrupted(step, steps, expected, record)

    def check_interrupted(self, step: int, steps: int, expected: Outcome, complete: Record) -> None:
        record = Record(":memory:")
        interrupted = ImaginaryBackend(stop_at=step)
        with pytest.raises(Interrupted):
            self.run(interrupted, record)
        resumed = ImaginaryBackend()
        assert self.run(resumed, record) == expected
        assert interrupted.calls + resumed.calls == steps + 1, "only the network in hand is measured again"
        assert record.scores() == complete.scores()
        assert record.trials() == complete.trials()

    def test_a_finished_search_measures_nothing(self) -> None:
        record = Record(":memory:")
        expected = self.run(ImaginaryBackend(), record)
        again = ImaginaryBackend()
        assert self.run(again, record) == expected
        assert again.calls == 0
