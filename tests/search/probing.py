"""What search algorithms must do that look at super-networks and choose a cell without any accuracy."""

from __future__ import annotations

import pytest
from search.conformance import SearchAlgorithmConformance
from search.imaginary import ImaginarySpace

from knas.errors import KnasError, UsageError
from knas.runs import Record
from knas.search.evaluator import Evaluator


class ProbingConformance(SearchAlgorithmConformance):
    """Inherit, and override `algorithm`; `max_probes` is its budget besides the others."""

    max_scores = 0
    max_trials = 1
    max_probes: int

    def test_another_seed_looks_elsewhere(self) -> None:
        looked = set()
        for seed in range(3):
            backend = self.backend()
            self.run(backend, Record(":memory:"), seed)
            looked.add(tuple(f"{supernet} {probe}" for supernet, probe in backend.probed))
        assert len(looked) == 3

    def test_respects_its_budget(self) -> None:
        super().test_respects_its_budget()
        backend = self.backend()
        self.run(backend, Record(":memory:"))
        assert self.max_probes / 2 < len(backend.probed) <= self.max_probes

    def test_measures_no_class_twice(self) -> None:
        super().test_measures_no_class_twice()
        backend = self.backend()
        self.run(backend, Record(":memory:"))
        asked = [f"{supernet} {probe}" for supernet, probe in backend.probed]
        assert len(asked) == len(set(asked))

    def test_failures_are_recorded_and_never_ranked(self) -> None:
        backend, record = self.backend(), Record(":memory:")
        outcome = self.run(backend, record)
        rows = [*record.probes(), *record.scores()]
        failures = [row for row in rows if row.value is None]
        assert failures, "early on, some imaginary super-networks fail"
        assert all(row.reason for row in failures)
        assert outcome.failed >= len(failures), "a failure counts each time that it is met"
        assert len(record.probes()) == len(backend.probed)

    def test_finds_one_architecture_and_trains_it_once(self) -> None:
        backend = self.backend()
        outcome = self.run(backend, Record(":memory:"))
        assert outcome.found is not None
        assert [one.architecture for one in outcome.selected] == [outcome.found]
        assert [one.architecture for one in backend.trained] == [outcome.found]

    def test_diverging_training_is_one_clear_error(self) -> None:
        backend = self.backend(diverging={self.outcome().best.architecture})
        with pytest.raises(KnasError, match="none of 1 networks could be trained: the loss is nan"):
            self.run(backend, Record(":memory:"))

    def test_a_backend_without_networks_is_refused(self) -> None:
        class Table:
            """Has no super-networks."""

        evaluator = Evaluator(ImaginarySpace(), Table(), Record(":memory:"))  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="algorithm: it scores super-networks"):
            self.algorithm().search(evaluator)
