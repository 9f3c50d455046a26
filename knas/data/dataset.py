"""The data set that everything else takes, and how it is cut: subsets and stratified splits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy
import torch
from torch import Tensor

from knas.data.augmentation import Augmentation
from knas.data.device import DeviceData
from knas.data.protocol import Dataset
from knas.errors import UsageError


@dataclass(frozen=True, eq=False)
class ImageDataset:
    """Images and labels in memory, train and test, all of one size.

    Attributes:
        name: What the set is called in reports.
        train_images: uint8 [N, 3, H, W].
        train_labels: int64 [N], in 0 .. num_classes - 1.
        test_images: uint8 [M, 3, H, W].
        test_labels: int64 [M].
        classes: The names of the classes.
        mean: float32 [3], per channel over the training images, which are scaled to 0 .. 1.
        std: float32 [3], likewise; at least 1/255, so that a constant channel divides by no zero.
        flip: Whether a mirrored image keeps its label (true for photographs, false for digits).
        notes: What the user should know: a test part that was held out, fewer samples than asked for.
    """

    name: str
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    classes: tuple[str, ...]
    mean: Tensor
    std: Tensor
    flip: bool = True
    notes: tuple[str, ...] = ()

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.classes)

    @cached_property
    def fingerprint(self) -> str:
        """A digest of every pixel, label and class name: equal for equal data, wherever it was read from."""
        digest = hashlib.sha256(repr((self.classes, self.flip)).encode())
        for tensor in (self.train_images, self.train_labels, self.test_images, self.test_labels):
            digest.update(repr((tuple(tensor.shape), tensor.dtype)).encode())
            digest.update(tensor.cpu().contiguous().numpy().data)
        return digest.hexdigest()

    @property
    def samples(self) -> str:
        """What the samples are, for messages."""
        return "images"

    @property
    def positive(self) -> None:
        """No class: F1 scores of images are not reported."""

    def on_device(self, part: str, device: torch.device | str, indices: Tensor | None = None) -> DeviceData:
        """The "train" or the "test" images on a device, or only those at some indices."""
        train = part == "train"
        images, labels = (
            (self.train_images, self.train_labels) if train else (self.test_images, self.test_labels)
        )
        if indices is not None:
            images, labels = images[indices], labels[indices]
        return DeviceData(images, labels, mean=self.mean, std=self.std, device=device)

    def augmentation(self, padding: int | None) -> Augmentation:
        """Crops with a border of `padding` pixels, None for an eighth of the height, mirrored where that is allowed."""
        return Augmentation(self.train_images.shape[2] // 8 if padding is None else padding, self.flip)


def pixel_statistics(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel, exact, from its histogram.

    Args:
        images: uint8 [N, C, H, W].

    Returns:
        Mean and standard deviation, float32 [C] each, of the pixels scaled to 0 .. 1.
    """
    values = torch.arange(256, dtype=torch.float64) / 255
    means, deviations = [], []
    for channel in images.unbind(1):
        weights = torch.bincount(channel.reshape(-1), minlength=256).double() / channel.numel()
        mean = (weights * values).sum()
        means.append(mean)
        deviations.append((weights * (values - mean) ** 2).sum().sqrt())
    return torch.stack(means).float(), torch.stack(deviations).float().clamp(min=1 / 255)


def check_seed(seed: int) -> int:
    """Return `seed` if it can seed a generator.

    Raises:
        UsageError: If it is no integer, or negative.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise UsageError(f"seed: wanted an integer of at least 0, got {seed!r}")
    return seed


def _shuffled_ranks(labels: Tensor, seed: int) -> tuple[numpy.ndarray, numpy.ndarray, numpy.random.Generator]:
    """The samples in a random order, and for each its rank among those of its class in that order."""
    generator = numpy.random.default_rng(check_seed(seed))
    order = generator.permutation(len(labels))
    classes = labels.numpy()[order]
    ranks = numpy.empty(len(labels), dtype=numpy.int64)
    for value in numpy.unique(classes):
        members = numpy.flatnonzero(classes == value)
        ranks[members] = numpy.arange(len(members))
    return order, ranks, generator


def balanced_subset(labels: Tensor, count: int, *, seed: int) -> Tensor:
    """Draw `count` samples with as equal a number of every class as there are samples for.

    Args:
        labels: int64 [N].
        count: How many to draw, at most N.
        seed: Fixes the draw. A larger subset of the same seed need not contain a smaller one.

    Returns:
        Indices into `labels`, int64 [count], ascending.
    """
    return _first(labels, count, seed, lambda ranks, sizes: ranks)


def proportional_subset(labels: Tensor, count: int, *, seed: int) -> Tensor:
    """Draw `count` samples with the same shares of classes as all have, and one of each where `count` allows.

    Args:
        labels: int64 [N].
        count: How many to draw, at most N.
        seed: Fixes the draw. A larger subset of the same seed need not contain a smaller one.

    Returns:
        Indices into `labels`, int64 [count], ascending.
    """
    return _first(labels, count, seed, lambda ranks, sizes: numpy.where(ranks == 0, 0, (ranks + 0.5) / sizes))


def _first(
    labels: Tensor,
    count: int,
    seed: int,
    place: Callable[[numpy.ndarray, numpy.ndarray], numpy.ndarray],
) -> Tensor:
    """The `count` samples with the smallest place, by their rank in their class and the size of the class."""
    order, ranks, generator = _shuffled_ranks(labels, seed)
    classes = labels.numpy()[order]
    tie_break = generator.permutation(int(classes.max()) + 1)[classes]  # which classes get the remainder
    chosen = order[numpy.lexsort((tie_break, place(ranks, numpy.bincount(classes)[classes])))[:count]]
    return torch.from_numpy(numpy.sort(chosen))


def stratified_split(labels: Tensor, *, fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """Split samples in two, class by class.

    Every class with two samples or more is on both sides; a class with one is on the first side only.

    Args:
        labels: int64 [N].
        fraction: The share of each class that goes to the second side, between 0 and 1.
        seed: Fixes the split.

    Returns:
        Indices of the first and of the second side, int64, ascending.

    Raises:
        UsageError: If `fraction` is not between 0 and 1, or no class has two samples.
    """
    if not 0 < fraction < 1:
        raise UsageError(f"fraction: wanted a share between 0 and 1, both excluded, got {fraction!r}")
    order, ranks, _ = _shuffled_ranks(labels, seed)
    classes = labels.numpy()[order]
    sizes = numpy.bincount(classes)
    quota = numpy.clip(numpy.rint(sizes * fraction).astype(numpy.int64), 1, numpy.maximum(sizes - 1, 0))
    quota[sizes < 2] = 0
    second = ranks < quota[classes]
    if not second.any():
        raise UsageError("labels: a split needs at least one class with two samples or more")
    sides = (numpy.sort(order[~second]), numpy.sort(order[second]))
    return torch.from_numpy(sides[0]), torch.from_numpy(sides[1])


def split(dataset: Dataset, *, fraction: float = 0.2, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Split the training samples into a part to train on and a part to validate on, class by class.

    NAS-Bench-201 validates on half of CIFAR-10's training images: `fraction=0.5`. The default leaves more to
    train on, since a brief training is usually short of samples.

    Args:
        dataset: The data set.
        fraction: The share of each class to validate on.
        seed: Fixes the split.

    Returns:
        Indices into `dataset.train_labels` to train on and to validate on, int64, ascending.

    Raises:
        UsageError: If `fraction` is not between 0 and 1, or no class has two samples.
    """
    return stratified_split(dataset.train_labels, fraction=fraction, seed=seed)
