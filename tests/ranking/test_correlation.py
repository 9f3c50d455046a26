"""Which architectures count, and which columns they are compared with."""

from __future__ import annotations

import math

import numpy as np
import pytest
from benchmarks.table import SIZE, trainings
from ranking.made_up import ranking, scores, target

from knas.benchmarks import Benchmark
from knas.benchmarks.benchmark import Trainings
from knas.errors import KnasError, UsageError
from knas.ranking.correlation import Scores, compare, expectation, ranks, repeated, targets
from knas.ranking.measures import spearman


def table(**parts: Trainings) -> Benchmark:
    return Benchmark(
        {("cifar100", int(key[1:])): one for key, one in parts.items()}, source="made up", fingerprint=""
    )


def test_failed_and_infinite_scores_are_left_out() -> None:
    found = Scores.of(ranking({5: 2.0, 9: None, 1: 3.0, 7: math.nan, 8: math.inf, 2: -1.0}))
    assert found.indices.tolist() == [1, 2, 5]
    assert found.values.tolist() == [3.0, -1.0, 2.0]
    assert found.left_out == 3
    assert found.failed.tolist() == [7, 8, 9]
    values = np.zeros(SIZE)
    values[[1, 2, 5, 9]] = 3, 1, 2, 7
    agreement = compare(found, target(values))
    assert (agreement.architectures, agreement.left_out) == (3, 3)
    assert agreement.coefficients["spearman"].value == agreement.coefficients["kendall"].value == 1
    assert (agreement.optimum, agreement.coefficients["regret_1"].value) == (7, 4)


def test_isomorphic_architectures_are_one_class() -> None:
    found = Scores.of(ranking({5: 2.0, 9: None, 1: 3.0, 7: 3.0}, classes={1: "a", 7: "a", 9: "b"}))
    assert found.classes[0] == found.classes[2] != found.classes[1]
    assert found.failed_classes.tolist() not in found.classes.tolist()


def test_a_random_order_and_what_it_has_on_the_average() -> None:
    values = np.random.default_rng(0).normal(size=500)
    found = scores(values)
    shuffled = found.shuffled(np.random.default_rng(1))
    assert sorted(shuffled.values) == list(range(500))
    random = compare(shuffled, target(values, by=values)).coefficients
    expected = expectation(found, target(values, by=values)).coefficients
    assert random.keys() == expected.keys()
    assert abs(random["spearman"].value) < 0.15
    assert expected["regret_1"].value == pytest.approx(values.max() - values.mean())


def test_ranks() -> None:
    assert ranks(scores([0.5, -2, 3, 0.5])).tolist() == [2.5, 1, 4, 2.5]


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
    assert (early.by_epochs, late.by_epochs) == (12, 12)
    assert late.by is not None
    assert (late.by == early.values).all()
    assert late.values == pytest.approx(np.linspace(5, 45, SIZE))


def test_a_loss_is_better_where_it_is_lower() -> None:
    last = trainings(validation=True, seconds=False)
    last.values["train_loss"][:] = np.linspace(2, 0, SIZE)
    loss, accuracy = targets(table(e12=trainings(validation=True, seconds=False), e200=last), "cifar100")
    assert loss.name == "negative training loss, 200 epochs"
    for column in (loss, accuracy):
        assert compare(scores(np.arange(50)), column).coefficients["spearman"].value == pytest.approx(1)


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
    found = scores(np.arange(500))
    rng = np.random.default_rng(3)
    drawn = found.drawn(200, rng)
    assert len(set(drawn.indices.tolist())) == 200
    assert (drawn.indices == drawn.values).all()
    assert found.drawn(500, rng) is found
    noisy = np.arange(SIZE) + np.random.default_rng(1).normal(scale=200, size=SIZE)
    column = target(noisy)
    rhos = repeated(found, column, np.random.default_rng(3), repeats=5, size=200)
    assert len(set(rhos)) == 5
    assert rhos == pytest.approx(repeated(found, column, np.random.default_rng(3), repeats=5, size=200))
    first = spearman(drawn.values, noisy[drawn.indices]).value
    assert rhos[0] == pytest.approx(first)
