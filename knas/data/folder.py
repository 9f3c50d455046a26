"""Image folders: train/CLASS/x.png and, where there is one, test/CLASS/y.png."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch

from knas.data.source import EncodedImage, Source, Split, decode_images
from knas.errors import UsageError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".tif", ".tiff"})
TEST_FOLDERS = ("test", "val", "validation", "valid")


def is_image_folder(folder: Path) -> bool:
    """Whether a folder has a `train` folder with a folder for each class."""
    return (folder / "train").is_dir() and bool(_class_folders(folder / "train"))


def open_image_folder(folder: Path) -> Source:
    """Find the images and the classes of an image folder; nothing is decoded yet.

    Args:
        folder: Holds `train` and perhaps one of `test`, `val`, `validation`, `valid`, each with one folder
            for each class. The classes are those of `train`, in the order of their names.

    Returns:
        The source.

    Raises:
        UsageError: If a class has no images, or is not in `train`.
    """
    classes = tuple(path.name for path in _class_folders(folder / "train"))
    test = next((folder / name for name in TEST_FOLDERS if (folder / name).is_dir()), None)
    return Source(
        folder.name,
        _open_split(folder / "train", classes),
        None if test is None else _open_split(test, classes),
        classes,
    )


def _class_folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _open_split(folder: Path, classes: tuple[str, ...]) -> Split:
    files: list[Path] = []
    labels: list[int] = []
    for path in _class_folders(folder):
        if path.name not in classes:
            raise UsageError(f"{path}: the training images have no class {path.name!r}")
        found = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES)
        if not found:
            raise UsageError(f"{path}: this class has no images ({', '.join(sorted(SUFFIXES))})")
        files += found
        labels += [classes.index(path.name)] * len(found)
    if not files:
        raise UsageError(f"{folder}: wanted one folder of images for each class, found none")
    return Split(torch.tensor(labels), partial(decode_images, partial(_read, files)))


def _read(files: list[Path], index: int) -> EncodedImage:
    try:
        return EncodedImage(files[index].read_bytes(), str(files[index]))
    except OSError as error:
        raise UsageError(f"{files[index]}: this image can't be read ({error.strerror})") from error
