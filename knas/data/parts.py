"""Which samples of a source are trained and tested on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from knas.data.dataset import balanced_subset, stratified_split
from knas.errors import UsageError

HELD_OUT = 0.2


class Labelled(Protocol):
    """A part of a source; `labels` are int64 [N]."""

    @property
    def labels(self) -> Tensor:
        """The class of each sample."""
        ...


Part = TypeVar("Part", bound=Labelled)


def usable(
    name: str, train: Part, test: Part | None, notes: list[str], samples: str = "images"
) -> tuple[Part, Part, Tensor, Tensor]:
    """The parts to train and test on, and the samples of each that may be used.

    Args:
        name: Of the source.
        train: Its training part.
        test: Its test part; where there is none, a fifth of each class is held out of `train`, the same always.
        notes: Told of that.
        samples: What the samples are, for the note.
    """
    everything = torch.arange(len(train.labels))
    if test is not None:
        return train, test, everything, torch.arange(len(test.labels))
    kept, held_out = stratified_split(train.labels, fraction=HELD_OUT, seed=0)
    notes.append(
        f"{name} has no test part: {len(held_out):,} of its {len(everything):,} training {samples}, "
        "a fifth of each class, are held out as one"
    )
    return train, train, kept, held_out


def limited(
    argument: str,
    part: Labelled,
    indices: Tensor,
    limit: int | None,
    floor: int,
    seed: int,
    notes: list[str],
    subset: Callable[..., Tensor] = balanced_subset,
) -> Tensor:
    """Cut `indices` down to a subset of `limit` samples, a class-balanced one unless `subset` draws another.

    Raises:
        UsageError: If the limit is below `floor`.
    """
    if limit is None:
        return indices
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < floor:
        raise UsageError(f"{argument}: wanted a whole number of at least {floor}, got {limit!r}")
    if limit > len(indices):
        notes.append(f"{argument}={limit:,}: there are {len(indices):,}, and all of them are used")
    if limit >= len(indices):
        return indices
    return indices[subset(part.labels[indices], limit, seed=seed)]
