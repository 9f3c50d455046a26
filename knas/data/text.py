"""Tokenized sentences: the data set of them, and batches on a device, padded to their longest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from knas.data.augmentation import Augmentation

EVALUATION_BATCH = 32


@dataclass(frozen=True, eq=False)
class Tokens:
    """What a tokenizer gives of many sentences, or pairs of them, without any padding.

    Attributes:
        columns: By the name of a network's argument, such as `input_ids`: int32 [all tokens], sentence after
            sentence.
        lengths: Tokens of each sentence or pair, int64 [N].
        padding: By the same names: the value that fills a batch up.
    """

    columns: Mapping[str, Tensor]
    lengths: Tensor
    padding: Mapping[str, int]

    def __len__(self) -> int:
        """The number of sentences or pairs."""
        return len(self.lengths)

    @cached_property
    def starts(self) -> Tensor:
        """Where each sentence or pair begins, int64 [N]."""
        return self.lengths.cumsum(0) - self.lengths

    def padded(self, indices: Tensor) -> dict[str, Tensor]:
        """Sentences side by side, filled up to the longest of them.

        Args:
            indices: int64 [n].

        Returns:
            The columns, and `attention_mask` with 1 where there is a token: int64 [n, t] each.
        """
        lengths = self.lengths[indices]
        steps = torch.arange(int(lengths.max()), device=lengths.device)  # [t]
        there = steps < lengths[:, None]  # [n, t]
        where = torch.where(there, self.starts[indices, None] + steps, 0)
        filled = {
            name: torch.where(there, values[where].long(), self.padding[name])
            for name, values in self.columns.items()
        }
        return {**filled, "attention_mask": there.long()}

    def to(self, device: torch.device | str) -> Tokens:
        """The same on a device."""
        columns = {name: values.to(device) for name, values in self.columns.items()}
        return Tokens(columns, self.lengths.to(device), self.padding)


@dataclass(frozen=True, eq=False)
class TextDataset:
    """Labelled sentences, or pairs of them, as tokens in memory.

    Attributes:
        name: What the set is called in reports.
        train: To train on.
        train_labels: int64 [N], in 0 .. num_classes - 1.
        test: To test on.
        test_labels: int64 [M].
        classes: The names of the classes.
        columns: Where the sentences come from, one or two.
        model: Whose tokenizer made the tokens.
        max_length: Tokens per sentence or pair, at most.
        notes: What the user should know: sentences that were cut, parts without labels.
    """

    name: str
    train: Tokens
    train_labels: Tensor
    test: Tokens
    test_labels: Tensor
    classes: tuple[str, ...]
    columns: tuple[str, ...]
    model: str
    max_length: int
    notes: tuple[str, ...] = ()

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.classes)

    @property
    def samples(self) -> str:
        """What the samples are, for messages."""
        return "sentences" if len(self.columns) == 1 else "pairs of sentences"

    @property
    def positive(self) -> str | None:
        """The class that an F1 score is of: the second of two, as GLUE has it."""
        return self.classes[1] if self.num_classes == 2 else None

    @cached_property
    def fingerprint(self) -> str:
        """A digest of every token, label and class name: equal for equal data, wherever it was read from."""
        digest = hashlib.sha256(repr((self.classes, dict(self.train.padding))).encode())
        for tokens, labels in ((self.train, self.train_labels), (self.test, self.test_labels)):
            for name, values in (
                *sorted(tokens.columns.items()),
                ("length", tokens.lengths),
                ("label", labels),
            ):
                digest.update(f"{name} {len(values)} ".encode())
                digest.update(values.cpu().contiguous().numpy().data)
        return digest.hexdigest()

    def on_device(self, part: str, device: torch.device | str, indices: Tensor | None = None) -> DeviceText:
        """The "train" or the "test" sentences on a device, or only those at some indices."""
        train = part == "train"
        tokens, labels = (self.train, self.train_labels) if train else (self.test, self.test_labels)
        return DeviceText(tokens, labels, indices, device)

    def augmentation(self, padding: int | None) -> None:
        """Nothing: sentences are trained on as they are."""


class DeviceText:
    """Tokens on a device, once, and batches of them padded there.

    Args:
        tokens: Of N sentences or pairs.
        labels: int64 [N].
        indices: Of those that are served, int64 [n]; None for all.
        device: Where the tokens lie and the batches are made.
    """

    def __init__(
        self,
        tokens: Tokens,
        labels: Tensor,
        indices: Tensor | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.device = torch.device(device)
        served = torch.arange(len(labels)) if indices is None else indices
        self._lengths = tokens.lengths[served]
        self._served = served.to(self.device)
        self._tokens = tokens.to(self.device)
        self.labels = labels[served].to(self.device)

    def __len__(self) -> int:
        """The number of sentences or pairs."""
        return len(self.labels)

    def batch(
        self,
        indices: Tensor,
        augmentation: Augmentation | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Cut one batch.

        Args:
            indices: int64 [n].
            augmentation: Not for sentences.
            generator: Not needed.

        Returns:
            What the tokenizer gives, int64 [n, t] by name, and targets, int64 [n].
        """
        indices = indices.to(self.device)
        return self._tokens.padded(self._served[indices]), self.labels[indices]

    def evaluation_batches(self, indices: Tensor, size: int | None = None) -> Iterable[Tensor]:
        """The indices in parts of `size`, 32 unless given, by length, so that little of a batch is padding."""
        indices = indices.cpu()
        by_length = self._lengths[indices].argsort(stable=True)
        parts: tuple[Tensor, ...] = indices[by_length].split(size or EVALUATION_BATCH)
        return parts
