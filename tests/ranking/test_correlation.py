"""Correlations against their definitions, which cells count, and which columns they are compared with."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from benchmarks.table import SIZE, trainings

from knas.benchmarks import Benchmark
from knas.benchmarks.benchmark import Trainings
from knas.errors import KnasError, UsageError
from knas.ranking import RankedRow, Ranking
from knas.ranking.correlation import (
    Scores,
    Target,
    compare,
    kendall,
    ranks,
    repeated,
    spearman,
    targets,
)

SCORES = np.array([0.5, -2.0, 3.0, 0.5, 7.0, 1.0])
VALUES = np.array([60.0, 10.0, 65.0, 61.0, 61.0, 70.0])


def ranking(scores: dict[int, float | None]) -> Ranking:
    rows = tuple(
        RankedRow(index, str(index), str(index), {"mgm": value}, "failed" if value is None else None, 0.1)
        for index, value in scores.items()
    )
    return Ranking("nas-bench-201", "digits", ("mgm",), rows, "runs/x", 0, 0.0)


def table(**parts: Trainings) -> Benchmark:
    return Benchmark(
        {("cifar100", int(key[1:])): one for key, one in parts.items()}, source="made up", fingerprint=""
    )


def test_spearman_is_the_correlation_of_ranks() -> None:
    def mean_ranks(values: Any) -> Any:
        return np.array([(values < one).sum() + ((values == one).sum() + 1) / 2 for one in values])

    want = np.corrcoef(mean_ranks(SCORES), mean_ranks(VALUES))[0, 1]
    assert spearman(SCORES, VALUES).value == pytest.approx(want)
    assert ranks(Scores(np.arange(6), SCORES, 0)) == pytest.approx(mean_ranks(SCORES))


def test_kendall_counts_pairs() -> None:
    signs = [
        (np.sign(SCORES[i] - SCORES[j]), np.sign(VALUES[i] - VALUES[j])) for i, j in combinations(range(6), 2)
    ]
    left, right = (math.sqrt(sum(pair[side] != 0 for pair in signs)) for side in (0, 1))
    assert kendall(SCORES, VALUES).value == pytest.approx(sum(a * b for a, b in signs) / left / right)


@pytest.mark.parametrize("measure", [spearman, kendall])
def test_signs_and_p_values(measure: Any) -> None:
    ascending = np.arange(30.0)
    assert measure(ascending, ascending**3).value == pytest.approx(1)
    assert measure(ascending, -ascending).value == pytest.approx(-1)
    noise = np.random.default_rng(0).normal(size=30)
    assert measure(ascending, ascending).p < 1e-9
    assert measure(ascending, -ascending).p < 1e-9, "two-sided"
    assert measure(ascending, noise).p > 0.05
    equal = measure(np.ones(30), noise)
    assert math.isnan(equal.value)
    assert math.isnan(equal.p)


def test_failed_and_infinite_scores_are_left_out() -> None:
    found = Scores.of(ranking({5: 2.0, 9: None, 1: 3.0, 7: math.nan, 8: math.inf, 2: -1.0}))
    assert found.indices.tolist() == [1, 2, 5]
    assert found.values.tolist() == [3.0, -1.0, 2.0]
    assert found.left_out == 3
    values = np.zeros(SIZE)
    values[[1, 2, 5]] = 3, 1, 2
    agreement = compare(found, Target("cifar100", "test_accuracy", 200, values, 0.56))
    assert (agreement.architectures, agreement.left_out) == (3, 3)
    assert agreement.coefficients["spearman"].value == agreement.coefficients["kendall"].value == 1


def test_two_scores_are_too_few() -> None:
    with pytest.raises(KnasError, match="at least 3 finite scores of mgm, there are 2 of 3"):
        Scores.of(ranking({5: 2.0, 9: None, 1: 3.0}))


def test_columns_without_losses() -> None:
    both = table(
        e12=trainings(validation=True, seconds=False), e200=trainings(validation=False, seconds=False)
    )
    early, late = targets(both, "cifar100")
    assert (early.name, early.paper) == ("validation accuracy, 12 epochs", 0.53)
    assert (late.name, late.paper) == ("test accuracy, 200 epochs", 0.56)
    assert late.values == pytest.approx(np.linspace(5, 45, SIZE))


def test_a_loss_is_better_where_it_is_lower() -> None:
    last = trainings(validation=True, seconds=False)
    last.values["train_loss"][:] = np.linspace(2, 0, SIZE)
    loss, accuracy = targets(table(e12=trainings(validation=True, seconds=False), e200=last), "cifar100")
    assert loss.name == "negative training loss, 200 epochs"
    scores = Scores(np.arange(50), np.arange(50.0), 0)
    for target in (loss, accuracy):
        assert compare(scores, target).coefficients["spearman"].value == pytest.approx(1)


def test_columns_that_are_not_there() -> None:
    incomplete = trainings(validation=False, seconds=False)
    incomplete.values["test_accuracy"][0, 7] = np.nan
    with pytest.raises(
        UsageError, match="lacks the test accuracy after 200 epochs on cifar100 of 1 of 15,625"
    ):
        targets(table(e200=incomplete), "cifar100")
    with pytest.raises(UsageError, match=r"--benchmark-dataset.*cifar10"):
        targets(table(e200=trainings(validation=False, seconds=False)), "cifar10")
    empty = trainings(validation=False, seconds=True)
    empty.values["test_accuracy"][:] = np.nan
    with pytest.raises(UsageError, match="no accuracies and no losses on cifar100"):
        targets(table(e200=empty), "cifar100")


def test_draws() -> None:
    scores = Scores(np.arange(500), np.arange(500.0), 0)
    rng = np.random.default_rng(3)
    drawn = scores.drawn(200, rng)
    assert len(set(drawn.indices.tolist())) == 200
    assert (drawn.indices == drawn.values).all()
    assert scores.drawn(500, rng) is scores
    noisy = np.arange(SIZE) + np.random.default_rng(1).normal(scale=200, size=SIZE)
    target = Target("cifar100", "test_accuracy", 200, noisy, 0.56)
    found = repeated(scores, target, np.random.default_rng(3), repeats=5, size=200)
    assert len(set(found)) == 5
    assert found == pytest.approx(repeated(scores, target, np.random.default_rng(3), repeats=5, size=200))
    first = spearman(drawn.values, noisy[drawn.indices]).value
    assert found[0] == pytest.approx(first)
