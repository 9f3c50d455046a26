"""What a name stands for, and how it becomes a data set in memory."""

from __future__ import annotations

import os
import re
from pathlib import Path

import torch
from torch import Tensor

from knas.data.dataset import ImageDataset, balanced_subset, check_seed, pixel_statistics, stratified_split
from knas.data.digits import open_digits
from knas.data.folder import is_image_folder, open_image_folder
from knas.data.hub import open_folder, open_hub
from knas.data.source import Source, Split
from knas.errors import UsageError

HUB_NAMES = {"cifar10": "uoft-cs/cifar10", "cifar100": "uoft-cs/cifar100"}
HUB_IDENTIFIER = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
HELD_OUT = 0.2


def names() -> tuple[str, ...]:
    """The data sets that have a name of their own; Hub ids and folders can be loaded besides."""
    return ("digits", *HUB_NAMES)


def load(
    name: str | os.PathLike[str],
    *,
    max_train_samples: int | None = None,
    max_test_samples: int | None = None,
    seed: int = 0,
    image_size: int | None = None,
) -> ImageDataset:
    """Load a data set of labelled images into memory, every image that is used decoded once.

    Args:
        name: A name out of `names()`; a folder, with images in train/CLASS/ and test/CLASS/ or with parquet
            files in the Hub's layout; or an id of the Hugging Face Hub such as "uoft-cs/cifar10". A folder
            goes before a Hub id.
        max_train_samples: Keep at most this many training images, as equally many of each class as there are.
        max_test_samples: Likewise of the test images.
        seed: Fixes which images these limits keep.
        image_size: Resize every image to a square of this many pixels.

    Returns:
        The data set. Where it comes without a test part, a fifth of the training images is held out as one,
        the same for every seed, and `notes` says so.

    Raises:
        UsageError: If there is no such data set, a limit is out of range, or an image can't be used.
        KnasError: If the data set is on the Hub, and the Hub can't be reached.
    """
    check_seed(seed)
    if image_size is not None and (not isinstance(image_size, int) or image_size < 1):
        raise UsageError(f"image_size: wanted a number of pixels of at least 1, got {image_size!r}")
    source = _open(os.fspath(name))
    notes: list[str] = []
    train, test, train_indices, test_indices = _parts(source, notes)
    floor = max(2, len(source.classes))
    train_indices = _limit("max_train_samples", train, train_indices, max_train_samples, floor, seed, notes)
    test_indices = _limit("max_test_samples", test, test_indices, max_test_samples, 1, seed, notes)
    train_images, test_images = train.decode(train_indices, image_size), test.decode(test_indices, image_size)
    if train_images.shape[1:] != test_images.shape[1:]:
        sizes = [f"{images.shape[3]}x{images.shape[2]}" for images in (train_images, test_images)]
        raise UsageError(
            f"dataset: {source.name} trains on images of {sizes[0]} pixels and tests on {sizes[1]}; "
            "pass image_size to resize every image"
        )
    mean, std = pixel_statistics(train_images)
    return ImageDataset(
        source.name,
        train_images,
        train.labels[train_indices],
        test_images,
        test.labels[test_indices],
        source.classes,
        mean,
        std,
        source.flip,
        tuple(notes),
    )


def _open(name: str) -> Source:
    if name == "digits":
        return open_digits()
    if name in HUB_NAMES:
        return open_hub(HUB_NAMES[name])
    folder = Path(name).expanduser()
    if name and folder.is_dir():
        return open_image_folder(folder) if is_image_folder(folder) else open_folder(folder)
    if name and folder.exists():
        raise UsageError(f"dataset: wanted a name, a Hub id or a folder, and {name} is a file")
    if HUB_IDENTIFIER.fullmatch(name):
        return open_hub(name)
    raise UsageError(
        f"dataset: there is no folder and no data set named {name!r}; known names are {', '.join(names())}, "
        "and a Hub id has the form owner/name"
    )


def _parts(source: Source, notes: list[str]) -> tuple[Split, Split, Tensor, Tensor]:
    """The parts to train and test on, and the samples of each that may be used."""
    everything = torch.arange(len(source.train.labels))
    if source.test is not None:
        return source.train, source.test, everything, torch.arange(len(source.test.labels))
    kept, held_out = stratified_split(source.train.labels, fraction=HELD_OUT, seed=0)
    notes.append(
        f"{source.name} has no test part: {len(held_out):,} of its {len(everything):,} training images, "
        "a fifth of each class, are held out as one"
    )
    return source.train, source.train, kept, held_out


def _limit(
    argument: str, part: Split, indices: Tensor, limit: int | None, floor: int, seed: int, notes: list[str]
) -> Tensor:
    """Cut `indices` down to a class-balanced subset of `limit` samples."""
    if limit is None:
        return indices
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < floor:
        raise UsageError(f"{argument}: wanted a whole number of at least {floor}, got {limit!r}")
    if limit > len(indices):
        notes.append(f"{argument}={limit:,}: there are {len(indices):,}, and all of them are used")
    if limit >= len(indices):
        return indices
    return indices[balanced_subset(part.labels[indices], limit, seed=seed)]
