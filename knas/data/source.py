"""Where images come from: labels known at once, pixels decoded only for the samples that are used."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy
import torch
from torch import Tensor

from knas.errors import UsageError


@dataclass(frozen=True)
class Split:
    """One part of a source.

    Attributes:
        labels: int64 [N].
        decode: Gives the images at some indices, uint8 [n, 3, H, W]; its second argument resizes them to
            squares of that many pixels.
    """

    labels: Tensor
    decode: Callable[[Tensor, int | None], Tensor]


@dataclass(frozen=True)
class Source:
    """A data set before anything is decoded; `test` is None where none comes with it."""

    name: str
    train: Split
    test: Split | None
    classes: tuple[str, ...]
    flip: bool = True


@dataclass(frozen=True)
class EncodedImage:
    """The bytes of an image file, and what to call it in an error."""

    data: bytes
    where: str


def decode_images(read: Callable[[int], EncodedImage], indices: Tensor, size: int | None) -> Tensor:
    """Decode image files into one tensor; grey images become three equal channels.

    The files are read one at a time, so that only their pixels stay in memory.

    Args:
        read: Gives the file at an index.
        indices: Which files, int64 [n].
        size: Resize every image to a square of this many pixels, or None to leave them as they are.

    Returns:
        uint8 [n, 3, H, W].

    Raises:
        UsageError: If an image can't be decoded, or its size differs from that of the first.
    """
    pixels: numpy.ndarray | None = None
    for position, index in enumerate(indices.tolist()):
        encoded = read(index)
        image = _decode(encoded, size)
        if pixels is None:
            pixels = numpy.empty((len(indices), *image.shape), dtype=numpy.uint8)  # [n, H, W, 3]
        if image.shape != pixels.shape[1:]:
            raise UsageError(
                f"{encoded.where}: {_size(image.shape)}, but the first image has {_size(pixels.shape[1:])}; "
                "pass image_size=32, say, to resize every image"
            )
        pixels[position] = image
    if pixels is None:
        raise UsageError("images: there is none to decode")
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]} pixels"


def _decode(encoded: EncodedImage, size: int | None) -> numpy.ndarray:
    """Decode one file to uint8 [H, W, 3], turned upright as its camera says."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        image: Image.Image = Image.open(io.BytesIO(encoded.data))
        if image.format == "JPEG":
            image = ImageOps.exif_transpose(image)
        if image.mode.startswith("I;16"):  # Pillow would clip 16 bits at 255
            image = Image.fromarray((numpy.asarray(image) >> 8).astype(numpy.uint8))
        if image.mode == "P":  # a palette may hold transparency, about which a direct conversion warns
            image = image.convert("RGBA")
        image = image.convert("RGB")
        if size is not None and image.size != (size, size):
            image = image.resize((size, size), Image.Resampling.BILINEAR)
        return numpy.asarray(image)
    except UnidentifiedImageError as error:
        raise UsageError(f"{encoded.where}: this is no image of a format that Pillow knows") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UsageError(f"{encoded.where}: this image can't be decoded ({error})") from error
