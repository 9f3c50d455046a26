"""The five operations as modules: [n, channels, h, w] in, the same shape out.

Convolutions are left with unset weights: `knas.spaces.initialization.initialize` sets them. PyTorch's own
constructors would draw from the global random state, and take most of the time of building a network.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from knas.spaces.checks import one_of
from knas.spaces.nas_bench_201.architecture import OPERATIONS

CPU = torch.device("cpu")
"""Networks are built here, also where another device is PyTorch's default."""


class Convolution(nn.Conv2d):
    """A convolution without bias whose weight is not set yet."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> None:
        """Make a `kernel` × `kernel` convolution that keeps height and width at stride 1."""
        super().__init__(
            in_channels, out_channels, kernel, stride, padding=kernel // 2, bias=False, device=CPU
        )

    def reset_parameters(self) -> None:
        """Leave the weight as it is."""


class Linear(nn.Linear):
    """A linear layer whose weight and bias are not set yet."""

    def reset_parameters(self) -> None:
        """Leave weight and bias as they are."""


class ReLUConvBN(nn.Module):
    """BatchNorm(convolution(ReLU(x))); the ReLU is not in place, since other edges read the same x."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> None:
        """Make the three layers; the convolution has no bias."""
        super().__init__()
        self.relu = nn.ReLU()
        self.convolution = Convolution(in_channels, out_channels, kernel, stride)
        self.norm = nn.BatchNorm2d(out_channels, device=CPU)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map [n, in_channels, h, w] to [n, out_channels, ⌈h / stride⌉, ⌈w / stride⌉]."""
        output: Tensor = self.norm(self.convolution(self.relu(inputs)))
        return output


class Zero(nn.Module):
    """The operation `none`: zero times the input, so that the graph stays connected as in the benchmark."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Return zeros in the input's shape [n, channels, h, w]."""
        return inputs * 0.0


def create_operation(name: str, channels: int) -> nn.Module:
    """Make an operation that keeps the number of channels.

    Args:
        name: one of `OPERATIONS`.
        channels: channels of input and output.

    Raises:
        UsageError: for an unknown operation.
    """
    name = one_of("operation", name, OPERATIONS)
    if name == "none":
        return Zero()
    if name == "skip_connect":
        return nn.Identity()
    if name == "avg_pool_3x3":
        return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
    return ReLUConvBN(channels, channels, kernel=1 if name == "nor_conv_1x1" else 3)
