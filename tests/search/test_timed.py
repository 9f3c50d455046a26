"""The algorithms that train one architecture after another."""

from __future__ import annotations

import math
import sys
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from search.conformance import SearchAlgorithmConformance
from search.imaginary import ImaginaryBackend, ImaginarySpace, Word

from knas.errors import UsageError
from knas.runs import Record
from knas.runs.record import TrialRow
from knas.search import base
from knas.search.bohb import Bohb
from knas.search.evaluator import Evaluator
from knas.search.random_search import RandomSearch
from knas.search.regularized_evolution import RegularizedEvolution, mutate
from knas.search.reinforce import Adam, Reinforce, softmax
from knas.search.timed import TimedSearch

SECONDS = 40.0


class Timed(SearchAlgorithmConformance):
    max_scores = 0
    max_trials = 40
    max_seconds = SECONDS


class TestRandomSearch(Timed):
    def algorithm(self) -> RandomSearch:
        return RandomSearch(seconds=SECONDS)


class TestRegularizedEvolution(Timed):
    def algorithm(self) -> RegularizedEvolution:
        return RegularizedEvolution(seconds=SECONDS, population=4, sample=2)


class TestReinforce(Timed):
    def algorithm(self) -> Reinforce:
        return Reinforce(seconds=SECONDS, learning_rate=0.1)


class TestBohb(Timed):
    epochs = 9

    def algorithm(self) -> Bohb:
        return Bohb(seconds=SECONDS, startup=4)


class TestBohbOnATable(Timed):
    epochs = 4
    budgets = (2, 4, 8)

    def algorithm(self) -> Bohb:
        return Bohb(seconds=SECONDS, startup=4)


class TestTrialsInsteadOfSeconds(SearchAlgorithmConformance):
    max_scores = 0
    max_trials = 7

    def algorithm(self) -> RandomSearch:
        return RandomSearch(seconds=None, trials=7)


ALGORITHMS = [RandomSearch, RegularizedEvolution, Reinforce, Bohb]


def evaluator(backend: ImaginaryBackend | None = None, seed: int = 0, epochs: int = 3) -> Evaluator:
    return Evaluator(
        ImaginarySpace(),
        backend or ImaginaryBackend(foreseen=True),
        Record(":memory:"),
        seed=seed,
        epochs=epochs,
    )


def trial(accuracy: float | None, epochs: int = 3) -> TrialRow:
    return TrialRow("a", epochs, "search", accuracy, None, None, None if accuracy else "nan", 1.0)


@pytest.mark.parametrize("kind", ALGORITHMS)
def test_a_budget_smaller_than_one_evaluation_is_refused(kind: type[TimedSearch]) -> None:
    backend = ImaginaryBackend(foreseen=True)
    text = r"a budget of 0.5 seconds is smaller than one evaluation: the first, of [abcx]{4}, takes \d; raise"
    with pytest.raises(UsageError, match=text):
        kind(seconds=0.5).search(evaluator(backend))
    assert backend.calls == 0


@pytest.mark.parametrize("kind", ALGORITHMS)
@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"seconds": 0}, "seconds must be a number above 0, got 0"),
        ({"seconds": "many"}, "got 'many'"),
        ({"seconds": math.inf}, "got inf"),
        ({"trials": 0}, "trials must be an integer of at least 1"),
        ({"seconds": None}, "both unlimited"),
    ],
)
def test_budgets_that_allow_nothing_or_everything(
    kind: type[TimedSearch], options: dict[str, Any], text: str
) -> None:
    with pytest.raises(UsageError, match=text):
        kind(**options)


@pytest.mark.parametrize(
    ("name", "options", "text"),
    [
        ("regularized-evolution", {"population": 2, "sample": 3}, r"at most population \(2\)"),
        ("regularized-evolution", {"population": 0}, "population"),
        ("reinforce", {"learning_rate": 0}, "learning_rate"),
        ("reinforce", {"momentum": 1}, "momentum must be below 1"),
        ("bohb", {"eta": 1}, "eta"),
        ("bohb", {"candidates": 2.5}, "candidates"),
    ],
)
def test_options_out_of_range(name: str, options: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        base.create(name, **options)


def test_published_defaults() -> None:
    assert base.create("regularized-evolution") == RegularizedEvolution(
        seconds=12_000, population=10, sample=3
    )
    assert base.create("reinforce") == Reinforce(seconds=12_000, learning_rate=0.001, momentum=0.9)
    assert base.create("random") == RandomSearch(seconds=12_000)
    assert base.create("bohb") == Bohb(seconds=12_000, candidates=4, eta=3)


def test_repeated_proposals_are_trained_once_and_charged_each_time() -> None:
    backend, record = ImaginaryBackend(foreseen=True), Record(":memory:")
    outcome = RandomSearch(seconds=900).search(Evaluator(ImaginarySpace(), backend, record, epochs=3))
    assert len(backend.trained) == len(outcome.selected) <= 35
    asked = evaluator()
    RandomSearch(seconds=900).search(asked)
    assert 880 < asked.seconds() <= 900, "a space that is used up ends the search"


def test_mutants_differ_in_one_decision_and_each_is_as_likely() -> None:
    rng, parent = np.random.default_rng(0), Word("abca")
    counts = Counter(str(mutate(ImaginarySpace(), parent, rng)) for _ in range(3600))
    assert len(counts) == 4 * 3
    assert all(sum(a != b for a, b in zip(word, "abca", strict=True)) == 1 for word in counts)
    assert all(240 < count < 360 for count in counts.values())


def test_evolution_kills_the_oldest_not_the_worst() -> None:
    asks = RegularizedEvolution(population=2, sample=2).proposals(evaluator(seed=1))
    first = next(asks)
    asks.send(trial(99.0))  # the best of all, but the oldest
    parents = set()
    proposal = asks.send(trial(1.0))
    for _ in range(30):
        proposal = asks.send(trial(50.0))
        parents.add(str(proposal.architecture))
    assert str(first.architecture) not in list(parents)[-5:]
    differences = sum(
        a != b for a, b in zip(str(first.architecture), str(proposal.architecture), strict=True)
    )
    assert differences > 1, "lines that go on leave the first member behind"


def test_evolution_takes_the_best_of_a_tournament() -> None:
    asks = RegularizedEvolution(population=3, sample=3, seconds=None, trials=9)
    children = []
    for seed in range(100):
        proposals = asks.proposals(evaluator(seed=seed))
        members = [next(proposals)]
        members += [proposals.send(trial(accuracy)) for accuracy in (10.0, 90.0)]
        child = str(proposals.send(trial(20.0)).architecture)
        best = str(members[1].architecture)
        children.append(sum(a != b for a, b in zip(child, best, strict=True)) == 1)
    assert sum(children) > 60, "of three draws with repetition, 1 - (2/3)^3 = 70 % hold the best"


def test_the_controller_learns_what_pays() -> None:
    asks = Reinforce(learning_rate=0.2).proposals(evaluator())
    word = str(next(asks).architecture)
    for _ in range(200):
        word = str(asks.send(trial(1.0 + 20.0 * word.count("b"))).architecture)
    assert word.count("b") >= 3


def test_adam_is_that_of_torch() -> None:
    rng = np.random.default_rng(0)
    values = [rng.standard_normal(3), rng.standard_normal(2)]
    parameters = [torch.nn.Parameter(torch.tensor(one)) for one in values]
    theirs, mine = torch.optim.Adam(parameters, lr=0.01), Adam(0.01)
    for _ in range(5):
        gradients = [rng.standard_normal(len(one)) for one in values]
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = torch.tensor(gradient)
        theirs.step()
        values = mine(values, gradients)
    for parameter, one in zip(parameters, values, strict=True):
        np.testing.assert_allclose(parameter.detach().numpy(), one, rtol=1e-12)


def test_the_gradient_of_the_controller_is_that_of_torch() -> None:
    logits = torch.tensor([0.3, -0.2, 0.9], dtype=torch.float64, requires_grad=True)
    torch.log_softmax(logits, 0)[1].backward()
    assert logits.grad is not None
    mine = np.eye(3)[1] - softmax(logits.detach().numpy())
    np.testing.assert_allclose(logits.grad.numpy(), mine, rtol=1e-12)


def test_rungs_of_bohb() -> None:
    assert Bohb().rungs(evaluator(epochs=12)) == (1, 4, 12)
    assert Bohb().rungs(evaluator(epochs=2)) == (1, 2)
    table = ImaginaryBackend(budgets=(12, 200))
    assert Bohb().rungs(evaluator(table, epochs=12)) == (12,)
    assert Bohb().rungs(evaluator(table, epochs=200)) == (12, 200)
    with pytest.raises(UsageError, match="nothing up to 11"):
        Bohb().rungs(evaluator(table, epochs=11))


def test_hyperband_trains_few_for_long_and_only_these_are_compared() -> None:
    backend = ImaginaryBackend(foreseen=True)
    outcome = Bohb(seconds=600).search(evaluator(backend, epochs=9))
    counts = Counter(one.epochs for one in backend.trained)
    assert counts[1] > counts[3] > counts[9] > 2
    assert {one.trial.epochs for one in outcome.selected} == {9}


def test_tpe_finds_more_than_chance() -> None:
    """On a made-up problem where each decision counts for itself."""
    totals = {}
    for kind in (Bohb, RandomSearch):
        found = []
        for seed in range(8):
            asks = kind().proposals(evaluator(seed=seed, epochs=1))
            word = str(next(asks).architecture)
            for _ in range(60):
                found.append(word.count("b"))
                word = str(asks.send(trial(1.0 + 20.0 * word.count("b"), 1)).architecture)
        totals[kind] = sum(found)
    assert totals[Bohb] > 1.5 * totals[RandomSearch]


def test_without_optuna_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UsageError, match=r"pip install 'knas\[bohb\]'"):
        Bohb().check(evaluator())


def test_failures_count_as_nothing() -> None:
    asks = RegularizedEvolution(population=2, sample=2).proposals(evaluator())
    next(asks)
    asks.send(replace(trial(None)))
    assert asks.send(trial(50.0)).architecture
