"""How a ranking agrees with a table of trained architectures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from knas.benchmarks import Benchmark
from knas.errors import KnasError, UsageError
from knas.ranking.measures import (
    REGRETS,
    Coefficient,
    chosen,
    expected,
    kendall,
    ndcg,
    regret,
    spearman,
)
from knas.ranking.table import Ranking
from knas.ranking.weighted import Indices, Numbers

if TYPE_CHECKING:
    from knas.ranking.resampling import Resamples

FEWEST = 3
"""A correlation of fewer pairs says nothing."""

RANDOM, EXPECTED = "random", "expected"
"""What stands in the place of a proxy's name for a random order, and for what it has on the average."""

PAPER_LOSS, PAPER_ACCURACY = 0.53, 0.56
"""What the KNAS paper (arXiv 2111.13293, Section 1) reports: Spearman's coefficient of MGM with the negative training
loss and with the validation accuracy of 200 cells on CIFAR-100."""


@dataclass(frozen=True)
class Target:
    """A column of a table that a score should put in the same order.

    Attributes:
        dataset: the data set that the architectures were trained on.
        field: a field of `knas.benchmarks.Entry`.
        epochs: that they were trained for.
        values: [len(space)] by index, higher is better: accuracies in per cent, or negative losses.
        paper: the paper's Spearman coefficient with what this column is, or stands for.
        by: [len(space)] what one of several candidates is chosen by, the validation accuracy after the shortest
            training; None where the table has none.
        by_epochs: those of the shortest training.
    """

    dataset: str
    field: str
    epochs: int
    values: Numbers
    paper: float
    by: Numbers | None = None
    by_epochs: int | None = None

    @property
    def name(self) -> str:
        """What the column holds, in words."""
        what = "negative training loss" if self.field == "train_loss" else self.field.replace("_", " ")
        return f"{what}, {self.epochs} epochs"


@dataclass(frozen=True)
class Scores:
    """The scores of a ranking that can be compared.

    Attributes:
        proxy: what gave them.
        indices: [n] of the architectures in the space, ascending.
        values: [n] their finite scores.
        classes: [n] numbers of their isomorphism classes among those ranked, from 0.
        failed: [f] indices of the architectures whose scoring failed, or gave no finite number.
        failed_classes: [f] theirs.
    """

    proxy: str
    indices: Indices
    values: Numbers
    classes: Indices
    failed: Indices
    failed_classes: Indices

    @classmethod
    def of(cls, ranking: Ranking, proxy: str | None = None) -> Scores:
        """Those of one proxy, by default of that which orders the ranking.

        Raises:
            KnasError: there are fewer than `FEWEST`.
        """
        proxy = ranking.proxies[0] if proxy is None else proxy
        rows = sorted(ranking.rows, key=lambda row: row.index)
        values = np.array([_number(row.scores[proxy]) for row in rows])
        indices = np.array([row.index for row in rows])
        classes = np.unique([row.canonical for row in rows], return_inverse=True)[1]
        finite = np.isfinite(values)
        if finite.sum() < FEWEST:
            raise KnasError(
                f"a correlation needs at least {FEWEST} finite scores of {proxy}, there are {finite.sum()} "
                f"of {len(rows)}"
            )
        return cls(
            proxy, indices[finite], values[finite], classes[finite], indices[~finite], classes[~finite]
        )

    @property
    def left_out(self) -> int:
        """How many architectures have no finite score."""
        return len(self.failed)

    def best_of_all(self, target: Target) -> float:
        """The largest value of the architectures that were ranked, with or without a score."""
        return float(target.values[np.concatenate([self.indices, self.failed])].max())

    def take(self, positions: Indices) -> Scores:
        """Some of them."""
        return replace(
            self,
            indices=self.indices[positions],
            values=self.values[positions],
            classes=self.classes[positions],
        )

    def drawn(self, count: int, rng: np.random.Generator) -> Scores:
        """So many of them, without repetition; all where there are no more."""
        n = len(self.values)
        return self if n <= count else self.take(np.sort(rng.choice(n, count, replace=False)))

    def shuffled(self, rng: np.random.Generator) -> Scores:
        """A random order of the same architectures."""
        return replace(self, proxy=RANDOM, values=rng.permutation(len(self.values)).astype(np.float64))


@dataclass(frozen=True)
class Agreement:
    """How scores agree with one column.

    Attributes:
        target: the column.
        proxy: what gave the scores.
        architectures: pairs that were compared.
        left_out: architectures without a finite score.
        optimum: the largest value of all, whether it has a score or not.
        coefficients: by name: "spearman", "kendall", "ndcg"; "regret_1" and the like, of `measures.REGRETS`; "first",
            the value of the highest score; and where the target has a `by`, "chosen" (see `measures.chosen`).
    """

    target: Target
    proxy: str
    architectures: int
    left_out: int
    optimum: float
    coefficients: Mapping[str, Coefficient]


def targets(benchmark: Benchmark, dataset: str) -> tuple[Target, ...]:
    """The columns for the two figures that the paper gives: of the training loss, and of the accuracy.

    The accuracy is that on the test images after the longest training. The loss is that at the end of the longest
    training whose losses the table holds; where it holds none, the validation accuracy after the shortest training
    stands for it, under its own name.

    Raises:
        UsageError: the table lacks the data set, or some architectures in one of the columns.
    """
    accuracy = benchmark.budgets(dataset, "test_accuracy")
    losses = benchmark.budgets(dataset, "train_loss")
    validation = benchmark.budgets(dataset, "validation_accuracy")
    epochs = validation[0] if validation else None
    by = None if epochs is None else benchmark.complete(dataset, epochs, "validation_accuracy")
    found = []
    if losses:
        values = -benchmark.complete(dataset, losses[-1], "train_loss")
        found.append(Target(dataset, "train_loss", losses[-1], values, PAPER_LOSS, by, epochs))
    elif by is not None and epochs is not None:
        found.append(Target(dataset, "validation_accuracy", epochs, by, PAPER_LOSS, by, epochs))
    if accuracy:
        values = benchmark.complete(dataset, accuracy[-1], "test_accuracy")
        found.append(Target(dataset, "test_accuracy", accuracy[-1], values, PAPER_ACCURACY, by, epochs))
    if not found:
        raise UsageError(f"{benchmark.source} holds no accuracies and no losses on {dataset}")
    return tuple(found)


def compare(scores: Scores, target: Target, resamples: Resamples | None = None) -> Agreement:
    """Compare scores with a column by each measure.

    Args:
        scores: of one proxy.
        target: the column.
        resamples: what intervals are found by; None for none.
    """
    values, optimum = target.values[scores.indices], scores.best_of_all(target)
    found = {"spearman": spearman(scores.values, values), "kendall": kendall(scores.values, values)}
    found["ndcg"] = Coefficient(ndcg(scores.values, values))
    for count in REGRETS:
        found[f"regret_{count}"] = Coefficient(regret(scores.values, values, count, optimum))
    found["first"] = Coefficient(chosen(scores.values, values, values, 1))
    if target.by is not None:
        found["chosen"] = Coefficient(chosen(scores.values, values, target.by[scores.indices]))
    if resamples is not None:
        intervals = resamples.intervals(scores, target)
        found = {name: replace(one, interval=intervals[name]) for name, one in found.items()}
    return Agreement(target, scores.proxy, len(values), scores.left_out, optimum, found)


def expectation(scores: Scores, target: Target) -> Agreement:
    """What a random order of the same architectures has on the average."""
    by = None if target.by is None else target.by[scores.indices]
    optimum = scores.best_of_all(target)
    found = expected(target.values[scores.indices], by, optimum)
    coefficients = {name: Coefficient(value) for name, value in found.items()}
    return Agreement(target, EXPECTED, len(scores.values), scores.left_out, optimum, coefficients)


def repeated(
    scores: Scores, target: Target, rng: np.random.Generator, repeats: int = 50, size: int = 200
) -> Numbers:
    """Spearman's coefficients [repeats] of as many draws of `size` architectures (Figure 2 of the paper)."""
    draws = (scores.drawn(size, rng) for _ in range(repeats))
    return np.array([spearman(one.values, target.values[one.indices]).value for one in draws])


def ranks(scores: Scores) -> Numbers:
    """Ranks [n] of scores, 1 for the smallest; equal scores share their mean rank."""
    from scipy import stats

    return np.asarray(stats.rankdata(scores.values), dtype=np.float64)


def _number(value: float | None) -> float:
    return math.nan if value is None else value
