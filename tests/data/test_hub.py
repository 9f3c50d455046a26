from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest

from knas import data
from knas.errors import UsageError


def encoded(count: int, size: int = 5) -> list[dict[str, Any]]:
    """Images as `datasets` stores them."""
    from PIL import Image

    generator = numpy.random.default_rng(0)
    images = []
    for index in range(count):
        file = io.BytesIO()
        Image.fromarray(generator.integers(0, 256, (size, size, 3), dtype=numpy.uint8)).save(file, "PNG")
        images.append({"bytes": file.getvalue(), "path": f"{index}.png"})
    return images


@pytest.fixture
def hub_folder(tmp_path: Path) -> Callable[..., Path]:
    """Writes a folder in the Hub's layout: the columns of each part, and the features of all."""
    import datasets

    def write(features: dict[str, Any], **parts: dict[str, list[Any]]) -> Path:
        for part, columns in parts.items():
            path = tmp_path / "mine" / "data" / f"{part}-00000-of-00001.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            rows = datasets.Dataset.from_dict(columns, features=datasets.Features(features))
            with path.open("wb") as file:
                datasets.disable_progress_bars()
                rows.to_parquet(file)
                datasets.enable_progress_bars()
        return tmp_path / "mine"

    return write


def image_and(**labels: Any) -> dict[str, Any]:
    import datasets

    return {"picture": datasets.Image(), **labels}


def classes(*names: str) -> Any:
    import datasets

    return datasets.ClassLabel(names=list(names))


def test_columns_are_found_by_their_type(hub_folder: Callable[..., Path]) -> None:
    rows = {"picture": encoded(6), "kind": [0, 1, 0, 1, 0, 1]}
    dataset = data.load(hub_folder(image_and(kind=classes("a", "b")), train=rows, test=rows))
    assert dataset.name == "mine"
    assert dataset.classes == ("a", "b")
    assert dataset.test_labels.tolist() == [0, 1, 0, 1, 0, 1]
    assert dataset.train_images.shape == (6, 3, 5, 5)


def test_fine_labels_go_before_coarse_ones(hub_folder: Callable[..., Path]) -> None:
    features = image_and(coarse_label=classes("x"), fine_label=classes("a", "b"))
    rows = {"picture": encoded(4), "coarse_label": [0] * 4, "fine_label": [0, 1, 1, 0]}
    assert data.load(hub_folder(features, train=rows, test=rows)).classes == ("a", "b")


@pytest.mark.parametrize("values", [[3, 7, 3, 7], ["left", "right", "left", "right"]])
def test_plain_labels_become_classes(hub_folder: Callable[..., Path], values: list[Any]) -> None:
    import datasets

    kind = "int64" if isinstance(values[0], int) else "string"
    rows = {"picture": encoded(4), "label": values}
    dataset = data.load(hub_folder(image_and(label=datasets.Value(kind)), train=rows, test=rows))
    assert dataset.classes == tuple(str(value) for value in values[:2])
    assert dataset.train_labels.tolist() == [0, 1, 0, 1]


def test_a_test_part_without_labels_gives_way_to_the_validation_part(
    hub_folder: Callable[..., Path],
) -> None:
    rows = {"picture": encoded(4), "label": [0, 1, 0, 1]}
    unlabeled = {"picture": encoded(4), "label": [-1] * 4}
    folder = hub_folder(image_and(label=classes("a", "b")), train=rows, test=unlabeled, validation=rows)
    dataset = data.load(folder)
    assert dataset.test_labels.tolist() == [0, 1, 0, 1]
    assert dataset.notes == ()


def test_without_another_part_some_training_images_are_held_out(hub_folder: Callable[..., Path]) -> None:
    rows = {"picture": encoded(10), "label": [0, 1] * 5}
    dataset = data.load(hub_folder(image_and(label=classes("a", "b")), train=rows))
    assert len(dataset.train_labels) == 8
    assert "held out" in dataset.notes[0]


def test_what_can_not_be_trained_on_is_named(hub_folder: Callable[..., Path]) -> None:
    labels = classes("a", "b")
    rows = {"picture": encoded(4), "label": [0, 1, -1, 1]}
    with pytest.raises(UsageError, match="mine, train has images without a label in its column 'label'"):
        data.load(hub_folder(image_and(label=labels), train=rows))
    rows = {"picture": [*encoded(3), None], "label": [0, 1, 0, 1]}
    with pytest.raises(UsageError, match=r"mine, train, row 3: the image is missing"):
        data.load(hub_folder(image_and(label=labels), train=rows, test=rows))
    rows = {"picture": [*encoded(3), {"bytes": b"x", "path": "d.png"}], "label": [0, 1, 0, 1]}
    with pytest.raises(UsageError, match=r"mine, train, row 3 \(d\.png\): this is no image"):
        data.load(hub_folder(image_and(label=labels), train=rows, test=rows))
    folder = hub_folder(image_and(label=labels), test=rows)
    (folder / "data" / "train-00000-of-00001.parquet").unlink()
    with pytest.raises(UsageError, match="no part named 'train', only test"):
        data.load(folder)


def test_columns_that_are_missing_or_too_many_are_listed(hub_folder: Callable[..., Path]) -> None:
    import datasets

    rows = {"picture": encoded(2), "size": [1, 2]}
    with pytest.raises(UsageError, match=r"one column of labels .*, and has picture, size"):
        data.load(hub_folder(image_and(size=datasets.Value("int64")), train=rows))
    features = image_and(other=datasets.Image(), label=classes("a", "b"))
    rows = {"picture": encoded(2), "other": encoded(2), "label": [0, 1]}
    with pytest.raises(UsageError, match=r"exactly one column of images, and has 2: picture \(Image\)"):
        data.load(hub_folder(features, train=rows))


def test_two_data_sets_in_one_folder_are_refused(hub_folder: Callable[..., Path]) -> None:
    rows = {"picture": encoded(2), "label": [0, 1]}
    folder = hub_folder(image_and(label=classes("a", "b")), train=rows)
    other = hub_folder(image_and(kind=classes("a", "b")), other={"picture": encoded(2), "kind": [0, 1]})
    (other / "data" / "other-00000-of-00001.parquet").rename(folder / "data" / "train-00001-of-00002.parquet")
    with pytest.raises(UsageError, match="mine: not one data set in the Hub's layout") as caught:
        data.load(folder)
    assert "\n" not in str(caught.value)
