"""Images in the columns of a Hub data set."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from knas.data.columns import find_test, label_column, labels_of, training_part
from knas.data.source import EncodedImage, Source, Split, decode_images
from knas.errors import UsageError

if TYPE_CHECKING:
    import pyarrow
    from datasets import Dataset, DatasetDict


def image_source(name: str, dataset: DatasetDict) -> Source:
    """A data set of labelled images, none of them decoded yet.

    Raises:
        UsageError: If a part or a column that is needed is missing or can't be told.
    """
    train = training_part(name, dataset)
    image = _image_column(name, train)
    label, classes = label_column(name, train)
    test, _ = find_test(dataset, label, classes)
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


def _split(where: str, dataset: Dataset, image: str, label: str, classes: tuple[str, ...]) -> Split:
    labels = labels_of(dataset, label, classes)
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
