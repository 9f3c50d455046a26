"""Which parts and columns of a Hub data set hold what is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy
import torch
from torch import Tensor

from knas.errors import UsageError

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

TEST_SPLITS = ("test", "validation", "valid", "val", "test_matched", "validation_matched")
LABELS = ("label", "fine_label", "labels")  # where a set has more than one ClassLabel column, or none


def training_part(name: str, dataset: DatasetDict) -> Dataset:
    """The part to train on.

    Raises:
        UsageError: If there is none.
    """
    if "train" not in dataset:
        raise UsageError(f"dataset: {name} has no part named 'train', only {', '.join(dataset)}")
    return dataset["train"]


def find_test(
    dataset: DatasetDict, label: str, classes: tuple[str, ...]
) -> tuple[str | None, tuple[str, ...]]:
    """The first part to test on whose samples all have labels, and those before it that lack some."""
    unlabelled: list[str] = []
    for part in TEST_SPLITS:
        if part in dataset:
            if labels_of(dataset[part], label, classes) is not None:
                return part, tuple(unlabelled)
            unlabelled.append(part)
    return None, tuple(unlabelled)


def label_column(name: str, dataset: Dataset) -> tuple[str, tuple[str, ...]]:
    """The label column and its classes: those of a ClassLabel, or the values of a plain column named so."""
    from datasets import ClassLabel

    columns = [column for column, feature in dataset.features.items() if isinstance(feature, ClassLabel)]
    named = [column for column in LABELS if column in (columns or dataset.features)]
    if len(columns) != 1 and not named:
        found = ", ".join(dataset.features)
        raise UsageError(f"dataset: {name} needs one column of labels (ClassLabel), and has {found}")
    column = columns[0] if len(columns) == 1 else named[0]
    if columns:
        return column, tuple(dataset.features[column].names)
    return column, tuple(str(value) for value in sorted(set(dataset[column])))


def labels_of(dataset: Dataset, column: str, classes: tuple[str, ...]) -> Tensor | None:
    """The labels as positions in `classes`, or None where one is missing."""
    from datasets import ClassLabel

    if isinstance(dataset.features.get(column), ClassLabel):
        labels = dataset.with_format("numpy")[column][:].astype(numpy.int64)
    else:
        positions = {name: position for position, name in enumerate(classes)}
        values = dataset[column] if column in dataset.features else []
        labels = numpy.array([positions.get(str(value), -1) for value in values], dtype=numpy.int64)
    valid = len(labels) > 0 and labels.min() >= 0 and labels.max() < len(classes)
    return torch.from_numpy(labels) if valid else None
