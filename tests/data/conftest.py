from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy
import pytest


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what `datasets` caches out of the user's cache."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.getbasetemp() / "datasets")


@pytest.fixture
def write_image() -> Callable[..., Path]:
    """Writes a random image file and returns its path."""
    from PIL import Image

    def write(path: Path, seed: int = 0, size: tuple[int, int] = (6, 6), mode: str = "RGB") -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        generator = numpy.random.default_rng(seed)
        pixels = generator.integers(0, 256, (size[1], size[0], 3), dtype=numpy.uint8)
        Image.fromarray(pixels).convert(mode).save(path)
        return path

    return write


@pytest.fixture
def image_folder(tmp_path: Path, write_image: Callable[..., Path]) -> Path:
    """An image folder of two classes, six training and two test images in each."""
    for part, count in (("train", 6), ("test", 2)):
        for label, name in enumerate(("cat", "dog")):
            for index in range(count):
                write_image(tmp_path / "pets" / part / name / f"{index}.png", seed=100 * label + index)
    return tmp_path / "pets"
