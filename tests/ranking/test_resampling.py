"""Intervals: where they lie, how wide they are, and what makes them wider."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ranking.made_up import scores, target

from knas.ranking.correlation import compare
from knas.ranking.measures import regret, spearman
from knas.ranking.resampling import Resamples
from knas.search.base import generator

N = 400
NOISE = np.random.default_rng(0).normal(size=(3, N))


def draw(classes: int, count: int = 300, seed: int = 0) -> Resamples:
    return Resamples.draw(classes, count, generator(seed))


def test_an_interval_is_as_wide_as_the_coefficient_varies() -> None:
    """Over 200 samples of 400 pairs, about 95 % of the intervals hold the coefficient of the whole population."""
    rng, held = np.random.default_rng(1), 0
    drawn = draw(60, 200)
    for _ in range(200):
        x = rng.normal(size=60)
        y = x + rng.normal(size=60)
        interval = drawn.intervals(scores(x), target(y))["spearman"]
        assert interval is not None
        held += interval[0] <= 6 / np.pi * np.arcsin(0.5**0.5 / 2) <= interval[1]
    assert 0.88 <= held / 200 <= 0.99


def test_intervals_hold_their_values() -> None:
    values = NOISE[0] + 0.3 * NOISE[1]
    found = compare(scores(NOISE[0]), target(values, by=values + NOISE[2]), draw(N))
    for name, one in found.coefficients.items():
        assert one.interval is not None
        assert one.interval[0] <= one.value <= one.interval[1], name
    assert compare(scores(NOISE[0]), target(values)).coefficients["kendall"].interval is None


def test_members_of_a_class_are_drawn_together() -> None:
    """Copies of each architecture say nothing new: the interval is that of one of each."""
    once = draw(N).intervals(scores(NOISE[0]), target(NOISE[0] + NOISE[1]))
    four = np.tile(NOISE, 4)
    classes = np.tile(np.arange(N), 4)
    together = draw(N).intervals(scores(four[0], classes), target(four[0] + four[1]))
    alone = draw(4 * N).intervals(scores(four[0]), target(four[0] + four[1]))
    assert together["spearman"] == pytest.approx(once["spearman"], abs=1e-3)
    low, high = alone["spearman"] or (0, 0)
    wide_low, wide_high = once["spearman"] or (0, 0)
    assert high - low < 0.6 * (wide_high - wide_low)


def test_the_same_seed_gives_the_same_interval() -> None:
    pair = scores(NOISE[0]), target(NOISE[0] + NOISE[1])
    assert draw(N, seed=1).intervals(*pair) == draw(N, seed=1).intervals(*pair)
    assert draw(N, seed=1).intervals(*pair) != draw(N, seed=2).intervals(*pair)


def test_equal_scores_have_no_interval() -> None:
    found = draw(N).intervals(scores(np.ones(N)), target(NOISE[0]))
    assert found["spearman"] is found["kendall"] is None
    assert found["ndcg"] is not None


def test_the_optimum_may_have_no_score() -> None:
    """A resample's regret counts what the proxy failed on where the resample holds it."""
    without = replace(
        scores(NOISE[0], np.arange(1, N + 1)), failed=np.array([N]), failed_classes=np.array([0])
    )
    column = target([*NOISE[0], 100.0])
    interval = draw(N + 1).intervals(without, column)["regret_1"]
    assert interval is not None
    assert interval[0] < 1 < 95 < interval[1]
    value = compare(without, column).coefficients["regret_1"].value
    assert value == regret(NOISE[0], NOISE[0], 1, 100.0) == 100 - NOISE[0].max()
    assert spearman(NOISE[0], NOISE[0]).value == pytest.approx(1)
