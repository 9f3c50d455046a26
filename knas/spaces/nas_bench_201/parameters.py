"""Parameter counts by arithmetic, so that a whole space can be sized without building a network."""

from __future__ import annotations

from knas.spaces.nas_bench_201.architecture import CellArchitecture
from knas.spaces.nas_bench_201.network import STAGES

_KERNELS = {"nor_conv_1x1": 1, "nor_conv_3x3": 3}


def count_parameters(
    cell: CellArchitecture, num_classes: int, channels: int, cells_per_stage: int, in_channels: int
) -> int:
    """Return the number of trainable parameters of the network, dead edges included as in the benchmark.

    Args:
        cell: the cell.
        num_classes: outputs of the classifier.
        channels: C, the channels of the first stage; later ones have 2C and 4C.
        cells_per_stage: N.
        in_channels: channels of the images.
    """
    widths = [channels << stage for stage in range(STAGES)]
    stem = _normalized_convolution(in_channels, channels, 3)
    cells = cells_per_stage * sum(_cell(cell, width) for width in widths)
    reductions = sum(_reduction(width // 2, width) for width in widths[1:])
    head = 2 * widths[-1] + num_classes * (widths[-1] + 1)
    return stem + cells + reductions + head


def _normalized_convolution(in_channels: int, out_channels: int, kernel: int) -> int:
    return out_channels * (in_channels * kernel * kernel + 2)


def _cell(cell: CellArchitecture, width: int) -> int:
    kernels = (_KERNELS[operation] for operation in cell.operations if operation in _KERNELS)
    return sum(_normalized_convolution(width, width, kernel) for kernel in kernels)


def _reduction(in_channels: int, out_channels: int) -> int:
    first = _normalized_convolution(in_channels, out_channels, 3)
    second = _normalized_convolution(out_channels, out_channels, 3)
    return first + second + in_channels * out_channels
