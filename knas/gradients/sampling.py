"""Which entries of a layer's gradient vector are looked at."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from knas.gradients.layers import Layer

#: Entries of a layer, as a sorted int64 tensor [s].
Sampler = Callable[[Layer], Tensor]


def random_entries(sample: int, seed: int) -> Sampler:
    """Draws `sample` entries of each layer (all of them where it has fewer), each with the same probability.

    They come in blocks: few output channels x few input channels x all taps, since an entry's cost is the reading of
    its two planes. A layer's entries depend on the seed, its name and its shapes alone: networks that share a layer
    are compared on the same entries of it, and in a search they are drawn once.
    """

    def draw(layer: Layer) -> Tensor:
        shapes = tuple(tuple(slot.parameter.shape) for slot in layer.slots)
        return _draw(sample, seed % 2**64, layer.name, shapes)

    return draw


@lru_cache(maxsize=16384)
def _draw(sample: int, seed: int, name: str, shapes: tuple[tuple[int, ...], ...]) -> Tensor:
    sizes = [math.prod(shape) for shape in shapes]
    if sample >= sum(sizes):
        return torch.arange(sum(sizes))
    generator = np.random.default_rng([seed, zlib.crc32(name.encode())])
    counts = generator.multivariate_hypergeometric(sizes, sample, method="marginals")
    offsets = np.cumsum([0, *sizes[:-1]])
    parts = [
        offset + _block(shape, int(count), generator)
        for offset, shape, count in zip(offsets, shapes, counts, strict=True)
    ]
    return torch.from_numpy(np.sort(np.concatenate(parts)))


def _block(shape: tuple[int, ...], count: int, generator: np.random.Generator) -> npt.NDArray[np.int64]:
    if len(shape) < 2 or count == 0:
        return generator.choice(math.prod(shape), count, replace=False).astype(np.int64)
    rows, columns, taps = shape[0], shape[1], math.prod(shape[2:])
    height = min(rows, math.ceil(math.sqrt(count / taps)))
    width = min(columns, math.ceil(count / (height * taps)))
    height = min(rows, math.ceil(count / (width * taps)))
    o = generator.choice(rows, height, replace=False)
    c = generator.choice(columns, width, replace=False)
    block = (o[:, None, None] * columns + c[None, :, None]) * taps + np.arange(taps)
    return generator.choice(block.reshape(-1), count, replace=False).astype(np.int64)


def all_entries(layer: Layer) -> Tensor:
    """Every entry of a layer."""
    return torch.arange(layer.size)


def leading_entries(layers: list[Layer], tensors: int = 11, least: int = 50, count: int = 50) -> Sampler:
    """The entries that the paper's released code reads.

    They are the first `count` coordinates of the first `tensors` parameter tensors that have at least `least` elements,
    and none of the other layers.
    """
    slots = [slot for layer in layers for slot in layer.slots if slot.size >= least][:tensors]
    chosen = {slot.name for slot in slots}

    def entries(layer: Layer) -> Tensor:
        parts = [
            torch.arange(slot.offset, slot.offset + count) for slot in layer.slots if slot.name in chosen
        ]
        return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.int64)

    return entries
