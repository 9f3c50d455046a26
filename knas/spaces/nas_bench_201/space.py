"""The NAS-Bench-201 search space behind the base class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from knas.spaces.base import Architecture, SearchSpace
from knas.spaces.checks import integer_in_range
from knas.spaces.initialization import initialize
from knas.spaces.nas_bench_201 import canonical, order
from knas.spaces.nas_bench_201.architecture import CONVOLUTIONS, EDGES, OPERATIONS, CellArchitecture
from knas.spaces.nas_bench_201.network import Cell, CellNetwork
from knas.spaces.nas_bench_201.operations import create_operation
from knas.spaces.nas_bench_201.parameters import count_parameters
from knas.spaces.nas_bench_201.shared import SharedNetworks
from knas.spaces.nas_bench_201.supernet import (
    LoneCell,
    SuperCell,
    SuperNetwork,
    check_options,
    normalize_by_batch,
)
from knas.spaces.supernet import Supernet


class NASBench201(SearchSpace):
    """All 15,625 cells, numbered, written and built as in NAS-Bench-201 (arXiv 2001.00326).

    >>> space = NASBench201()
    >>> str(space.architecture(9))
    '|avg_pool_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|nor_conv_3x3~2|'
    >>> space.parameters(space.architecture(1))
    802426
    """

    name = "nas-bench-201"
    kind = CellArchitecture

    def __len__(self) -> int:
        """Return 15,625."""
        return order.SIZE

    def architecture(self, index: int) -> CellArchitecture:
        """Return the cell with the benchmark's number `index`, 0 … 15,624."""
        return order.decode(order.codes()[self._checked_index(index)])

    def index(self, architecture: Architecture) -> int:
        """Return the benchmark's number of a cell."""
        return order.indices()[order.encode(self._own(architecture))]

    def parse(self, text: str) -> CellArchitecture:
        """Read a cell written as `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`."""
        return CellArchitecture.parse(text)

    def canonical(self, architecture: Architecture) -> CellArchitecture:
        """Return the cell with the lowest number among those isomorphic to this one: 6,466 remain.

        Its number is the benchmark's name of the class; the module `canonical` says what isomorphic means.
        """
        return self.architecture(canonical.representatives()[self.index(architecture)])

    def choices(self) -> tuple[tuple[str, ...], ...]:
        """Return the five operations for each of the six edges."""
        return (OPERATIONS,) * len(EDGES)

    def encode(self, architecture: Architecture) -> tuple[int, ...]:
        """Return the position in `OPERATIONS` of each edge's operation."""
        return tuple(OPERATIONS.index(name) for name in self._own(architecture).operations)

    def decode(self, codes: Sequence[int]) -> CellArchitecture:
        """Return the cell whose edges, in the order of `EDGES`, carry the operations at these positions."""
        last = len(OPERATIONS) - 1
        return CellArchitecture(
            tuple(OPERATIONS[integer_in_range("operation", code, 0, last)] for code in codes)
        )

    def build(
        self,
        architecture: Architecture,
        num_classes: int = 10,
        seed: int = 0,
        channels: int = 16,
        cells_per_stage: int = 5,
        initialization: str = "kaiming",
        in_channels: int = 3,
    ) -> CellNetwork:
        """Build the benchmark's network around a cell, on the CPU, in training mode.

        Args:
            architecture: the cell.
            num_classes: outputs of the classifier.
            seed: what the weights are drawn from; the same layer of any cell starts the same.
            channels: C, the channels of the first stage; later ones have 2C and 4C.
            cells_per_stage: N.
            initialization: `"kaiming"` (the paper's) or `"default"` (PyTorch's).
            in_channels: channels of the images.

        Returns:
            A network from images [n, in_channels, h, w] to logits [n, num_classes].

        Raises:
            UsageError: for a foreign architecture, a size below 1 or an unknown initialization.
        """
        cell = self._own(architecture)
        network = CellNetwork(
            lambda width: Cell(create_operation(name, width) for name in cell.operations),
            **_sizes(num_classes, channels, cells_per_stage, in_channels),
        )
        initialize(network, initialization, seed)
        return network

    def build_supernet(
        self,
        supernet: Supernet,
        num_classes: int = 10,
        seed: int = 0,
        channels: int = 16,
        cells_per_stage: int = 5,
        initialization: str = "kaiming",
        in_channels: int = 3,
        weighting: str = "mean",
        lone_cell: bool = False,
        batch_statistics: bool = False,
    ) -> nn.Module:
        """Build the benchmark's network with several operations on each edge.

        Args:
            supernet: the operations that are left on each edge.
            num_classes: outputs of the classifier.
            seed: what the weights are drawn from; layers that two super-networks share start the same.
            channels: C, as for `build`.
            cells_per_stage: N, as for `build`.
            initialization: as for `build`.
            in_channels: channels of the images.
            weighting: what an edge multiplies its operations by: `"sum"` (1), `"mean"` (1 / operations left) or
                `"share"` (1/5).
            lone_cell: one cell without stem, stages and reductions, right on images of `channels` channels.
            batch_statistics: BatchNorm within cells has no parameters and always normalizes with the batch at hand, as
                in searches whose architectures share their weights.

        Returns:
            A network from images [n, in_channels, h, w] to logits [n, num_classes].
        """
        check_options(supernet.options)
        sizes = _sizes(num_classes, channels, cells_per_stage, in_channels)
        network: nn.Module
        if lone_cell:
            network = LoneCell(SuperCell(supernet.options, channels, weighting), channels, num_classes)
        else:
            network = SuperNetwork(lambda width: SuperCell(supernet.options, width, weighting), **sizes)
        if batch_statistics:
            normalize_by_batch(network)
        return initialize(network, initialization, seed)

    def builder(
        self,
        num_classes: int = 10,
        seed: int = 0,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        **options: Any,
    ) -> Callable[[Architecture], nn.Module]:
        """Return what puts networks together from layers that all cells share, and does not run dead edges.

        Args:
            num_classes: outputs of the classifier.
            seed: what the weights are drawn from, as in `build`.
            device: where the layers lie.
            dtype: of the weights.
            options: further arguments of `build`.
        """
        cells = (CellArchitecture((name,) * len(EDGES)) for name in sorted(CONVOLUTIONS))
        networks = [self.build(cell, num_classes, seed, **options).to(device, dtype) for cell in cells]
        shared = SharedNetworks(networks)
        return lambda architecture: shared.network(self._own(architecture))

    def parameters(
        self,
        architecture: Architecture,
        num_classes: int = 10,
        channels: int = 16,
        cells_per_stage: int = 5,
        in_channels: int = 3,
    ) -> int:
        """Return the number of trainable parameters of the network that `build` makes with these sizes."""
        sizes = _sizes(num_classes, channels, cells_per_stage, in_channels)
        return count_parameters(self._own(architecture), **sizes)

    def _own(self, architecture: Architecture) -> CellArchitecture:
        if not isinstance(architecture, CellArchitecture):
            raise self._foreign_error(architecture)
        return architecture


def _sizes(num_classes: int, channels: int, cells_per_stage: int, in_channels: int) -> dict[str, int]:
    return {
        "num_classes": integer_in_range("num_classes", num_classes, 1),
        "channels": integer_in_range("channels", channels, 1),
        "cells_per_stage": integer_in_range("cells_per_stage", cells_per_stage, 1),
        "in_channels": integer_in_range("in_channels", in_channels, 1),
    }
