"""The benchmark's networks: a stem, three stages of equal cells with reductions between, a classifier."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterable

import torch
from torch import Tensor, nn

from knas.spaces.nas_bench_201.architecture import EDGES, NODES
from knas.spaces.nas_bench_201.operations import CPU, Convolution, Linear, ReLUConvBN

STAGES = 3


class Cell(nn.Module):
    """A cell: node 0 is the input, each later node the sum of its incoming edges, the last the output."""

    def __init__(self, operations: Iterable[nn.Module], unused: Collection[int] = ()) -> None:
        """Take the operations.

        Args:
            operations: six, in the order of `EDGES`.
            unused: positions of edges that add nothing to the output and are not run; their operations stay
                registered, so that whoever counts layers or parameters counts them.
        """
        super().__init__()
        self.edges = nn.ModuleList(operations)
        self._unused = frozenset(unused)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map [n, channels, h, w] to the same shape."""
        nodes: list[Tensor] = [inputs]
        total: Tensor | None = None
        for position, ((source, target), operation) in enumerate(zip(EDGES, self.edges, strict=True)):
            if position not in self._unused:
                term = operation(nodes[source])
                total = term if total is None else total + term
            if source == target - 1:  # the last edge into this node
                nodes.append(torch.zeros_like(inputs) if total is None else total)
                total = None
        return nodes[NODES - 1]


class Reduction(nn.Module):
    """A residual block that halves height and width: two 3×3 convolutions beside a pooled 1×1 one."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        """Make the two branches."""
        super().__init__()
        self.first = ReLUConvBN(in_channels, out_channels, kernel=3, stride=2)
        self.second = ReLUConvBN(out_channels, out_channels, kernel=3)
        # Rounding up changes nothing for even sizes, and lets odd ones pass, which the benchmark refuses.
        pool = nn.AvgPool2d(2, ceil_mode=True)
        self.shortcut = nn.Sequential(pool, Convolution(in_channels, out_channels, kernel=1))

    def forward(self, inputs: Tensor) -> Tensor:
        """Map [n, in_channels, h, w] to [n, out_channels, ⌈h / 2⌉, ⌈w / 2⌉]."""
        output: Tensor = self.shortcut(inputs) + self.second(self.first(inputs))
        return output


class CellNetwork(nn.Module):
    """The macro skeleton of NAS-Bench-201 (section 2.1 of arXiv 2001.00326) around any kind of cell.

    Channels are C, 2C and 4C in the three stages. Its convolutions and its classifier have unset weights.
    """

    def __init__(
        self,
        create_cell: Callable[[int], nn.Module],
        num_classes: int,
        channels: int = 16,
        cells_per_stage: int = 5,
        in_channels: int = 3,
    ) -> None:
        """Make the layers.

        Args:
            create_cell: makes a cell for a number of channels; called 3 × `cells_per_stage` times.
            num_classes: outputs of the classifier.
            channels: C, the channels of the first stage.
            cells_per_stage: N.
            in_channels: channels of the images.
        """
        super().__init__()
        self.stem = nn.Sequential(
            Convolution(in_channels, channels, kernel=3), nn.BatchNorm2d(channels, device=CPU)
        )
        self.cells = nn.ModuleList()
        for stage in range(STAGES):
            width = channels << stage
            if stage > 0:
                self.cells.append(Reduction(width // 2, width))
            self.cells.extend(create_cell(width) for _ in range(cells_per_stage))
        self.last = nn.Sequential(nn.BatchNorm2d(width, device=CPU), nn.ReLU())
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = Linear(width, num_classes, device=CPU)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map images [n, in_channels, h, w] of any size to logits [n, num_classes]."""
        features = self.stem(inputs)
        for cell in self.cells:
            features = cell(features)
        pooled = self.pool(self.last(features)).flatten(1)  # [n, 4 · channels]
        logits: Tensor = self.classifier(pooled)
        return logits

    def with_cells(self, cells: Iterable[nn.Module]) -> CellNetwork:
        """Return a network with other cells (and reductions), which shares all other layers with this one."""
        network = copy.copy(self)
        network._modules = {**self._modules, "cells": nn.ModuleList(cells)}
        return network
