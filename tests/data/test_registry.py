from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from knas import data
from knas.errors import KnasError, UsageError


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Refuses every connection; returns the addresses that were wanted."""
    wanted: list[object] = []

    def refuse(*address: object, **_: object) -> None:
        wanted.append(address)
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: refuse(address))
    return wanted


def test_digits() -> None:
    dataset = data.load("digits")
    assert dataset.train_images.shape == (1438, 3, 8, 8)
    assert dataset.test_images.shape == (359, 3, 8, 8)
    assert dataset.classes == tuple("0123456789")
    assert not dataset.flip
    assert dataset.train_images.max() == 255
    assert "held out" in dataset.notes[0]
    assert len(dataset.test_labels.bincount()) == 10
    assert "digits" in data.names()


def test_the_held_out_test_part_is_the_same_for_every_seed() -> None:
    first, second = (data.load("digits", max_train_samples=100, seed=seed) for seed in (0, 1))
    assert torch.equal(first.test_images, second.test_images)
    assert not torch.equal(first.train_images, second.train_images)


def test_limits_keep_a_balanced_subset() -> None:
    dataset = data.load("digits", max_train_samples=200, max_test_samples=50, seed=3)
    assert dataset.train_labels.bincount().tolist() == [20] * 10
    assert dataset.test_labels.bincount().tolist() == [5] * 10


def test_a_limit_above_what_there_is_keeps_all_and_says_so() -> None:
    dataset = data.load("digits", max_train_samples=5000)
    assert len(dataset.train_labels) == 1438
    assert any("max_train_samples=5,000" in note and "1,438" in note for note in dataset.notes)


@pytest.mark.parametrize(
    ("name", "value"),
    [("max_train_samples", 9), ("max_train_samples", 2.5), ("max_test_samples", 0), ("image_size", 0)],
)
def test_a_limit_out_of_range_is_refused(name: str, value: object) -> None:
    with pytest.raises(UsageError, match=name):
        data.load("digits", **{name: value})  # type: ignore[arg-type]


def test_image_size_resizes() -> None:
    dataset = data.load("digits", image_size=16, max_train_samples=20)
    assert dataset.train_images.shape == (20, 3, 16, 16)
    small = data.load("digits", max_train_samples=20)
    shrunk = torch.nn.functional.avg_pool2d(dataset.train_images.float(), 2)
    assert (shrunk - small.train_images.float()).abs().mean() < 25


@pytest.mark.parametrize("name", ["nope", "./nope", "/nope/nope", "", "a/b/c/d"])
def test_an_unknown_name_is_refused_with_the_names_that_are(name: str) -> None:
    with pytest.raises(UsageError, match="digits, cifar10, cifar100"):
        data.load(name)


def test_a_file_is_no_data_set(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"")
    with pytest.raises(UsageError, match="is a file"):
        data.load(tmp_path / "x.parquet")


@pytest.mark.parametrize("name", ["cifar10", "owner/name"])
def test_the_hub_out_of_reach_gives_one_line_with_the_remedy(
    name: str, no_network: list[object], capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(KnasError, match=r"can't be reached.*pass a folder in the Hub's layout") as caught:
        data.load(name)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("folder", "shape", "classes", "first"),
    [
        ("uoft-cs/cifar10", (3, 32, 32), 10, "airplane"),
        ("uoft-cs/cifar100", (3, 32, 32), 100, "apple"),
        ("imagenet16-120-standin", (3, 16, 16), 120, "n01443537"),
    ],
)
def test_folders_in_the_hubs_layout(
    shared_data: Path,
    no_network: list[object],
    capfd: pytest.CaptureFixture[str],
    folder: str,
    shape: tuple[int, ...],
    classes: int,
    first: str,
) -> None:
    import datasets

    dataset = data.load(shared_data / folder, max_train_samples=2 * classes, max_test_samples=classes)
    assert capfd.readouterr() == ("", "")
    assert no_network == []
    assert dataset.train_images.shape == (2 * classes, *shape)
    assert dataset.test_images.shape == (classes, *shape)
    assert dataset.num_classes == classes
    assert dataset.classes[0] == first
    assert dataset.flip
    assert dataset.train_labels.bincount().tolist() == [2] * classes
    assert not datasets.are_progress_bars_disabled()


def test_pixels_and_labels_are_those_that_datasets_gives(shared_data: Path) -> None:
    import datasets
    import numpy

    dataset = data.load(shared_data / "uoft-cs/cifar10", max_train_samples=10)
    datasets.disable_progress_bars()
    rows = datasets.load_dataset(str(shared_data / "uoft-cs/cifar10"))["train"]
    datasets.enable_progress_bars()
    chosen = data.balanced_subset(torch.tensor(rows["label"][:]), 10, seed=0)
    for position, index in enumerate(chosen.tolist()):
        row = rows[index]
        expected = torch.from_numpy(numpy.array(row["img"])).permute(2, 0, 1)
        assert torch.equal(dataset.train_images[position], expected)
        assert dataset.train_labels[position] == row["label"]


def test_text_is_refused(shared_data: Path) -> None:
    with pytest.raises(UsageError, match=r"mrpc needs exactly one column of images, and has 0: sentence1"):
        data.load(shared_data / "nyu-mll/glue/mrpc")


def test_an_image_folder(image_folder: Path) -> None:
    dataset = data.load(image_folder)
    assert dataset.name == "pets"
    assert dataset.classes == ("cat", "dog")
    assert dataset.train_images.shape == (12, 3, 6, 6)
    assert dataset.test_labels.tolist() == [0, 0, 1, 1]
    assert dataset.notes == ()


def test_an_image_folder_without_a_test_part(image_folder: Path) -> None:
    (image_folder / "test").rename(image_folder / "unused")
    dataset = data.load(image_folder)
    assert dataset.test_labels.tolist() == [0, 1]
    assert "2 of its 12 training images" in dataset.notes[0]


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1"])
def test_every_kind_of_pixel_becomes_three_channels(
    image_folder: Path, write_image: Callable[..., Path], mode: str
) -> None:
    write_image(image_folder / "train" / "cat" / "0.png", mode=mode)
    image = data.load(image_folder).train_images[0]
    assert image.shape == (3, 6, 6)
    if mode in "L1":
        assert torch.equal(image[0], image[2])


def test_sixteen_bits_are_scaled_not_clipped(image_folder: Path) -> None:
    import numpy
    from PIL import Image

    grey = numpy.arange(36, dtype=numpy.uint16).reshape(6, 6) * 1500
    Image.fromarray(grey).save(image_folder / "train" / "cat" / "0.png")
    image = data.load(image_folder).train_images[0]
    assert torch.equal(image[1], torch.from_numpy((grey >> 8).astype(numpy.uint8)))


def test_images_of_several_sizes_want_image_size(
    image_folder: Path, write_image: Callable[..., Path]
) -> None:
    path = write_image(image_folder / "train" / "dog" / "3.png", size=(9, 7))
    with pytest.raises(
        UsageError, match=r"9x7 pixels, but the first image has 6x6 pixels.*image_size"
    ) as caught:
        data.load(image_folder)
    assert str(path) in str(caught.value)
    assert data.load(image_folder, image_size=5).train_images.shape == (12, 3, 5, 5)


def test_train_and_test_images_of_other_sizes_are_refused(
    image_folder: Path, write_image: Callable[..., Path]
) -> None:
    for path in (image_folder / "test").rglob("*.png"):
        write_image(path, size=(9, 9))
    with pytest.raises(UsageError, match="6x6 pixels and tests on 9x9"):
        data.load(image_folder)


@pytest.mark.parametrize("content", [b"", b"no image", "truncated"])
def test_a_corrupt_image_is_named(image_folder: Path, content: bytes | str) -> None:
    path = image_folder / "train" / "cat" / "2.png"
    path.write_bytes(path.read_bytes()[:60] if isinstance(content, str) else content)
    with pytest.raises(UsageError) as caught:
        data.load(image_folder)
    assert str(caught.value).startswith(f"{path}: this")
    assert "\n" not in str(caught.value)
    assert "object at" not in str(caught.value)


def test_an_image_that_is_gone_is_named(image_folder: Path) -> None:
    path = image_folder / "train" / "cat" / "2.png"
    path.unlink()
    path.symlink_to("nowhere")
    with pytest.raises(UsageError, match=r"2\.png: this image can't be read"):
        data.load(image_folder)


def test_a_class_without_images_and_one_that_is_only_tested_are_named(image_folder: Path) -> None:
    (image_folder / "train" / "eel").mkdir()
    with pytest.raises(UsageError, match=r"eel: this class has no images"):
        data.load(image_folder)
    (image_folder / "train" / "eel").rename(image_folder / "test" / "eel")
    with pytest.raises(UsageError, match=r"the training images have no class 'eel'"):
        data.load(image_folder)


def test_an_empty_folder_and_a_broken_parquet_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="neither an image folder"):
        data.load(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train-00000-of-00001.parquet").write_bytes(b"nonsense")
    with pytest.raises(UsageError, match=r"train-00000-of-00001\.parquet: corrupt \("):
        data.load(tmp_path)
