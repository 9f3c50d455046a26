"""What a name stands for, and how it becomes a data set in memory."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path

from knas.data.dataset import ImageDataset, check_seed, pixel_statistics
from knas.data.digits import open_digits
from knas.data.folder import is_image_folder, open_image_folder
from knas.data.hub import read_folder, read_hub
from knas.data.hub_images import image_source
from knas.data.parts import limited, usable
from knas.data.source import Source
from knas.errors import UsageError

HUB_NAMES = {"cifar10": "uoft-cs/cifar10", "cifar100": "uoft-cs/cifar100"}
HUB_IDENTIFIER = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*(/[\w-][\w.-]*)?")


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
            files in the Hub's layout; or an id of the Hugging Face Hub such as "uoft-cs/cifar10", with the name of
            a configuration behind another slash where the set has several. A folder goes before a Hub id.
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
    train, test, train_indices, test_indices = usable(source.name, source.train, source.test, notes)
    floor = max(2, len(source.classes))
    train_indices = limited("max_train_samples", train, train_indices, max_train_samples, floor, seed, notes)
    test_indices = limited("max_test_samples", test, test_indices, max_test_samples, 1, seed, notes)
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
        return image_source(HUB_NAMES[name], read_hub(HUB_NAMES[name]))
    folder = find_folder(name, names())
    if folder is None:
        return image_source(name, read_hub(name))
    if is_image_folder(folder):
        return open_image_folder(folder)
    return image_source(
        folder.resolve().name, read_folder(folder, "neither an image folder (train/CLASS/*.png) nor one in")
    )


def find_folder(name: str, known: Collection[str] = ()) -> Path | None:
    """The folder of that name, which goes before a Hub id; None for a Hub id.

    Raises:
        UsageError: If the name is neither.
    """
    folder = Path(name).expanduser()
    if name and folder.is_dir():
        return folder
    if name and folder.exists():
        raise UsageError(f"dataset: wanted a name, a Hub id or a folder, and {name} is a file")
    if HUB_IDENTIFIER.fullmatch(name):
        return None
    listed = f"known names are {', '.join(known)}, and " if known else ""
    raise UsageError(
        f"dataset: there is no folder and no data set named {name!r}; {listed}"
        "a Hub id has the form owner/name or owner/name/configuration"
    )
