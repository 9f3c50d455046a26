"""Files in the official format of NAS-Bench-201, written by the package's own classes, small or with some fault."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nas_201_api import ArchResults, ResultsCount

from knas import spaces

SPACE = spaces.create("nas-bench-201")
TRAIN_SECONDS, VALIDATION_SECONDS = 7.5, 1.25
SPLITS = {
    "cifar10-valid": ("x-valid", "ori-test"),
    "cifar10": ("ori-test",),
    "cifar100": ("x-valid", "x-test", "ori-test"),
    "ImageNet16-120": ("x-valid", "x-test", "ori-test"),
}
SEEDS: dict[int, dict[str, tuple[int, ...]]] = {
    12: {"cifar10-valid": (111, 777), "cifar10": (777,), "cifar100": (777,), "ImageNet16-120": (777,)},
    200: dict.fromkeys(SPLITS, (777, 888)),
}


def accuracy(index: int, epochs: int, dataset: str, split: str, seed: int) -> float:
    """A number that tells what it is of."""
    codes = list(SPLITS).index(dataset), ("x-valid", "x-test", "ori-test").index(split)
    return 20.0 + index % 40 + epochs / 10 + 5 * codes[0] + codes[1] + seed / 1000


def loss(index: int, epochs: int, dataset: str, seed: int) -> float:
    """Likewise."""
    return 1.0 + index + epochs / 1000 + list(SPLITS).index(dataset) / 10 + seed / 100_000


def result(index: int, epochs: int, dataset: str, seed: int) -> ResultsCount:
    """One training with its whole history, as the benchmark's authors recorded it."""
    every = range(epochs)
    config = {"channel": 16, "num_cells": 5, "arch_str": str(SPACE.architecture(index)), "class_num": 10}
    one = ResultsCount(dataset, None, {}, {}, np.float64(0.3), 50.0, config, seed, epochs, [0.01, 0.02])
    last = loss(index, epochs, dataset, seed)
    losses = OrderedDict((epoch, last if epoch == epochs - 1 else 9.0) for epoch in every)
    one.update_train_info(
        OrderedDict.fromkeys(every, 50.0),
        OrderedDict.fromkeys(every, 90.0),
        losses,
        OrderedDict.fromkeys(every, TRAIN_SECONDS),
    )
    keys = [(split, epoch) for split in SPLITS[dataset] for epoch in every]
    last_or = {True: lambda split: accuracy(index, epochs, dataset, split, seed), False: lambda split: 5.0}
    one.update_eval(
        {f"{split}@{epoch}": last_or[epoch == epochs - 1](split) for split, epoch in keys},
        {f"{split}@{epoch}": 0.5 for split, epoch in keys},
        {f"{split}@{epoch}": VALIDATION_SECONDS for split, epoch in keys},
    )
    return one


def results(index: int, epochs: int) -> ArchResults:
    """All trainings of one architecture with one schedule."""
    found = ArchResults(index, str(SPACE.architecture(index)))
    for dataset, seeds in SEEDS[epochs].items():
        for seed in seeds:
            found.update(dataset, seed, result(index, epochs, dataset, seed))
    return found


def content(indices: tuple[int, ...]) -> dict[str, Any]:
    """What the file holds: a dictionary of state dictionaries, without weights."""
    return {
        "meta_archs": [str(SPACE.architecture(index)) for index in range(len(SPACE))],
        "total_archs": len(SPACE),
        "arch2infos": {
            index: {"full": results(index, 200).state_dict(), "less": results(index, 12).state_dict()}
            for index in indices
        },
        "evaluated_indexes": set(indices),
    }


def save(path: Path, what: Any, *, zipped: bool = False) -> Path:
    """Write it as torch did in 2020, or as it does now."""
    torch.save(what, path, _use_new_zipfile_serialization=zipped)
    return path
