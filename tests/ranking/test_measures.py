"""Each measure against its definition, on a handful of numbers and on random orders."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from knas.ranking import measures
from knas.ranking.measures import chosen, expected, first, kendall, ndcg, regret, relevance, spearman

SCORES = np.array([0.5, -2.0, 3.0, 0.5, 7.0, 1.0])
VALUES = np.array([60.0, 10.0, 65.0, 61.0, 61.0, 70.0])


def mean_ranks(values: Any) -> Any:
    return np.array([(values < one).sum() + ((values == one).sum() + 1) / 2 for one in values])


def test_spearman_is_the_correlation_of_ranks() -> None:
    want = np.corrcoef(mean_ranks(SCORES), mean_ranks(VALUES))[0, 1]
    assert spearman(SCORES, VALUES).value == pytest.approx(want)


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


def test_relevance_is_a_percentile() -> None:
    assert relevance(VALUES) == pytest.approx((mean_ranks(VALUES) - 1) / 5)
    assert (relevance(np.arange(3.0)) == [0, 0.5, 1]).all()


def test_ndcg_looks_at_the_best_tenth() -> None:
    rng = np.random.default_rng(0)
    values, scores = rng.normal(size=30), rng.normal(size=30)
    gain, discounts = relevance(values), 1 / np.log2([2, 3, 4])
    best, got = np.sort(gain)[::-1][:3] @ discounts, gain[np.argsort(-scores)[:3]] @ discounts
    assert ndcg(scores, values) == pytest.approx(got / best)
    assert ndcg(values, values) == 1
    assert ndcg(np.ones(30), values) == pytest.approx(gain.mean() * discounts.sum() / best), "the mean gain"
    assert ndcg(values, 90 + values / 1e6) == 1, "however close together"
    assert ndcg(-values, 90 + values / 1e6) < 0.1, "however close together"


def test_the_highest_scores_and_what_they_lack() -> None:
    assert first(SCORES, 4).tolist() == [4, 2, 5, 0], "of two with 0.5 that of the smaller index"
    assert [regret(SCORES, VALUES, count, 70.0) for count in (1, 2, 3, 99)] == [9, 5, 0, 0]
    assert regret(SCORES, VALUES, 3, 75.0) == 5, "the best of all has no score"
    by = np.array([9.0, 9, 3, 9, 3, 1])
    assert [chosen(SCORES, VALUES, by, count) for count in (1, 3, 4)] == [61, 61, 60]


def test_what_a_random_order_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "CHOICE", 4)
    rng = np.random.default_rng(1)
    values, by = rng.normal(size=40), rng.normal(size=40)
    want = expected(values, by, values.max())
    orders = [rng.permutation(40).astype(float) for _ in range(3000)]
    close = {"abs": 0.06}
    assert np.mean([chosen(order, values, by, 4) for order in orders]) == pytest.approx(
        want["chosen"], **close
    )
    assert np.mean([ndcg(order, values) for order in orders]) == pytest.approx(want["ndcg"], **close)
    for count in (1, 10, 20):
        regrets = [regret(order, values, count, values.max()) for order in orders]
        assert np.mean(regrets) == pytest.approx(want[f"regret_{count}"], **close)
    assert want["first"] == pytest.approx(values.mean())
    assert want["spearman"] == want["kendall"] == 0
    assert "chosen" not in expected(values, None, 0.0)


def test_a_random_choice_among_all_is_the_best() -> None:
    assert measures.expected_choice(VALUES, VALUES, 6) == measures.expected_choice(VALUES, VALUES, 9) == 70
    pairs = [max(pair) for pair in combinations(VALUES, 2)]
    assert measures.expected_choice(VALUES, VALUES, 2) == pytest.approx(np.mean(pairs))
