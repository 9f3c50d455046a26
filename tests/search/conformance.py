"""What every search algorithm must do, whatever it searches and however often it is interrupted.

A test class inherits `SearchAlgorithmConformance` and says which `algorithm` it is about.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from search.imaginary import DEAD, ImaginaryBackend, ImaginarySpace, Interrupted

from knas.errors import KnasError
from knas.runs import Record
from knas.search.base import Outcome, SearchAlgorithm
from knas.search.evaluator import Evaluator


class SearchAlgorithmConformance:
    """Inherit, and override `algorithm`; `max_scores` and `max_trials` are its budget.

    `max_seconds` is its budget of time, None where it has none; `epochs` those that trials have unless told otherwise,
    and `budgets` those that there are.
    """

    max_scores: int
    max_trials: int
    max_seconds: float | None = None
    epochs = 3
    budgets: Sequence[int] | None = None

    def algorithm(self) -> SearchAlgorithm:
        raise NotImplementedError

    def run(self, backend: ImaginaryBackend, record: Record, seed: int = 0) -> Outcome:
        evaluator = Evaluator(ImaginarySpace(), backend, record, seed=seed, epochs=self.epochs)
        return self.algorithm().search(evaluator)

    def backend(self, **options: Any) -> ImaginaryBackend:
        return ImaginaryBackend(budgets=self.budgets, **options)

    def outcome(self, seed: int = 0) -> Outcome:
        return self.run(self.backend(), Record(":memory:"), seed)

    def test_same_seed_same_outcome(self) -> None:
        assert self.outcome() == self.outcome()

    def test_another_seed_looks_elsewhere(self) -> None:
        looked = set()
        for seed in range(4):
            record = Record(":memory:")
            self.run(self.backend(), record, seed)
            looked.add(tuple(row.architecture for row in (*record.scores(), *record.trials())))
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
        backend = self.backend()
        self.run(backend, Record(":memory:"))
        assert len(backend.scored) <= self.max_scores
        assert len(backend.trained) <= self.max_trials

    @pytest.mark.parametrize("foreseen", [True, False])
    def test_respects_its_budget_of_time(self, foreseen: bool) -> None:
        if self.max_seconds is None:
            pytest.skip("the algorithm has none")
        record = Record(":memory:")
        self.run(self.backend(foreseen=foreseen), record)
        seconds = [row.seconds for row in (*record.scores(), *record.trials())]
        last = 0.0 if foreseen else seconds[-1]  # what a real training takes is known after it
        assert sum(seconds) - last <= self.max_seconds
        assert sum(seconds) > self.max_seconds / 3

    def test_measures_no_class_twice(self) -> None:
        backend = self.backend()
        self.run(backend, Record(":memory:"))
        canonical = ImaginarySpace().canonical
        scored = [canonical(architecture) for architecture in backend.scored]
        assert len(scored) == len(set(scored))
        trained = [one._replace(architecture=canonical(one.architecture)) for one in backend.trained]
        assert len(trained) == len(set(trained))

    def test_selects_no_class_twice(self) -> None:
        selected = [ImaginarySpace().canonical(one.architecture) for one in self.outcome().selected]
        assert len(selected) == len(set(selected))

    def test_trains_for_epochs_that_there_are(self) -> None:
        if self.budgets is None:
            pytest.skip("there are all")
        backend = self.backend()
        self.run(backend, Record(":memory:"))
        assert {one.epochs for one in backend.trained} <= set(self.budgets)

    def test_without_scores_there_are_only_trials(self) -> None:
        if self.algorithm().scores:
            pytest.skip("the algorithm scores")
        backend = self.backend()
        outcome = self.run(backend, Record(":memory:"))
        assert not backend.scored
        assert outcome.scored == outcome.failed == 0
        assert all(one.score is None for one in outcome.selected)

    def test_failures_are_recorded_and_never_ranked(self) -> None:
        if not self.algorithm().scores:
            pytest.skip("the algorithm scores nothing")
        record = Record(":memory:")
        outcome = self.run(self.backend(), record)
        failures = [row for row in record.scores() if row.value is None]
        assert failures, "the imaginary space has failures in every draw of this size"
        assert all(DEAD in row.architecture and row.reason for row in failures)
        assert outcome.failed == len(failures)
        assert outcome.scored + outcome.failed == len(record.scores())
        assert all(one.score is not None and one.score.value is not None for one in outcome.selected)

    def test_best_has_the_highest_validation_accuracy(self) -> None:
        outcome = self.outcome()
        assert outcome.best in outcome.selected
        accuracies = [one.trial.validation_accuracy or 0.0 for one in outcome.selected]
        assert outcome.best.trial.validation_accuracy == max(accuracies)

    def test_what_is_found_alone_is_selected_alone(self) -> None:
        outcome = self.outcome()
        if outcome.found is not None:
            assert [one.architecture for one in outcome.selected] == [outcome.found]

    def test_diverging_training_does_not_win(self) -> None:
        if self.outcome().found is not None:
            pytest.skip("the algorithm does not choose by accuracy")
        winner = self.outcome().best.architecture
        outcome = self.run(self.backend(diverging={winner}), Record(":memory:"))
        assert outcome.best.architecture != winner
        reasons = {one.trial.reason for one in outcome.selected if one.architecture == winner}
        assert reasons == {"the loss is nan"}

    def test_all_failures_are_one_clear_error(self) -> None:
        scores = self.algorithm().scores
        with pytest.raises(KnasError, match="scored.*no gradient" if scores else "trained.*the loss is nan"):
            self.run(self.backend(all_fail=True), Record(":memory:"))

    def test_resumes_after_an_interruption_at_any_step(self) -> None:
        for foreseen in (True, False):
            whole = self.backend(foreseen=foreseen)
            record = Record(":memory:")
            expected = self.run(whole, record)
            for step in range(whole.calls):
                self.check_interrupted(step, whole.calls, expected, record, foreseen)

    def check_interrupted(
        self, step: int, steps: int, expected: Outcome, complete: Record, foreseen: bool
    ) -> None:
        record = Record(":memory:")
        interrupted = self.backend(stop_at=step, foreseen=foreseen)
        with pytest.raises(Interrupted):
            self.run(interrupted, record)
        resumed = self.backend(foreseen=foreseen)
        assert self.run(resumed, record) == expected
        assert interrupted.calls + resumed.calls == steps + 1, "only the network in hand is measured again"
        assert record.scores() == complete.scores()
        assert record.trials() == complete.trials()
        assert record.probes() == complete.probes()
        assert record.supernets() == complete.supernets()

    def test_a_finished_search_measures_nothing(self) -> None:
        record = Record(":memory:")
        expected = self.run(self.backend(), record)
        again = self.backend()
        assert self.run(again, record) == expected
        assert again.calls == 0
