"""Table 1 of the KNAS paper (arXiv 2111.13293): its rows, in its order, and the numbers that it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from knas.benchmarks.benchmark import DATASETS


@dataclass(frozen=True)
class Published:
    """What the paper gives for one system on one data set; None where it gives nothing.

    Attributes:
        accuracy: of the found cell, in per cent.
        seconds: of the search.
        speed_up: against random search.
    """

    accuracy: float | None = None
    seconds: float | None = None
    speed_up: float | None = None


def _row(
    accuracies: tuple[float, float, float],
    seconds: tuple[float | None, float | None, float | None] = (None, None, None),
    speed_ups: tuple[float | None, float | None, float | None] = (None, None, None),
) -> dict[str, Published]:
    numbers = zip(accuracies, seconds, speed_ups, strict=True)
    return {dataset: Published(*row) for dataset, row in zip(DATASETS, numbers, strict=True)}


_HUNDRED_TRAININGS = (216e3, 460e3, 1e6)

TABLE_1: Mapping[str, Mapping[str, Published]] = {
    "resnet": _row((93.97, 70.86, 43.63)),
    "random": _row((93.63, 71.28, 44.88), _HUNDRED_TRAININGS, (1, 1, 1)),
    "reinforce": _row((92.83, 70.71, 44.10), _HUNDRED_TRAININGS, (1, 1, 1)),
    "regularized-evolution": _row((93.72, 72.12, 45.01), _HUNDRED_TRAININGS, (1, 1, 1)),
    "bohb": _row((93.49, 70.84, 44.33), _HUNDRED_TRAININGS, (1, 1, 1)),
    "rsps": _row((91.67, 57.99, 36.87), (10e3, 46e3, 104e3), (21.6, 21.6, 9.6)),
    "gdas": _row((93.36, 67.60, 37.97), (22e3, 39e3, 130e3), (12.0, 11.7, 7.7)),
    "darts": _row((88.32, 67.34, 33.04), (23e3, 80e3, 110e3), (9.4, 5.8, 9.1)),
    "naswot": _row((92.96, 70.03, 44.43), (2.2e3, 4.6e3, 10e3), (100, 100, 100)),
    "te-nas": _row((93.90, 71.24, 42.38), (2.2e3, 4.6e3, 10e3), (100, 100, 100)),
    "knas-20": _row((93.38, 70.78, 44.63), (4.4e3, 9.2e3, 20e3), (50, 50, 50)),
    "knas-40": _row((93.43, 71.05, 45.05), (8.8e3, 18.4e3, 40e3), (25, 25, 25)),
}
"""By the row's name in `knas.compare.systems`, then by data set."""

NOTHING = Published()
"""Of rows that the paper does not have."""
