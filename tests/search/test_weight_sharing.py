from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from search.conformance import SearchAlgorithmConformance
from search.imaginary import ImaginaryBackend, ImaginarySpace

import knas
from knas.errors import DivergedError, KnasError, UsageError
from knas.runs import Record
from knas.search import resnet
from knas.search.base import SearchAlgorithm, create
from knas.search.evaluator import Evaluator
from knas.search.events import Event, SupernetTrained
from knas.search.supernet_plan import SupernetPlan, TrainedSupernet
from knas.training.supernet_recipe import SupernetRecipe


class WeightSharingConformance(SearchAlgorithmConformance):
    """Inherit, and override `name` and `options`."""

    name: str
    options: ClassVar[Mapping[str, Any]] = {}
    max_scores = 0

    @property
    def max_trials(self) -> int:  # type: ignore[override]
        return int(self.options.get("seeds", 1) * self.options.get("candidates", 1))

    def algorithm(self) -> SearchAlgorithm:
        return create(self.name, **{"supernet_epochs": 4, **self.options})

    def test_trains_each_super_network_once_and_from_a_seed_of_its_own(self) -> None:
        backend = self.backend()
        self.run(backend, Record(":memory:"))
        plans = {str(plan) for plan in backend.shared}
        assert len(plans) == len(backend.shared) == self.options.get("seeds", 1)
        assert [told for told in backend.told if isinstance(told, SupernetPlan)] == backend.shared

    def test_one_cell_is_found_and_several_are_compared(self) -> None:
        outcome = self.outcome()
        assert (outcome.found is None) == (len(outcome.selected) > 1)
        assert len(outcome.selected) <= self.max_trials

    def test_seconds_of_super_networks_count(self) -> None:
        evaluator = Evaluator(ImaginarySpace(), self.backend(), Record(":memory:"), epochs=3)
        self.algorithm().search(evaluator)
        trials = sum(row.seconds for row in evaluator._record.trials())
        assert evaluator.seconds() == trials + 4 * self.options.get("seeds", 1)

    def test_a_backend_without_images_is_refused(self) -> None:
        evaluator = Evaluator(ImaginarySpace(), object(), Record(":memory:"))  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="algorithm: it trains super-networks"):
            self.algorithm().search(evaluator)


class TestRsps(WeightSharingConformance):
    name = "rsps"


class TestDarts(WeightSharingConformance):
    name = "darts"


class TestDartsOfSecondOrder(WeightSharingConformance):
    name = "darts"
    options: ClassVar[Mapping[str, Any]] = {"order": 2}


class TestGdas(WeightSharingConformance):
    name = "gdas"


class TestSeveralCandidates(WeightSharingConformance):
    name = "darts"
    options: ClassVar[Mapping[str, Any]] = {"seeds": 2, "candidates": 3}


class TestResNet(SearchAlgorithmConformance):
    max_scores = 0
    max_trials = 1

    @pytest.fixture(autouse=True)
    def _residual_word(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(resnet.CELLS, ImaginarySpace.name, "abca")

    def algorithm(self) -> SearchAlgorithm:
        return create("resnet")

    def test_another_seed_looks_elsewhere(self) -> None:
        assert {self.outcome(seed).found for seed in range(4)} == {ImaginarySpace().parse("abca")}


def test_one_diverging_super_network_of_two_is_passed_over() -> None:
    class Once(ImaginaryBackend):
        def train_supernet(self, plan: SupernetPlan, on_epoch: Any) -> TrainedSupernet:
            trained = super().train_supernet(plan, on_epoch)
            if len(self.shared) == 1:
                raise DivergedError("the loss\nis inf", 1.0)
            return trained

    told: list[Event] = []
    record = Record(":memory:")
    evaluator = Evaluator(ImaginarySpace(), Once(), record, watcher=told.append)
    outcome = create("darts", seeds=2).search(evaluator)
    assert [row.reason for row in record.supernets()] == ["the loss is inf", None]
    assert outcome.found is not None
    rows = [event.row for event in told if isinstance(event, SupernetTrained)]
    assert [row.validation_accuracy for row in rows] == [None, 10.0]


def test_all_diverging_is_one_clear_error() -> None:
    evaluator = Evaluator(ImaginarySpace(), ImaginaryBackend(all_fail=True), Record(":memory:"))
    with pytest.raises(KnasError, match="none of 2 super-networks could be trained: the loss is nan"):
        create("gdas", seeds=2).search(evaluator)


def test_more_seeds_begin_with_the_same() -> None:
    def plans(seeds: int) -> list[str]:
        backend = ImaginaryBackend()
        create("rsps", seeds=seeds).search(Evaluator(ImaginarySpace(), backend, Record(":memory:"), seed=5))
        return [str(plan) for plan in backend.shared]

    assert plans(3)[:2] == plans(2)


@pytest.mark.parametrize(
    ("name", "options", "wrong"),
    [
        ("darts", {"order": 3}, "order must be an integer from 1 to 2, got 3"),
        ("darts", {"supernet_epochs": 0}, "supernet_epochs must be an integer of at least 1, got 0"),
        ("darts", {"seeds": 0}, "seeds must be an integer of at least 1, got 0"),
        ("darts", {"architecture_learning_rate": 0}, "architecture_learning_rate must be a number above 0"),
        ("darts", {"architecture_weight_decay": -1}, "architecture_weight_decay must be a number above 0"),
        ("darts", {"learning_rate": 0.0001}, "learning_rate must be at least 0.001, where it ends"),
        ("gdas", {"tau_min": 20}, "tau_max must be at least tau_min, 20, got 10"),
        ("gdas", {"candidates": 251}, "candidates must be an integer from 1 to 250, got 251"),
        ("rsps", {"cells": 0}, "cells must be an integer of at least 1, got 0"),
        ("rsps", {"supernet_batch_size": 1}, "supernet_batch_size must be an integer of at least 2, got 1"),
        ("rsps", {"order": 1}, "unknown option of algorithm rsps 'order'"),
    ],
)
def test_bad_options(name: str, options: dict[str, Any], wrong: str) -> None:
    with pytest.raises(UsageError, match=wrong):
        create(name, **options)


def test_defaults_are_those_of_the_released_scripts() -> None:
    recipes = {name: create(name).recipe() for name in ("rsps", "darts", "gdas")}  # type: ignore[attr-defined]
    assert {name: recipe.epochs for name, recipe in recipes.items()} == {
        "rsps": 250,
        "darts": 50,
        "gdas": 250,
    }
    assert len({(recipe.learning_rate, recipe.final_learning_rate) for recipe in recipes.values()}) == 1
    assert recipes["gdas"] == SupernetRecipe("gumbel", epochs=250)


def test_a_space_without_a_residual_block_says_so() -> None:
    evaluator = Evaluator(ImaginarySpace(), ImaginaryBackend(), Record(":memory:"))
    with pytest.raises(UsageError, match="'imaginary' has no residual block; known for nas-bench-201"):
        create("resnet").check(evaluator)


def test_resnet_is_the_benchmark_s_cell(shared_data: Path) -> None:
    space = knas.spaces.create("nas-bench-201")
    cell = space.parse(resnet.CELLS["nas-bench-201"])
    assert space.index(cell) == 11_472
    table = knas.benchmarks.load(shared_data / "nas-bench-201" / "accuracies.csv")
    accuracies = [table.query(cell, dataset, 200).test_accuracy for dataset in table.datasets]
    assert accuracies == pytest.approx([93.91, 70.89, 44.23], abs=0.005)
