"""What a score is worth beside the values that it should predict: measures of order, and of what a choice by it gives.

Scores and values are arrays [n] of the same architectures in ascending index, higher is better for both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from knas.ranking.weighted import Numbers

Indices = NDArray[np.int64]

SHARE = 0.1
"""nDCG looks at this share of the architectures, those with the highest scores."""

REGRETS = (1, 10, 20)
"""How many of the highest scores a regret looks at."""

CHOICE = 20
"""So many of the highest scores are trained briefly in `chosen`."""


@dataclass(frozen=True)
class Coefficient:
    """A measure, NaN where it is not defined.

    Attributes:
        value: of all architectures compared.
        p: its two-sided p-value, where it has one.
        interval: of 95 %, from resampling isomorphism classes; None where there was no resampling.
    """

    value: float
    p: float | None = None
    interval: tuple[float, float] | None = None


def spearman(scores: Numbers, values: Numbers) -> Coefficient:
    """Spearman's rho, the correlation of ranks; equal values share their mean rank."""
    from scipy import stats

    if _constant(scores) or _constant(values):
        return Coefficient(math.nan, math.nan)
    found = stats.spearmanr(scores, values)
    return Coefficient(float(found.statistic), float(found.pvalue))


def kendall(scores: Numbers, values: Numbers) -> Coefficient:
    """Kendall's tau-b: concordant less discordant pairs, in proportion to those that are not tied."""
    from scipy import stats

    if _constant(scores) or _constant(values):
        return Coefficient(math.nan, math.nan)
    found = stats.kendalltau(scores, values, variant="b")
    return Coefficient(float(found.statistic), float(found.pvalue))


def relevance(values: Numbers) -> Numbers:
    """What nDCG sums up: the percentile rank of a value, 0 for the smallest and 1 for the largest of different ones.

    Accuracies in per cent lie close together: with them as they are, the worst of orders has almost the nDCG of the
    best one.
    """
    from scipy import stats

    return np.asarray((stats.rankdata(values) - 1) / max(len(values) - 1, 1), dtype=np.float64)


def places(size: int) -> int:
    """How many of so many architectures nDCG looks at."""
    return max(1, round(SHARE * size))


def ndcg(scores: Numbers, values: Numbers) -> float:
    """The normalized discounted cumulative gain of the best tenth, with `relevance` as gain.

    DCG@k = sum over the k highest scores, in their order, of relevance / log2(place + 1); nDCG@k is its share of that
    of the best order. Equal scores share their mean gain. A random order has about 0.53, not 0.
    """
    from sklearn.metrics import ndcg_score

    return float(ndcg_score(relevance(values)[None], scores[None], k=places(len(values))))


def first(scores: Numbers, count: int) -> Indices:
    """Where the highest scores are, the highest first; among equals that of the smaller index comes first.

    The index knows nothing of the values. Isomorphic architectures take a place each.
    """
    return np.argsort(-scores, kind="stable")[:count]


def regret(scores: Numbers, values: Numbers, count: int, optimum: float) -> float:
    """The optimum less the best value among the `count` highest scores, in the values' unit."""
    return float(optimum - values[first(scores, count)].max())


def chosen(scores: Numbers, values: Numbers, by: Numbers, count: int = CHOICE) -> float:
    """The value of the one among the `count` highest scores that is best `by` something, as after short training."""
    best = first(scores, count)
    return float(values[best[np.argmax(by[best])]])


def expected_choice(values: Numbers, by: Numbers, count: int) -> float:
    """The expectation of `chosen` for a random order.

    Of n architectures, the one that m others are worse than `by` is the best of a random `count` with the probability
    binomial(m, count - 1) / binomial(n, count).
    """
    from scipy.special import gammaln

    n, worse = len(values), np.arange(len(values), dtype=np.float64)
    count = min(count, n)
    possible = worse[count - 1 :]

    def log_binomial(size: Numbers | float, taken: int) -> Numbers:
        return np.asarray(gammaln(size + 1) - gammaln(taken + 1) - gammaln(np.subtract(size, taken) + 1))

    chances = np.exp(log_binomial(possible, count - 1) - log_binomial(float(n), count))
    return float(chances @ values[np.argsort(by, kind="stable")][count - 1 :])


def expected(values: Numbers, by: Numbers | None, optimum: float) -> Mapping[str, float]:
    """What a random order has on the average, by the names of `knas.ranking.correlation.measured`."""
    gain, size = relevance(values), len(values)
    discounts = 1 / np.log2(np.arange(places(size)) + 2)
    found = {"spearman": 0.0, "kendall": 0.0}
    found["ndcg"] = float(gain.mean() * discounts.sum() / (np.sort(gain)[::-1][: len(discounts)] @ discounts))
    found |= {f"regret_{count}": optimum - expected_choice(values, values, count) for count in REGRETS}
    found["first"] = float(values.mean())
    if by is not None:
        found["chosen"] = expected_choice(values, by, CHOICE)
    return found


def _constant(values: Numbers) -> bool:
    return bool(np.ptp(values) == 0)
