"""Rankings, scores and columns that nobody measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from knas.ranking import RankedRow, Ranking
from knas.ranking.correlation import Scores, Target


def ranking(scores: Mapping[int, float | None], classes: Mapping[int, str] | None = None) -> Ranking:
    """Scores of "mgm" by index; each is a class of its own unless told otherwise."""
    rows = tuple(
        RankedRow(
            index,
            str(index),
            (classes or {}).get(index, str(index)),
            {"mgm": value},
            {"mgm": "failed"} if value is None else {},
            0.1,
        )
        for index, value in scores.items()
    )
    return Ranking("nas-bench-201", "digits", ("mgm",), rows, "runs/x", 0, 0.0)


def scores(values: Any, classes: Sequence[int] | None = None) -> Scores:
    """Scores of the first architectures; each is a class of its own unless told otherwise."""
    n = len(values)
    none = np.array([], dtype=np.int64)
    numbers = np.arange(n) if classes is None else np.asarray(classes)
    return Scores("mgm", np.arange(n), np.asarray(values, dtype=np.float64), numbers, none, none)


def target(values: Any, by: Any = None) -> Target:
    """A column."""
    return Target("cifar100", "test_accuracy", 200, np.asarray(values, dtype=np.float64), 0.56, by, 12)
