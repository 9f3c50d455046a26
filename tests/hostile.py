"""Hostile inputs for the operators: odd shapes, several orders in memory, magnitudes up to both ends of a type."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from hypothesis import strategies as st
from torch import Tensor


@dataclass(frozen=True)
class Conv:
    """A convolution layer: sizes of its input and of its geometry, one number per spatial axis."""

    n: int
    channels: tuple[int, int]
    spatial: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int = 1

    @property
    def geometry(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...], int]:
        return self.kernel, self.stride, self.padding, self.dilation, self.groups

    @property
    def out_spatial(self) -> tuple[int, ...]:
        sizes = zip(self.spatial, self.kernel, self.stride, self.padding, self.dilation, strict=True)
        return tuple((size + 2 * p - d * (k - 1) - 1) // s + 1 for size, k, s, p, d in sizes)

    @property
    def parameters(self) -> int:
        return self.channels[1] * (self.channels[0] // self.groups * torch.Size(self.kernel).numel() + 1)


@st.composite
def convolutions(draw: st.DrawFn) -> Conv:
    axes = draw(st.integers(1, 3))
    groups = draw(st.integers(1, 3))
    small = st.tuples(*[st.integers(1, 3)] * axes)
    kernel, stride, dilation = draw(small), draw(small), draw(small)
    padding = draw(st.tuples(*[st.integers(0, 3)] * axes))
    least = [max(d * (k - 1) + 1 - 2 * p, 1) for k, d, p in zip(kernel, dilation, padding, strict=True)]
    spatial = tuple(size + draw(st.integers(0, 5)) for size in least)
    channels = draw(st.integers(1, 3)) * groups, draw(st.integers(1, 3)) * groups
    return Conv(draw(st.integers(1, 5)), channels, spatial, kernel, stride, padding, dilation, groups)


def side_by_side(tensor: Tensor) -> Tensor:
    """The same values with the channels side by side in memory."""
    return tensor.movedim(1, -1).contiguous().movedim(-1, 1)


ORDERS: dict[str, Callable[[Tensor], Tensor]] = {"planes": Tensor.contiguous, "side by side": side_by_side}


def with_gaps(tensor: Tensor) -> Tensor:
    """The same values, with as many others between them."""
    wide = torch.full((*tensor.shape, 2), float("nan"), dtype=tensor.dtype)
    wide[..., 0] = tensor
    return wide[..., 0]


def backwards(tensor: Tensor) -> Tensor:
    """The same values with the axes in the opposite order in memory."""
    axes = list(range(tensor.dim()))[::-1]
    return tensor.permute(axes).contiguous().permute(axes)


#: Every order, those included that the operators have to copy.
LAYOUTS = st.sampled_from([*ORDERS.values(), with_gaps, backwards])


@st.composite
def magnitudes(draw: st.DrawFn) -> tuple[float, float]:
    """Factors of input and output gradient, whose product float32 can hold with all its digits.

    Down to 2^-140 alone, where float32 has denormal numbers.
    """
    first = draw(st.integers(-140, 100))
    second = draw(st.integers(max(-140, -80 - first), min(100, 90 - first)))
    return 2.0**first, 2.0**second
