"""How a ranking agrees with a table of trained architectures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from knas.benchmarks import Benchmark
from knas.errors import KnasError, UsageError
from knas.ranking.table import Ranking

Numbers = NDArray[np.float64]
Indices = NDArray[np.int64]

FEWEST = 3
"""A correlation of fewer pairs says nothing."""

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
    """

    dataset: str
    field: str
    epochs: int
    values: Numbers
    paper: float

    @property
    def name(self) -> str:
        """What the column holds, in words."""
        what = "negative training loss" if self.field == "train_loss" else self.field.replace("_", " ")
        return f"{what}, {self.epochs} epochs"


@dataclass(frozen=True)
class Scores:
    """The scores of a ranking that can be compared.

    Attributes:
        indices: [n] of the architectures in the space, ascending.
        values: [n] their finite scores.
        left_out: architectures whose scoring failed, or gave no finite number.
    """

    indices: Indices
    values: Numbers
    left_out: int

    @classmethod
    def of(cls, ranking: Ranking) -> Scores:
        """Those that order the ranking.

        Raises:
            KnasError: there are fewer than `FEWEST`.
        """
        proxy = ranking.proxies[0]
        pairs = sorted((row.index, value) for row in ranking.rows if _finite(value := row.scores[proxy]))
        if len(pairs) < FEWEST:
            raise KnasError(
                f"a correlation needs at least {FEWEST} finite scores of {proxy}, there are {len(pairs)} "
                f"of {len(ranking.rows)}"
            )
        indices, values = zip(*pairs, strict=True)
        return cls(np.array(indices), np.array(values, dtype=np.float64), len(ranking.rows) - len(pairs))

    def take(self, positions: Indices) -> Scores:
        """Some of them."""
        return Scores(self.indices[positions], self.values[positions], self.left_out)

    def drawn(self, count: int, rng: np.random.Generator) -> Scores:
        """So many of them, without repetition; all where there are no more."""
        n = len(self.values)
        return self if n <= count else self.take(np.sort(rng.choice(n, count, replace=False)))


@dataclass(frozen=True)
class Coefficient:
    """A measure of agreement, NaN where it is not defined; with its two-sided p-value where it has one."""

    value: float
    p: float | None = None


Measure = Callable[[Numbers, Numbers], Coefficient]


@dataclass(frozen=True)
class Agreement:
    """How scores agree with one column.

    Attributes:
        target: the column.
        architectures: pairs that were compared.
        left_out: architectures without a finite score.
        coefficients: by the names of `MEASURES`.
    """

    target: Target
    architectures: int
    left_out: int
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
    found = []
    if losses:
        values = -benchmark.complete(dataset, losses[-1], "train_loss")
        found.append(Target(dataset, "train_loss", losses[-1], values, PAPER_LOSS))
    elif validation:
        values = benchmark.complete(dataset, validation[0], "validation_accuracy")
        found.append(Target(dataset, "validation_accuracy", validation[0], values, PAPER_LOSS))
    if accuracy:
        values = benchmark.complete(dataset, accuracy[-1], "test_accuracy")
        found.append(Target(dataset, "test_accuracy", accuracy[-1], values, PAPER_ACCURACY))
    if not found:
        raise UsageError(f"{benchmark.source} holds no accuracies and no losses on {dataset}")
    return tuple(found)


def compare(scores: Scores, target: Target) -> Agreement:
    """Compare scores with a column by each of `MEASURES`."""
    values = target.values[scores.indices]
    return Agreement(
        target,
        len(values),
        scores.left_out,
        {name: measure(scores.values, values) for name, measure in MEASURES.items()},
    )


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


MEASURES: Mapping[str, Measure] = {"spearman": spearman, "kendall": kendall}
"""What scores [n] and values [n], higher is better for both, are compared by."""


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


def _constant(values: Numbers) -> bool:
    return bool(np.ptp(values) == 0)


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
