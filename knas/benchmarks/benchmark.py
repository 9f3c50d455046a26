"""The results of training architectures, in memory: by data set, number of epochs, seed, and architecture."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from knas.errors import UsageError
from knas.spaces import Architecture, SearchSpace, create
from knas.spaces.checks import one_of

DATASETS = ("cifar10", "cifar100", "imagenet16-120")
"""The data sets of NAS-Bench-201."""

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Entry:
    """What training one architecture gave; None where the table does not hold it.

    Attributes:
        validation_accuracy: in per cent, after the last epoch.
        test_accuracy: in per cent, after the last epoch.
        train_loss: mean cross-entropy of the last epoch, on the training images.
        seconds: that the training took, with one evaluation on the validation images.
    """

    validation_accuracy: float | None = None
    test_accuracy: float | None = None
    train_loss: float | None = None
    seconds: float | None = None


FIELDS = tuple(field.name for field in fields(Entry))


@dataclass(frozen=True)
class Trainings:
    """All trainings on one data set for one number of epochs.

    Attributes:
        seeds: one per row, ascending; None alone where the table tells means over seeds.
        values: for each field of `Entry`, numbers [seeds, architectures], NaN where there is none.
    """

    seeds: tuple[int | None, ...]
    values: Mapping[str, Numbers]

    def means(self, field: str) -> Numbers:
        """The means over seeds [architectures] of one field, NaN where no seed has it."""
        with warnings.catch_warnings():  # NumPy warns of columns without any value
            warnings.simplefilter("ignore", RuntimeWarning)
            return np.asarray(np.nanmean(self.values[field], axis=0), dtype=np.float64)


class Benchmark:
    """A table of trained architectures.

    Attributes:
        space: the search space whose architectures it holds.
        source: the file that the numbers come from.
        fingerprint: SHA-256 that tells its content from others.
    """

    def __init__(
        self,
        trainings: Mapping[tuple[str, int], Trainings],
        *,
        source: str,
        fingerprint: str,
        space: str = "nas-bench-201",
    ) -> None:
        """Take over a table.

        Args:
            trainings: by data set and number of epochs.
            source: name of the file.
            fingerprint: SHA-256 of its content.
            space: name of the search space.
        """
        self.space: SearchSpace = create(space)
        self.source = source
        self.fingerprint = fingerprint
        self._trainings = dict(trainings)
        self._means: dict[tuple[str, int, str], Numbers] = {}

    @cached_property
    def datasets(self) -> tuple[str, ...]:
        """The data sets that it holds."""
        held = {dataset for dataset, _ in self._trainings}
        return tuple(dataset for dataset in DATASETS if dataset in held)

    def budgets(self, dataset: str, field: str | None = None) -> tuple[int, ...]:
        """The numbers of epochs that it holds for a data set, ascending.

        Args:
            dataset: one of `datasets`.
            field: only those for which this field of `Entry` is known.

        Raises:
            UsageError: the table lacks the data set.
        """
        dataset = one_of("benchmark data set (--benchmark-dataset)", dataset, self.datasets)
        return tuple(
            sorted(
                epochs
                for name, epochs in self._trainings
                if name == dataset and (field is None or not np.isnan(self._mean(name, epochs, field)).all())
            )
        )

    def seeds(self, dataset: str, epochs: int) -> tuple[int | None, ...]:
        """The seeds of the trainings, of which an architecture may lack some; None alone for means over seeds."""
        return self._find(dataset, epochs).seeds

    def query(
        self, architecture: Architecture | int, dataset: str, epochs: int, seed: int | None = None
    ) -> Entry:
        """Look up what training an architecture gave.

        Args:
            architecture: it, or its index in the space.
            dataset: one of `datasets`.
            epochs: one of `budgets(dataset)`.
            seed: of the training; None for the mean over its seeds.

        Raises:
            UsageError: the table lacks the data set, the number of epochs, the architecture or the seed.
        """
        trainings = self._find(dataset, epochs)
        index = self._index(architecture)
        if seed is None:
            values = [float(self._mean(dataset, epochs, field)[index]) for field in FIELDS]
        elif seed in trainings.seeds:
            row = trainings.seeds.index(seed)
            values = [float(trainings.values[field][row, index]) for field in FIELDS]
        else:
            values = []
        if np.isnan(values).all():
            raise self._absent(index, dataset, epochs, seed)
        return Entry(*(None if np.isnan(value) else value for value in values))

    def accuracies(self, dataset: str, epochs: int, split: str) -> Numbers:
        """The accuracies of all architectures, as means over seeds.

        Args:
            dataset: one of `datasets`.
            epochs: one of `budgets(dataset)`.
            split: "validation" or "test".

        Returns:
            Per cent [len(space)], by index.

        Raises:
            UsageError: the table lacks some of them.
        """
        return self.complete(dataset, epochs, f"{one_of('split', split, ('validation', 'test'))}_accuracy")

    def complete(self, dataset: str, epochs: int, field: str) -> Numbers:
        """One field of `Entry` for all architectures, as means over seeds.

        Args:
            dataset: one of `datasets`.
            epochs: one of `budgets(dataset)`.
            field: the field's name.

        Returns:
            Its values [len(space)], by index.

        Raises:
            UsageError: the table lacks some of them.
        """
        self._find(dataset, epochs)
        found = self._mean(dataset, epochs, one_of("field", field, FIELDS))
        if missing := int(np.isnan(found).sum()):
            raise UsageError(
                f"{self.source} lacks the {field.replace('_', ' ')} after {epochs} epochs on {dataset} of {missing:,} "
                f"of {len(found):,} architectures"
            )
        return found.copy()

    @cached_property
    def architectures(self) -> int:
        """How many of the space's architectures have an entry."""
        held = np.zeros(len(self.space), dtype=bool)
        for trainings in self._trainings.values():
            for values in trainings.values.values():
                held |= ~np.isnan(values).all(axis=0)
        return int(held.sum())

    def trainings(self) -> Mapping[tuple[str, int], Trainings]:
        """The whole table by data set and number of epochs."""
        return dict(self._trainings)

    def _mean(self, dataset: str, epochs: int, field: str) -> Numbers:
        key = (dataset, epochs, field)
        if key not in self._means:
            self._means[key] = self._trainings[dataset, epochs].means(field)
        return self._means[key]

    def _find(self, dataset: str, epochs: int) -> Trainings:
        budgets = self.budgets(dataset)
        if epochs not in budgets:
            held = " and ".join(map(str, budgets))
            raise UsageError(f"epochs (--epochs): {self.source} holds {held} on {dataset}, not {epochs}")
        return self._trainings[dataset, epochs]

    def _index(self, architecture: Architecture | int) -> int:
        if isinstance(architecture, Architecture):
            return self.space.index(architecture)
        self.space.architecture(architecture)  # refuses what is out of range
        return int(architecture)

    def _absent(self, index: int, dataset: str, epochs: int, seed: int | None) -> UsageError:
        seeds = self._trainings[dataset, epochs].seeds
        what = f"architecture {index} after {epochs} epochs on {dataset}"
        if seed is None:
            return UsageError(f"{self.source} lacks {what}")
        held = "means over seeds only" if seeds == (None,) else f"seeds {', '.join(map(str, seeds))}"
        return UsageError(f"{self.source} lacks {what} with seed {seed}; it holds {held}, not all for each")
