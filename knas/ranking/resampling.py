"""How far measures of a ranking would move with other architectures: percentile intervals of the bootstrap.

What is resampled are isomorphism classes, with all their members: these share a score, and their accuracies differ by
the noise of training, so that drawing architectures one by one would count the same evidence several times and give
intervals that are too narrow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from knas.ranking.correlation import Scores, Target
from knas.ranking.measures import CHOICE, REGRETS, SHARE
from knas.ranking.weighted import (
    Groups,
    Kendall,
    Numbers,
    Ranks,
    best_of,
    largest,
    ndcg,
    spearman,
)

AT_ONCE = 50
"""Resamples that are handled together: more of them need more memory, and no less time."""

PERCENTILES = (2.5, 97.5)


@dataclass(frozen=True)
class Resamples:
    """How often each resample holds each class; the same for all scores and columns, so that these can be compared.

    Attributes:
        counts: [classes, resamples].
    """

    counts: Numbers

    @classmethod
    def draw(cls, classes: int, count: int, rng: np.random.Generator) -> Resamples:
        """Draw as many classes as there are, with replacement, `count` times."""
        drawn = rng.multinomial(classes, np.full(classes, 1 / classes), size=count)
        return cls(drawn.T.astype(np.float64))

    def intervals(self, scores: Scores, target: Target) -> Mapping[str, tuple[float, float] | None]:
        """The interval of each measure, by the names of `Agreement.coefficients`.

        Resamples of which a measure is not defined are left out, and there is no interval where none is left. The
        regrets and the choices hang on a few architectures, of which a resample often lacks the best: their intervals
        say how much hangs on these few, and need not hold their value.
        """
        parts = list(self._parts(scores, target))
        return {name: _interval(np.concatenate([part[name] for part in parts])) for name in parts[0]}

    def _parts(self, scores: Scores, target: Target) -> Iterator[dict[str, Numbers]]:
        """The measures of each resample, some resamples at a time."""
        values = target.values[scores.indices]
        by = None if target.by is None else target.by[scores.indices]
        ordered, targeted = Groups(scores.values), Groups(values)
        kendall, first = Kendall(ordered, targeted), np.argsort(-scores.values, kind="stable")
        everything = target.values[np.concatenate([scores.indices, scores.failed])]
        for start in range(0, self.counts.shape[1], AT_ONCE):
            counts = self.counts[:, start : start + AT_ONCE]
            weights = counts[scores.classes]
            usable = weights.any(0)
            counts, weights = counts[:, usable], weights[:, usable]
            ranks, others = Ranks(ordered, weights), Ranks(targeted, weights)
            sums = ordered.sums(weights * others.values[targeted.of])
            optimum = largest(np.concatenate([weights, counts[scores.failed_classes]]), everything)
            best = best_of(first, weights, values, values, REGRETS)
            found = {"spearman": spearman(ranks, others, sums), "kendall": kendall(ranks, others, weights)}
            found["ndcg"] = ndcg(ranks, others, sums, SHARE)
            found |= {f"regret_{count}": optimum - one for count, one in zip(REGRETS, best, strict=True)}
            found["first"] = best_of(first, weights, values, values, (1,))[0]
            if by is not None:
                found["chosen"] = best_of(first, weights, values, by, (CHOICE,))[0]
            yield found


def _interval(values: Numbers) -> tuple[float, float] | None:
    defined = values[np.isfinite(values)]
    if not len(defined):
        return None
    low, high = np.percentile(defined, PERCENTILES)
    return float(low), float(high)
