"""Data sets of the Hugging Face Hub, and folders laid out like one."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy
import torch
from torch import Tensor

from knas.data.source import EncodedImage, Source, Split, decode_images
from knas.errors import KnasError, UsageError

if TYPE_CHECKING:
    import pyarrow
    from datasets import Dataset, DatasetDict

TEST_SPLITS = ("test", "validation", "valid", "val")
LABELS = ("label", "fine_label", "labels")  # where a set has more than one ClassLabel column, or none


def open_hub(identifier: str) -> Source:
    """Open a data set of the Hub, from the network or from the cache of an earlier download.

    Args:
        identifier: Such as "uoft-cs/cifar10".

    Returns:
        The source.

    Raises:
        KnasError: If neither the Hub nor a cached copy can be reached.
        UsageError: If there is no such data set, or it isn't one of labelled images.
    """
    from datasets import load_dataset
    from datasets.exceptions import DatasetNotFoundError

    with _quiet(offline=not _hub_answers(identifier)):
        try:
            dataset = load_dataset(identifier)
        except DatasetNotFoundError as error:
            raise UsageError(f"dataset: the Hub has no public data set {identifier!r}") from error
        except (ConnectionError, FileNotFoundError) as error:
            raise KnasError(
                f"dataset: {identifier!r} is no folder here, and the Hugging Face Hub can't be reached to "
                "download it; pass a folder in the Hub's layout (with data/train-*.parquet and so on)"
            ) from error
        except ValueError as error:  # several configurations
            raise UsageError(f"dataset: {identifier!r} can't be opened ({_one_line(error)})") from error
    return _source(identifier, dataset)


def open_folder(folder: Path) -> Source:
    """Open a folder in the Hub's layout: parquet files that are named by the part that they hold.

    The network isn't touched. The files are kept once more in the cache of `datasets`, as it always does.

    Args:
        folder: Such as "data/cifar10", which holds "plain_text/train-00000-of-00001.parquet".

    Returns:
        The source.

    Raises:
        UsageError: If the folder holds no data set of labelled images, or a file is corrupt.
    """
    from datasets import load_dataset
    from datasets.exceptions import DatasetGenerationError

    with _quiet(offline=True):
        try:
            dataset = load_dataset(str(folder.resolve()))
        except FileNotFoundError as error:
            raise UsageError(
                f"{folder}: neither an image folder (train/CLASS/*.png) nor one in the Hub's layout "
                "(data/train-*.parquet, data/test-*.parquet)"
            ) from error
        except (DatasetGenerationError, ValueError, OSError) as error:  # also several data sets in one folder
            broken = _broken_parquet(folder)
            problem = (
                f"{folder}: not one data set in the Hub's layout" if broken is None else f"{broken}: corrupt"
            )
            raise UsageError(f"{problem} ({_one_line(error.__cause__ or error)})") from error
    return _source(folder.resolve().name, dataset)


def _one_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _hub_answers(identifier: str) -> bool:
    """Ask the Hub once: `datasets` alone would try for half a minute to reach a Hub that isn't there."""
    import huggingface_hub

    try:
        huggingface_hub.HfApi().dataset_info(identifier, timeout=20)
    except (huggingface_hub.errors.HfHubHTTPError, huggingface_hub.errors.HFValidationError):
        return True  # `datasets` will say what is wrong
    except Exception:
        return False
    return True


@contextlib.contextmanager
def _quiet(*, offline: bool) -> Iterator[None]:
    """No progress bars and no chatter from `datasets`, and its settings as they were afterwards."""
    import datasets
    import huggingface_hub
    from huggingface_hub.utils.tqdm import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    bars = not datasets.are_progress_bars_disabled(), not are_progress_bars_disabled()
    verbosity = datasets.logging.get_verbosity(), huggingface_hub.logging.get_verbosity()
    was_offline = datasets.config.HF_HUB_OFFLINE
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(logging.CRITICAL)  # its errors are raised as well, in one line, below
    disable_progress_bars()
    huggingface_hub.logging.set_verbosity(logging.CRITICAL)
    datasets.config.HF_HUB_OFFLINE = was_offline or offline
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE = was_offline
        datasets.logging.set_verbosity(verbosity[0])
        huggingface_hub.logging.set_verbosity(verbosity[1])
        if bars[0]:
            datasets.enable_progress_bars()
        if bars[1]:
            enable_progress_bars()


def _broken_parquet(folder: Path) -> Path | None:
    """The first parquet file under a folder that isn't one."""
    import pyarrow
    from pyarrow import parquet

    for path in sorted(folder.rglob("*.parquet")):
        try:
            parquet.read_metadata(path)
        except (OSError, pyarrow.ArrowInvalid):
            return path
    return None


def _source(name: str, dataset: DatasetDict) -> Source:
    if "train" not in dataset:
        raise UsageError(f"dataset: {name} has no part named 'train', only {', '.join(dataset)}")
    train = dataset["train"]
    image = _image_column(name, train)
    label, classes = _label_column(name, train)
    parts = [key for key in TEST_SPLITS if key in dataset]
    test = next((key for key in parts if _labels(dataset[key], label, classes) is not None), None)
    return Source(
        name,
        _split(f"{name}, train", train, image, label, classes),
        None if test is None else _split(f"{name}, {test}", dataset[test], image, label, classes),
        classes,
    )


def _image_column(name: str, dataset: Dataset) -> str:
    from datasets import Image

    columns = [column for column, feature in dataset.features.items() if isinstance(feature, Image)]
    if len(columns) == 1:
        return str(columns[0])
    found = ", ".join(f"{column} ({type(feature).__name__})" for column, feature in dataset.features.items())
    raise UsageError(f"dataset: {name} needs exactly one column of images, and has {len(columns)}: {found}")


def _label_column(name: str, dataset: Dataset) -> tuple[str, tuple[str, ...]]:
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


def _labels(dataset: Dataset, column: str, classes: tuple[str, ...]) -> Tensor | None:
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


def _split(where: str, dataset: Dataset, image: str, label: str, classes: tuple[str, ...]) -> Split:
    labels = _labels(dataset, label, classes)
    if labels is None:
        raise UsageError(f"dataset: {where} has images without a label in its column {label!r}")
    encoded = dataset.data.column(image)  # read from Arrow itself: `datasets` is slow by the row
    return Split(labels, partial(decode_images, partial(_read, encoded, where)))


def _read(column: pyarrow.ChunkedArray, where: str, index: int) -> EncodedImage:
    value = column[index].as_py()  # {"bytes": ..., "path": ...}
    if value is None:
        raise UsageError(f"{where}, row {index}: the image is missing")
    if value["bytes"] is not None:
        return EncodedImage(value["bytes"], f"{where}, row {index} ({value['path'] or 'no file name'})")
    try:
        return EncodedImage(Path(value["path"]).read_bytes(), value["path"])
    except OSError as error:
        raise UsageError(f"{value['path']}: this image can't be read ({error.strerror})") from error
