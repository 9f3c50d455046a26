"""The networks that are benched, and inputs for them."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

import knas

CELLS = {
    "small cell": "|nor_conv_1x1~0|+|skip_connect~0|nor_conv_1x1~1|+|skip_connect~0|avg_pool_3x3~1|nor_conv_1x1~2|",
    "medium cell": "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|skip_connect~0|skip_connect~1|nor_conv_3x3~2|",
    "large cell": "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|",
}


def cell_network(cell: str, channels: int = 16, cells_per_stage: int = 5) -> nn.Module:
    """A NAS-Bench-201 network around one of `CELLS`."""
    space = knas.spaces.create("nas-bench-201")
    return space.build(space.parse(CELLS[cell]), channels=channels, cells_per_stage=cells_per_stage)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut (He et al. 2015)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU()
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or in_channels != out_channels:
            conv = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
            self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.relu(self.norm1(self.conv1(x)))
        return self.relu(self.norm2(self.conv2(hidden)) + self.shortcut(x))


def resnet18() -> nn.Module:
    """ResNet-18 for images of 32 x 32: a 3x3 stem without pooling, 11.2 M parameters."""
    widths = [64, 64, 64, 128, 128, 256, 256, 512, 512]
    blocks = [ResidualBlock(a, b, 1 + (a != b)) for a, b in pairwise(widths)]
    stem = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


class EncoderBlock(nn.Module):
    """Self-attention and a perceptron, each behind a layer norm and beside a shortcut."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        normed = self.norm1(x)
        split = [
            layer(normed).unflatten(2, (self.heads, -1)).transpose(1, 2)  # [n, heads, tokens, width / heads]
            for layer in (self.query, self.key, self.value)
        ]
        scores = split[0] @ split[1].transpose(2, 3) / math.sqrt(split[0].shape[-1])
        x = x + self.out((scores.softmax(3) @ split[2]).transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Encoder(nn.Module):
    """A transformer encoder over 64 patches of 4 x 4 pixels."""

    def __init__(self, width: int = 128, heads: int = 4, blocks: int = 4) -> None:
        super().__init__()
        self.patches = nn.Linear(48, width)
        self.blocks = nn.Sequential(*(EncoderBlock(width, heads) for _ in range(blocks)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 10)

    def forward(self, images: Tensor) -> Tensor:
        patches = images.unflatten(3, (8, 4)).unflatten(2, (8, 4))  # [n, 3, 8, 4, 8, 4]
        tokens = self.patches(patches.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2))
        return self.head(self.norm(self.blocks(tokens)).mean(1))


def smooth(model: nn.Module) -> nn.Module:
    """The same network with softplus for every ReLU, in place: no rounding error changes the sign of its derivative."""
    for module in model.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.ReLU):
                setattr(module, name, nn.Softplus())
    return model


WIDTHS, DEPTHS = (8, 16, 32), (1, 3, 5, 9)


def wide_name(channels: int) -> str:
    """The name of a network with so many channels in its first stage."""
    return f"medium cell, {channels} channels"


def deep_name(cells_per_stage: int) -> str:
    """The name of a network with so many cells per stage."""
    return f"medium cell, {cells_per_stage} per stage"


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    **{cell: partial(cell_network, cell) for cell in CELLS},
    "ResNet-18": resnet18,
    "transformer": Encoder,
    **{wide_name(width): partial(cell_network, "medium cell", channels=width) for width in WIDTHS},
    **{deep_name(depth): partial(cell_network, "medium cell", cells_per_stage=depth) for depth in DEPTHS},
}
