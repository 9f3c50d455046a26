"""Measures of order under weights, for many resamples at once: n architectures, of each resample a column of counts.

A resample that draws an architecture three times weights it by 3: nothing is copied or sorted again, and the values are
those that `knas.ranking.measures` would find for the copies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Indices = NDArray[np.int64]

BLOCK = 256
"""Rows among which discordant pairs are found by a product of matrices, which beats eight levels of merging."""


class Groups:
    """The rows of an array in ascending order, and which of them are equal.

    Attributes:
        rows: [n] in that order.
        starts: [g] where in it a new value begins.
        of: [n] the group of each row.
    """

    def __init__(self, values: Numbers) -> None:
        """Sort.

        Args:
            values: [n].
        """
        self.rows = np.argsort(values, kind="stable")
        new = np.diff(values[self.rows], prepend=np.nan) != 0
        self.starts = np.flatnonzero(new)
        self.of = np.empty(len(values), dtype=np.int64)
        self.of[self.rows] = np.cumsum(new) - 1

    def sums(self, terms: Numbers) -> Numbers:
        """Sums [g, b] over each group of terms [n, b]."""
        return np.asarray(np.add.reduceat(terms[self.rows], self.starts, axis=0))


class Ranks:
    """The mid-ranks of the groups of an array under weights.

    Attributes:
        counts: [g, b] copies of each group.
        size: [b] copies of all.
        values: [g, b] the rank that the copies of a group share, 1 for the smallest.
    """

    def __init__(self, groups: Groups, weights: Numbers) -> None:
        """Count copies.

        Args:
            groups: of the array.
            weights: [n, b].
        """
        self.counts = groups.sums(weights)
        ends = np.cumsum(self.counts, axis=0)
        self.size = ends[-1]
        self.values = ends - (self.counts - 1) / 2

    @property
    def spread(self) -> Numbers:
        """Sums of squares [b] about the mean: (N^3 - N) / 12, less (t^3 - t) / 12 for each group of t copies."""
        cubes = np.einsum("gb,gb,gb->b", self.counts, self.counts, self.counts)
        return np.asarray((self.size**3 - cubes) / 12)


def spearman(scores: Ranks, values: Ranks, sums: Numbers) -> Numbers:
    """The correlations [b] of ranks, NaN where one side is constant.

    Args:
        scores: their ranks, g groups.
        values: their ranks.
        sums: [g, b] of the ranks of values over the groups of scores.
    """
    both = np.einsum("gb,gb->b", scores.values, sums) - scores.size * (scores.size + 1) ** 2 / 4
    return _ratio(both, np.sqrt(scores.spread * values.spread))


def ndcg(scores: Ranks, values: Ranks, sums: Numbers, share: float) -> Numbers:
    """The nDCG [b] of the first `share` of the copies, with their percentile ranks as gains; arguments as above."""
    cut = np.maximum(1, np.rint(share * scores.size)).astype(np.int64)
    discounts = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(cut.max()) + 2))])

    def gain(ranks: Ranks, of_groups: Numbers) -> Numbers:
        ends = np.minimum(np.cumsum(ranks.counts[::-1], axis=0).astype(np.int64), cut)
        parts = np.diff(discounts[ends], axis=0, prepend=0.0)
        return np.asarray(np.einsum("gb,gb->b", parts, of_groups[::-1]))

    return _ratio(gain(scores, _ratio(sums, scores.counts, empty=1.0) - 1), gain(values, values.values - 1))


class Kendall:
    """Kendall's tau-b of two arrays [n], prepared once for all weights."""

    def __init__(self, scores: Groups, values: Groups) -> None:
        """Find equal pairs, and the order in which discordant ones are counted.

        Args:
            scores: of one side.
            values: of the other.
        """
        pairs = scores.of * len(scores.of) + values.of
        self._both = Groups(pairs.astype(np.float64))
        self._rows = self._both.rows
        ordered = values.of[self._rows]
        self._blocks = _blocks(ordered)
        self._levels = list(_levels(self._rows, ordered))

    def __call__(self, scores: Ranks, values: Ranks, weights: Numbers) -> Numbers:
        """Coefficients [b], NaN where one side is constant.

        Args:
            scores: their ranks.
            values: their ranks.
            weights: [n, b] of the same copies.
        """
        total = _pairs(scores.size)
        left, right, both = (
            total - _pairs(counts).sum(0)
            for counts in (scores.counts, values.counts, self._both.sums(weights))
        )
        different = left + right - both  # pairs that differ on both sides
        return _ratio(different - 2 * self._discordant(weights), np.sqrt(left * right))

    def _discordant(self, weights: Numbers) -> Numbers:
        """Pairs [b] with the higher score and the lower value: within blocks, and between ever larger halves."""
        blocks, width, _ = self._blocks.shape
        padded = np.zeros((blocks * width, weights.shape[1]))
        padded[: len(self._rows)] = weights[self._rows]
        cut = padded.reshape(blocks, width, -1)
        found = np.einsum("mnb,mnb->b", cut, self._blocks @ cut)
        for left, right, start, end in self._levels:
            before = np.zeros((len(left) + 1, weights.shape[1]))
            np.cumsum(weights[left], axis=0, out=before[1:])
            found += np.einsum("nb,nb->b", weights[right], before[end] - before[start])
        return np.asarray(found)


def _blocks(values: Indices) -> Numbers:
    """Within blocks of BLOCK values [n], whether [m, BLOCK, BLOCK] the one comes after the other and is smaller."""
    padded = np.full(-(-len(values) // BLOCK) * BLOCK, values.max())
    padded[: len(values)] = values
    cut = padded.reshape(-1, BLOCK)
    return np.tril(cut[:, :, None] < cut[:, None, :]).astype(np.float64)


def _levels(rows: Indices, values: Indices) -> Iterator[tuple[Indices, Indices, Indices, Indices]]:
    """A merge sort of values [n] from blocks on, as what each of its levels compares.

    Yields:
        The rows of the left halves, by block and descending value; those of the right halves; and for each of these
        where among the former those of its block begin, and where those with a larger value end.
    """
    places, width = np.arange(len(rows)), BLOCK
    while width < len(rows):
        block, is_left = places // (2 * width), places // width % 2 == 0
        order = np.lexsort(
            (is_left, -values, block)
        )  # right ones first among equals, which are not discordant
        is_left = is_left[order]
        right = order[~is_left]
        yield rows[order[is_left]], rows[right], block[right] * width, np.cumsum(is_left)[~is_left]
        width *= 2


def best_of(
    order: Indices, weights: Numbers, values: Numbers, by: Numbers, counts: Sequence[int]
) -> list[Numbers]:
    """For each count the value [b] of the one that is best `by` among so many first copies.

    Args:
        order: [n] rows, those with the highest scores first.
        weights: [n, b] of the rows.
        values: [n].
        by: [n].
        counts: how many copies to choose among.
    """
    sorted_weights = weights[order]
    ends = np.cumsum(sorted_weights, axis=0)
    needed = int((ends < max(counts)).sum(0).max()) + 1
    starts, there = (ends - sorted_weights)[:needed], sorted_weights[:needed] > 0
    rows, judged = order[:needed], by[order[:needed], None]
    found = []
    for count in counts:
        place = np.where(there & (starts < count), judged, -np.inf).argmax(0)
        found.append(values[rows[place]])
    return found


def largest(weights: Numbers, values: Numbers) -> Numbers:
    """The largest value [b] that each resample holds."""
    order = np.argsort(-values)
    return np.asarray(values[order[(weights[order] > 0).argmax(0)]])


def _pairs(counts: Numbers) -> Numbers:
    return counts * (counts - 1) / 2


def _ratio(numerator: Numbers, denominator: Numbers, empty: float = np.nan) -> Numbers:
    result = np.full(np.shape(numerator), empty)
    return np.asarray(np.divide(numerator, denominator, out=result, where=denominator > 0))
