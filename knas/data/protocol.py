"""What a trainer and a scorer ask of a data set, be it one of images or of sentences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from torch import Tensor

if TYPE_CHECKING:
    import torch

    from knas.data.augmentation import Augmentation

Inputs = Tensor | Mapping[str, Tensor]
"""What a network takes: images [n, C, H, W], or what a tokenizer gives, each [n, t]."""


class Batches(Protocol):
    """One part of a data set on one device, served in batches."""

    device: torch.device
    labels: Tensor  # int64 [N]

    def __len__(self) -> int:
        """The number of samples."""
        ...

    def batch(
        self,
        indices: Tensor,
        augmentation: Augmentation | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Any, Tensor]:
        """The inputs of the samples at `indices`, int64 [n], as a network takes them, and targets, int64 [n]."""
        ...

    def evaluation_batches(self, indices: Tensor, size: int | None = None) -> Iterable[Tensor]:
        """The same indices in parts that a network can be run on at once; None for a size that suits the data."""
        ...


class Dataset(Protocol):
    """A data set in memory, with a part to train on and one to test on."""

    @property
    def name(self) -> str:
        """What the set is called in reports."""
        ...

    @property
    def train_labels(self) -> Tensor:
        """Labels in 0 .. num_classes - 1, int64 [N]."""
        ...

    @property
    def test_labels(self) -> Tensor:
        """Likewise, int64 [M]."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""
        ...

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know."""
        ...

    @property
    def fingerprint(self) -> str:
        """A digest that is equal for equal data, wherever it was read from."""
        ...

    @property
    def samples(self) -> str:
        """What the samples are, for messages: "images" or "sentences"."""
        ...

    @property
    def positive(self) -> str | None:
        """The class that an F1 score is of; None where none is reported."""
        ...

    def on_device(self, part: str, device: torch.device | str, indices: Tensor | None = None) -> Batches:
        """The "train" or the "test" part on a device, or only the samples of it at some indices."""
        ...

    def augmentation(self, padding: int | None) -> Augmentation | None:
        """What may be done to training samples; `padding` is the border of a random crop in pixels."""
        ...
