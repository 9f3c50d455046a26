"""Measures under weights against the same measures of as many copies."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from knas.ranking import measures, weighted
from knas.ranking.weighted import Groups, Kendall, Ranks


def numbers(rng: np.random.Generator, n: int, digits: int) -> weighted.Numbers:
    """Normal numbers, of which fewer digits make more equal."""
    return np.asarray(rng.normal(size=n).round(digits))


@settings(max_examples=40, deadline=None)
@given(
    st.integers(2, 60), st.integers(0, 2), st.integers(0, 2), st.sampled_from([2, 7, 256]), st.integers(0, 9)
)
def test_weights_are_copies(n: int, left: int, right: int, block: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, values, by = numbers(rng, n, left), numbers(rng, n, right), numbers(rng, n, 3)
    weights = rng.integers(0, 4, (n, 5)).astype(np.float64)
    weights[0] = 1  # nobody resamples nothing
    ordered, targeted = Groups(scores), Groups(values)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weighted, "BLOCK", block)
        kendall = Kendall(ordered, targeted)
    ranks, others = Ranks(ordered, weights), Ranks(targeted, weights)
    sums = ordered.sums(weights * others.values[targeted.of])
    rhos, taus = weighted.spearman(ranks, others, sums), kendall(ranks, others, weights)
    gains = weighted.ndcg(ranks, others, sums, 0.1)
    order = np.argsort(-scores, kind="stable")
    best = weighted.best_of(order, weights, values, by, (1, 5))
    for b in range(5):
        copies = np.repeat(np.arange(n), weights[:, b].astype(int))
        mine, theirs = scores[copies], values[copies]
        assert rhos[b] == pytest.approx(measures.spearman(mine, theirs).value, nan_ok=True)
        assert taus[b] == pytest.approx(measures.kendall(mine, theirs).value, nan_ok=True)
        if np.ptp(theirs):
            assert gains[b] == pytest.approx(measures.ndcg(mine, theirs))
        for count, found in zip((1, 5), best, strict=True):
            assert found[b] == measures.chosen(mine, theirs, by[copies], count)
        assert weighted.largest(weights, values)[b] == theirs.max()


def test_many_rows_take_several_levels() -> None:
    rng = np.random.default_rng(0)
    scores, values = numbers(rng, 3000, 2), numbers(rng, 3000, 1)
    ordered, targeted = Groups(scores), Groups(values)
    weights = np.ones((3000, 1))
    tau = Kendall(ordered, targeted)(Ranks(ordered, weights), Ranks(targeted, weights), weights)
    assert tau[0] == pytest.approx(stats.kendalltau(scores, values).statistic)
